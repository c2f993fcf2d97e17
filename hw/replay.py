"""Replay buffer: keeps a frame's words for every channel group while the next frame arrives, and starts the passes."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.shapes import beat_layout

__all__ = ["ReplayBuffer", "ReplayParameters"]


@dataclass(frozen=True)
class ReplayParameters:
    """Frames of `words` words, each frame played `passes` times.

    Parameters
    ----------
    simd : int
        Bits of a word.
    words : int
        Words of a frame.
    passes : int
        Times that a frame is played.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    words: int
    passes: int

    #: Cycles from a word's transfer at the input to its earliest appearance at the output.
    LATENCY = 2

    def __post_init__(self):
        for name in ("simd", "words", "passes"):
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
        """Cycles from one frame to the next while passes are granted."""
        return self.words * self.passes

    def compute(self, words: list[int]) -> list[int]:
        """Return the words that a frame plays."""
        return list(words) * self.passes

    def schedule(self, offers: list[int]) -> list[int]:
        """Return the cycles at which the words of all passes appear, for one frame in an idle buffer, all granted."""
        appear = []
        for index in range(self.interval):
            earliest = offers[index % self.words] + self.LATENCY
            appear.append(max(earliest, appear[-1] + 1) if appear else earliest)
        return appear

    def create(self) -> "ReplayBuffer":
        """Return the gateware."""
        return ReplayBuffer(self)


class ReplayBuffer(wiring.Component):
    """Store words, play each frame `passes` times, a word a cycle.

    The first pass follows the words as they arrive, with idle cycles where they are late. A pass starts only while
    `grant` is 1 and then runs to its end whatever `grant` does: whoever grants it has room for what comes of it. The
    output has no back-pressure. Frames are counted, so reset is the only way to drop a part of one.

    Parameters
    ----------
    parameters : ReplayParameters
        Frame size and passes.

    Members
    -------
    i : In(stream of beat_layout(simd, 1))
        Words; `last` is not looked at.
    grant : In(1)
        A pass may start.
    start, final : Out(1)
        A pass starts in this cycle; it is its frame's last. `start` depends on `grant` in the same cycle.
    address : Out
        Number of the word within all passes of a frame (pass * words + word), one cycle before the word.
    word : Out(simd)
        The word.
    valid, first, last : Out(1)
        A word is there; it is the first, the last of its pass.
    """

    def __init__(self, parameters: ReplayParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.simd, 1))),
                "grant": In(1),
                "start": Out(1),
                "final": Out(1),
                "address": Out(range(p.interval)),
                "word": Out(p.simd),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=p.simd, depth=p.depth, init=[])
        write, read = storage.write_port(), storage.read_port()

        # Pointers count modulo the depth, a power of two. `filled` and `kept` are distances from the frame's first
        # word `base`: words written, and words that must stay (all of them until the last pass lets them go).
        base = Signal(range(p.depth))
        filled = Signal(range(p.depth + p.words + 1))
        word = Signal(range(p.words))
        play = Signal(range(p.passes))
        freed = Signal(range(p.words + 1))
        issue, wrote, frame_done = Signal(), Signal(), Signal()

        m.d.comb += [
            self.i.ready.eq(filled - freed != p.depth),
            wrote.eq(self.i.valid & self.i.ready),
            write.en.eq(wrote),
            write.addr.eq((base + filled)[: len(base)]),
            write.data.eq(self.i.payload.codes.as_value()),
            issue.eq((filled > word) & ((word != 0) | self.grant)),
            self.final.eq(play == p.passes - 1),
            self.start.eq(issue & (word == 0)),
            read.addr.eq((base + word)[: len(base)]),
            frame_done.eq(issue & self.final & (word == p.words - 1)),
            self.word.eq(read.data),
        ]
        m.d.sync += [
            filled.eq(filled + wrote - Mux(frame_done, p.words, 0)),
            self.valid.eq(issue),
            self.first.eq(word == 0),
            self.last.eq(word == p.words - 1),
        ]
        with m.If(issue):
            m.d.sync += [
                word.eq(Mux(word == p.words - 1, 0, word + 1)),
                self.address.eq(Mux(self.address == p.interval - 1, 0, self.address + 1)),
            ]
            with m.If(self.final):
                m.d.sync += freed.eq(freed + 1)
            with m.If(word == p.words - 1):
                m.d.sync += play.eq(Mux(self.final, 0, play + 1))
        with m.If(frame_done):
            m.d.sync += [base.eq(base + p.words), freed.eq(0)]
        return m
