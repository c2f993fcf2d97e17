"""Tables in LUTs, judged by their contents: which functions of the address there are, and how many LUTs each takes."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from random import Random

__all__ = ["TableColumns", "expected_tables", "rom_tables", "table_columns"]

#: Inputs of a LUT, and of one with the multiplexers beside it that cost nothing.
_INPUTS = {"ice40": (4, 4), "ecp5": (4, 4), "xilinx": (6, 8)}


class TableColumns:
    """Columns of a table, each as an integer whose bit k is that of word k.

    Parameters
    ----------
    width : int
        Bits of a word.
    words : sequence of int
        Contents.
    """

    def __init__(self, width: int, words: Sequence[int]):
        self.words = len(words)
        text = "".join(f"{word:0{max(width, 1)}b}" for word in reversed(words))
        #: Lowest bit first.
        self.columns = tuple(int(text[width - 1 - bit :: width], 2) for bit in range(width))

    @property
    def different(self) -> set[int]:
        """Return the columns that are not constant, equal ones once."""
        return set(self.columns) - {0, (1 << self.words) - 1}

    def constant(self, bit: int) -> bool:
        """Return whether a column is."""
        return self.columns[bit] in (0, (1 << self.words) - 1)


@lru_cache(maxsize=512)
def table_columns(width: int, words: tuple[int, ...]) -> TableColumns:
    """Return the columns of a table; see `TableColumns`."""
    return TableColumns(width, words)


@lru_cache(maxsize=1 << 14)
def expected_tables(fabric: str, width: int, depth: int) -> tuple[float, float, float]:
    """Return about what `rom_tables` says of a table of random contents, and how many columns differ."""
    drawn = width if depth <= 16 else min(width, 64)
    random = Random(depth)
    different = {random.getrandbits(depth) for _ in range(min(drawn, 4096))} - {0, (1 << depth) - 1}
    share = width / drawn if drawn else 0
    parts, chosen = rom_tables(fabric, different, depth)
    return parts * share, chosen * share, len(different) * share


def rom_tables(fabric: str, columns: Iterable[int], depth: int) -> tuple[int, int]:
    """Return about how many LUTs the columns of a table take as functions of its address, and how many choose between.

    A function of more inputs than a LUT has is split at the highest bits of the address; parts that occur more often
    are there once. Of words past the end nothing is asked.

    Parameters
    ----------
    fabric : str
        "ecp5", "ice40" or "xilinx".
    columns : iterable of int
        Distinct columns, as in `TableColumns`.
    depth : int
        Words.
    """
    inputs, wide = _INPUTS[fabric]
    if depth <= 2:
        return 0, 0
    parts: set[int] = set()
    total = 0
    size = 1 << inputs
    for column in columns:
        column, words = _reset(column, depth)
        if words <= 1:
            continue
        pieces = [
            _filled(column >> start & ((1 << size) - 1), min(size, words - start), size)
            for start in range(0, words, size)
        ]
        kinds = set(pieces)
        parts |= kinds - _singles(size)
        if len(kinds) > 1:
            # Multiplexers of the pieces: those of a pair of LUTs, of four, and so on.
            ways = len(pieces) if len(kinds) > 2 else 2
            total += _chosen(-(-ways // (1 << (wide - inputs))), inputs)
    return len(parts), total


def _reset(column: int, words: int) -> tuple[int, int]:
    """Return what is left of a column for a flip-flop that an address bit may set or reset, and of how many words."""
    half = 1 << ((words - 1).bit_length() - 1)
    low, high = column & ((1 << half) - 1), column >> half
    if high in (0, (1 << (words - half)) - 1):
        return low, half
    if low in (0, (1 << half) - 1):
        return high, words - half
    return column, words


def _filled(piece: int, count: int, size: int) -> int:
    """Return a function with the words past the end like those before: it then has no more inputs than it needs."""
    while count < size:
        span = 1 << (count - 1).bit_length() if count & (count - 1) else count
        if span > count:
            # The words that are missing up to a power of two, as half as far down.
            half = span >> 1
            piece |= (piece >> (count - half) & ((1 << (span - count)) - 1)) << count
            count = span
        else:
            piece |= piece << count
            count *= 2
    return piece


@lru_cache
def _singles(size: int) -> frozenset[int]:
    full = (1 << size) - 1
    found = {0, full}
    bit = 1
    while bit < size:
        found.add(sum(1 << n for n in range(size) if n & bit))
        bit *= 2
    return frozenset(found)


def _chosen(ways: int, inputs: int) -> int:
    """Return the LUTs that choose between so many."""
    if ways <= 1:
        return 0
    return ways - 1 if inputs == 4 else -(-(ways - 1) // 3)
