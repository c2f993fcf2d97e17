"""Counters and additions on the carry chains of Xilinx FPGAs, as Verilog of LUT6_2 and CARRY4.

Xilinx UG474, "7 Series FPGAs Configurable Logic Block": a LUT6_2 whose input I5 is 1 gives two functions of the same
five inputs. O6 is a bit's S input of the carry chain, where S chooses between the carry from below (S = 1) and the
bit's DI input (S = 0), and the chain gives the exclusive or of S and the carry from below.

A chain that adds three numbers keeps each column's own carry, maj(a, b, c), beside the chain: O5 carries it to the DI
input, and to the tables, of the next column, whose S is a ^ b ^ c ^ that.
"""

from collections.abc import Callable, Sequence

__all__ = ["addition_verilog", "carries_verilog", "counter_verilog"]


def counter_verilog(name: str, heights: tuple[int, ...]) -> str:
    """Return a module with ports `bits` and `total` that adds bits; see `signfold.hw.counter.CounterParameters`.

    Parameters
    ----------
    name : str
        Name of the module.
    heights : tuple of int
        Bits of each column. Three bits of one column take one LUT6_2, four to six of one column two, a chain of k
        columns of up to three bits, five in the lowest, with a column of up to one bit above, k + 1.

    Raises
    ------
    ValueError
        If there is no such counter.
    """
    count = sum(heights)
    width = sum(height << column for column, height in enumerate(heights)).bit_length()
    chain = _Chain(name, [f"input [{count - 1}:0] bits", f"output [{width - 1}:0] total"])
    bits = [f"bits[{k}]" for k in range(count)]
    if heights == (3,):
        low, high = chain.table(bits, lambda a, b, c: a ^ b ^ c, lambda a, b, c: a + b + c > 1)
        return chain.text([f"assign total = {{{high}, {low}}};"])
    if len(heights) == 1 and 4 <= count <= 6:
        return _single_column(chain, bits)
    *columns, top = heights
    if not columns or columns[0] > 5 or top > 1 or any(height > 3 for height in columns[1:]):
        raise ValueError(f"counter heights must be a chain's, not {heights!r}")
    stacks, index = [], 0
    for height in heights:
        stacks.append(bits[index : index + height])
        index += height
    # Of the lowest column, a fourth bit takes the place of the carry beside the chain, a fifth that of the carry in it.
    beside, below = [*stacks[0][3:], "1'b0", "1'b0"][:2]
    for stack in stacks[:-1]:
        beside = _add_column(chain, stack[:3], beside)
    select, _ = chain.table([*stacks[-1], beside], lambda *values: sum(values) & 1)
    chain.position(select, beside)
    sums = [f"sums[{k}]" for k in range(len(heights))]
    if width > len(heights):
        sums.append(chain.carry())
    return chain.text([f"assign total = {{{', '.join(reversed(sums[:width]))}}};"], below)


def addition_verilog(name: str, width: int, parts: tuple[int, int]) -> str:
    """Return a module that adds a gated total, two numbers and two carries; see `signfold.hw.accumulator.Addition`.

    It takes a LUT6_2 a bit of the total.
    """
    ports = [f"input [{width - 1}:0] so_far", "input restart", "input [1:0] carries"]
    ports += [f"input [{part - 1}:0] {side}" for side, part in zip(("left", "right"), parts, strict=True) if part]
    chain = _Chain(name, [*ports, f"output [{width - 1}:0] total"])
    beside = "carries[0]"
    for k in range(width):
        terms = [f"{side}[{k}]" for side, part in zip(("left", "right"), parts, strict=True) if k < part]
        beside = _add_column(chain, [f"so_far[{k}]", "restart", *terms], beside, gated=True, last=k == width - 1)
    return chain.text(["assign total = sums;"], "carries[1]")


def carries_verilog(name: str, simd: int) -> str:
    """Return a module with the ports of `signfold.hw.carries.Carries`, a LUT6 a carry."""
    ports = [f"input [{simd - 1}:0] activations, weights", "output parity"]
    ports += [f"output [{simd // 2 - 1}:0] carries"] if simd > 1 else []
    lines = [f"module {name}({', '.join(ports)});"]
    for index, k in enumerate(range(1 + simd % 2, simd, 2)):
        taken = range(max(0, k - 2), k + 1)
        value = 0
        for given in range(1 << 2 * len(taken)):
            low, middle, high = [0] * (3 - len(taken)) + [
                (given >> 2 * n ^ given >> 2 * n + 1) & 1 for n in range(len(taken))
            ]
            value |= ((low + (low ^ middle) + (middle ^ high)) >> 1) << given
        pins = [f"{side}[{n}]" for n in taken for side in ("activations", "weights")]
        kind = f"LUT{len(pins)} #(.INIT({1 << len(pins)}'h{value:x}))"
        connections = ", ".join(f".I{n}({pin})" for n, pin in enumerate(pins))
        lines.append(f"  {kind} table_{index} ({connections}, .O(carries[{index}]));")
    return "\n".join([*lines, f"  assign parity = activations[{simd - 1}] ^ weights[{simd - 1}];", "endmodule"])


def _add_column(chain: "_Chain", bits: Sequence[str], beside: str, *, gated: bool = False, last: bool = False) -> str:
    """Add a column to the chain and return its own carry."""
    inputs = [*bits, beside] if beside != "1'b0" else list(bits)

    def terms(values):
        return [values[0] & (1 - values[1]), *values[2:]] if gated else list(values)

    def carry(*values):
        return sum(terms(values[: len(bits)])) > 1

    own = len(bits) - gated > 1 and not last
    select, over = chain.table(inputs, lambda *values: sum(terms(values)) & 1, carry if own else None)
    chain.position(select, beside)
    return over or "1'b0"


def _single_column(chain: "_Chain", bits: list[str]) -> str:
    """Count four to six bits of equal weight: five on two tables, the sixth as the carry from below."""
    low, _ = chain.table(bits[:5], lambda *x: sum(x) & 1)
    # S is the count's second bit, and where that is 0 the third one is known.
    middle, high = chain.table(bits[:5], lambda *x: sum(x) >> 1 & 1, lambda *x: sum(x) >= 4)
    chain.position(low, "1'b0")
    chain.position(middle, high)
    return chain.text([f"assign total = {{{chain.carry()}, sums[1:0]}};"], bits[5] if len(bits) > 5 else "1'b0")


class _Chain:
    """Text of a module with tables and one carry chain."""

    def __init__(self, name: str, ports: list[str]):
        self._name, self._ports = name, ports
        self._lines: list[str] = []
        self._tables = 0
        self._selects: list[str] = []
        self._data: list[str] = []

    def table(
        self, inputs: Sequence[str], o6: Callable[..., int], o5: Callable[..., int] | None = None
    ) -> tuple[str, str]:
        """Add a LUT6_2 of up to five inputs and return the names of its outputs, "" where there is none."""
        value = 0
        for index in range(32):
            given = [index >> k & 1 for k in range(len(inputs))]
            value |= int(o6(*given)) << 32 + index
            value |= int(o5(*given)) << index if o5 else 0
        pins = [*inputs, *["1'b0"] * (5 - len(inputs)), "1'b1"]
        index, self._tables = self._tables, self._tables + 1
        connections = [f".I{k}({pin})" for k, pin in enumerate(pins)]
        connections += [f".O6(o6[{index}])", f".O5(o5[{index}])"]
        self._lines.append(f"LUT6_2 #(.INIT(64'h{value:016x})) table_{index} ({', '.join(connections)});")
        return f"o6[{index}]", f"o5[{index}]" if o5 else ""

    def position(self, select: str, data: str) -> None:
        """Add a bit to the chain."""
        self._selects.append(select)
        self._data.append(data)

    def carry(self) -> str:
        """Return the carry out of the bits so far."""
        return f"carries_out[{len(self._selects) - 1}]"

    def text(self, lines: list[str], below: str = "1'b0") -> str:
        """Return the module."""
        result = [f"module {self._name}({', '.join(self._ports)});", f"  wire [{self._tables - 1}:0] o6, o5;"]
        result += [f"  {line}" for line in self._lines]
        if self._selects:
            count = -(-len(self._selects) // 4)
            result.append(f"  wire [{4 * count - 1}:0] carries_out, sums_out;")
            result.append(f"  wire [{len(self._selects) - 1}:0] sums = sums_out;")
            for k in range(count):
                select, data = ([*pins[4 * k : 4 * k + 4], *["1'b0"] * 4][:4] for pins in (self._selects, self._data))
                before, start = ("1'b0", below) if k == 0 else (f"carries_out[{4 * k - 1}]", "1'b0")
                result.append(
                    f"  CARRY4 chain_{k} (.CI({before}), .CYINIT({start}), "
                    f".S({{{', '.join(reversed(select))}}}), .DI({{{', '.join(reversed(data))}}}), "
                    f".CO(carries_out[{4 * k + 3}:{4 * k}]), .O(sums_out[{4 * k + 3}:{4 * k}]));"
                )
        return "\n".join([*result, *(f"  {line}" for line in lines), "endmodule"])
