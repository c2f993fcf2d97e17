"""Counting set bits."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["Popcount", "PopcountParameters"]


@dataclass(frozen=True)
class PopcountParameters:
    """Number of ones in a word.

    Parameters
    ----------
    width : int
        Bits of the word, at least 1.
    stages : int
        Pipeline registers inside the adder tree, spread evenly over its levels; 0 makes it combinational. The last
        register, if there is one, holds the result.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    width: int
    stages: int = 0

    def __post_init__(self):
        check_integer("popcount width", self.width, minimum=1)
        check_integer("popcount stages", self.stages, minimum=0, maximum=16)

    @property
    def latency(self) -> int:
        """Cycles from a word to its count."""
        return self.stages

    @property
    def count_width(self) -> int:
        """Width of the count in bits."""
        return self.width.bit_length()

    def compute(self, word: int) -> int:
        """Return the number of ones in `word`."""
        return word.bit_count()

    def create(self) -> "Popcount":
        """Return the gateware."""
        return Popcount(self)


class Popcount(wiring.Component):
    """Adder tree over the bits of a word.

    Latency `parameters.latency` cycles, throughput one word a cycle. No flow control. The pipeline registers are not
    reset to anything that matters: a count is meaningful `latency` cycles after its word.

    Parameters
    ----------
    parameters : PopcountParameters
        Width and pipelining.

    Members
    -------
    word : In(width)
        Bits to count.
    count : Out(count_width)
        Number of ones, 0 .. width.
    """

    def __init__(self, parameters: PopcountParameters):
        self.parameters = parameters
        super().__init__({"word": In(parameters.width), "count": Out(parameters.count_width)})

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        # Level 0 adds three bits at a time: one full adder each, which every fabric maps onto two small tables.
        bits = [self.word[i] for i in range(p.width)]
        level = []
        for i in range(0, p.width, 3):
            leaf = Signal(range(min(3, p.width - i) + 1), name=f"leaf_{i}")
            m.d.comb += leaf.eq(sum(bits[i + 1 : i + 3], start=bits[i]))
            level.append((leaf, min(3, p.width - i)))
        depth = 1 + max(0, (len(level) - 1).bit_length())
        # Stage k of n registers the outputs of level ceil(k * depth / n).
        registered = {-(-k * depth // p.stages) for k in range(1, p.stages + 1)} if p.stages else set()
        surplus = p.stages - len(registered)
        for index in range(1, depth + 1):
            if index > 1:
                level = self._add_pairs(m, level, index)
            if index in registered:
                level = [(self._register(m, value, f"r{index}_{i}"), top) for i, (value, top) in enumerate(level)]
        count = level[0][0]
        for index in range(surplus):
            count = self._register(m, count, f"surplus_{index}")
        m.d.comb += self.count.eq(count)
        return m

    @staticmethod
    def _add_pairs(m, level, index):
        sums = []
        for i in range(0, len(level) - 1, 2):
            top = level[i][1] + level[i + 1][1]
            total = Signal(range(top + 1), name=f"sum{index}_{i // 2}")
            m.d.comb += total.eq(level[i][0] + level[i + 1][0])
            sums.append((total, top))
        return sums + level[len(level) - len(level) % 2 :]

    @staticmethod
    def _register(m, value, name):
        held = Signal(len(Cat(value)), name=name)
        m.d.sync += held.eq(value)
        return held
