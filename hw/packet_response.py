"""Responses: turns answers and the accelerator's results into packets."""

from dataclasses import dataclass

from amaranth.hdl import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.packet import HASH_BYTES, RESPONSE_FLAG, Geometry, RequestType, Status, header_layout, packet_layout
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import result_layout

__all__ = ["ResponseBuilder", "ResponseBuilderParameters"]


@dataclass(frozen=True)
class ResponseBuilderParameters:
    """Builder of response packets.

    Parameters
    ----------
    geometry : Geometry
        What an identify request returns, and the form of a result.
    table : bool
        Keep what an identify request returns in a ROM, `rom`, whose contents can be replaced; else it is logic.
    hashes : bytes
        What an id request returns beside the network's hash, that of the plan and that of the build; with `table`.
        Empty where there are no such requests, and no reload requests either.
    """

    geometry: Geometry
    table: bool = False
    hashes: bytes = b""

    def __post_init__(self):
        if self.hashes and (not self.table or len(self.hashes) != 2 * HASH_BYTES):
            raise ValueError(f"hashes must be {2 * HASH_BYTES} bytes and in a table, not {self.hashes!r}")

    @property
    def told(self) -> bytes:
        """What the device tells of itself: the geometry, which ends with the network's hash, then the other hashes."""
        return self.geometry.pack() + self.hashes

    @property
    def rom(self) -> RomParameters | None:
        """What the device tells of itself, a byte a word; None where it is logic."""
        return RomParameters("identity", 8, tuple(self.told)) if self.table else None

    def compute(
        self,
        answer: tuple[int, int, Status],
        scores: list[int] | None = None,
        best: int = 0,
        *,
        told: bytes | None = None,
    ) -> bytes:
        """Return the response packet.

        Parameters
        ----------
        answer : tuple
            Type, sequence number, status.
        scores : list of int
            The result's scores, for an infer request.
        best : int
            The result's class.
        told : bytes
            What the ROM holds by now.
        """
        kind, seq, status = answer
        payload, told = b"", self.told if told is None else told
        length = len(self.geometry.pack())
        if status == Status.OK and kind == RequestType.IDENTIFY:
            payload = told[:length]
        elif status == Status.OK and kind == RequestType.ID:
            payload = told[length - HASH_BYTES :]
        elif status == Status.OK and kind == RequestType.INFER:
            payload = b"".join(score.to_bytes(self.geometry.score_bytes, "little", signed=True) for score in scores)
            payload += best.to_bytes(self.geometry.class_bytes, "little")
        return bytes([kind | RESPONSE_FLAG, seq, status]) + payload

    def create(self) -> "ResponseBuilder":
        """Return the gateware."""
        return ResponseBuilder(self)


class ResponseBuilder(wiring.Component):
    """Build response packets.

    An answer is taken at once and kept, so that the next request can be computed while this one is answered. The
    result of a frame with a code out of range is taken and left out.

    The first byte is offered in the cycle after an answer is taken; throughput one byte a cycle, one answer waiting.

    Parameters
    ----------
    parameters : ResponseBuilderParameters
        Geometry.

    Members
    -------
    answers : In(stream of header_layout())
        What to answer.
    results : In(stream of result_layout(score_width, classes))
        Results of the accelerator, one a frame.
    o : Out(stream of packet_layout())
        Response packets.
    """

    def __init__(self, parameters: ResponseBuilderParameters):
        self.parameters = parameters
        g = parameters.geometry
        super().__init__(
            {
                "answers": In(stream.Signature(header_layout())),
                "results": In(stream.Signature(result_layout(g.score_width, g.classes))),
                "o": Out(stream.Signature(packet_layout())),
            }
        )

    def elaborate(self, platform):
        g = self.parameters.geometry
        m = Module()
        header = Signal(header_layout())
        infer = Signal()
        load = Signal()
        good = Signal()
        p, rom = self.parameters, self.parameters.rom
        length = len(g.pack())
        index = Signal(range(max(len(p.told), g.score_bytes, g.class_bytes)))
        final = index == length - 1
        if p.hashes:
            names = Signal()
            m.d.comb += names.eq(header.type == RequestType.ID)
            final = index == Mux(names, len(p.told) - 1, length - 1)
        if rom is None:
            byte = Array(Const(byte, 8) for byte in g.pack())[index]
        else:
            # Read one byte ahead, which hides the latency: byte 0 while the header leaves.
            m.submodules[rom.name] = table = rom.create()
            byte = table.data
            m.d.comb += table.address.eq(index)
        score = Signal(signed(8 * g.score_bytes))
        best = Signal(8 * g.class_bytes)
        m.d.comb += [
            infer.eq(header.type == RequestType.INFER),
            load.eq(header.type == (RequestType.RELOAD if p.hashes else RequestType.LOAD)),
            good.eq(header.status == Status.OK),
            score.eq(self.results.payload.score),
            best.eq(self.results.payload.best),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.answers.ready.eq(1)
                m.d.sync += [header.eq(self.answers.payload), index.eq(0)]
                with m.If(self.answers.valid):
                    m.next = "TYPE"
            with m.State("TYPE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(header.type | RESPONSE_FLAG)]
                with m.If(self.o.ready):
                    m.next = "SEQ"
            with m.State("SEQ"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(header.seq)]
                if p.hashes:
                    with m.If(names):
                        m.d.sync += index.eq(length - HASH_BYTES)
                with m.If(self.o.ready):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(header.status),
                    self.o.payload.last.eq(~good | load),
                ]
                with m.If(self.o.ready):
                    with m.If(good & ~load):
                        m.next = "IDENTITY"
                        with m.If(infer):
                            m.next = "SCORE"
                    with m.Else():
                        m.next = "IDLE"
                        with m.If(infer & (header.status == Status.BAD_CODE)):
                            m.next = "DRAIN"
            with m.State("IDENTITY"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(byte),
                    self.o.payload.last.eq(final),
                ]
                with m.If(self.o.ready):
                    m.d.sync += index.eq(index + 1)
                    if rom is not None:
                        m.d.comb += table.address.eq(index + 1)
                    with m.If(self.o.payload.last):
                        m.next = "IDLE"
            with m.State("SCORE"):
                m.d.comb += [self.o.valid.eq(self.results.valid), self.o.payload.data.eq(score.word_select(index, 8))]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == g.score_bytes - 1):
                        m.d.sync += index.eq(0)
                        # The last beat stays for the class that it carries.
                        m.d.comb += self.results.ready.eq(~self.results.payload.last)
                        with m.If(self.results.payload.last):
                            m.next = "CLASS"
            with m.State("CLASS"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(best.word_select(index, 8)),
                    self.o.payload.last.eq(index == g.class_bytes - 1),
                ]
                with m.If(self.o.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(self.o.payload.last):
                        m.d.comb += self.results.ready.eq(1)
                        m.next = "IDLE"
            with m.State("DRAIN"):
                m.d.comb += self.results.ready.eq(1)
                with m.If(self.results.valid & self.results.payload.last):
                    m.next = "IDLE"
        return m
