"""Packet buffer: only whole, good packets come out."""

from collections.abc import Iterable
from dataclasses import dataclass

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.packet import checked_layout
from signfold.hw.stream import QueueParameters

__all__ = ["PacketBuffer", "PacketBufferParameters"]


@dataclass(frozen=True)
class PacketBufferParameters:
    """Ring of bytes that holds whole packets.

    Parameters
    ----------
    depth : int
        Bytes it holds, a power of two from 4 to 65536; a packet's trailer takes room until the packet is complete.
    packets : int
        Packets it holds, at least 2.
    trailer : int
        Bytes at the end of each packet that are checked before and left out here.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    depth: int
    packets: int
    trailer: int

    def __post_init__(self):
        check_integer("packet buffer depth", self.depth, minimum=4, maximum=65536)
        if self.depth & (self.depth - 1):
            raise ValueError(f"packet buffer depth must be a power of two, not {self.depth!r}")
        check_integer("packets", self.packets, minimum=2)
        check_integer("trailer", self.trailer, minimum=0, maximum=self.depth - 1)

    def layout(self) -> data.StructLayout:
        """Return the output's payload: `data`, `last`, and on each byte of a packet the packet's `length`."""
        return data.StructLayout({"data": unsigned(8), "last": 1, "length": range(self.depth + 1)})

    def compute(self, packets: Iterable[tuple[bytes, bool]]) -> list[bytes]:
        """Return what comes out for packets and whether each is bad, if each is taken before the next arrives."""
        return [
            packet[: len(packet) - self.trailer]
            for packet, bad in packets
            if not bad and self.trailer < len(packet) <= self.depth
        ]

    def create(self) -> "PacketBuffer":
        """Return the gateware."""
        return PacketBuffer(self)


class PacketBuffer(wiring.Component):
    """Keep packets until they are complete; drop those that are bad, empty, or do not fit.

    The input never waits. A packet for which there is no room is dropped whole, as is one that ends `bad` or holds no
    byte but its trailer; the packets before and after it are untouched. The first byte of a packet is offered 3 cycles
    after its last byte came in; throughput one byte a cycle within a packet.

    Parameters
    ----------
    parameters : PacketBufferParameters
        Sizes.

    Members
    -------
    i : In(stream of checked_layout())
        Packets; always ready.
    o : Out(stream of parameters.layout())
        Good packets without their trailers.
    """

    LATENCY = 3

    def __init__(self, parameters: PacketBufferParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(checked_layout())), "o": Out(stream.Signature(parameters.layout()))})

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.ring = ring = Memory(shape=unsigned(8), depth=p.depth, init=[])
        write = ring.write_port()
        read = ring.read_port()
        m.submodules.lengths = lengths = QueueParameters(unsigned(p.depth.bit_length()), p.packets).create()

        # Positions count modulo twice the depth, so that full and empty differ.
        kept = Signal(range(2 * p.depth))  # end of the last good packet
        taken = Signal(range(2 * p.depth))  # next byte to read
        length = Signal(range(p.depth + 1))  # bytes of the incoming packet
        dropping = Signal()  # the incoming packet did not fit
        end = Signal(range(2 * p.depth))
        full = Signal()
        good = Signal()
        m.d.comb += [
            end.eq(kept + length),
            full.eq((end ^ taken) == p.depth),
            self.i.ready.eq(1),
            write.addr.eq(end),
            write.data.eq(self.i.payload.data),
            write.en.eq(self.i.valid & ~full & ~dropping),
            good.eq(write.en & self.i.payload.last & ~self.i.payload.bad & (length >= p.trailer)),
            lengths.i.payload.eq(length + 1 - p.trailer),
            lengths.i.valid.eq(good),
        ]
        with m.If(self.i.valid):
            with m.If(self.i.payload.last):
                m.d.sync += [length.eq(0), dropping.eq(0)]
                with m.If(good & lengths.i.ready):
                    m.d.sync += kept.eq(kept + lengths.i.payload)
            with m.Elif(write.en):
                m.d.sync += length.eq(length + 1)
            with m.Else():
                m.d.sync += dropping.eq(1)

        left = Signal(range(p.depth + 1))  # bytes of the outgoing packet after this one
        current = Signal(range(p.depth + 1))
        transfer = Signal()
        m.d.comb += [
            transfer.eq(self.o.valid & self.o.ready),
            read.addr.eq(taken + transfer),
            self.o.payload.data.eq(read.data),
            self.o.payload.last.eq(left == 0),
            self.o.payload.length.eq(current),
            lengths.o.ready.eq(~self.o.valid | (transfer & self.o.payload.last)),
        ]
        with m.If(transfer):
            m.d.sync += [taken.eq(taken + 1), left.eq(left - 1)]
        with m.If(lengths.o.ready):
            m.d.sync += [
                self.o.valid.eq(lengths.o.valid),
                left.eq(lengths.o.payload - 1),
                current.eq(lengths.o.payload),
            ]
        return m
