// Native harness: streams whole test sets through the verilated accelerator, frames back to back.
//
// Compiled with ELEMENTS, BITS, LANES, CLASSES, SCORE_WIDTH and CLASS_WIDTH defined as the sidecar gives them.
//
// Arguments: FRAMES SEED STALL_IN STALL_OUT LIMIT SETTLING EXTRA
//   FRAMES               number of frames to read and simulate
//   SEED                 of the stalls and of the contents of registers and memories before reset
//   STALL_IN, STALL_OUT  probability, in units of 2^-32, that an end of the streams pauses in a cycle
//   LIMIT                cycles without a transfer at the output after which the run is given up
//   SETTLING             cycles to wait after reset before the first frame
//   EXTRA                cycles to go on after the last result, in which no other may come
// Standard input: LOADS x LOAD_BYTES bytes where these are defined, packets for the stream of weights, which go in before
// cycle 0; then FRAMES x ELEMENTS bytes, one code a byte.
// Standard output, a record a frame, 64-bit little-endian signed integers: cycle of the frame's first input transfer,
//   cycle of its last output transfer, class, CLASSES scores. Cycle 0 is the first one after reset.
// Exit status: 0 when all frames are done, 3 when the stream rules were broken or nothing came, told on standard error.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "Vsimulator.h"
#include "verilated.h"

// Payload ports are integers up to 64 bits and arrays of 32-bit words beyond.
template <typename T> void put(T& port, unsigned lsb, unsigned width, uint64_t value) {
    const uint64_t mask = (width == 64 ? 0 : uint64_t(1) << width) - 1;
    port = T((uint64_t(port) & ~(mask << lsb)) | (value & mask) << lsb);
}
template <std::size_t N> void put(VlWide<N>& port, unsigned lsb, unsigned width, uint64_t value) {
    for (unsigned n = 0; n < width; ++n) {
        const unsigned bit = lsb + n;
        const uint32_t one = uint32_t(1) << bit % 32;
        port[bit / 32] = (value >> n & 1) ? port[bit / 32] | one : port[bit / 32] & ~one;
    }
}
template <typename T> uint64_t get(const T& port, unsigned lsb, unsigned width) {
    return uint64_t(port) >> lsb & ((width == 64 ? 0 : uint64_t(1) << width) - 1);
}
template <std::size_t N> uint64_t get(const VlWide<N>& port, unsigned lsb, unsigned width) {
    uint64_t value = 0;
    for (unsigned n = 0; n < width; ++n)
        value |= uint64_t(port[(lsb + n) / 32] >> (lsb + n) % 32 & 1) << n;
    return value;
}
template <typename T> bool same(const T& a, const T& b) { return a == b; }
template <std::size_t N> bool same(const VlWide<N>& a, const VlWide<N>& b) {
    for (std::size_t n = 0; n < N; ++n)
        if (a[n] != b[n]) return false;
    return true;
}

// xorshift64*: small, fast, and the same everywhere.
struct Random {
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0x2545F4914F6CDD1Dull) {
        if (!state) state = 1;
    }
    bool chance(uint64_t probability) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return (state * 0x2545F4914F6CDD1Dull) >> 32 < probability;
    }
};

static int fail(const char* what, uint64_t cycle, uint64_t frame) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s in cycle %llu, frame %llu\n", what, (unsigned long long)cycle, (unsigned long long)frame);
    return 3;
}

int main(int argc, char** argv) {
    if (argc != 8) {
        std::fprintf(stderr, "usage: %s FRAMES SEED STALL_IN STALL_OUT LIMIT SETTLING EXTRA\n", argv[0]);
        return 2;
    }
    const uint64_t frames = std::strtoull(argv[1], nullptr, 10), seed = std::strtoull(argv[2], nullptr, 10);
    const uint64_t stall_in = std::strtoull(argv[3], nullptr, 10), stall_out = std::strtoull(argv[4], nullptr, 10);
    const uint64_t limit = std::strtoull(argv[5], nullptr, 10), settling = std::strtoull(argv[6], nullptr, 10);
    const uint64_t extra = std::strtoull(argv[7], nullptr, 10);
    constexpr unsigned beats = (ELEMENTS + LANES - 1) / LANES;

    const auto context = std::make_unique<VerilatedContext>();
    context->randReset(2);  // registers and memories without a defined value start with random bits
    context->randSeed(int(seed % 0x7FFFFFFF) + 1);
    const auto dut = std::make_unique<Vsimulator>(context.get());
    Random source(2 * seed + 1), sink(2 * seed + 2);

    dut->i___05Fvalid = 0;
    dut->o___05Fready = 0;
#ifdef STATUSES
    dut->s___05Fready = 1;  // what they say shows in the results
#endif
    dut->rst = 1;
    for (int n = 0; n < 4; ++n) {
        dut->clk = 0;
        dut->eval();
        dut->clk = 1;
        dut->eval();
    }
    dut->rst = 0;

#ifdef LOADS
    dut->i___05Fvalid = 0;
    for (unsigned n = 0; n < LOADS * LOAD_BYTES; ++n) {
        const int byte = std::getchar();
        if (byte == EOF) return fail("input ends", n, 0);
        dut->w___05Fpayload = uint64_t(byte) | uint64_t(n % LOAD_BYTES == LOAD_BYTES - 1) << 8;
        dut->w___05Fvalid = 1;
        for (bool taken = false; !taken;) {
            dut->clk = 0;
            dut->eval();
            taken = dut->w___05Fready;
            dut->clk = 1;
            dut->eval();
        }
    }
    dut->w___05Fvalid = 0;
#endif

    std::vector<unsigned char> frame(ELEMENTS);
    std::vector<int64_t> record(3 + CLASSES);
    std::deque<int64_t> starts;  // first input cycles of the frames under way
    uint64_t sent = 0, received = 0, quiet = 0;
    unsigned beat = 0, cls = 0;
    bool offering = false, waiting = false;
    auto held = dut->o___05Fpayload;

    for (uint64_t cycle = 0; received < frames; ++cycle) {
        if (!offering && sent < frames && cycle >= settling && !source.chance(stall_in)) {
            if (beat == 0 && std::fread(frame.data(), 1, ELEMENTS, stdin) != ELEMENTS)
                return fail("input ends", cycle, sent);
            for (unsigned lane = 0; lane < LANES; ++lane) {
                const unsigned index = beat * LANES + lane;
                put(dut->i___05Fpayload, lane * BITS, BITS, index < ELEMENTS ? frame[index] : 0);
            }
            put(dut->i___05Fpayload, LANES * BITS, 1, beat == beats - 1);
            offering = true;
        }
        dut->i___05Fvalid = offering;
        dut->o___05Fready = !sink.chance(stall_out);
        dut->clk = 0;
        dut->eval();
        const bool taken = offering && dut->i___05Fready;
        const bool given = dut->o___05Fvalid && dut->o___05Fready;

        if (waiting && !dut->o___05Fvalid) return fail("valid taken back", cycle, received);
        if (waiting && !same(dut->o___05Fpayload, held)) return fail("payload changed before it was taken", cycle, received);
        waiting = dut->o___05Fvalid && !given;
        if (waiting) held = dut->o___05Fpayload;
        if (given) {
            const auto& payload = dut->o___05Fpayload;
            int64_t score = int64_t(get(payload, 0, SCORE_WIDTH));
            if (score >> (SCORE_WIDTH - 1)) score -= int64_t(1) << SCORE_WIDTH;
            record[3 + cls] = score;
            const bool last = get(payload, SCORE_WIDTH + CLASS_WIDTH, 1);
            if (last != (cls == CLASSES - 1)) return fail("last on the wrong beat", cycle, received);
            if (starts.empty()) return fail("result without a frame", cycle, received);
            if (last) {
                record[0] = starts.front();
                starts.pop_front();
                record[1] = int64_t(cycle);
                record[2] = int64_t(get(payload, SCORE_WIDTH, CLASS_WIDTH));
                std::fwrite(record.data(), sizeof(int64_t), record.size(), stdout);
                ++received;
            }
            cls = last ? 0 : cls + 1;
            quiet = 0;
        } else if (++quiet > limit) {
            return fail("no result", cycle, received);
        }
        dut->clk = 1;
        dut->eval();
        if (taken) {
            if (beat == 0) starts.push_back(int64_t(cycle));
            beat = beat == beats - 1 ? 0 : beat + 1;
            sent += beat == 0;
            offering = false;
        }
    }
    std::fflush(stdout);
    dut->i___05Fvalid = 0;
    dut->o___05Fready = 1;
    for (uint64_t cycle = 0; cycle < extra; ++cycle) {
        dut->clk = 0;
        dut->eval();
        if (dut->o___05Fvalid) return fail("result after the last frame", cycle, frames);
        dut->clk = 1;
        dut->eval();
    }
    dut->final();
    return 0;
}
