"""The cell: XNOR, popcount, accumulate."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring

from signfold.hw.accumulator import AccumulatorParameters
from signfold.hw.check import check_integer
from signfold.hw.fabric import FABRICS, Fabric
from signfold.hw.module_library import shared
from signfold.hw.planes import PlaneParameters
from signfold.hw.popcount import PopcountParameters
from signfold.hw.shapes import cell_members

__all__ = ["Cell", "CellParameters"]


@dataclass(frozen=True)
class CellParameters:
    """One XNOR-popcount-accumulate cell.

    The accumulator counts agreeing bits: over words of n bits in all, with p agreements, the sum of the bipolar
    products is 2 p - n. Thresholds are moved into the same domain, which saves the subtraction in every cell. With
    several bit planes each agreement counts as much as its planes' scale.

    Parameters
    ----------
    simd : int
        Bits of a word, at least 1.
    words : int
        Most words of a play; sets the accumulator's width.
    stages : int
        Pipeline registers between the XNOR and the accumulator.
    planes : PlaneParameters
        Bit planes: the plays of a pass, or the planes that a word holds.
    fabric : Fabric
        What the cell is made of.
    encoded : bool
        Words come as prefix parities; see `signfold.hw.parity`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    words: int
    stages: int = 1
    planes: PlaneParameters = PlaneParameters()
    fabric: Fabric = FABRICS["plain"]
    encoded: bool = False

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)
        check_integer("words", self.words, minimum=1)
        check_integer("popcount stages", self.stages, minimum=0, maximum=16)
        if self.planes.multiplies:
            raise ValueError("planes must not multiply for a cell that counts")

    @property
    def popcount(self) -> PopcountParameters:
        """Parameters of the popcount inside."""
        return PopcountParameters(self.simd, self.stages, self.planes, self.fabric, self.encoded)

    @property
    def accumulator(self) -> AccumulatorParameters:
        """Parameters of the accumulator inside."""
        doubles = any(play.double for play in self.planes.plays)
        return AccumulatorParameters(self.sum_width, self.popcount.part_widths, doubles, self.fabric)

    @property
    def activation_width(self) -> int:
        """Bits of an activation word, the planes of a word one after another."""
        return self.simd * self.planes.activation_lanes

    @property
    def weight_width(self) -> int:
        """Bits of a weight word, likewise."""
        return self.simd * self.planes.weight_lanes

    @property
    def sum_width(self) -> int:
        """Width of the accumulator in bits: holds 0 .. words * simd * planes.top."""
        return (self.words * self.simd * self.planes.top).bit_length()

    def stages_for(self, clock_mhz: float) -> int:
        """Return how many registers a clock needs, by the fabric's delays."""
        return self.popcount.stages_for(clock_mhz)

    def count(self, activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the agreements of codes of broadcastable shapes over the last axis, each times its scale."""
        return self.planes.count(activations, weights)

    def compute(self, activations: list[int], weights: list[int]) -> int:
        """Return the agreements of a pass, each times its scale, for its words of all plays in order, not encoded."""
        plays = self.planes.plays
        words = len(activations) // len(plays)
        total = 0
        for k, (a, w) in enumerate(zip(activations, weights, strict=True)):
            if k % words == 0 and plays[k // words].double:
                total *= 2
            total += self.popcount.compute(a, w)
        return total

    def create(self) -> "Cell":
        """Return the gateware."""
        return Cell(self)


class Cell(wiring.Component):
    """Accumulate the agreements of activation and weight words.

    Throughput one word a cycle. `accumulate`, `restart` and `double` accompany a word `parameters.stages` cycles after
    it, so that a column of cells shares their delay; `total` includes that word one cycle later and holds until the
    next `accumulate`. No flow control. `total` is undefined until the first `restart`.

    Parameters
    ----------
    parameters : CellParameters
        Widths and pipelining.

    Members
    -------
    activations, weights : In(activation_width), In(weight_width)
        Bits of a word; 1 stands for +1 and 0 for -1.
    accumulate : In(1)
        The word of `stages` cycles ago counts.
    restart : In(1)
        With `accumulate`: that word is the first of a pass.
    double : In(1)
        With `accumulate`: the total so far counts twice.
    total : Out(sum_width)
        Agreements of the pass so far.
    """

    def __init__(self, parameters: CellParameters):
        self.parameters = parameters
        super().__init__(cell_members(parameters.activation_width, parameters.weight_width, parameters.sum_width))

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.popcount = popcount = p.popcount.create()
        m.submodules.accumulator = accumulator = p.accumulator.create()
        m.d.comb += [
            popcount.activations.eq(self.activations),
            popcount.weights.eq(self.weights),
            *(to.eq(part) for to, part in zip(accumulator.parts, popcount.parts, strict=True)),
            accumulator.accumulate.eq(self.accumulate),
            accumulator.restart.eq(self.restart),
            accumulator.double.eq(self.double),
            self.total.eq(accumulator.total),
        ]
        return m
