"""Host link: serves requests that arrive on a serial line with an accelerator."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from signfold.hw.check import check_integer
from signfold.hw.cobs import CobsDecoderParameters, CobsEncoderParameters
from signfold.hw.gearbox import gearboxes
from signfold.hw.packet import CRC_BYTES, HEADER_BYTES, Geometry, RequestType, Status, packet_layout
from signfold.hw.packet_buffer import PacketBufferParameters
from signfold.hw.packet_crc import CrcAppenderParameters, CrcCheckerParameters
from signfold.hw.packet_request import RequestParserParameters
from signfold.hw.packet_response import ResponseBuilderParameters
from signfold.hw.shapes import beat_layout, result_layout
from signfold.hw.uart import UartParameters

__all__ = ["HostLink", "HostLinkParameters"]


@dataclass(frozen=True)
class HostLinkParameters:
    """Link between a serial line and an accelerator; docs/link.md describes the protocol.

    Parameters
    ----------
    geometry : Geometry
        Form of frames and results, identity of the network, requests that the host may have outstanding.
    lanes : int
        Codes a beat at the accelerator's input.
    divisor : int
        Clock cycles a bit of the serial line, at least 4.
    chunk : int
        Bytes of a chunk of weights, where the accelerator has weights to load; else 0.
    table : bool
        Keep what an identify request returns in a ROM; see `ResponseBuilderParameters`.
    hashes : bytes
        Of accelerators whose network can be replaced while they run, with `chunk` and `table`: those of plan and build.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    geometry: Geometry
    lanes: int
    divisor: int
    chunk: int = 0
    table: bool = False
    hashes: bytes = b""

    def __post_init__(self):
        check_integer("lanes", self.lanes, minimum=1)
        # Their own checks refuse a divisor that no line runs at, and requests that no buffer holds.
        _ = (self.uart, self.buffer)

    @property
    def uart(self) -> UartParameters:
        """Timing of the serial line."""
        return UartParameters(self.divisor)

    @property
    def buffer(self) -> PacketBufferParameters:
        """Buffer for the requests that the host may have outstanding."""
        largest = HEADER_BYTES + max(self.geometry.elements, self.chunk) + CRC_BYTES
        depth = 1 << (self.geometry.window * largest - 1).bit_length()
        return PacketBufferParameters(depth=depth, packets=max(2, self.geometry.window), trailer=CRC_BYTES)

    @property
    def parser(self) -> RequestParserParameters:
        """Parser of requests."""
        g = self.geometry
        return RequestParserParameters(g.elements, g.bits, self.buffer.layout(), self.chunk, bool(self.hashes))

    @property
    def builder(self) -> ResponseBuilderParameters:
        """Builder of responses."""
        return ResponseBuilderParameters(self.geometry, self.table, self.hashes)

    def compute(
        self,
        line: bytes,
        infer: Callable[[list[int]], tuple[list[int], int]],
        reload: Callable[[bytes], tuple[Status, bytes | None]] | None = None,
    ) -> bytes:
        """Return all bytes that the link sends for all bytes that it receives.

        Parameters
        ----------
        line : bytes
            Received bytes, from a host that keeps to the window.
        infer : callable
            Gives the scores and the class of a frame of codes.
        reload : callable, optional
            Takes the payload of a reload request; gives its status and, where another network is in force then, what
            the device tells of itself.
        """
        told = self.builder.told
        packets = CobsDecoderParameters().compute(line)
        checked = [(packet, bad or CrcCheckerParameters().compute(packet)) for packet, bad in packets]
        sent = b""
        for packet in self.buffer.compute(checked):
            parsed = self.parser.compute(packet)
            if parsed is None:
                continue
            answer, codes = parsed
            if answer[0] == RequestType.RELOAD and answer[2] == Status.OK:
                status, new = reload(packet[HEADER_BYTES:])
                answer, told = (*answer[:2], status), told if new is None else new
            result = () if codes is None else infer(codes)
            response = CrcAppenderParameters().compute(self.builder.compute(answer, *result, told=told))
            sent += CobsEncoderParameters().compute(response)
        return sent

    def create(self) -> "HostLink":
        """Return the gateware."""
        return HostLink(self)


class HostLink(wiring.Component):
    """Serve inference requests from a serial line.

    Whatever arrives, the next whole request after a delimiter is served: frames that are cut, damaged or too long are
    dropped without an answer. Requests are answered in order. While one is answered the next is computed, and further
    ones wait in a buffer that holds `window` of the largest; beyond that they are dropped.

    Parameters
    ----------
    parameters : HostLinkParameters
        Geometry and timing.

    Members
    -------
    rx : In(1)
        Serial line from the host, asynchronous.
    tx : Out(1)
        Serial line to the host.
    o : Out(stream of beat_layout(lanes, bits))
        Frames, to the accelerator's input.
    i : In(stream of result_layout(score_width, classes))
        Results, from the accelerator's output: one packet for each frame, in order.
    w : Out(stream of packet_layout()), where the accelerator has weights to load
        Chunks of weights.
    s : In(stream of 8 bits), where the network can be replaced
        A `Status` for every chunk.
    quiet : Out(1), where the network can be replaced
        Nothing is being answered, and no frame is computed: what the device tells of itself may change.
    """

    def __init__(self, parameters: HostLinkParameters):
        self.parameters = parameters
        g = parameters.geometry
        members = {
            "rx": In(1, init=1),
            "tx": Out(1, init=1),
            "o": Out(stream.Signature(beat_layout(parameters.lanes, g.bits))),
            "i": In(stream.Signature(result_layout(g.score_width, g.classes))),
        }
        if parameters.chunk:
            members["w"] = Out(stream.Signature(packet_layout()))
        if parameters.hashes:
            members |= {"s": In(stream.Signature(unsigned(8))), "quiet": Out(1)}
        super().__init__(members)

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.receiver = receiver = p.uart.create_receiver()
        m.submodules.decoder = decoder = CobsDecoderParameters().create()
        m.submodules.checker = checker = CrcCheckerParameters().create()
        m.submodules.buffer = buffer = p.buffer.create()
        m.submodules.parser = parser = p.parser.create()
        m.submodules.builder = builder = p.builder.create()
        m.submodules.appender = appender = CrcAppenderParameters().create()
        m.submodules.encoder = encoder = CobsEncoderParameters().create()
        m.submodules.transmitter = transmitter = p.uart.create_transmitter()

        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        connect(m, receiver.o, decoder.i)
        connect(m, decoder.o, checker.i)
        connect(m, checker.o, buffer.i)
        connect(m, buffer.o, parser.i)
        codes = parser.o
        for n, parameters in enumerate(gearboxes(p.geometry.elements, p.geometry.bits, 1, p.lanes)):
            m.submodules[f"gearbox_{n}"] = gearbox = parameters.create()
            connect(m, codes, gearbox.i)
            codes = gearbox.o
        connect(m, codes, flipped(self.o))
        if p.chunk:
            connect(m, parser.w, flipped(self.w))
        if p.hashes:
            connect(m, flipped(self.s), parser.statuses)
            # An answer is taken by whoever answers nothing; while a status is waited for no other one follows.
            m.d.comb += self.quiet.eq(builder.answers.ready)
        connect(m, parser.answers, builder.answers)
        connect(m, flipped(self.i), builder.results)
        connect(m, builder.o, appender.i)
        connect(m, appender.o, encoder.i)
        connect(m, encoder.o, transmitter.i)
        return m
