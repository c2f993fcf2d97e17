"""Compressor trees: which counters add up the bits of a popcount, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from signfold.hw.counter import CounterParameters

__all__ = ["CompressorTree", "Step", "adder_tree", "counter_tree"]


@dataclass(frozen=True)
class Step:
    """One counter of a tree.

    Parameters
    ----------
    counter : CounterParameters
        What it counts.
    bits : tuple of int
        Numbers of its bits, column by column.
    first : int
        Number of its sum's lowest bit; the others follow.
    """

    counter: CounterParameters
    bits: tuple[int, ...]
    first: int


@dataclass(frozen=True)
class CompressorTree:
    """Counters in layers, each of which reads what the layers before have left.

    Parameters
    ----------
    inputs : tuple of int
        Column of each bit that comes in, numbered from 0; the weight of column k is 2**k.
    layers : tuple of tuples of Step
        The counters.
    parts : tuple of tuples of (int, int)
        Numbers whose sum is the count: column and number of each bit, ascending, at most one a column.
    """

    inputs: tuple[int, ...]
    layers: tuple[tuple[Step, ...], ...]
    parts: tuple[tuple[tuple[int, int], ...], ...]

    def compute(self, bits: Sequence[int]) -> int:
        """Return the count of incoming bits, as the counters find it."""
        values = dict(enumerate(bits))
        for layer in self.layers:
            for step in layer:
                total = step.counter.compute([values[bit] for bit in step.bits])
                values |= {step.first + k: total >> k & 1 for k in range(step.counter.width)}
        return sum(values[bit] << column for part in self.parts for column, bit in part)

    def alive(self, layer: int) -> list[int]:
        """Return the bits that exist after so many layers and are read later, ascending."""
        made = set(range(len(self.inputs)))
        for steps in self.layers[:layer]:
            made |= {step.first + k for step in steps for k in range(step.counter.width)}
        read = {bit for steps in self.layers[layer:] for step in steps for bit in step.bits}
        return sorted(made & (read | {bit for part in self.parts for _, bit in part}))


@dataclass
class _Builder:
    """Bits by number and the layers so far."""

    inputs: tuple[int, ...]
    layers: list[list[Step]] = field(default_factory=list)
    #: Layers after which each bit exists.
    depth: dict[int, int] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self):
        self.count = len(self.inputs)
        self.depth = dict.fromkeys(range(self.count), 0)

    def add(self, heights: Sequence[int], bits: Sequence[int]) -> list[int]:
        """Place a counter in the first layer in which its bits are there, and return the bits of its sum."""
        counter = CounterParameters(tuple(heights))
        layer = max(self.depth[bit] for bit in bits)
        while len(self.layers) <= layer:
            self.layers.append([])
        self.layers[layer].append(Step(counter, tuple(bits), self.count))
        result = list(range(self.count, self.count + counter.width))
        self.count += counter.width
        self.depth |= dict.fromkeys(result, layer + 1)
        return result

    def tree(self, parts: Sequence[Sequence[tuple[int, int]]]) -> CompressorTree:
        return CompressorTree(self.inputs, tuple(map(tuple, self.layers)), tuple(tuple(part) for part in parts))


def adder_tree(groups: Sequence[Sequence[int]], *, join: bool) -> CompressorTree:
    """Return a tree of adders with carry inputs, for fabrics with a carry chain beside tables of four inputs.

    A sum of 2**k - 1 bits is a sum of two numbers of 2**(k-1) - 1 bits each, and one bit as the carry: no adder is
    longer than its sum, and none has an input that is idle.

    Parameters
    ----------
    groups : sequence of sequences of int
        Bits of each column of each group; the bits are numbered through. One part a group, or one in all.
    join : bool
        Add the groups.
    """
    inputs, numbers = [], []
    for group in groups:
        for column, height in enumerate(group):
            inputs += [column] * height
    builder = _Builder(tuple(inputs))
    index = 0
    for group in groups:
        # The lowest column has more than one bit, or the next one: the sums never overlap.
        number: dict[int, int] = {}
        for column, height in enumerate(group):
            if height:
                total = _counted(builder, list(range(index, index + height)))
                index += height
                if any(column + k in number for k in range(len(total))):
                    raise ValueError(f"groups must hold columns whose sums do not overlap, not {tuple(group)!r}")
                number |= {column + k: bit for k, bit in enumerate(total)}
        numbers.append(number)
    while join and len(numbers) > 1:
        pairs = [_joined(builder, *numbers[k : k + 2]) for k in range(0, len(numbers) - 1, 2)]
        numbers = pairs + numbers[len(numbers) - len(numbers) % 2 :]
    return builder.tree([sorted(number.items()) for number in numbers])


def _counted(builder: _Builder, bits: list[int]) -> list[int]:
    """Count bits of equal weight."""
    if len(bits) == 1:
        return bits
    if len(bits) <= 3:
        return builder.add((len(bits),), bits)
    *bits, carry = bits
    size = 1
    while 2 * size + 1 < len(bits):
        size = 2 * size + 1
    size = max(size, (len(bits) + 1) // 2) if size < len(bits) - size else size
    left, right = (_counted(builder, part) for part in (bits[:size], bits[size:]))
    heights, taken = [], []
    for k in range(max(len(left), len(right))):
        here = [number[k] for number in (left, right) if k < len(number)]
        here += [carry] if k == 0 else []
        heights.append(len(here))
        taken += here
    return builder.add(heights, taken)


def _joined(builder: _Builder, left: dict[int, int], right: dict[int, int]) -> dict[int, int]:
    """Add two numbers, column by column; where only one has bits below, they stay."""
    start = max(min(left), min(right))
    number = {column: bit for one in (left, right) for column, bit in one.items() if column < start}
    heights, taken = [], []
    for column in range(start, max(*left, *right) + 1):
        here = [one[column] for one in (left, right) if column in one]
        heights.append(len(here))
        taken += here
    return number | {start + k: bit for k, bit in enumerate(builder.add(heights, taken))}


def counter_tree(heights: Sequence[int], *, bottom: int = 4) -> CompressorTree:
    """Return a tree of counters on chains of LUT6_2 and CARRY4 that leaves at most two bits a column.

    Parameters
    ----------
    heights : sequence of int
        Bits of each column.
    bottom : int
        Bits that may stay in the lowest column: what follows takes some as carries.
    """
    builder = _Builder(tuple(column for column, height in enumerate(heights) for _ in range(height)))
    columns: dict[int, list[int]] = {}
    for bit, column in enumerate(builder.inputs):
        columns.setdefault(column, []).append(bit)
    while any(len(bits) > (bottom if column == 0 else 2) for column, bits in columns.items()):
        _add_layer(builder, columns, bottom)
    parts: list[list[tuple[int, int]]] = [[], []]
    for column, bits in sorted(columns.items()):
        for k, bit in enumerate(bits):
            if k == len(parts):
                parts.append([])
            parts[k].append((column, bit))
    return builder.tree([part for part in parts if part])


def _add_layer(builder: _Builder, columns: dict[int, list[int]], bottom: int) -> None:
    """Place counters on the bits that are there, the most effective first, as long as there are too many bits."""
    made: dict[int, list[int]] = {}
    least = Fraction(1)
    placed = False
    while True:
        surplus = [
            column
            for column, bits in sorted(columns.items())
            if bits and len(bits) + len(made.get(column, ())) > (bottom if column == 0 else 2)
        ]
        best = None
        for column in surplus:
            for counter in _choices(columns, column):
                removed = counter.bits - counter.width
                effect = Fraction(removed, counter.tables)
                if effect >= least and (best is None or (effect, removed) > best[0]):
                    best = ((effect, removed), column, counter.heights)
        if best is not None:
            _, column, heights = best
            taken = [columns[column + k].pop(0) for k, height in enumerate(heights) for _ in range(height)]
            for k, bit in enumerate(builder.add(heights, taken)):
                made.setdefault(column + k, []).append(bit)
            placed = True
        elif placed or least == 0:
            break
        else:
            # Less effective counters only where a layer would have none.
            least -= Fraction(1, 4)
    for column, bits in made.items():
        columns.setdefault(column, []).extend(bits)


def _choices(columns: dict[int, list[int]], column: int) -> list[CounterParameters]:
    """Return counters that can start in a column and make fewer bits of those they take."""
    have = [len(columns.get(column + k, ())) for k in range(max(columns) - column + 2)]
    choices = [(height,) for height in (3, 6) if have[0] >= height]
    chain = [min(5, have[0])]
    for above in have[1:]:
        # A chain of columns, and one on top that takes the last carries and may have a bit of its own.
        choices.append((*chain, min(1, above)))
        if not above:
            break
        chain.append(min(3, above))
    counters = [CounterParameters(heights) for heights in choices]
    return [counter for counter in counters if counter.bits > counter.width]
