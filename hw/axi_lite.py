"""AXI4-Lite: reads and writes of a bus become reads and writes of registers."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["ADDRESS_BITS", "OKAY", "SLVERR", "AxiLite", "AxiLiteParameters", "read_layout", "write_layout"]

#: Bits of an address: 4 kB, what buses give a peripheral at least.
ADDRESS_BITS = 12
#: Responses: done; there is no such register, or it cannot be written.
OKAY, SLVERR = 0, 2


def write_layout() -> data.StructLayout:
    """Payload of the write data channel: `data` (32 bits) and `strb`, a bit for each byte that is meant."""
    return data.StructLayout({"data": unsigned(32), "strb": unsigned(4)})


def read_layout() -> data.StructLayout:
    """Payload of the read data channel: `data` (32 bits) and `resp`."""
    return data.StructLayout({"data": unsigned(32), "resp": unsigned(2)})


@dataclass(frozen=True)
class AxiLiteParameters:
    """Registers of 32 bits, at multiples of 4 from address 0 on.

    Parameters
    ----------
    registers : int
        How many there are.
    writable : tuple of int
        Indices of those that can be written.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    registers: int
    writable: tuple[int, ...] = ()

    def __post_init__(self):
        check_integer("registers", self.registers, minimum=1, maximum=1 << (ADDRESS_BITS - 2))
        for index in self.writable:
            check_integer("writable register", index, minimum=0, maximum=self.registers - 1)

    def compute(self, address: int, values: list[int]) -> tuple[int, int]:
        """Return data and response of a read, where the registers hold `values`."""
        index = address >> 2
        return (values[index], OKAY) if index < self.registers else (0, SLVERR)

    def compute_write(self, address: int, value: int, strobes: int) -> tuple[dict[int, int], int]:
        """Return what a write does, index to value with the bytes that are not meant as 0, and its response."""
        mask = sum(0xFF << (8 * byte) for byte in range(4) if strobes >> byte & 1)
        index = address >> 2
        return ({index: value & mask}, OKAY) if index in self.writable else ({}, SLVERR)

    def create(self) -> "AxiLite":
        """Return the gateware."""
        return AxiLite(self)


class AxiLite(wiring.Component):
    """Serve one read and one write at a time; every output comes from a register.

    A read is answered 2 cycles after its address has come, a write 2 cycles after the later of its address and its
    data. The two low bits of an address are not looked at.

    Parameters
    ----------
    parameters : AxiLiteParameters
        Registers.

    Members
    -------
    aw, ar : In(stream of 12 bits)
        Addresses of writes and reads.
    w : In(stream of write_layout())
        Data to write.
    b : Out(stream of 2 bits)
        Responses to writes.
    r : Out(stream of read_layout())
        Responses to reads.
    index : Out(10)
        Register that is read.
    value : In(32)
        What it holds, in the same cycle.
    write : Out(1)
        Register `target` is written in this cycle, with `written`, in which bytes that are not meant are 0.
    """

    def __init__(self, parameters: AxiLiteParameters):
        self.parameters = parameters
        super().__init__(
            {
                "aw": In(stream.Signature(ADDRESS_BITS)),
                "w": In(stream.Signature(write_layout())),
                "b": Out(stream.Signature(2)),
                "ar": In(stream.Signature(ADDRESS_BITS)),
                "r": Out(stream.Signature(read_layout())),
                "index": Out(ADDRESS_BITS - 2),
                "value": In(32),
                "write": Out(1),
                "target": Out(ADDRESS_BITS - 2),
                "written": Out(32),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()

        asked = Signal()
        m.d.comb += self.ar.ready.eq(~asked & ~self.r.valid)
        with m.If(self.ar.valid & self.ar.ready):
            m.d.sync += [asked.eq(1), self.index.eq(self.ar.payload[2:])]
        with m.If(asked):
            known = self.index < p.registers
            m.d.sync += [
                asked.eq(0),
                self.r.valid.eq(1),
                self.r.payload.data.eq(Mux(known, self.value, 0)),
                self.r.payload.resp.eq(Mux(known, OKAY, SLVERR)),
            ]
        with m.Elif(self.r.ready):
            m.d.sync += self.r.valid.eq(0)

        addressed, given, data_ = Signal(), Signal(), Signal(write_layout())
        allowed, both = Signal(), Signal()
        m.d.comb += [
            self.aw.ready.eq(~addressed & ~self.b.valid),
            self.w.ready.eq(~given & ~self.b.valid),
            both.eq(addressed & given),
            allowed.eq(Cat(self.target == index for index in p.writable).any()),
            self.write.eq(both & allowed),
            self.written.eq(data_.data & Cat(strobe.replicate(8) for strobe in data_.strb)),
        ]
        with m.If(self.aw.valid & self.aw.ready):
            m.d.sync += [addressed.eq(1), self.target.eq(self.aw.payload[2:])]
        with m.If(self.w.valid & self.w.ready):
            m.d.sync += [given.eq(1), data_.eq(self.w.payload)]
        with m.If(both):
            m.d.sync += [
                addressed.eq(0),
                given.eq(0),
                self.b.valid.eq(1),
                self.b.payload.eq(Mux(allowed, OKAY, SLVERR)),
            ]
        with m.Elif(self.b.ready):
            m.d.sync += self.b.valid.eq(0)
        return m
