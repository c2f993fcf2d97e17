"""Lookup: a small table as logic, cheap where most of its entries are equal."""

from collections import Counter
from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

__all__ = ["lookup"]


def lookup(m: Module, index: Value, values: Sequence[int], name: str) -> Value:
    """Return the value at `index`, unsigned; past the end it is undefined.

    Most values are equal in the tables that this is for, so that the others are told by comparison. A table of equal
    values is a constant and needs no logic.

    Parameters
    ----------
    m : Module
        Where the logic is placed.
    index : Value
        Place in the table.
    values : sequence of int
        Entries, at least 0.
    name : str
        Name of the signal.
    """
    # The index may be too narrow to reach all entries.
    values = values[: 1 << len(index)]
    found = Signal(range(max(values) + 1), name=name)
    (common, _), *others = Counter(values).most_common()
    m.d.comb += found.eq(common)
    if others:
        with m.Switch(index):
            for value, _ in others:
                with m.Case(*[place for place, other in enumerate(values) if other == value]):
                    m.d.comb += found.eq(value)
    return found
