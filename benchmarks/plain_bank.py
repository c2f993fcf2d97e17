"""The plain bank that the tile is measured beside: behavioural XNOR, full-adder tree, accumulator and threshold."""

__all__ = ["full_adder_tree", "plain_bank"]


def plain_bank(cols: int, simd: int, words: int, depth: int) -> str:
    """Return a bank of processing elements as Verilog, as one writes it without thinking of an FPGA.

    It has no stream handshake and no input buffer: words, addresses and control come from ports, thresholds from a
    shift register. Each element has a weight memory, XNOR, a popcount of full adders, a register, an accumulator and a
    comparison. Memory `c` is read from `plain_w<c>.mem`.

    Parameters
    ----------
    cols, simd : int
        Elements and bits of a word.
    words : int
        Words of a sum.
    depth : int
        Words of each memory.
    """
    width = (words * simd).bit_length()
    count = simd.bit_length()
    address = (depth - 1).bit_length()
    element = [
        f'module element #(parameter FILE = "plain_w0.mem") (input clk, input [{simd - 1}:0] word,',
        f"  input [{address - 1}:0] address,",
        f"  input valid, input first, input [{width - 1}:0] threshold, output reg code);",
        f'  (* rom_style = "block" *) reg [{simd - 1}:0] memory [0:{depth - 1}];',
        "  initial $readmemh(FILE, memory);",
        f"  reg [{simd - 1}:0] weights;",
        f"  reg [{count - 1}:0] counted;",
        f"  reg [{width - 1}:0] total;",
        f"  wire [{simd - 1}:0] x = ~(word ^ weights);",
        *full_adder_tree(simd),
        "  always @(posedge clk) begin",
        "    weights <= memory[address];",
        "    counted <= count;",
        "    if (valid) total <= counted + (first ? 0 : total);",
        "    code <= total >= threshold;",
        "  end",
        "endmodule",
    ]
    bank = [
        f"module bank(input clk, input [{simd - 1}:0] word, input [{address - 1}:0] address, input valid, input first,",
        f"  input threshold, output [{cols - 1}:0] codes);",
        f"  reg [{simd - 1}:0] held;",
        f"  reg [{cols * width - 1}:0] thresholds;",
        "  reg counts, begins;",
        "  always @(posedge clk) begin",
        "    held <= word; counts <= valid; begins <= first;",
        f"    thresholds <= {{thresholds[{cols * width - 2}:0], threshold}};",
        "  end",
    ]
    for c in range(cols):
        bank.append(
            f'  element #(.FILE("plain_w{c}.mem")) e{c} (.clk(clk), .word(held), .address(address), .valid(counts), '
            f".first(begins), .threshold(thresholds[{c * width} +: {width}]), .code(codes[{c}]));"
        )
    return "\n".join([*element, *bank, "endmodule", ""])


def full_adder_tree(bits: int) -> list[str]:
    """Return Verilog that adds the bits of `x` to `count` with full and half adders of logic."""
    lines, columns, number = [], [[f"x[{k}]" for k in range(bits)]], 0
    column = 0
    while column < len(columns):
        queue = columns[column]
        while len(queue) > 1:
            taken, queue[:] = queue[:3], queue[3:]
            total, carry = f"s{number}", f"c{number}"
            number += 1
            if len(taken) == 3:
                a, b, c = taken
                lines.append(f"  wire {total} = {a} ^ {b} ^ {c}, {carry} = ({a} & {b}) | ({c} & ({a} | {b}));")
            else:
                a, b = taken
                lines.append(f"  wire {total} = {a} ^ {b}, {carry} = {a} & {b};")
            queue.append(total)
            if column + 1 == len(columns):
                columns.append([])
            columns[column + 1].append(carry)
        column += 1
    width = bits.bit_length()
    lines.append(f"  wire [{width - 1}:0] count = {{{', '.join(queue[0] for queue in reversed(columns[:width]))}}};")
    return lines
