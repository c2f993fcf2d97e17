"""The cell: XNOR, popcount, accumulate."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.planes import PlaneParameters
from signfold.hw.popcount import PopcountParameters

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

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    words: int
    stages: int = 1
    planes: PlaneParameters = PlaneParameters()

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)
        check_integer("words", self.words, minimum=1)
        check_integer("popcount stages", self.stages, minimum=0, maximum=16)

    @property
    def popcount(self) -> PopcountParameters:
        """Parameters of the popcounts inside."""
        return PopcountParameters(self.simd, self.stages)

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

    @property
    def counted(self) -> tuple[tuple[int, int, int], ...]:
        """Plane of the activation word, of the weight word, and scale of each popcount."""
        return self.planes.pairs if self.planes.space else ((0, 0, 1),)

    def compute(self, activations: list[int], weights: list[int]) -> int:
        """Return the agreements of a pass, each times its scale, for its words of all plays in order."""
        mask = (1 << self.simd) - 1
        plays = self.planes.plays
        words = len(activations) // len(plays)
        total = 0
        for k, (a, w) in enumerate(zip(activations, weights, strict=True)):
            if k % words == 0 and plays[k // words].double:
                total *= 2
            for i, j, scale in self.counted:
                total += scale * (~(a >> i * self.simd ^ w >> j * self.simd) & mask).bit_count()
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
        super().__init__(
            {
                "activations": In(parameters.activation_width),
                "weights": In(parameters.weight_width),
                "accumulate": In(1),
                "restart": In(1),
                "double": In(1),
                "total": Out(parameters.sum_width),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        counts = []
        for k, (i, j, scale) in enumerate(p.counted):
            m.submodules["popcount" if k == 0 else f"popcount_{k}"] = popcount = p.popcount.create()
            bits = self.activations.word_select(i, p.simd) ^ self.weights.word_select(j, p.simd)
            m.d.comb += popcount.word.eq(~bits)
            counts.append(popcount.count * scale if scale > 1 else popcount.count)
        with m.If(self.accumulate):
            so_far = self.total
            if len(p.planes.plays) > 1:
                so_far = Mux(self.double, self.total << 1, self.total)
            # Masking the old total costs no logic: the gate sits in the adder's own tables.
            kept = so_far & (~self.restart).replicate(len(self.total))
            m.d.sync += self.total.eq(sum(counts, start=kept))
        return m
