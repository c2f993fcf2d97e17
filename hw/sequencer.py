"""Sequencer: counts plays and passes, chooses planes and weight addresses."""

from dataclasses import dataclass

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.loop import Loop
from signfold.hw.planes import PlaneParameters

__all__ = ["Sequencer", "SequencerParameters"]


@dataclass(frozen=True)
class SequencerParameters:
    """The passes over one set of words, again and again.

    Parameters
    ----------
    words : int
        Words of a play.
    passes : int
        Passes: channel groups.
    planes : PlaneParameters
        Plays of a pass.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    words: int
    passes: int
    planes: PlaneParameters = PlaneParameters()

    def __post_init__(self):
        for name in ("words", "passes"):
            check_integer(name, getattr(self, name), minimum=1)

    @property
    def block(self) -> int:
        """Weight words of a pass: its planes that are not side by side in a word, one after another."""
        return self.words * (1 if self.planes.space else self.planes.weight_planes)

    @property
    def addresses(self) -> int:
        """Weight words in all: word w of plane j for pass p is at p * block + j * words + w."""
        return self.passes * self.block

    def compute(self) -> list[tuple[int, int, bool]]:
        """Return address, activation plane and `double` of every word of all passes."""
        return [
            (p * self.block + play.weight * self.words + word, play.activation, play.double and word == 0)
            for p in range(self.passes)
            for play in self.planes.plays
            for word in range(self.words)
        ]

    def create(self) -> "Sequencer":
        """Return the gateware."""
        return Sequencer(self)


class Sequencer(wiring.Component):
    """Follow the words of plays. The outputs belong to the word that is issued next; no latency.

    Parameters
    ----------
    parameters : SequencerParameters
        Counts and planes.

    Members
    -------
    step : In(1)
        A word is issued.
    end : In(1)
        It is the last of its play.
    address : Out
        Weight word.
    plane : Out
        Activation plane.
    double : Out(1)
        In this play planes begin that weigh half as much as those of the play before.
    opening, closing : Out(1)
        The play is the first, the last of its pass.
    final : Out(1)
        The pass is the last.
    """

    def __init__(self, parameters: SequencerParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "step": In(1),
                "end": In(1),
                # After reset the first play may not begin at weight plane 0.
                "address": Out(range(p.addresses), init=p.planes.plays[0].weight * p.words),
                "plane": Out(range(p.planes.activation_bits)),
                "double": Out(1),
                "opening": Out(1),
                "closing": Out(1),
                "final": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        plays = p.planes.plays
        play, turn = Loop("play", len(plays)), Loop("turn", p.passes)
        starts = [one.weight * p.words for one in plays]
        m.d.comb += [
            self.opening.eq(play.value == 0),
            self.closing.eq(play.at_end),
            self.final.eq(turn.at_end),
            self.plane.eq(Array([one.activation for one in plays])[play.value]),
            self.double.eq(Array([one.double for one in plays])[play.value]),
        ]
        with m.If(self.step):
            m.d.sync += self.address.eq(self.address + 1)
            with m.If(self.end):
                m.d.sync += play.step()
                with m.If(self.closing):
                    m.d.sync += turn.step()
        if len(plays) == 1:
            # After the last word of a power of two the address is 0 by itself.
            if p.addresses & (p.addresses - 1):
                with m.If(self.step & self.end & self.final):
                    m.d.sync += self.address.eq(0)
            return m

        # Where the weights of the next play begin: in this pass's block or the next one's.
        base, following = Signal(range(p.addresses)), Signal(range(p.addresses + 1))
        m.d.comb += following.eq(Mux(self.closing, Mux(self.final, 0, base + p.block), base))
        with m.If(self.step & self.end):
            m.d.sync += [
                base.eq(following),
                self.address.eq(following + Array([*starts[1:], starts[0]])[play.value]),
            ]
        return m
