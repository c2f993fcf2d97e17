"""The cell: XNOR, popcount, accumulate."""

from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.popcount import PopcountParameters

__all__ = ["Cell", "CellParameters"]


@dataclass(frozen=True)
class CellParameters:
    """One XNOR-popcount-accumulate cell.

    The accumulator counts agreeing bits: over words of n bits in all, with p agreements, the sum of the bipolar
    products is 2 p - n. A layer that never gates a word compares p with thresholds moved into the same domain, which
    saves the subtraction in every cell.

    Parameters
    ----------
    simd : int
        Bits of a word, at least 1.
    words : int
        Most words of a pass; sets the accumulator's width.
    stages : int
        Pipeline registers between the XNOR and the accumulator.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    words: int
    stages: int = 1

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)
        check_integer("words", self.words, minimum=1)
        check_integer("popcount stages", self.stages, minimum=0, maximum=16)

    @property
    def popcount(self) -> PopcountParameters:
        """Parameters of the popcount inside."""
        return PopcountParameters(self.simd, self.stages)

    @property
    def sum_width(self) -> int:
        """Width of the accumulator in bits: holds 0 .. words * simd."""
        return (self.words * self.simd).bit_length()

    def compute(self, activations: list[int], weights: list[int]) -> int:
        """Return the number of agreeing bits over a pass, for words given as integers of `simd` bits."""
        mask = (1 << self.simd) - 1
        return sum((~(a ^ w) & mask).bit_count() for a, w in zip(activations, weights, strict=True))

    def create(self) -> "Cell":
        """Return the gateware."""
        return Cell(self)


class Cell(wiring.Component):
    """Accumulate the agreements of activation and weight words.

    Throughput one word a cycle. `accumulate` and `restart` accompany a word `parameters.stages` cycles after it, so
    that a column of cells shares their delay; `total` includes that word one cycle later and holds until the next
    `accumulate`. No flow control. `total` is undefined until the first `restart`.

    Parameters
    ----------
    parameters : CellParameters
        Widths and pipelining.

    Members
    -------
    activations, weights : In(simd)
        Bits of a word; 1 stands for +1 and 0 for -1.
    accumulate : In(1)
        The word of `stages` cycles ago counts.
    restart : In(1)
        With `accumulate`: that word is the first of a pass.
    total : Out(sum_width)
        Agreements of the pass so far.
    """

    def __init__(self, parameters: CellParameters):
        self.parameters = parameters
        super().__init__(
            {
                "activations": In(parameters.simd),
                "weights": In(parameters.simd),
                "accumulate": In(1),
                "restart": In(1),
                "total": Out(parameters.sum_width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.popcount = popcount = self.parameters.popcount.create()
        m.d.comb += popcount.word.eq(~(self.activations ^ self.weights))
        with m.If(self.accumulate):
            # Masking the old total costs no logic: the gate sits in the adder's own tables.
            kept = self.total & (~self.restart).replicate(len(self.total))
            m.d.sync += self.total.eq(kept + popcount.count)
        return m
