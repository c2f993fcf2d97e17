"""Threshold unit: turns sums into codes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer, frozen_array
from signfold.hw.rom import RomParameters

__all__ = ["ThresholdParameters", "ThresholdUnit"]


@dataclass(frozen=True, eq=False)
class ThresholdParameters:
    """Per-channel thresholds of one layer, `lanes` channels a beat.

    Parameters
    ----------
    name : str
        Name of the ROM.
    lanes : int
        Channels compared side by side.
    sum_width : int
        Width of a sum, unsigned.
    thresholds : array of int
        One a channel, each in 0 .. largest sum + 1; the code is 1 where the sum is at least the threshold. Shape
        (channels, 1): one level gives codes of one bit.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    lanes: int
    sum_width: int
    thresholds: np.ndarray

    def __post_init__(self):
        check_integer("threshold lanes", self.lanes, minimum=1)
        check_integer("sum width", self.sum_width, minimum=1)
        thresholds = frozen_array("thresholds", self.thresholds, shape=(None, 1))
        object.__setattr__(self, "thresholds", thresholds)
        most = 1 << self.sum_width
        if (thresholds < 0).any() or (thresholds > most).any():
            bad = thresholds[(thresholds < 0) | (thresholds > most)][0]
            raise ValueError(f"thresholds must be integers from 0 to {most}, not {int(bad)!r}")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.thresholds)

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        return -(-self.channels // self.lanes)

    @property
    def threshold_width(self) -> int:
        """Bits of a stored threshold: one more than a sum, so that `never` can be told."""
        return self.sum_width + 1

    #: Cycles from a beat of sums to its codes.
    LATENCY = 1

    @cached_property
    def rom(self) -> RomParameters:
        """The thresholds as a table: a word a beat, lane 0 in the low bits; lanes without a channel hold `never`."""
        never = 1 << self.sum_width
        words = []
        for beat in range(self.beats):
            word = 0
            for lane in range(self.lanes):
                channel = beat * self.lanes + lane
                value = int(self.thresholds[channel, 0]) if channel < self.channels else never
                word |= value << (lane * self.threshold_width)
            words.append(word)
        return RomParameters(self.name, self.lanes * self.threshold_width, tuple(words))

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return the codes (frames x channels) of the sums (frames x channels)."""
        return (np.asarray(sums)[..., None] >= self.thresholds).sum(axis=-1)

    def create(self) -> "ThresholdUnit":
        """Return the gateware."""
        return ThresholdUnit(self)


class ThresholdUnit(wiring.Component):
    """Compare the sums of a frame, beat by beat in channel order, with their thresholds.

    Latency 1 cycle, throughput one beat a cycle, no flow control. Beats are counted: the first beat after reset is the
    first of a frame. The first beat may come no sooner than the second cycle after reset.

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
    codes : Out(array of lanes bits)
        Codes of the beat of the cycle before; 0 in lanes without a channel.
    known : Out(1)
        A beat was there in the cycle before.
    """

    def __init__(self, parameters: ThresholdParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "sums": In(data.ArrayLayout(unsigned(p.sum_width), p.lanes)),
                "valid": In(1),
                "codes": Out(data.ArrayLayout(unsigned(1), p.lanes)),
                "known": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules[p.name] = rom = p.rom.create()
        beat, following = Signal(range(p.beats)), Signal(range(p.beats))
        # The table is read one beat ahead, which hides its latency.
        m.d.comb += [
            following.eq(Mux(self.valid, Mux(beat == p.beats - 1, 0, beat + 1), beat)),
            rom.address.eq(following),
        ]
        m.d.sync += [beat.eq(following), self.known.eq(self.valid)]
        for lane in range(p.lanes):
            threshold = Signal(p.threshold_width, name=f"threshold_{lane}")
            m.d.comb += threshold.eq(rom.data.word_select(lane, p.threshold_width))
            m.d.sync += self.codes[lane].eq(self.sums[lane] >= threshold)
        return m
