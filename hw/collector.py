"""Collector: tells which of the sums that leave an array belong to channels, and where a frame ends."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["Collector", "CollectorParameters"]


@dataclass(frozen=True)
class CollectorParameters:
    """Beats of column groups that an array row shows for a frame.

    Parameters
    ----------
    groups : int
        Beats (column groups) of a pass.
    passes : int
        Passes of a frame.
    beats : int
        Beats of a frame that hold channels: all but the trailing ones of the last pass.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    groups: int
    passes: int
    beats: int

    def __post_init__(self):
        check_integer("groups", self.groups, minimum=1)
        check_integer("passes", self.passes, minimum=1)
        before = (self.passes - 1) * self.groups
        check_integer("beats", self.beats, minimum=before + 1, maximum=before + self.groups)

    @property
    def final_beats(self) -> int:
        """Beats of the last pass that hold channels."""
        return self.beats - (self.passes - 1) * self.groups

    def compute(self, passes: list[list]) -> list[list]:
        """Return the beats that are kept, of the beats (a list a pass) that leave the array for one frame."""
        return [*(beat for beats in passes[:-1] for beat in beats), *passes[-1][: self.final_beats]]

    def create(self) -> "Collector":
        """Return the gateware."""
        return Collector(self)


class Collector(wiring.Component):
    """Count passes and beats at the edge of an array; latency 0, no flow control.

    Parameters
    ----------
    parameters : CollectorParameters
        Counts.

    Members
    -------
    done : In(1)
        The array shows beat 0 of a pass; its other beats follow, one a cycle. At least `groups` cycles apart.
    valid : Out(1)
        The array shows a beat that holds a channel. Depends on `done` in the same cycle.
    last : Out(1)
        It is the last of its frame.
    """

    def __init__(self, parameters: CollectorParameters):
        self.parameters = parameters
        super().__init__({"done": In(1), "valid": Out(1), "last": Out(1)})

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        beat, play = Signal(range(p.groups)), Signal(range(p.passes))
        running, final = Signal(), Signal()
        m.d.comb += [
            running.eq(self.done | (beat != 0)),
            final.eq(play == p.passes - 1),
            self.valid.eq(running & (~final | (beat < p.final_beats))),
            self.last.eq(final & (beat == p.final_beats - 1)),
        ]
        with m.If(running):
            end = beat == p.groups - 1
            m.d.sync += beat.eq(Mux(end, 0, beat + 1))
            with m.If(end):
                m.d.sync += play.eq(Mux(final, 0, play + 1))
        return m
