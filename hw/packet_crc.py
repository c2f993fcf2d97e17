"""Checksums of packets: append one, or check one."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.packet import CRC, CRC_BYTES, checked_layout, packet_layout

__all__ = ["CrcAppender", "CrcAppenderParameters", "CrcChecker", "CrcCheckerParameters"]


@dataclass(frozen=True)
class CrcAppenderParameters:
    """Appends `signfold.hw.packet.CRC`, most significant byte first."""

    def compute(self, packet: bytes) -> bytes:
        """Return the packet with its checksum."""
        return packet + CRC.compute(packet).to_bytes(CRC_BYTES, "big")

    def create(self) -> "CrcAppender":
        """Return the gateware."""
        return CrcAppender(self)


class CrcAppender(wiring.Component):
    """Append a checksum to each packet.

    Bytes pass within their cycle; two more follow the last one. Throughput one byte a cycle. `i.ready` follows
    `o.ready`.

    Parameters
    ----------
    parameters : CrcAppenderParameters
        None to choose.

    Members
    -------
    i : In(stream of packet_layout())
        Packets.
    o : Out(stream of packet_layout())
        Packets with checksum.
    """

    def __init__(self, parameters: CrcAppenderParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(packet_layout())), "o": Out(stream.Signature(packet_layout()))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC.create()
        m.d.comb += crc.data.eq(self.i.payload.data)
        with m.FSM():
            with m.State("DATA"):
                m.d.comb += [
                    self.o.payload.data.eq(self.i.payload.data),
                    self.o.valid.eq(self.i.valid),
                    self.i.ready.eq(self.o.ready),
                    crc.valid.eq(self.i.valid & self.o.ready),
                ]
                with m.If(crc.valid & self.i.payload.last):
                    m.next = "HIGH"
            with m.State("HIGH"):
                m.d.comb += [self.o.payload.data.eq(crc.crc[8:]), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    m.next = "LOW"
            with m.State("LOW"):
                m.d.comb += [self.o.payload.data.eq(crc.crc[:8]), self.o.payload.last.eq(1), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    m.d.comb += crc.start.eq(1)
                    m.next = "DATA"
        return m


@dataclass(frozen=True)
class CrcCheckerParameters:
    """Checks packets that end with `signfold.hw.packet.CRC`."""

    def compute(self, packet: bytes) -> bool:
        """Return whether the packet's last two bytes are not the checksum of those before."""
        data, checksum = packet[:-CRC_BYTES], packet[-CRC_BYTES:]
        return len(checksum) < CRC_BYTES or CRC.compute(data) != int.from_bytes(checksum, "big")

    def create(self) -> "CrcChecker":
        """Return the gateware."""
        return CrcChecker(self)


class CrcChecker(wiring.Component):
    """Mark packets whose checksum does not hold as bad; the checksum stays in the packet.

    Latency 1 cycle, throughput one byte a cycle.

    Parameters
    ----------
    parameters : CrcCheckerParameters
        None to choose.

    Members
    -------
    i : In(stream of checked_layout())
        Packets with checksum.
    o : Out(stream of checked_layout())
        The same packets; on the last byte, `bad` is the input's or a checksum that does not hold.
    """

    LATENCY = 1

    def __init__(self, parameters: CrcCheckerParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(checked_layout())), "o": Out(stream.Signature(checked_layout()))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC.create()
        held = Signal(checked_layout())
        first = Signal(init=1)
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            crc.data.eq(self.i.payload.data),
            crc.valid.eq(self.i.valid & self.i.ready),
            crc.start.eq(crc.valid & first),
            self.o.payload.data.eq(held.data),
            self.o.payload.last.eq(held.last),
            self.o.payload.bad.eq(Mux(held.last, held.bad | ~crc.match_detected, 0)),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(crc.valid):
            m.d.sync += [held.eq(self.i.payload), first.eq(self.i.payload.last)]
        return m
