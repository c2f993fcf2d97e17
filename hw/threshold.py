"""Threshold unit: turns sums into codes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring

from signfold.hw.beat_address import BeatAddressParameters
from signfold.hw.border import BorderClasses
from signfold.hw.check import check_integer, frozen_array
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import unit_members

__all__ = ["ThresholdParameters", "ThresholdUnit"]


@dataclass(frozen=True, eq=False)
class ThresholdParameters:
    """Per-channel thresholds of one layer, `lanes` channels a beat; a position's channels make a packet of `beats`.

    Parameters
    ----------
    name : str
        Name of the first table, and prefix of the others.
    lanes : int
        Channels compared side by side.
    sum_width : int
        Width of a sum, unsigned.
    thresholds : array of int
        Shape (channels, levels) or (classes, channels, levels), with 2**k - 1 levels for codes of k = 1 .. 8 bits. Each
        in 0 .. largest sum + 1, not decreasing from level to level; the code is the number of thresholds that the sum
        reaches.
    border : BorderClasses or None
        Class of each position of a frame; None where there is one class only.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    lanes: int
    sum_width: int
    thresholds: np.ndarray
    border: BorderClasses | None = None

    #: Cycles that a comparison takes, one for each bit of a code.
    LATENCY = 1

    def __post_init__(self):
        check_integer("threshold lanes", self.lanes, minimum=1)
        check_integer("sum width", self.sum_width, minimum=1)
        axes = np.ndim(self.thresholds)
        if axes not in (2, 3):
            raise ValueError(f"thresholds must have 2 or 3 axes, not {axes!r}")
        thresholds = frozen_array("thresholds", self.thresholds, shape=(None,) * axes)
        object.__setattr__(self, "thresholds", thresholds)
        levels = thresholds.shape[-1]
        if levels + 1 not in [1 << bits for bits in range(1, 9)]:
            raise ValueError(f"thresholds must have 2**k - 1 levels for k from 1 to 8, not {levels!r}")
        classes = self.address.classes
        if len(self._tables) != classes:
            raise ValueError(f"thresholds must be given for {classes} classes of positions, not {len(self._tables)!r}")
        most = 1 << self.sum_width
        if (thresholds < 0).any() or (thresholds > most).any():
            bad = thresholds[(thresholds < 0) | (thresholds > most)][0]
            raise ValueError(f"thresholds must be integers from 0 to {most}, not {int(bad)!r}")
        if (np.diff(thresholds) < 0).any():
            bad = np.argwhere(np.diff(thresholds) < 0)[0]
            pair = [int(thresholds[(*bad[:-1], level)]) for level in (bad[-1], bad[-1] + 1)]
            raise ValueError(f"thresholds must not decrease from level to level, not go from {pair[0]} to {pair[1]}")

    @property
    def _tables(self) -> np.ndarray:
        """Thresholds as classes x channels x levels."""
        return self.thresholds.reshape(-1, *self.thresholds.shape[-2:])

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.thresholds.shape[-2]

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.thresholds.shape[-1].bit_length()

    @property
    def latency(self) -> int:
        """Cycles from a beat of sums to its codes: one a bit."""
        return self.LATENCY * self.bits

    @property
    def beats(self) -> int:
        """Beats of a position."""
        return -(-self.channels // self.lanes)

    @property
    def address(self) -> BeatAddressParameters:
        """Parameters of the tables' addresses."""
        return BeatAddressParameters(self.beats, self.border)

    @property
    def threshold_width(self) -> int:
        """Bits of a stored threshold: one more than a sum, so that `never` can be told."""
        return self.sum_width + 1

    @cached_property
    def rom(self) -> RomParameters:
        """The middle thresholds as a table: a word a beat, class by class, lane 0 in the low bits.

        Lanes without a channel hold `never`, here and in the other tables.
        """
        words = []
        for beat in self._stored(0).reshape(-1, self.lanes).tolist():
            words.append(sum(value << (lane * self.threshold_width) for lane, value in enumerate(beat)))
        return RomParameters(self.name, self.lanes * self.threshold_width, tuple(words))

    @cached_property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables: `rom`, and for each further stage one a lane, because lanes look up different entries.

        The table of a stage holds 2**stage thresholds a beat, that of each code so far; stage after stage, each lane by
        lane.
        """
        further = [
            RomParameters(
                f"{self.name}_{stage}_{lane}",
                self.threshold_width,
                tuple(self._stored(stage)[:, :, lane].reshape(-1).tolist()),
            )
            for stage in range(1, self.bits)
            for lane in range(self.lanes)
        ]
        return (self.rom, *further)

    def _stored(self, stage: int) -> np.ndarray:
        """Return the thresholds of a comparison stage: classes x beats x lanes x codes so far."""
        half = 1 << (self.bits - 1 - stage)
        stored = np.full((self.address.classes, self.beats * self.lanes, 1 << stage), 1 << self.sum_width)
        stored[:, : self.channels] = self._tables[..., half - 1 :: 2 * half]
        return stored.reshape(-1, self.beats, self.lanes, 1 << stage)

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return the codes of the sums (... x channels; with classes ... x positions x channels)."""
        sums = np.asarray(sums)
        codes = np.zeros(sums.shape, np.int64)
        for level in range(self.thresholds.shape[-1]):
            tables = self._tables[..., level]
            codes += sums >= (tables[0] if len(tables) == 1 else tables[list(self.border.sequence)])
        return codes

    def create(self) -> "ThresholdUnit":
        """Return the gateware."""
        return ThresholdUnit(self)


class ThresholdUnit(wiring.Component):
    """Compare the sums of positions, beat by beat in channel order, with their thresholds: a binary search.

    Latency one cycle a bit of the code, throughput one beat a cycle, no flow control. Beats are counted: the first beat
    after reset is the first of a frame. The first beat may come no sooner than the second cycle after reset.

    Parameters
    ----------
    parameters : ThresholdParameters
        Thresholds and widths.

    Members
    -------
    sums : In(array of lanes sums)
        Sums of a beat.
    valid : In(1)
        A beat is there.
    codes : Out(array of lanes codes)
        Codes of the beat of `latency` cycles before; 0 in lanes without a channel.
    known : Out(1)
        A beat was there `latency` cycles before.
    """

    def __init__(self, parameters: ThresholdParameters):
        self.parameters = p = parameters
        super().__init__(unit_members(p.lanes, p.sum_width, p.bits))

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules[p.rom.name] = rom = p.rom.create()
        m.submodules.beat_address = address = p.address.create()
        # The first table is read one beat ahead, which hides its latency. The others are read by the code so far.
        m.d.comb += [address.step.eq(self.valid), rom.address.eq(address.following)]
        tables = [rom.data.word_select(lane, p.threshold_width) for lane in range(p.lanes)]
        index, valid = address.current, self.valid
        sums, codes = list(self.sums), [Const(0, 0)] * p.lanes
        for stage in range(p.bits):
            further = p.roms[1 + stage * p.lanes :][: p.lanes]
            kept = Signal.like(index, name=f"index_{stage + 1}")
            known = self.known if stage == p.bits - 1 else Signal(name=f"valid_{stage + 1}")
            for lane in range(p.lanes):
                threshold = Signal(p.threshold_width, name=f"threshold_{stage}_{lane}")
                code = Signal(stage + 1, name=f"code_{stage}_{lane}")
                m.d.comb += [
                    threshold.eq(tables[lane]),
                    code.eq(Cat(sums[lane] >= threshold, codes[lane])),
                ]
                if further:
                    m.submodules[further[lane].name] = table = further[lane].create()
                    found = Signal(stage + 1, name=f"found_{stage + 1}_{lane}")
                    passed = Signal(p.sum_width, name=f"sum_{stage + 1}_{lane}")
                    m.d.comb += table.address.eq(Cat(code, index))
                    m.d.sync += [found.eq(code), passed.eq(sums[lane])]
                    tables[lane], sums[lane], codes[lane] = table.data, passed, found
                else:
                    m.d.sync += self.codes[lane].eq(code)
            m.d.sync += [known.eq(valid), kept.eq(index)]
            index, valid = kept, known
        return m
