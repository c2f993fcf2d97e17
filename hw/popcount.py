"""Counting the agreements of two words."""

from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.carries import CarriesParameters
from signfold.hw.check import check_integer
from signfold.hw.compression import CompressorTree, adder_tree, counter_tree
from signfold.hw.counter import added
from signfold.hw.fabric import FABRICS, Fabric
from signfold.hw.planes import PlaneParameters

__all__ = ["Popcount", "PopcountParameters"]


@dataclass(frozen=True)
class PopcountParameters:
    """Number of bits in which an activation and a weight word agree, each times the scale of its planes.

    Parameters
    ----------
    simd : int
        Bits of a plane of a word, at least 1.
    stages : int
        Pipeline registers, spread evenly over the levels of the tree; 0 makes it combinational. The last register, if
        there is one, holds the result.
    planes : PlaneParameters
        Planes that a word holds side by side.
    fabric : Fabric
        What the tree is made of.
    encoded : bool
        The words come as prefix parities; see `signfold.hw.parity`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    simd: int
    stages: int = 0
    planes: PlaneParameters = PlaneParameters()
    fabric: Fabric = FABRICS["plain"]
    encoded: bool = False

    def __post_init__(self):
        check_integer("popcount width", self.simd, minimum=1)
        check_integer("popcount stages", self.stages, minimum=0, maximum=16)
        if not isinstance(self.fabric, Fabric):
            raise TypeError(f"popcount fabric must be a Fabric, not {self.fabric!r}")

    @property
    def latency(self) -> int:
        """Cycles from a word to its count."""
        return self.stages

    @property
    def pairs(self) -> tuple[tuple[int, int, int], ...]:
        """Plane of the activation word, of the weight word, and scale of each pair counted."""
        return self.planes.pairs if self.planes.space else ((0, 0, 1),)

    @property
    def largest(self) -> int:
        """Largest count."""
        return self.simd * sum(scale for _, _, scale in self.pairs)

    @property
    def depth(self) -> int:
        """Levels that the registers are spread over."""
        # Where words are encoded or read three bits at a time, making the leaves is a level of its own.
        return max(1, (len(self._leaves) > 1) + len(self.tree.layers))

    def stages_for(self, clock_mhz: float) -> int:
        """Return how many registers a clock needs, by the fabric's delays; no more than there are levels.

        `self.stages` is not looked at. 1 where the fabric's delays are not known.
        """
        if self.fabric.delays is None:
            return 1
        ends, level = self.fabric.delays
        levels = max(1, int((1000 / clock_mhz - ends) / level))
        return min(self.depth, -(-self.depth // levels))

    @cached_property
    def tree(self) -> CompressorTree:
        """The counters."""
        groups = []
        for _, _, scale in self.pairs:
            column = scale.bit_length() - 1
            groups.append((*[0] * column, *self._leaves))
        if not self.fabric.counters:
            return adder_tree(groups, join=self.fabric.lut_inputs > 0)
        return counter_tree([sum(column) for column in zip(*_aligned(groups), strict=True)])

    @property
    def _leaves(self) -> tuple[int, ...]:
        """Bits of weight 1 and 2 that the first level makes of a pair of planes."""
        if self.encoded:
            return (1, self.simd // 2) if self.simd > 1 else (1,)
        if self.fabric.counters and self.simd >= 3:
            return (self.simd // 3 + self.simd % 3, self.simd // 3)
        return (self.simd,)

    @property
    def part_widths(self) -> tuple[int, ...]:
        """Bits of each number that goes out; their sum is the count."""
        return tuple(part[-1][0] + 1 for part in self.tree.parts)

    def compute(self, activations: int, weights: int) -> int:
        """Return the count for words as they are, not encoded."""
        mask = (1 << self.simd) - 1
        return sum(
            scale * (~(activations >> i * self.simd ^ weights >> j * self.simd) & mask).bit_count()
            for i, j, scale in self.pairs
        )

    def create(self) -> "Popcount":
        """Return the gateware."""
        return Popcount(self)


def _aligned(groups: list[tuple[int, ...]]) -> list[list[int]]:
    width = max(map(len, groups))
    return [[*group, *[0] * (width - len(group))] for group in groups]


class Popcount(wiring.Component):
    """Compressor tree over the agreements of two words.

    Latency `parameters.latency` cycles, throughput one word a cycle. No flow control. The pipeline registers are not
    reset to anything that matters: a count is meaningful `latency` cycles after its word.

    Parameters
    ----------
    parameters : PopcountParameters
        Widths, pipelining and fabric.

    Members
    -------
    activations, weights : In
        Words, plane by plane; with `encoded` as prefix parities of the activations and of the inverted weights.
    part_0, part_1, ... : Out
        Numbers whose sum is the count.
    """

    def __init__(self, parameters: PopcountParameters):
        self.parameters = p = parameters
        members = {
            "activations": In(p.simd * p.planes.activation_lanes),
            "weights": In(p.simd * p.planes.weight_lanes),
        }
        members |= {f"part_{k}": Out(width) for k, width in enumerate(p.part_widths)}
        super().__init__(members)

    @property
    def parts(self) -> list[Value]:
        """The outputs."""
        return [getattr(self, f"part_{k}") for k in range(len(self.parameters.part_widths))]

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        bits = dict(enumerate(self._leaves(m)))
        first, depth = int(len(p._leaves) > 1), p.depth
        # Stage k of n registers what level ceil(k * depth / n) gives.
        registered = {-(-k * depth // p.stages) for k in range(1, p.stages + 1)} if p.stages else set()
        left = p.stages
        for level in range(len(p.tree.layers) + 1):
            for index, step in enumerate(p.tree.layers[level - 1] if level > 0 else ()):
                total = self._count(m, step, [bits[bit] for bit in step.bits], f"l{level}_{index}")
                bits |= {step.first + k: total[k] for k in range(step.counter.width)}
            # Registers to spare go to the end.
            registers = left if level == len(p.tree.layers) else int(level + first in registered)
            left -= registers
            for k in range(registers):
                for bit in p.tree.alive(level):
                    held = Signal(name=f"held{level}_{k}_{bit}")
                    m.d.sync += held.eq(bits[bit])
                    bits[bit] = held
        for output, part in zip(self.parts, p.tree.parts, strict=True):
            columns = dict(part)
            m.d.comb += output.eq(Cat(bits[columns[k]] if k in columns else Signal() for k in range(len(output))))
        return m

    def _count(self, m, step, bits, name):
        if not self.parameters.fabric.counters:
            total = Signal(step.counter.width, name=name)
            m.d.comb += total.eq(added(m, step.counter, bits, name))
            return total
        m.submodules[f"{step.counter.name}__{name}"] = counter = step.counter.create()
        m.d.comb += counter.bits.eq(Cat(bits))
        return counter.total

    def _leaves(self, m) -> list[Value]:
        """Return the first bits of each pair of planes, those of weight 1 before those of weight 2."""
        p = self.parameters
        leaves = []
        columns: dict[int, list[Value]] = {}
        for index, (i, j, scale) in enumerate(p.pairs):
            make = self._encoded if p.encoded else self._plain
            made = make(m, self.activations.word_select(i, p.simd), self.weights.word_select(j, p.simd), index)
            for k, column in enumerate(made):
                columns.setdefault(scale.bit_length() - 1 + k, []).extend(column)
            leaves += [bit for column in made for bit in column]
        # Counters work on columns, adders on one pair after another.
        return [bit for _, column in sorted(columns.items()) for bit in column] if p.fabric.counters else leaves

    def _encoded(self, m, activations, weights, index):
        """Return the parity of all agreements, and the carries of a chain of adders that would find it."""
        p = self.parameters
        m.submodules[f"carries_{index}"] = carries = CarriesParameters(p.simd, p.fabric.counters).create()
        m.d.comb += [carries.activations.eq(activations), carries.weights.eq(weights)]
        return [[carries.parity], list(carries.carries)] if p.simd > 1 else [[carries.parity]]

    def _plain(self, m, activations, weights, index):
        """Return the agreements, or those of three bits at a time as numbers."""
        p = self.parameters
        agree = [Signal(name=f"agree_{index}_{k}") for k in range(p.simd)]
        m.d.comb += Cat(agree).eq(~(activations ^ weights))
        if len(p._leaves) == 1:
            return [agree]
        ones, twos = [], []
        for k in range(0, p.simd - p.simd % 3, 3):
            total = Signal(2, name=f"three_{index}_{k}")
            m.d.comb += total.eq(agree[k] + agree[k + 1] + agree[k + 2])
            ones.append(total[0])
            twos.append(total[1])
        return [ones + agree[p.simd - p.simd % 3 :], twos]
