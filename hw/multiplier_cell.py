"""The cell of multiplier arrays: multiply whole codes, add up, accumulate."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring

from signfold.hw.check import check_integer
from signfold.hw.delay import delayed
from signfold.hw.fabric import FABRICS, Fabric
from signfold.hw.module_library import shared
from signfold.hw.planes import PlaneParameters
from signfold.hw.shapes import cell_members

__all__ = ["MultiplierCell", "MultiplierCellParameters"]

#: Levels of a popcount that an addition's carry chain takes as long as, and what is assumed of other fabrics.
_LEVELS, _DELAYS = 2.0, (1.9, 1.5)


@dataclass(frozen=True)
class MultiplierCellParameters:
    """One cell that multiplies `simd` pairs of whole codes a cycle.

    A code q of k bits stands for v = 2 q - (2**k - 1), a weight code for w. The sum of v w is twice the sum of q w,
    less 2**k - 1 times the sum of w, which is known beforehand. So the cell multiplies q, unsigned, by w, signed, and
    what is sent as code 0 adds nothing. Its total goes out as an unsigned number, `offset` above the sum of q w.

    Parameters
    ----------
    simd : int
        Codes of a word, at least 1: multipliers.
    words : int
        Most words of a pass; sets the accumulator's width.
    stages : int
        Pipeline registers before the accumulator: behind the multipliers, then in the tree of adders, then, where there
        are more than that, before the multipliers.
    planes : PlaneParameters
        Widths of the codes; they multiply.
    fabric : Fabric
        What the cell is made of.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    words: int
    stages: int = 1
    planes: PlaneParameters = PlaneParameters(8, 256, True, True)
    fabric: Fabric = FABRICS["plain"]

    #: Words come as they are, not as prefix parities.
    encoded = False

    def __post_init__(self):
        check_integer("simd", self.simd, minimum=1)
        check_integer("words", self.words, minimum=1)
        check_integer("multiplier stages", self.stages, minimum=0, maximum=16)
        if not self.planes.multiplies:
            raise ValueError("planes must multiply for a cell of multipliers")

    @property
    def activation_width(self) -> int:
        """Bits of an activation word, the bits of all its codes plane by plane."""
        return self.simd * self.planes.activation_lanes

    @property
    def weight_width(self) -> int:
        """Bits of a weight word, likewise."""
        return self.simd * self.planes.weight_lanes

    @property
    def sum_width(self) -> int:
        """Width of the total in bits."""
        return (self.words * self.simd * self.planes.top).bit_length() + 1

    @property
    def offset(self) -> int:
        """What goes out where the sum is 0."""
        return 1 << (self.sum_width - 1)

    @property
    def depth(self) -> int:
        """Levels of the tree of adders."""
        return (self.simd - 1).bit_length()

    @cached_property
    def registers(self) -> tuple[int, ...]:
        """Registers before the multipliers, behind them, and behind each level of the tree."""
        inside = max(0, self.stages - 1)
        # Register k of n stands behind level ceil(k * depth / n).
        taken = min(inside, self.depth)
        levels = {-(-k * self.depth // taken) for k in range(1, taken + 1)} if taken else set()
        return (inside - taken, min(1, self.stages), *(int(level in levels) for level in range(1, self.depth + 1)))

    def stages_for(self, clock_mhz: float) -> int:
        """Return how many registers a clock needs: one behind the multipliers, others by the fabric's delays."""
        ends, level = self.fabric.delays or _DELAYS
        levels = max(1, int((1000 / clock_mhz - ends) / (_LEVELS * level)))
        # The accumulator is an addition too.
        return 1 if self.depth < levels else 1 + -(-self.depth // levels)

    def count(self, activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return what goes out for codes of broadcastable shapes, whose products over the last axis are added up."""
        _, w = self.planes.bipolar(0, weights)
        return (np.asarray(activations, np.int64) * w).sum(axis=-1) + self.offset

    def compute(self, activations: list[int], weights: list[int]) -> int:
        """Return what goes out after a pass, for its words."""
        q = sum(bits << plane for plane, bits in enumerate(self._bits(activations, self.planes.activation_lanes)))
        return int(self.count(q, self.planes.weight_codes(self._bits(weights, self.planes.weight_lanes))))

    def _bits(self, words: list[int], lanes: int) -> np.ndarray:
        """Return the bits of words, planes x codes."""
        codes = [(word, k) for word in words for k in range(self.simd)]
        return np.array([[word >> lane * self.simd + k & 1 for word, k in codes] for lane in range(lanes)])

    def create(self) -> "MultiplierCell":
        """Return the gateware."""
        return MultiplierCell(self)


class MultiplierCell(wiring.Component):
    """Accumulate the products of activation and weight codes.

    Members and cycles are those of `signfold.hw.cell.Cell`: throughput one word a cycle; `accumulate` and `restart`
    accompany a word `parameters.stages` cycles after it; `total` includes that word one cycle later and holds until the
    next `accumulate`. `double` is not looked at: a word holds its codes whole. Products are written as such, with
    registers behind them, for synthesis to place them in multiplier blocks.

    Parameters
    ----------
    parameters : MultiplierCellParameters
        Widths and pipelining.

    Members
    -------
    activations, weights : In(activation_width), In(weight_width)
        Bits of a word's codes, plane by plane.
    accumulate : In(1)
        The word of `stages` cycles ago counts.
    restart : In(1)
        With `accumulate`: that word is the first of a pass.
    double : In(1)
        Nothing.
    total : Out(sum_width)
        `offset`, and the products of the pass so far.
    """

    def __init__(self, parameters: MultiplierCellParameters):
        self.parameters = parameters
        super().__init__(cell_members(parameters.activation_width, parameters.weight_width, parameters.sum_width))

    @shared
    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        before, behind, *levels = p.registers
        width = p.planes.activation_bits + p.planes.weight_planes + 2
        values = []
        for k in range(p.simd):
            code = self._bits(self.activations, k, p.planes.activation_lanes)
            weight = self._weight(self._bits(self.weights, k, p.planes.weight_lanes))
            code = delayed(m, code, before, f"code_{k}")
            weight = delayed(m, weight, before, f"weight_{k}").as_signed()
            values.append(self._held(m, code * weight, width, behind, f"product_{k}"))
        for level, registers in enumerate(levels):
            width += 1
            pairs = [values[k : k + 2] for k in range(0, len(values), 2)]
            values = [self._held(m, sum(pair), width, registers, f"sum_{level}_{k}") for k, pair in enumerate(pairs)]
        total = Signal(signed(p.sum_width))
        with m.If(self.accumulate):
            m.d.sync += total.eq(Mux(self.restart, 0, total) + values[0])
        # Adding half of the range turns the sign bit.
        m.d.comb += self.total.eq(Cat(total[:-1], ~total[-1]))
        return m

    def _held(self, m, value, width, registers, name):
        """Return a signed value as it was `registers` (0 or 1) cycles ago."""
        p = self.parameters
        # Of a sum of two registered products Yosys 0.70 (ice40_dsp) loses one: it takes its register for two blocks.
        attributes = {"keep": 1} if registers and p.simd > 1 and p.fabric.multiplier is None else {}
        held = Signal(signed(min(width, len(value))), name=name, reset_less=True, attrs=attributes)
        domain = m.d.sync if registers else m.d.comb
        domain += held.eq(value)
        return held

    def _bits(self, word, k, lanes):
        """Return the bits of code `k` of a word."""
        return Cat(word[lane * self.parameters.simd + k] for lane in range(lanes))

    def _weight(self, bits):
        """Return what the planes of a weight stand for, signed: 2 c - (levels - 1), which is odd, or twice a sign."""
        if self.parameters.planes.weight_levels == 3:
            return Cat(Const(0, 1), ~(bits[0] ^ bits[1]), ~bits[0])
        return Cat(Const(1, 1), bits[:-1], ~bits[-1])
