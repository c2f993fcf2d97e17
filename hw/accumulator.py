"""The accumulator of a cell."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.ecp5 import gated_sum_verilog
from signfold.hw.fabric import FABRICS, Fabric
from signfold.hw.module_library import shared
from signfold.hw.xilinx import addition_verilog

__all__ = ["Accumulator", "AccumulatorParameters", "Addition", "AdditionParameters"]


@dataclass(frozen=True)
class AdditionParameters:
    """Sum of a gated total and two numbers, on one carry chain.

    Parameters
    ----------
    width : int
        Bits of the total and of the sum.
    parts : tuple of int
        Widths of the two numbers, 0 for none.
    fabric : Fabric
        Whose primitives synthesis gets: Xilinx; or ECP5, with one number and no carries.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    width: int
    parts: tuple[int, int]
    fabric: Fabric = FABRICS["xilinx"]

    def __post_init__(self):
        check_integer("addition width", self.width, minimum=1)
        for part in self.parts:
            check_integer("addition part", part, minimum=0, maximum=self.width)

    @property
    def name(self) -> str:
        """Name of the module, the same for equal parameters."""
        return f"addition_{self.width}_{self.parts[0]}_{self.parts[1]}"

    def compute(self, total: int, restart: int, parts: tuple[int, int], carries: int) -> int:
        """Return the sum modulo 2**width."""
        return ((0 if restart else total) + sum(parts) + carries.bit_count()) & ((1 << self.width) - 1)

    def primitives(self, name: str) -> str:
        """Return the gateware as a Verilog module of the fabric's primitives, for synthesis."""
        if self.fabric.name == "ecp5":
            return gated_sum_verilog(name, self.width, self.parts[0])
        return addition_verilog(name, self.width, self.parts)

    def create(self) -> "Addition":
        """Return the gateware."""
        return Addition(self)


class Addition(wiring.Component):
    """Add. Combinational.

    Parameters
    ----------
    parameters : AdditionParameters
        Widths.

    Members
    -------
    so_far : In(width)
        Total so far.
    restart : In(1)
        It does not count.
    left, right : In
        Numbers, `parts` wide; a number of no bits has no member.
    carries : In(2)
        Two bits of weight 1.
    total : Out(width)
        Sum modulo 2**width.
    """

    def __init__(self, parameters: AdditionParameters):
        self.parameters = p = parameters
        members = {"so_far": In(p.width), "restart": In(1), "carries": In(2), "total": Out(p.width)}
        members |= {side: In(part) for side, part in zip(("left", "right"), p.parts, strict=True) if part}
        super().__init__(members)

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        kept = self.so_far & (~self.restart).replicate(p.width)
        numbers = [getattr(self, side) for side, part in zip(("left", "right"), p.parts, strict=True) if part]
        m.d.comb += self.total.eq(sum(numbers, start=kept) + self.carries[0] + self.carries[1])
        return m


@dataclass(frozen=True)
class AccumulatorParameters:
    """A total, and the numbers that are added to it at a time.

    Parameters
    ----------
    width : int
        Bits of the total.
    parts : tuple of int
        Widths of the numbers.
    doubles : bool
        The total so far may count twice.
    fabric : Fabric
        What the adder is made of. Where it has counters: at most two numbers of more than one bit, and two of one.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    width: int
    parts: tuple[int, ...]
    doubles: bool = False
    fabric: Fabric = FABRICS["plain"]

    def __post_init__(self):
        check_integer("accumulator width", self.width, minimum=1)
        for part in self.parts:
            check_integer("accumulator part", part, minimum=1)

    def compute(self, total: int, parts: list[int], restart: bool, double: bool) -> int:
        """Return the total after `parts`, modulo 2**width."""
        return (0 if restart else total << double) + sum(parts) & ((1 << self.width) - 1)

    def create(self) -> "Accumulator":
        """Return the gateware."""
        return Accumulator(self)


class Accumulator(wiring.Component):
    """Add up numbers. A cycle from a number to the total; a number a cycle, no flow control.

    Parameters
    ----------
    parameters : AccumulatorParameters
        Widths.

    Members
    -------
    part_0, part_1, ... : In
        Numbers.
    accumulate : In(1)
        They count.
    restart : In(1)
        With `accumulate`: they are the first of a pass.
    double : In(1)
        With `accumulate`: the total so far counts twice; only where `doubles` is set.
    total : Out(width)
        Total, undefined before the first `restart`.
    """

    def __init__(self, parameters: AccumulatorParameters):
        self.parameters = p = parameters
        members = {f"part_{k}": In(width) for k, width in enumerate(p.parts)}
        members |= {"accumulate": In(1), "restart": In(1), "double": In(1), "total": Out(p.width)}
        super().__init__(members)

    @property
    def parts(self) -> list[Value]:
        """The numbers."""
        return [getattr(self, f"part_{k}") for k in range(len(self.parameters.parts))]

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        parts = self.parts
        before = Signal(p.width)
        m.d.comb += before.eq(Mux(self.double, self.total << 1, self.total) if p.doubles else self.total)
        following = Signal(p.width)
        if p.fabric.gated_chains and (p.fabric.counters or len(parts) == 1):
            numbers = [part for part in parts if len(part) > 1] + [part for part in parts if len(part) == 1]
            left, right, *bits = (part[: p.width] for part in [*numbers, *[Signal(0)] * 2])
            bits = [bit for bit in bits if len(bit)]
            addition = AdditionParameters(p.width, (len(left), len(right)), p.fabric).create()
            m.submodules[f"{addition.parameters.name}__sum"] = addition
            m.d.comb += [
                addition.so_far.eq(before),
                addition.restart.eq(self.restart),
                *(getattr(addition, side).eq(part) for side, part in (("left", left), ("right", right)) if len(part)),
                addition.carries.eq(Cat(bits)),
                following.eq(addition.total),
            ]
        elif p.fabric.lut_inputs and len(parts) == 1:
            # The choice fits into the tables that add: they have an input to spare, their carries do not matter then.
            m.d.comb += following.eq(Mux(self.restart, parts[0], before + parts[0]))
        else:
            # Masking the old total costs no logic: the gate sits in the adder's own tables.
            kept = before & (~self.restart).replicate(p.width)
            m.d.comb += following.eq(sum(parts, start=kept))
        with m.If(self.accumulate):
            m.d.sync += self.total.eq(following)
        return m
