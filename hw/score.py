"""Score unit: turns the last layer's sums into scores and finds the best class."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer, frozen_array
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout, result_layout, signed_width
from signfold.hw.timing import Scheduled, Timing, register

__all__ = ["ScoreParameters", "ScoreUnit"]


@dataclass(frozen=True, eq=False)
class ScoreParameters(Scheduled):
    """Scores of the classes: sums s = step * u - origin of incoming u, or an integer multiple and offset of each.

    Parameters
    ----------
    classes : int
        Number of classes.
    sum_width : int
        Width of an incoming sum u, unsigned.
    step, origin : int
        What a unit of u counts, and the u times step that stands for 0.
    low, high : int
        Smallest and largest s that can come.
    scale, offset : array of int or None
        One a class: score = scale * s + offset. None: score = s (every class on one positive scale).

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    classes: int
    sum_width: int
    step: int
    origin: int
    low: int
    high: int
    scale: np.ndarray | None = None
    offset: np.ndarray | None = None

    #: Cycles from a sum to its result.
    LATENCY = 2

    def __post_init__(self):
        check_integer("classes", self.classes, minimum=1)
        check_integer("sum width", self.sum_width, minimum=1)
        check_integer("step", self.step, minimum=1)
        check_integer("origin", self.origin, minimum=0)
        most = self.step * ((1 << self.sum_width) - 1) - self.origin
        check_integer("low", self.low, minimum=-self.origin, maximum=most)
        check_integer("high", self.high, minimum=self.low, maximum=most)
        if (self.scale is None) != (self.offset is None):
            raise ValueError("scale and offset must both be given or both be None")
        if self.scale is not None:
            for name in ("scale", "offset"):
                object.__setattr__(self, name, frozen_array(name, getattr(self, name), shape=(self.classes,)))

    @property
    def score_width(self) -> int:
        """Width of a signed score: holds the largest and the smallest score of any class."""
        return signed_width(self._bounds)

    @property
    def _bounds(self) -> list[int]:
        if self.scale is None:
            return [self.low, self.high]
        pairs = zip(self.scale, self.offset, strict=True)
        ends = [int(s) * end + int(o) for s, o in pairs for end in (self.low, self.high)]
        return [min(ends), max(ends)]

    @property
    def rom(self) -> RomParameters | None:
        """Table of scales (low bits) and offsets, both two's complement, a word a class; None without them."""
        if self.scale is None:
            return None
        scale_width, offset_width = self.field_widths
        words = tuple(
            (int(s) & ((1 << scale_width) - 1)) | (int(o) & ((1 << offset_width) - 1)) << scale_width
            for s, o in zip(self.scale, self.offset, strict=True)
        )
        return RomParameters("scores_a", scale_width + offset_width, words)

    @property
    def field_widths(self) -> tuple[int, int]:
        """Bits of a scale and of an offset in the table."""
        return tuple(signed_width([int(a.min()), int(a.max())]) for a in (self.scale, self.offset))

    def compute(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (frames x classes) and best classes (frames) of incoming sums (frames x classes)."""
        scores = self.step * np.asarray(sums, np.int64) - self.origin
        if self.scale is not None:
            scores = scores * self.scale + self.offset
        return scores, scores.argmax(axis=1)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which results become available; see `signfold.hw.timing`."""
        return register(register(source))

    def create(self) -> "ScoreUnit":
        """Return the gateware."""
        return ScoreUnit(self)


class ScoreUnit(wiring.Component):
    """Compute scores one class at a time and keep the best; among equals the lowest class wins.

    Latency 2 cycles, throughput one class a cycle. Classes are counted; a frame ends with its last class.

    Parameters
    ----------
    parameters : ScoreParameters
        Classes and their scales.

    Members
    -------
    i : In(stream of beat_layout(1, sum_width))
        Sums in class order; `last` is not looked at.
    o : Out(stream of result_layout(score_width, classes))
        Results, one a class.
    """

    def __init__(self, parameters: ScoreParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(1, p.sum_width))),
                "o": Out(stream.Signature(result_layout(p.score_width, p.classes))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        move, put = Signal(), Signal()
        arriving, following = Signal(range(p.classes)), Signal(range(p.classes))
        m.d.comb += [
            move.eq(~self.o.valid | self.o.ready),
            put.eq(self.i.valid & self.i.ready),
            following.eq(Mux(put, Mux(arriving == p.classes - 1, 0, arriving + 1), arriving)),
        ]
        # In the first cycle after reset the table has not been read yet.
        primed = Signal(init=p.rom is None)
        m.d.sync += [arriving.eq(following), primed.eq(1)]

        # First stage: the score. It may fill while the second stage waits.
        valid, score, index = Signal(), Signal(signed(p.score_width)), Signal(range(p.classes))
        total = p.step * self.i.payload.codes[0] - p.origin
        if p.rom is not None:
            m.submodules[p.rom.name] = rom = p.rom.create()
            scale_width, _ = p.field_widths
            m.d.comb += rom.address.eq(following)
            total = rom.data[:scale_width].as_signed() * total + rom.data[scale_width:].as_signed()
        m.d.comb += self.i.ready.eq((~valid | move) & primed)
        with m.If(~valid | move):
            m.d.sync += [valid.eq(put), score.eq(total), index.eq(arriving)]

        # Second stage: the best class so far.
        top = Signal(signed(p.score_width))
        with m.If(move):
            m.d.sync += self.o.valid.eq(valid)
            with m.If(valid):
                m.d.sync += [self.o.payload.score.eq(score), self.o.payload.last.eq(index == p.classes - 1)]
                with m.If((index == 0) | (score > top)):
                    m.d.sync += [top.eq(score), self.o.payload.best.eq(index)]
        return m
