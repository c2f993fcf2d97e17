"""Thresholds of several layers in one table: what a shared engine turns its sums into codes with."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer, frozen_array
from signfold.hw.rom import RomParameters

__all__ = ["SharedThresholdParameters", "SharedThresholds"]


@dataclass(frozen=True, eq=False)
class SharedThresholdParameters:
    """A table of thresholds, an entry a beat of sums.

    Parameters
    ----------
    name : str
        Name of the table; those of further comparisons are named after it, `{name}_{stage}_{lane}`.
    sum_width : int
        Width of a sum u, unsigned.
    thresholds : array of int
        Entries x lanes x levels (2**k - 1 levels for codes of k bits), ascending, 0 .. 2**sum_width: the code is the
        number of thresholds that u reaches; 2**sum_width is never reached.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    sum_width: int
    thresholds: np.ndarray

    def __post_init__(self):
        check_integer("sum width", self.sum_width, minimum=1)
        thresholds = frozen_array("thresholds", self.thresholds, shape=(None, None, None))
        if (thresholds < 0).any() or (thresholds > 1 << self.sum_width).any():
            raise ValueError(f"thresholds must be integers from 0 to 2**{self.sum_width}")
        levels = thresholds.shape[2]
        if levels & (levels + 1):
            raise ValueError(f"thresholds must be 2**k - 1 levels, not {levels}")
        if (np.diff(thresholds, axis=2) < 0).any():
            raise ValueError("thresholds of a channel must not descend")
        object.__setattr__(self, "thresholds", thresholds)

    @property
    def entries(self) -> int:
        """Entries of the table."""
        return self.thresholds.shape[0]

    @property
    def lanes(self) -> int:
        """Sums of a beat."""
        return self.thresholds.shape[1]

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.thresholds.shape[2].bit_length()

    @property
    def latency(self) -> int:
        """Cycles from a beat of sums to its codes: one a bit."""
        return self.bits

    @property
    def threshold_width(self) -> int:
        """Bits of a stored threshold."""
        return self.sum_width + 1

    @cached_property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables: that of the middle thresholds, a word an entry, lane 0 in the low bits, then those of each stage.

        A stage has a table a lane, with the 2**stage thresholds that it may need, by the code so far.
        """
        words = [
            sum(int(value) << (lane * self.threshold_width) for lane, value in enumerate(entry))
            for entry in self._stored(0)[:, :, 0]
        ]
        further = [
            RomParameters(
                f"{self.name}_{stage}_{lane}",
                self.threshold_width,
                tuple(self._stored(stage)[:, lane].reshape(-1).tolist()),
            )
            for stage in range(1, self.bits)
            for lane in range(self.lanes)
        ]
        return (RomParameters(self.name, self.lanes * self.threshold_width, tuple(words)), *further)

    def _stored(self, stage: int) -> np.ndarray:
        """Return the thresholds of a comparison stage: entries x lanes x codes so far."""
        half = 1 << (self.bits - 1 - stage)
        return self.thresholds[:, :, half - 1 :: 2 * half]

    def compute(self, entry: int, sums: list[int]) -> list[int]:
        """Return the codes of a beat of sums."""
        return (np.asarray(sums)[:, None] >= self.thresholds[entry]).sum(axis=1).tolist()

    def create(self) -> "SharedThresholds":
        """Return the gateware."""
        return SharedThresholds(self)


class SharedThresholds(wiring.Component):
    """Compare sums with an entry of the table: a binary search.

    Latency one cycle a bit of the code, throughput one beat a cycle, no flow control.

    Parameters
    ----------
    parameters : SharedThresholdParameters
        Thresholds and widths.

    Members
    -------
    entry : In
        Entry for the sums of the next cycle. An entry past the last reads undefined thresholds.
    sums : In(array of lanes sums)
        Sums of a beat.
    codes : Out(array of lanes codes)
        Codes of the beat of `latency` cycles before.
    """

    def __init__(self, parameters: SharedThresholdParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "entry": In(p.roms[0].address_width),
                "sums": In(data.ArrayLayout(unsigned(p.sum_width), p.lanes)),
                "codes": Out(data.ArrayLayout(unsigned(p.bits), p.lanes)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules[p.name] = rom = p.roms[0].create()
        m.d.comb += rom.address.eq(self.entry)
        tables = [rom.data.word_select(lane, p.threshold_width) for lane in range(p.lanes)]
        index = Signal.like(self.entry, name="index")
        m.d.sync += index.eq(self.entry)
        sums, codes = list(self.sums), [Const(0, 0)] * p.lanes
        for stage in range(p.bits):
            further = p.roms[1 + stage * p.lanes :][: p.lanes]
            kept = Signal.like(index, name=f"index_{stage + 1}")
            for lane in range(p.lanes):
                threshold = Signal(p.threshold_width, name=f"threshold_{stage}_{lane}")
                code = Signal(stage + 1, name=f"code_{stage}_{lane}")
                m.d.comb += [threshold.eq(tables[lane]), code.eq(Cat(sums[lane] >= threshold, codes[lane]))]
                if further:
                    m.submodules[further[lane].name] = table = further[lane].create()
                    found = Signal(stage + 1, name=f"found_{stage + 1}_{lane}")
                    passed = Signal(p.sum_width, name=f"sum_{stage + 1}_{lane}")
                    m.d.comb += table.address.eq(Cat(code, index))
                    m.d.sync += [found.eq(code), passed.eq(sums[lane])]
                    tables[lane], sums[lane], codes[lane] = table.data, passed, found
                else:
                    m.d.sync += self.codes[lane].eq(code)
            if further:
                m.d.sync += kept.eq(index)
                index = kept
        return m
