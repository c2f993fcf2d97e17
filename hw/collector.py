"""Collector: tells which of the sums that leave an array belong to channels, and where a frame ends."""

from dataclasses import dataclass

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.loop import Loop

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
        # What the counters' values mean stands in registers, as thresholds wait for it in the same cycle.
        beat, play = Loop("beat", p.groups), Loop("play", p.passes)
        busy, running = Signal(), Signal()
        whole = p.final_beats == p.groups
        kept = Const(1) if whole else Signal(init=1, name="kept")
        closing = beat.at_end if whole else Signal(init=p.final_beats == 1, name="closing")
        m.d.comb += [
            running.eq(self.done | busy),
            self.valid.eq(running & (~play.at_end | kept)),
            self.last.eq(play.at_end & closing),
        ]
        with m.If(running):
            m.d.sync += [busy.eq(~beat.at_end), *beat.step()]
            with m.If(beat.at_end):
                m.d.sync += play.step()
            if not whole:
                begins = beat.at_end if p.final_beats == 1 else beat.value == p.final_beats - 2
                m.d.sync += [closing.eq(begins), kept.eq(beat.at_end | (kept & ~closing))]
        return m
