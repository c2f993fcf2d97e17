// Simulates a design with a serial line for a host program that talks to it over pipes.
//
// Standard input takes commands, one byte each, with little-endian 32-bit arguments:
//   W n <n bytes>  queue bytes for the design's rx, sent without a pause; no time passes
//   R cycles       run until the design has sent a byte, at most so many cycles; answers a count and the bytes
//   X cycles       run so many cycles with rst high; bytes under way on the line go on
//   T              answers the cycles run so far, as 64 bits
// The end of the input ends the program. DIVISOR is the number of cycles a bit.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>

#include "Vsimulator.h"
#include "verilated.h"

namespace {

constexpr uint32_t kDivisor = DIVISOR;

// The host's end of the line to the design.
class Sender {
public:
    void push(uint8_t byte) { queue_.push_back(byte); }

    bool level() {
        if (cycles_left_ == 0) {
            if (bits_left_ == 0) {
                if (queue_.empty()) return true;
                bits_ = 1u << 9 | uint32_t(queue_.front()) << 1;
                queue_.pop_front();
                bits_left_ = 10;
            } else {
                bits_ >>= 1;
            }
            --bits_left_;
            cycles_left_ = kDivisor;
        }
        --cycles_left_;
        return bits_ & 1;
    }

private:
    std::deque<uint8_t> queue_;
    uint32_t bits_ = 1, bits_left_ = 0, cycles_left_ = 0;
};

// The host's end of the line from the design.
class Receiver {
public:
    void sample(bool level) {
        if (!receiving_) {
            if (broken_) {
                broken_ = !level;
            } else if (!level) {
                receiving_ = true;
                bit_ = 0;
                wait_ = kDivisor / 2;
                bits_ = 0;
            }
            return;
        }
        if (--wait_ != 0) return;
        wait_ = kDivisor;
        if (bit_ == 0 && level) {
            receiving_ = false;
        } else if (bit_ == 9) {
            receiving_ = false;
            broken_ = !level;
            if (level) bytes_.push_back(char(bits_ >> 1));
        }
        bits_ |= uint32_t(level) << bit_++;
    }

    std::string& bytes() { return bytes_; }

private:
    bool receiving_ = false, broken_ = false;
    uint32_t bit_ = 0, wait_ = 0, bits_ = 0;
    std::string bytes_;
};

class Simulation {
public:
    void cycle() {
        design_->rx = sender.level();
        design_->clk = 0;
        design_->eval();
        receiver.sample(design_->tx);
        design_->clk = 1;
        design_->eval();
        ++cycles;
    }

    void reset(uint32_t count) {
        design_->rst = 1;
        while (count--) cycle();
        design_->rst = 0;
    }

    void finish() { design_->final(); }

    Sender sender;
    Receiver receiver;
    uint64_t cycles = 0;

private:
    std::unique_ptr<VerilatedContext> context_{new VerilatedContext};
    std::unique_ptr<Vsimulator> design_{new Vsimulator{context_.get()}};
};

bool read_all(void* to, size_t count) { return std::fread(to, 1, count, stdin) == count; }

void write_all(const void* from, size_t count) {
    if (std::fwrite(from, 1, count, stdout) != count) std::exit(1);
}

bool read_word(uint32_t& word) {
    uint8_t bytes[4];
    if (!read_all(bytes, sizeof bytes)) return false;
    word = uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
    return true;
}

void write_word(uint64_t word, int bytes) {
    for (int n = 0; n < bytes; ++n) {
        const uint8_t byte = uint8_t(word >> (8 * n));
        write_all(&byte, 1);
    }
}

}  // namespace

int main() {
    Simulation simulation;
    simulation.reset(4);
    for (int command; (command = std::getchar()) != EOF;) {
        uint32_t argument = 0;
        if (command != 'T' && !read_word(argument)) return 1;
        switch (command) {
        case 'W':
            while (argument--) {
                uint8_t byte;
                if (!read_all(&byte, 1)) return 1;
                simulation.sender.push(byte);
            }
            break;
        case 'R': {
            std::string& bytes = simulation.receiver.bytes();
            while (bytes.empty() && argument--) simulation.cycle();
            write_word(bytes.size(), 4);
            write_all(bytes.data(), bytes.size());
            bytes.clear();
            break;
        }
        case 'X':
            simulation.reset(argument);
            break;
        case 'T':
            write_word(simulation.cycles, 8);
            break;
        default:
            return 1;
        }
        std::fflush(stdout);
    }
    simulation.finish();
    return 0;
}
