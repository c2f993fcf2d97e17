"""Counters: bits of several weights in, their sum out; the building blocks of compressor trees.

Kumm and Zipf, "Pipelined compressor tree optimization using integer linear programming", FPL 2014, and Preusser,
"Generic and universal parallel matrix summation", FPL 2017, describe such counters on Xilinx carry chains.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.module_library import shared
from signfold.hw.xilinx import counter_verilog

__all__ = ["Counter", "CounterParameters"]


@dataclass(frozen=True)
class CounterParameters:
    """Bits in columns of weight 1, 2, 4 ..., and their sum.

    Parameters
    ----------
    heights : tuple of int
        Bits of each column, the lowest first. On carry chains of LUT6_2 and CARRY4: 1 to 6 bits of one column; or a
        chain of up to five bits in the lowest column, up to three in each further one and at most one in the highest.

    Raises
    ------
    TypeError, ValueError
        If `heights` is empty, or holds anything but integers of at least 0, at least one bit.
    """

    heights: tuple[int, ...]

    def __post_init__(self):
        if not self.heights or not any(self.heights):
            raise ValueError(f"counter heights must hold at least one bit, not {self.heights!r}")
        for height in self.heights:
            check_integer("counter height", height, minimum=0)

    @property
    def largest(self) -> int:
        """Largest sum."""
        return sum(height << column for column, height in enumerate(self.heights))

    @property
    def width(self) -> int:
        """Bits of the sum."""
        return self.largest.bit_length()

    @property
    def bits(self) -> int:
        """Bits counted."""
        return sum(self.heights)

    @property
    def tables(self) -> int:
        """LUT6_2 that it takes on a Xilinx carry chain, and bits of the chain that only pass the last carry on."""
        if self.heights == (3,):
            return 1
        taken = 2 if len(self.heights) == 1 else len(self.heights)
        return taken + (self.width > taken)

    @property
    def name(self) -> str:
        """Name of the module, the same for equal parameters."""
        return "counter_" + "_".join(map(str, self.heights))

    def compute(self, bits: list[int]) -> int:
        """Return the sum of `bits`, column by column from the lowest."""
        total, index = 0, 0
        for column, height in enumerate(self.heights):
            total += sum(bits[index : index + height]) << column
            index += height
        return total

    def primitives(self, name: str) -> str:
        """Return the gateware as a Verilog module of the fabric's primitives, for synthesis."""
        return counter_verilog(name, self.heights)

    def create(self) -> "Counter":
        """Return the gateware."""
        return Counter(self)


class Counter(wiring.Component):
    """Add bits of several weights. Combinational.

    Parameters
    ----------
    parameters : CounterParameters
        Columns.

    Members
    -------
    bits : In(bits)
        Column by column, the lowest first.
    total : Out(width)
        Their sum.
    """

    def __init__(self, parameters: CounterParameters):
        self.parameters = parameters
        super().__init__({"bits": In(parameters.bits), "total": Out(parameters.width)})

    @shared
    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.total.eq(added(m, self.parameters, list(self.bits), "sum"))
        return m


def added(m: Module, parameters: CounterParameters, bits: list[Value], name: str) -> Value:
    """Return the sum of `bits` as logic of module `m`, in a form that synthesis for carry chains maps well."""
    columns, index = [], 0
    for height in parameters.heights:
        columns.append(bits[index : index + height])
        index += height
    if max(parameters.heights) <= 3 and len(columns) <= 2 and max(parameters.heights[1:], default=0) <= 2:
        # Shorter than three columns, tables take less than a chain with its ends.
        return Cat(_rippled(m, columns, name))[: parameters.width]
    if parameters.heights[0] <= 3 and max(parameters.heights[1:]) <= 2:
        left, right = ([column[k] if k < len(column) else Const(0, 1) for column in columns] for k in (0, 1))
        if len(columns[0]) == 3:
            # The third bit comes in as a carry: from 1 + bit in a column below.
            return (Cat(Const(1, 1), left) + Cat(columns[0][2], right))[1 : 1 + parameters.width]
        return (Cat(left) + Cat(right))[: parameters.width]
    terms = []
    for k, column in enumerate(columns):
        terms += [bit << k for bit in column]
    return sum(terms[1:], start=terms[0])[: parameters.width]


def _rippled(m: Module, columns: list[list[Value]], name: str) -> list[Value]:
    """Add columns with full and half adders of named nets."""
    sums, carry = [], []
    for k, column in enumerate(columns):
        taken = [*column, *carry]
        carry = []
        total = Signal(name=f"{name}_s{k}")
        m.d.comb += total.eq(_parity(taken))
        sums.append(total)
        if len(taken) > 1:
            over = Signal(name=f"{name}_c{k}")
            a, b, *c = taken
            m.d.comb += over.eq((a & b) | (c[0] & (a | b)) if c else a & b)
            carry = [over]
    return [*sums, *carry]


def _parity(bits: list[Value]) -> Value:
    result = bits[0]
    for bit in bits[1:]:
        result = result ^ bit
    return result
