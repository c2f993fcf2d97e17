"""Replay buffer: keeps a frame's words for every channel group and plane while the next frame arrives."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.late_count import LateCount
from signfold.hw.shapes import beat_layout
from signfold.hw.timing import Beats, Timing

__all__ = ["ReplayBuffer", "ReplayParameters"]


@dataclass(frozen=True)
class ReplayParameters:
    """Frames of `words` words, each frame played `plays` times.

    Parameters
    ----------
    simd : int
        Codes of a word.
    words : int
        Words of a frame.
    plays : int
        Times that a frame is played.
    bits : int
        Width of a code.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    words: int
    plays: int
    bits: int = 1

    #: Cycles from the issue of a word to its appearance.
    DELAY = 1

    def __post_init__(self):
        for name in ("simd", "words", "plays", "bits"):
            check_integer(name, getattr(self, name), minimum=1)

    @property
    def depth(self) -> int:
        """Words of storage: two frames, so that one arrives while the other plays, and a power of two.

        Where a frame plays for a few cycles only, there are a few words more: they cover the cycles from reading a word
        to writing its successor.
        """
        least = 2 * self.words if self.interval >= 8 else self.words + 6
        return 1 << (least - 1).bit_length()

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next while words are issued every cycle."""
        return self.words * self.plays

    def compute(self, words: list) -> list:
        """Return the words that a frame plays."""
        return list(words) * self.plays

    def playing(self, source: Timing) -> "ReplayTiming":
        """Return the cycles of plays for words offered by `source`."""
        return ReplayTiming(self, source)

    def create(self) -> "ReplayBuffer":
        """Return the gateware."""
        return ReplayBuffer(self)


class ReplayTiming:
    """Cycles at which the words of plays are issued, without simulating.

    Parameters
    ----------
    parameters : ReplayParameters
        Frame size.
    source : Timing
        Words at the input.
    """

    def __init__(self, parameters: ReplayParameters, source: Timing):
        self._parameters, self._beats = parameters, Beats(source)
        self._written: list[int] = []
        self._freed: list[int] = []
        self._frame = 0
        self._cycle = -2  # a word can be issued in the first cycle after reset, one before cycle 0

    def play(self, earliest: int, advance: bool) -> int:
        """Return the cycle at which the next play's last word is issued.

        Parameters
        ----------
        earliest : int
            Cycle before which the first word may not be issued.
        advance : bool
            It is the frame's last play.

        Raises
        ------
        NoMoreBeats
            The source has ended.
        """
        p = self._parameters
        cycle = max(self._cycle, earliest - 1)
        for index in range(self._frame, self._frame + p.words):
            if len(self._written) <= index:
                self.fetch(index + 1)
            cycle = max(cycle + 1, self._written[index] + 1)
            if advance:
                self._freed.append(cycle)
        if advance:
            self._frame += p.words
        self._cycle = cycle
        return cycle

    @property
    def open(self) -> bool:
        """Whether it is known when there is room for the next word."""
        return len(self._written) - self._parameters.depth < len(self._freed)

    @property
    def written(self) -> int:
        """Words that have been taken."""
        return len(self._written)

    def take_position(self) -> None:
        """Take the next word as soon as there is room for it; see `WindowTiming.take_position`."""
        number, depth = len(self._written), self._parameters.depth
        self._written.append(self._beats.take(self._freed[number - depth] + 1 if number >= depth else 0))

    def fetch(self, count: int) -> None:
        """See to it that `count` words have been taken; whoever lets others take them replaces this."""
        while len(self._written) < count:
            self.take_position()


class ReplayBuffer(wiring.Component):
    """Store words and play each frame `plays` times, at most a word a cycle.

    The first play follows the words as they arrive. Whoever steps decides when: `offer` tells that the next word is
    there, `step` issues it. Frames are counted, so reset is the only way to drop a part of one.

    Parameters
    ----------
    parameters : ReplayParameters
        Frame size and plays.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words; `last` is not looked at.
    offer : Out(1)
        The next word may be issued.
    begin, end : Out(1)
        The next word is the first, the last of a play.
    step : In(1)
        Issue it; only with `offer`.
    advance : In(1)
        With `step`: the play is the frame's last.
    word : Out(array of simd codes)
        The word issued one cycle ago.
    """

    def __init__(self, parameters: ReplayParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.simd, p.bits))),
                "offer": Out(1),
                "begin": Out(1),
                "end": Out(1),
                "step": In(1),
                "advance": In(1),
                "word": Out(data.ArrayLayout(unsigned(p.bits), p.simd)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=p.simd * p.bits, depth=p.depth, init=[])
        write, read = storage.write_port(), storage.read_port()

        # Pointers count modulo the depth, a power of two. The frame that plays begins at `base`. Whether there is room
        # for a word, whether there is one to issue and whether it is a play's first or last stand in registers, so that
        # nobody waits for a comparison.
        base, written, issued = Signal(range(p.depth)), Signal(range(p.depth)), Signal(range(p.depth))
        full, some = Signal(), Signal()
        word = Signal(range(p.words))
        wrote, freed, again, less = Signal(), Signal(), Signal(), Signal()
        begin, end, ended = Signal(init=1), Signal(init=p.words == 1), Signal()
        # After a play that is not the last its words are all there again; a play of one word leaves as many as before.
        replayed = Signal() if p.words > 1 else Const(0)
        stored = LateCount(m, "stored", p.depth, wrote, freed)
        left = LateCount(m, "left", p.depth, wrote, less, (replayed, p.words) if p.words > 1 else None)

        m.d.comb += [
            self.i.ready.eq(~full),
            wrote.eq(self.i.valid & self.i.ready),
            # What is written while nothing is offered is written over.
            write.en.eq(~full),
            write.addr.eq(written),
            write.data.eq(self.i.payload.codes.as_value()),
            self.offer.eq(some),
            self.begin.eq(begin),
            self.end.eq(end),
            read.addr.eq(issued),
            # A word of the last play makes room; after any other play the frame's words are all there again.
            freed.eq(self.step & self.advance),
            again.eq(self.step & end & ~self.advance),
            less.eq(freed if p.words == 1 else self.step),
            Cat(self.word).eq(read.data),
        ]
        m.d.sync += [
            written.eq(written + wrote),
            full.eq(Mux(full, ~freed, stored.equals(p.depth - 1) & wrote & ~freed)),
            # Nobody steps without an offer: said this way, little waits for whoever decides to step.
            some.eq(wrote | (some & (~self.step | (end & ~self.advance) | replayed | ~left.equals(1)))),
        ]
        if p.words > 1:
            m.d.sync += replayed.eq(again)
        with m.If(self.step):
            m.d.sync += [
                word.eq(Mux(end, 0, word + 1)),
                begin.eq(end),
                end.eq(Mux(end, p.words == 1, word == p.words - 2)),
                issued.eq(Mux(end & ~self.advance, base, issued + 1)),
            ]
        # A frame of one word is where it is issued from.
        if p.words == 1:
            m.d.comb += base.eq(issued)
        else:
            m.d.sync += ended.eq(freed & end)
            with m.If(ended):
                m.d.sync += base.eq(issued)
        return m
