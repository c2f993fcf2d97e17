"""Gather: all words of a vector side by side, for logic that reads them at once."""

from collections.abc import Generator
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.shapes import beat_layout
from signfold.hw.timing import Beats, Timing

__all__ = ["Gather", "GatherParameters"]


@dataclass(frozen=True)
class GatherParameters:
    """Vectors of `taps` positions.

    Parameters
    ----------
    simd : int
        Codes of a word. The inputs of a position fill ceil(inputs / simd) words.
    inputs : int
        Codes of a position.
    taps : int
        Positions of a vector.
    bits : int
        Width of a code.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    inputs: int
    taps: int = 1
    bits: int = 1

    #: Cycles from the claim of a vector to its appearance.
    DELAY = 0

    def __post_init__(self):
        for name in ("simd", "inputs", "taps", "bits"):
            check_integer(name, getattr(self, name), minimum=1)

    @property
    def words(self) -> int:
        """Words of a vector."""
        return self.taps * -(-self.inputs // self.simd)

    @property
    def positions(self) -> int:
        """Vectors of a frame."""
        return 1

    @property
    def pace(self) -> int:
        """Fewest cycles from one vector to the next."""
        return self.words

    @property
    def interval(self) -> int:
        """Fewest cycles from one frame to the next."""
        return self.words

    @property
    def settling(self) -> int:
        """Cycles after reset until words are taken."""
        return 0

    def vectors(self, source: Timing) -> Generator[None, int, None]:
        """Take the words of `source`: is sent the earliest cycle of the next vector's claim, and yields the claim."""
        beats, claim = Beats(source), 0
        grant = yield
        while True:
            # The next vector's first word may come in the cycle in which this one goes.
            taken = max(beats.take(claim) for _ in range(self.words))
            claim = max(taken + 1, grant)
            grant = yield claim

    def create(self) -> "Gather":
        """Return the gateware."""
        return Gather(self)


class Gather(wiring.Component):
    """Hold words until a vector is whole and granted.

    Throughput one word a cycle. Words are counted; `last` is not looked at.

    Parameters
    ----------
    parameters : GatherParameters
        Vector size.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words of the positions, lanes past the inputs of any value.
    grant : In(1)
        A vector may go.
    claim : Out(1)
        A vector goes; only with `grant`.
    valid : Out(1)
        `codes` is the vector claimed `DELAY` cycles ago: in the same cycle.
    codes : Out(array of taps * inputs codes)
        The vector, position by position.
    """

    def __init__(self, parameters: GatherParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.simd, p.bits))),
                "grant": In(1),
                "claim": Out(1),
                "valid": Out(1),
                "codes": Out(data.ArrayLayout(unsigned(p.bits), p.taps * p.inputs)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        width, per_tap = p.simd * p.bits, p.words // p.taps
        # Words enter at the top and move down.
        held = Signal(p.words * width, reset_less=True)
        word, full, take = Signal(range(p.words)), Signal(), Signal()
        m.d.comb += [
            self.claim.eq(full & self.grant),
            self.valid.eq(self.claim),
            self.i.ready.eq(~full | self.grant),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.claim):
            m.d.sync += full.eq(0)
        with m.If(take):
            m.d.sync += [
                held.eq(Cat(held[width:], self.i.payload.codes)),
                word.eq(Mux(word == p.words - 1, 0, word + 1)),
                full.eq(word == p.words - 1),
            ]
        for tap in range(p.taps):
            for channel in range(p.inputs):
                lane = (tap * per_tap + channel // p.simd) * p.simd + channel % p.simd
                m.d.comb += self.codes[tap * p.inputs + channel].eq(held.word_select(lane, p.bits))
        return m
