"""Gate: lets frames in one after another, and on request none, until those that are in have come out."""

from dataclasses import dataclass

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["FrameGate", "FrameGateParameters"]


@dataclass(frozen=True)
class FrameGateParameters:
    """Gate of a stream of frames, packets.

    Parameters
    ----------
    layout : StructLayout
        Payload of the stream, with `last`.
    frames : int
        Frames that may be inside at once.

    Raises
    ------
    TypeError, ValueError
        If `frames` is of the wrong kind or out of range.
    """

    layout: data.StructLayout
    frames: int = 255

    def __post_init__(self):
        check_integer("frames", self.frames, minimum=1)

    def compute(self, payloads: list) -> list:
        """Return what comes out when `payloads` go in: the same, in order."""
        return list(payloads)

    def create(self) -> "FrameGate":
        """Return the gateware."""
        return FrameGate(self)


class FrameGate(wiring.Component):
    """Pass frames on while `close` is 0; a frame that has begun, or was offered, passes whole.

    Beats pass within their cycle. `drained` comes as soon as frames that went in have all come out, which takes as long
    as whoever computes them takes.

    Parameters
    ----------
    parameters : FrameGateParameters
        Payload and room.

    Members
    -------
    i : In(stream of layout)
        Frames.
    o : Out(stream of layout)
        The same.
    close : In(1)
        Let no frame in that has not begun.
    finished : In(1)
        The result of a frame has left.
    drained : Out(1)
        The gate is closed and no frame is inside.
    """

    def __init__(self, parameters: FrameGateParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(p.layout)),
                "o": Out(stream.Signature(p.layout)),
                "close": In(1),
                "finished": In(1),
                "drained": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        inside = Signal(range(p.frames + 1))
        between = Signal(init=1)  # the next beat begins a frame
        offered = Signal()  # an offer stands, and must not be taken back
        passing, transfer = Signal(), Signal()
        m.d.comb += [
            passing.eq(~between | offered | (~self.close & (inside != p.frames))),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & passing),
            self.i.ready.eq(self.o.ready & passing),
            transfer.eq(self.o.valid & self.o.ready),
            self.drained.eq(self.close & between & ~offered & (inside == 0)),
        ]
        m.d.sync += [
            offered.eq(self.o.valid & ~self.o.ready),
            inside.eq(inside + (transfer & between) - self.finished),
        ]
        with m.If(transfer):
            m.d.sync += between.eq(self.o.payload.last)
        return m
