"""Consistent overhead byte stuffing: packets without a byte 0, so that 0 can delimit them.

S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999. A packet
is cut into groups: a code byte n in 1 .. 255 stands for the n - 1 bytes that follow it and, unless n = 255 or the
packet ends there, for a 0 after them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from signfold.hw.packet import DELIMITER, checked_layout, packet_layout

__all__ = ["CobsDecoder", "CobsDecoderParameters", "CobsEncoder", "CobsEncoderParameters"]

_FULL = 0xFF


@dataclass(frozen=True)
class CobsEncoderParameters:
    """Encoder of packets."""

    def compute(self, packet: bytes) -> bytes:
        """Return the frame of a packet of at least one byte, between two delimiters."""
        frame = bytearray([DELIMITER])
        group = bytearray()
        for n, byte in enumerate(packet):
            if byte:
                group.append(byte)
            if not byte or len(group) == _FULL - 1:
                frame += bytes([len(group) + 1]) + group
                group.clear()
            # A 0 at the end needs a group after it; a full group at the end needs none.
            if n == len(packet) - 1 and (group or not byte):
                frame += bytes([len(group) + 1]) + group
        frame.append(DELIMITER)
        return bytes(frame)

    def create(self) -> "CobsEncoder":
        """Return the gateware."""
        return CobsEncoder(self)


class CobsEncoder(wiring.Component):
    """Encode packets into frames between delimiters.

    The delimiter in front makes a receiver forget what it got before, such as a frame that a reset has cut.

    A group is gathered, at one byte a cycle, before it is sent, at one byte a cycle; the input waits meanwhile. A group
    with code byte c occupies at most 2 c + 1 cycles without stalls, and its code byte appears in the cycle after its
    last byte is taken. Each delimiter takes one cycle.

    Parameters
    ----------
    parameters : CobsEncoderParameters
        None to choose.

    Members
    -------
    i : In(stream of packet_layout())
        Packets.
    o : Out(stream of 8 bits)
        Bytes of the frames, delimiters included.
    """

    def __init__(self, parameters: CobsEncoderParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(packet_layout())), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.group = group = Memory(shape=unsigned(8), depth=256, init=[])
        write = group.write_port()
        read = group.read_port()
        count = Signal(8)
        sent = Signal(8)
        ends = Signal()  # the packet ends with this group
        trailing = Signal()  # the packet's last byte is a 0, which takes one more, empty group

        m.d.comb += [
            write.addr.eq(count),
            write.data.eq(self.i.payload.data),
            read.addr.eq(sent + (self.o.valid & self.o.ready)),
        ]
        with m.FSM():
            with m.State("START"):
                m.d.comb += [self.o.valid.eq(self.i.valid), self.o.payload.eq(DELIMITER)]
                with m.If(self.i.valid & self.o.ready):
                    m.next = "GATHER"
            with m.State("GATHER"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    stored = Signal()
                    m.d.comb += [stored.eq(self.i.payload.data != 0), write.en.eq(stored)]
                    m.d.sync += [
                        count.eq(count + stored),
                        ends.eq(self.i.payload.last),
                        trailing.eq(self.i.payload.last & ~stored),
                    ]
                    with m.If(self.i.payload.last | ~stored | (count == _FULL - 2)):
                        m.next = "CODE"
            with m.State("CODE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(count + 1), read.addr.eq(0)]
                with m.If(self.o.ready):
                    with m.If(count == 0):
                        m.next = "END"
                    with m.Else():
                        m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(read.data)]
                with m.If(self.o.ready):
                    m.d.sync += sent.eq(sent + 1)
                    with m.If(sent == count - 1):
                        m.next = "END"
            with m.State("END"):
                m.d.sync += [count.eq(0), sent.eq(0), trailing.eq(0)]
                with m.If(trailing):
                    m.next = "CODE"
                with m.Elif(ends):
                    m.next = "DELIMITER"
                with m.Else():
                    m.next = "GATHER"
            with m.State("DELIMITER"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(DELIMITER)]
                with m.If(self.o.ready):
                    m.next = "START"
        return m


@dataclass(frozen=True)
class CobsDecoderParameters:
    """Decoder of frames."""

    def compute(self, line: Iterable[int]) -> list[tuple[bytes, bool]]:
        """Return the packets in a line of bytes, each with whether it is bad; an unfinished one is left out."""
        packets = []
        packet = bytearray()
        left, zero = 0, False
        for byte in line:
            if byte == DELIMITER:
                if packet:
                    packets.append((bytes(packet), left > 0))
                packet.clear()
                left, zero = 0, False
            elif left:
                packet.append(byte)
                left -= 1
            else:
                if zero:
                    packet.append(0)
                left, zero = byte - 1, byte != _FULL
        return packets

    def create(self) -> "CobsDecoder":
        """Return the gateware."""
        return CobsDecoder(self)


class CobsDecoder(wiring.Component):
    """Decode delimited frames into packets.

    Whatever arrives, a delimiter ends the packet, and what follows is a new one. A packet is `bad` when its last group
    is cut short. Frames that decode to no byte at all, such as between two delimiters, give no packet.

    A byte of a packet is offered in the cycle in which the byte after it, or the delimiter, is offered at the input:
    latency 0 from there, throughput one byte a cycle. `i.ready` follows `o.ready`.

    Parameters
    ----------
    parameters : CobsDecoderParameters
        None to choose.

    Members
    -------
    i : In(stream of 8 bits)
        Bytes of the frames, delimiters included.
    o : Out(stream of checked_layout())
        Packets.
    """

    def __init__(self, parameters: CobsDecoderParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(checked_layout()))})

    def elaborate(self, platform):
        m = Module()
        left = Signal(8)  # bytes of the group still to come
        zero = Signal()  # a 0 follows the group, should another group follow
        held = Signal(8)  # latest byte of the packet: whether it is the last one shows with the next byte
        holding = Signal()
        delimiter = Signal()
        code = Signal()
        decoded = Signal()  # the byte at the input adds a byte to the packet
        m.d.comb += [
            delimiter.eq(self.i.payload == DELIMITER),
            code.eq(~delimiter & (left == 0)),
            decoded.eq(~delimiter & (~code | zero)),
            self.o.valid.eq(self.i.valid & holding & (delimiter | decoded)),
            self.o.payload.data.eq(held),
            self.o.payload.last.eq(delimiter),
            self.o.payload.bad.eq(delimiter & (left != 0)),
            self.i.ready.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            with m.If(delimiter):
                m.d.sync += [left.eq(0), zero.eq(0), holding.eq(0)]
            with m.Elif(code):
                m.d.sync += [left.eq(self.i.payload - 1), zero.eq(self.i.payload != _FULL)]
            with m.Else():
                m.d.sync += left.eq(left - 1)
            with m.If(decoded):
                m.d.sync += [held.eq(Mux(code, 0, self.i.payload)), holding.eq(1)]
        return m
