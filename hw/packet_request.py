"""Requests: checks their form, feeds frames of codes to the accelerator and passes on what is to be answered."""

from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.packet import HEADER_BYTES, RequestType, Status, header_layout, packet_layout
from signfold.hw.shapes import beat_layout

__all__ = ["RequestParser", "RequestParserParameters"]


@dataclass(frozen=True)
class RequestParserParameters:
    """Parser of request packets.

    Parameters
    ----------
    elements : int
        Codes of a frame.
    bits : int
        Width of a code, 1 .. 8.
    layout : StructLayout
        Payload of the packets: `data`, `last` and the packet's `length`.
    chunk : int
        Bytes of a load request's payload; 0 where there is nothing to load, and no such request.
    reload : bool
        What there is to load may be loaded at any time, by reload requests, and who takes it says how that went. There
        are id requests too.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    elements: int
    bits: int
    layout: data.StructLayout
    chunk: int = 0
    reload: bool = False

    def __post_init__(self):
        check_integer("chunk", self.chunk, minimum=0, maximum=65535)
        check_integer("elements", self.elements, minimum=1, maximum=65535)
        check_integer("bits", self.bits, minimum=1, maximum=8)

    @property
    def loading(self) -> RequestType:
        """Type of requests that load."""
        return RequestType.RELOAD if self.reload else RequestType.LOAD

    def compute(self, packet: bytes) -> tuple[tuple[int, int, Status], list[int] | None] | None:
        """Return what becomes of a request packet.

        Returns
        -------
        tuple or None
            Type, sequence number and status of the answer, and the codes that go to the accelerator or None. None
            for a packet too short to be answered. (The chunk of a load or reload request changes what the accelerator
            computes, and is not followed here.)
        """
        if len(packet) < HEADER_BYTES:
            return None
        kind, seq = packet[:HEADER_BYTES]
        payload = packet[HEADER_BYTES:]
        lengths = {RequestType.IDENTIFY: 0, RequestType.INFER: self.elements}
        if self.chunk:
            lengths[self.loading] = self.chunk
        if self.reload:
            lengths[RequestType.ID] = 0
        if kind not in lengths:
            return (kind, seq, Status.UNKNOWN_TYPE), None
        if len(payload) != lengths[kind]:
            return (kind, seq, Status.BAD_LENGTH), None
        if kind != RequestType.INFER:
            return (kind, seq, Status.OK), None
        status = Status.BAD_CODE if any(code >> self.bits for code in payload) else Status.OK
        return (kind, seq, status), [code & ((1 << self.bits) - 1) for code in payload]

    def create(self) -> "RequestParser":
        """Return the gateware."""
        return RequestParser(self)


class RequestParser(wiring.Component):
    """Parse request packets.

    A frame that goes to the accelerator is always complete: its length is known to be right before its first code
    leaves. A code out of range shows only on the way; its frame is computed all the same, its upper bits cut off, and
    the answer's status says that the result is void. The answer to a request follows on `answers` once the whole
    packet is taken, one cycle after its last byte, so answers and results come in the same order.

    Throughput one byte a cycle, and one cycle more a packet.

    Parameters
    ----------
    parameters : RequestParserParameters
        Geometry of a frame.

    Members
    -------
    i : In(stream of parameters.layout)
        Request packets.
    o : Out(stream of beat_layout(1, bits))
        Codes of the frames.
    answers : Out(stream of header_layout())
        What to answer.
    w : Out(stream of packet_layout()), where there is something to load
        Payloads of load or reload requests.
    statuses : In(stream of 8 bits), where loading is by reload requests
        A `Status` for each of those payloads, which is the answer's.
    """

    def __init__(self, parameters: RequestParserParameters):
        self.parameters = parameters
        members = {
            "i": In(stream.Signature(parameters.layout)),
            "o": Out(stream.Signature(beat_layout(1, parameters.bits))),
            "answers": Out(stream.Signature(header_layout())),
        }
        if parameters.chunk:
            members["w"] = Out(stream.Signature(packet_layout()))
        if parameters.reload:
            members["statuses"] = In(stream.Signature(unsigned(8)))
        super().__init__(members)

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        header = Signal(header_layout())
        infer = Signal()
        identify = Signal()
        load = Signal()
        length_ok = Signal()
        length = Mux(infer, HEADER_BYTES + p.elements, HEADER_BYTES)
        if p.chunk:
            length = Mux(load, HEADER_BYTES + p.chunk, length)
            m.d.comb += [
                load.eq(header.type == p.loading),
                self.w.payload.data.eq(self.i.payload.data),
                self.w.payload.last.eq(self.i.payload.last),
            ]
        identities = [header.type == RequestType.IDENTIFY] + [header.type == RequestType.ID] * p.reload
        m.d.comb += [
            self.answers.payload.eq(header),
            infer.eq(header.type == RequestType.INFER),
            identify.eq(reduce(or_, identities)),
            length_ok.eq(self.i.payload.length == length),
            self.o.payload.codes[0].eq(self.i.payload.data),
            self.o.payload.last.eq(self.i.payload.last),
        ]
        # The first statuses of all, in two bits.
        ok, bad_length, unknown = (Const(status, 2) for status in (Status.OK, Status.BAD_LENGTH, Status.UNKNOWN_TYPE))
        with m.FSM():
            with m.State("TYPE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += header.type.eq(self.i.payload.data)
                # A packet that ends here has no sequence number to answer to.
                with m.If(self.i.valid & ~self.i.payload.last):
                    m.next = "SEQ"
            with m.State("SEQ"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    header.seq.eq(self.i.payload.data),
                    header.status.eq(Mux(infer | identify | load, Mux(length_ok, ok, bad_length), unknown)),
                ]
                with m.If(self.i.valid):
                    with m.If(self.i.payload.last):
                        m.next = "ANSWER"
                    with m.Elif(infer & length_ok):
                        m.next = "FRAME"
                    with m.Elif(load & length_ok):
                        m.next = "CHUNK" if p.chunk else "SKIP"
                    with m.Else():
                        m.next = "SKIP"
            with m.State("FRAME"):
                m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
                with m.If(self.i.valid & self.i.ready):
                    with m.If((self.i.payload.data >> p.bits) != 0):
                        m.d.sync += header.status.eq(Status.BAD_CODE)
                    with m.If(self.i.payload.last):
                        m.next = "ANSWER"
            if p.chunk:
                with m.State("CHUNK"):
                    m.d.comb += [self.w.valid.eq(self.i.valid), self.i.ready.eq(self.w.ready)]
                    with m.If(self.i.valid & self.i.ready & self.i.payload.last):
                        m.next = "STATUS" if p.reload else "ANSWER"
            if p.reload:
                with m.State("STATUS"):
                    m.d.comb += self.statuses.ready.eq(1)
                    m.d.sync += header.status.eq(self.statuses.payload)
                    with m.If(self.statuses.valid):
                        m.next = "ANSWER"
            with m.State("SKIP"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & self.i.payload.last):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.answers.valid.eq(1)
                with m.If(self.answers.ready):
                    m.next = "TYPE"
        return m
