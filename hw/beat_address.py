"""Beat address: where the word of each beat stands in a table of all beats of a position, one such block a class."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.border import BorderClasses
from signfold.hw.check import check_integer

__all__ = ["BeatAddress", "BeatAddressParameters"]


@dataclass(frozen=True)
class BeatAddressParameters:
    """A table with a word for each beat of a position and each class of positions, class by class.

    Parameters
    ----------
    beats : int
        Beats of a position.
    border : BorderClasses or None
        Classes of the positions of a frame; None where all are alike.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    beats: int
    border: BorderClasses | None = None

    def __post_init__(self):
        check_integer("beats", self.beats, minimum=1)
        if self.border is not None and not isinstance(self.border, BorderClasses):
            raise TypeError(f"border must be BorderClasses or None, not {self.border!r}")

    @property
    def classes(self) -> int:
        """Classes of positions."""
        return 1 if self.border is None else self.border.count

    @property
    def sequence(self) -> tuple[int, ...]:
        """Class of each position of a frame; of a single one where all are alike."""
        return (0,) if self.classes == 1 else self.border.sequence

    @property
    def depth(self) -> int:
        """Words of the table."""
        return self.classes * self.beats

    def compute(self) -> list[int]:
        """Return the address of every beat of a frame."""
        return [number * self.beats + beat for number in self.sequence for beat in range(self.beats)]

    def create(self) -> "BeatAddress":
        """Return the gateware."""
        return BeatAddress(self)


class BeatAddress(wiring.Component):
    """Count the beats of positions, frames following one another, and tell their addresses. No latency.

    Parameters
    ----------
    parameters : BeatAddressParameters
        Beats and classes.

    Members
    -------
    step : In(1)
        Go to the next beat.
    current : Out
        Address of the beat; after reset of a frame's first.
    following : Out
        Address in the next cycle: a table that is read there has the beat's word in time.
    final : Out(1)
        The beat is the position's last.
    """

    def __init__(self, parameters: BeatAddressParameters):
        self.parameters = parameters
        address = range(max(2, parameters.depth))
        first = parameters.sequence[0] * parameters.beats
        super().__init__(
            {"step": In(1), "current": Out(address, init=first), "following": Out(address), "final": Out(1)}
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        start = 0
        if p.classes == 1:
            # Said outright: synthesis does not see that a count stays at 0.
            m.d.comb += self.final.eq((self.current == p.beats - 1) if p.beats > 1 else 1)
        else:
            beat = Signal(range(p.beats))
            m.submodules.border = border = p.border.create()
            m.d.comb += [self.final.eq(beat == p.beats - 1), border.step.eq(self.step & self.final)]
            with m.If(self.step):
                m.d.sync += beat.eq(Mux(self.final, 0, beat + 1))
            start = Signal(range(p.depth))
            with m.Switch(border.upcoming):
                for number in sorted(set(p.sequence)):
                    with m.Case(number):
                        m.d.comb += start.eq(number * p.beats)
        m.d.comb += self.following.eq(Mux(self.step, Mux(self.final, start, self.current + 1), self.current))
        m.d.sync += self.current.eq(self.following)
        return m
