"""Feeder: stores an engine's input and plays it to the rows of an array, plane by plane and pass by pass."""

from dataclasses import dataclass, replace
from functools import cached_property

from amaranth.hdl import Array, Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.delay import delayed
from signfold.hw.planes import PlaneParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.sequencer import SequencerParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.timing import Timing
from signfold.hw.window_parameters import WindowParameters
from signfold.hw.window_timing import WindowTiming

__all__ = ["Feeder", "FeederParameters"]


@dataclass(frozen=True)
class FeederParameters:
    """What is stored and how often it is played.

    Parameters
    ----------
    storage : ReplayParameters or WindowParameters
        Geometry of the input. Its `plays` are set from `passes` and `planes`.
    passes : int
        Passes: channel groups that each window (or frame) is played for. Where a window plays by channel, its words are
        the channel groups and there is no choice.
    planes : PlaneParameters
        Plays of a pass.
    rows : int
        Windows played in step: output positions side by side. Divides the output's width.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    storage: ReplayParameters | WindowParameters
    passes: int = 1
    planes: PlaneParameters = PlaneParameters()
    rows: int = 1

    def __post_init__(self):
        check_integer("passes", self.passes, minimum=1)
        check_integer("rows", self.rows, minimum=1)
        by_channel = isinstance(self.storage, WindowParameters) and self.storage.by_channel
        if by_channel and self.passes != self.storage.words:
            raise ValueError(f"passes must be the words of a position, {self.storage.words}, not {self.passes!r}")
        width = self.storage.output_size[1] if isinstance(self.storage, WindowParameters) else 1
        if width % self.rows:
            raise ValueError(f"rows must divide the output's width {width}, not {self.rows!r}")
        plays = len(self.planes.plays) * (1 if by_channel else self.passes)
        object.__setattr__(self, "storage", replace(self.storage, plays=plays))

    @cached_property
    def storages(self) -> tuple[ReplayParameters | WindowParameters, ...]:
        """Parameters of the storage of each row: row r plays the positions whose column is r modulo `rows`."""
        if self.rows == 1:
            return (self.storage,)
        window = self.storage
        down, across = window.stride
        top, bottom, left, right = window.padding
        return tuple(
            replace(
                window,
                stride=(down, across * self.rows),
                padding=(top, bottom, left - across * row, right),
                ahead=window.ahead + across * (self.rows - 1),
            )
            for row in range(self.rows)
        )

    @property
    def play_words(self) -> int:
        """Words of a play."""
        return self.storage.words if isinstance(self.storage, ReplayParameters) else self.storage.play_words

    @property
    def sequencer(self) -> SequencerParameters:
        """Parameters of the sequencer."""
        return SequencerParameters(self.play_words, self.passes, self.planes)

    @property
    def positions(self) -> int:
        """Output positions of a frame."""
        return self.storage.positions if isinstance(self.storage, WindowParameters) else 1

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next while passes are granted."""
        return max(storage.interval for storage in self.storages)

    @property
    def word_bits(self) -> int:
        """Bits of a row's word: of each code one plane, or all planes one after another."""
        return self.storage.simd * self.planes.activation_lanes

    def playing(self, source: Timing, *, unbounded: bool = False):
        """Return the cycles of plays for words offered by `source`: an object with `play(earliest, advance)`.

        With `unbounded` as though windows had storage without end.
        """
        if isinstance(self.storage, ReplayParameters):
            return self.storage.playing(source)
        return WindowTiming(self.storages, source, unbounded=unbounded)

    def create(self) -> "Feeder":
        """Return the gateware."""
        return Feeder(self)


class Feeder(wiring.Component):
    """Play words to an array.

    Throughput one word a cycle. A pass starts only while `grant` is 1 and then goes on whatever `grant` does: whoever
    grants it has room for what comes of it. The output has no back-pressure.

    Parameters
    ----------
    parameters : FeederParameters
        Storage, passes and planes.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words.
    grant : In(1)
        A pass may start.
    start, final : Out(1)
        A pass starts in this cycle; it is the last of its window. `start` depends on `grant` in the same cycle.
    address : Out
        Weight word, one cycle before the word that it belongs to; see `SequencerParameters`.
    words : Out(array of rows words)
        The rows' words.
    valid, first, last, double : Out(1)
        Words are there; they are the first, the last of a pass; sums so far count twice.
    """

    def __init__(self, parameters: FeederParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.storage.simd, p.storage.bits))),
                "grant": In(1),
                "start": Out(1),
                "final": Out(1),
                "address": Out(range(p.sequencer.addresses)),
                "words": Out(data.ArrayLayout(unsigned(p.word_bits), p.rows)),
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "double": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.sequencer = sequencer = p.sequencer.create()
        rows = [parameters.create() for parameters in p.storages]
        for r, row in enumerate(rows):
            m.submodules[f"row_{r}"] = row

        # All rows take a beat in the same cycle, and issue in the same cycle.
        takes = Cat(row.i.ready for row in rows).all()
        m.d.comb += self.i.ready.eq(takes)
        begin, end = rows[0].begin, rows[0].end
        advance = sequencer.closing
        if not getattr(p.storage, "by_channel", False):
            advance = advance & sequencer.final
        step, opening = Signal(), Signal()
        m.d.comb += [
            opening.eq(begin & sequencer.opening),
            step.eq(Cat(row.offer for row in rows).all() & (~opening | self.grant)),
            sequencer.step.eq(step),
            sequencer.end.eq(end),
            self.start.eq(step & opening),
            self.final.eq(sequencer.final),
        ]
        for row in rows:
            others = Cat(other.i.ready for other in rows if other is not row).all() if len(rows) > 1 else 1
            m.d.comb += [
                row.i.payload.eq(self.i.payload),
                row.i.valid.eq(self.i.valid & others),
                row.step.eq(step),
                row.advance.eq(advance),
            ]

        delay = p.storage.DELAY
        m.d.comb += [
            self.address.eq(delayed(m, sequencer.address, delay - 1, "address")),
            self.valid.eq(delayed(m, step, delay, "valid")),
            self.first.eq(delayed(m, opening, delay, "first")),
            self.last.eq(delayed(m, end & sequencer.closing, delay, "last")),
            self.double.eq(delayed(m, begin & sequencer.double, delay, "double")),
        ]
        plane = delayed(m, sequencer.plane, delay, "plane") if p.storage.bits > 1 and not p.planes.space else None
        for r, row in enumerate(rows):
            planes = [Cat(code[bit] for code in row.word) for bit in range(p.storage.bits)]
            m.d.comb += self.words[r].eq(Cat(planes) if plane is None else Array(planes)[plane])
        return m
