"""Memory that is written while the accelerator runs: one port, for a read or a write a cycle."""

from dataclasses import dataclass

from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.fabric import FABRICS, Fabric

__all__ = ["Ram", "RamParameters"]

#: On iCE40, memories of at least this many bits go into SPRAM: four blocks of 16,384 x 16 bits on the UP5K.
_LARGE_BITS = 8192


@dataclass(frozen=True)
class RamParameters:
    """A memory.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Words.
    fabric : Fabric
        What it is made of.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    width: int
    depth: int
    fabric: Fabric = FABRICS["plain"]

    def __post_init__(self):
        check_integer("memory width", self.width, minimum=1)
        check_integer("memory depth", self.depth, minimum=1)

    @property
    def address_width(self) -> int:
        """Width of the address in bits, at least 1."""
        return max(1, (self.depth - 1).bit_length())

    @property
    def large(self) -> bool:
        """Whether it goes into the fabric's large memories, which hold nothing after power-on."""
        return self.fabric.name == "ice40" and self.width * self.depth >= _LARGE_BITS

    def create(self) -> "Ram":
        """Return the gateware."""
        return Ram(self)


class Ram(wiring.Component):
    """Memory with one port.

    Latency 1 cycle: `data` is the word at the `address` of the last cycle without `write`. What a word holds before it
    is first written is undefined.

    Parameters
    ----------
    parameters : RamParameters
        Size.

    Members
    -------
    address : In
        Word to read or write.
    write : In(1)
        Write `value`.
    value : In(width)
        What to write.
    data : Out(width)
        The word that was read.
    """

    def __init__(self, parameters: RamParameters):
        self.parameters = p = parameters
        super().__init__({"address": In(p.address_width), "write": In(1), "value": In(p.width), "data": Out(p.width)})

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        # With this attribute the Verilog says nothing of the contents at first.
        attributes = {"ram_style": "huge" if p.large else "auto"}
        m.submodules.memory = memory = Memory(shape=unsigned(p.width), depth=p.depth, init=[], attrs=attributes)
        reading, writing = memory.read_port(), memory.write_port()
        m.d.comb += [
            # One address for both, and never both at once: the only kind of port that SPRAM has.
            reading.addr.eq(self.address),
            reading.en.eq(~self.write),
            writing.addr.eq(self.address),
            writing.en.eq(self.write),
            writing.data.eq(self.value),
            self.data.eq(reading.data),
        ]
        return m
