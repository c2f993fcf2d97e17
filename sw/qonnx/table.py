"""Arrays of exact numbers: each distinct number once, and an index array that says which stands where.

Tensors of quantized networks hold few distinct numbers, so exact arithmetic is done once for each of them, and NumPy
moves the indices. Sums of products are computed on integers in units of a common divisor, which is exact too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import repeat
from math import gcd, lcm

import numpy as np

from signfold.sw.qonnx.number import Number, bounded

__all__ = ["Table", "elementwise", "stepwise"]

#: Pairs of numbers that are looked for by marking rather than by sorting.
_MARKED = 1 << 22
#: Different numbers that exact arithmetic is done on at a time: some hundred bytes each.
_DIFFERENT = 1 << 20


class _Machine(Sequence):
    """Distinct machine numbers in order, each made exact when it is looked at."""

    def __init__(self, distinct: np.ndarray) -> None:
        self._distinct = distinct

    def __len__(self) -> int:
        return len(self._distinct)

    def __getitem__(self, place: int) -> Fraction:
        return Fraction(self._distinct[place].item())


@dataclass(frozen=True, eq=False)
class Table:
    """An array of exact numbers.

    Parameters
    ----------
    numbers : sequence of Number
        Distinct numbers.
    index : numpy.ndarray
        int64: which number stands at each place.
    """

    numbers: Sequence[Number]
    index: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> "Table":
        """Return an array of finite machine numbers, exactly."""
        distinct, index = np.unique(np.asarray(array), return_inverse=True)
        return cls(_Machine(distinct), index.reshape(np.shape(array)))

    @classmethod
    def of_integers(cls, array: np.ndarray, unit: Fraction) -> "Table":
        """Return ``array*unit`` of integers."""
        distinct, index = _distinct(array)
        return cls([unit * number for number in distinct.tolist()], index)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.index.shape

    def at(self, index: np.ndarray) -> "Table":
        """Return the same numbers at other places."""
        return Table(self.numbers, index)

    def item(self) -> Number:
        """Return the number of an array of one."""
        return self.numbers[int(self.index.ravel()[0])]

    def to_list(self) -> list[Number]:
        """Return all numbers in C order."""
        return [self.numbers[place] for place in self.index.ravel().tolist()]

    def sums(self, add: Callable[[np.ndarray], np.ndarray]) -> "Table":
        """Return sums of the array's numbers; `add` gets an array and returns sums of its elements.

        Of rationals they are computed on integers; of numbers with roots one by one.
        """
        whole = self.integers()
        if whole is not None:
            return Table.of_integers(add(whole[0]), whole[1])
        _check_count(self.index.size)
        numbers = np.empty(len(self.numbers), object)
        numbers[:] = list(self.numbers)
        totals = add(numbers[self.index])
        return _encoded(totals.ravel().tolist(), np.arange(totals.size).reshape(totals.shape))

    def map(self, function: Callable[[Number], Number]) -> "Table":
        """Apply a function to every number."""
        _check_count(len(self.numbers))
        return _encoded([function(number) for number in self.numbers], self.index)

    def ranks(self) -> tuple[np.ndarray, list[Number]]:
        """Return for each place how many distinct numbers are smaller, and the numbers in order."""
        order = sorted(range(len(self.numbers)), key=self.numbers.__getitem__)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        return ranks[self.index], [self.numbers[place] for place in order]

    def integers(self) -> tuple[np.ndarray, Fraction] | None:
        """Return the array in units of the largest common divisor, and the unit; None with roots."""
        used = self.used()
        if not all(isinstance(number, (Fraction, int)) for number in used.values()):
            return None
        below = reduce(lcm, (number.denominator for number in used.values()), 1)
        above = reduce(gcd, (number.numerator * (below // number.denominator) for number in used.values()), 0) or 1
        unit = Fraction(above, below)
        values = {place: int(number / unit) for place, number in used.items()}
        small = all(abs(value) < 1 << 62 for value in values.values())
        numbers = np.zeros(len(self.numbers), np.int64 if small else object)
        for place, value in values.items():
            numbers[place] = value
        return numbers[self.index], unit

    def used(self) -> dict[int, Number]:
        """Return the numbers that occur, by their place in `numbers`."""
        marked = np.zeros(len(self.numbers), bool)
        marked[self.index] = True
        _check_count(np.count_nonzero(marked))
        return {place: self.numbers[place] for place in np.flatnonzero(marked).tolist()}


def _check_count(count: int) -> None:
    if count > _DIFFERENT:
        raise ValueError(f"exact arithmetic on {count} different numbers, at most {_DIFFERENT}")


def _distinct(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct integers of an array and where they stand."""
    if array.size and array.dtype != object:
        low, high = int(array.min()), int(array.max())
        if high - low < _MARKED:
            marked = np.zeros(high - low + 1, bool)
            marked[array - low] = True
            numbers = np.flatnonzero(marked)
            places = np.zeros(len(marked), np.int64)
            places[numbers] = np.arange(len(numbers))
            return numbers + low, places[array - low]
    distinct, index = np.unique(array, return_inverse=True)
    return distinct, index.reshape(array.shape)


def _encoded(numbers: Sequence[Number], index: np.ndarray) -> Table:
    """Return a table of distinct numbers out of some that may be equal."""
    places: dict[Number, int] = {}
    moved = np.array([places.setdefault(bounded(number), len(places)) for number in numbers], np.int64)
    return Table(list(places), moved[index] if len(moved) else index)


def elementwise(function: Callable[..., Number], *tables: Table) -> Table:
    """Apply a function to the numbers at the same places of several arrays, broadcast like NumPy's.

    It is called once for each combination of numbers that occurs.
    """
    shape = np.broadcast_shapes(*(table.shape for table in tables))
    index = np.zeros(shape, np.int64)
    rows: list[tuple[Number, ...]] = [()]
    for table in tables:
        count = len(table.numbers)
        if count == 1:
            rows = [(*row, number) for row, number in zip(rows, repeat(table.numbers[0]), strict=False)]
            continue
        pairs, index = _distinct(index * count + table.index)
        _check_count(len(pairs))
        rows = [(*rows[pair // count], table.numbers[pair % count]) for pair in pairs.tolist()]
    return _encoded([function(*row) for row in rows], index)


def stepwise(function: Callable[..., Number], table: Table, *parameters: Table) -> Table:
    """Do as `elementwise` for a function that never falls, or never rises, with its first number, and has few results.

    Of machine numbers, such as latent weights, it is called only where its result changes; parameters of more than one
    number must then be one for each entry of the first dimension.
    """
    if not isinstance(table.numbers, _Machine):
        return elementwise(function, table, *parameters)
    shape = np.broadcast_shapes(table.shape, *(parameter.shape for parameter in parameters))
    if shape != table.shape:
        return elementwise(function, table, *parameters)
    rows = []
    for parameter in parameters:
        index = np.broadcast_to(parameter.index, shape)
        first = index[(slice(None), *(slice(1),) * (len(shape) - 1))] if shape else index
        if len(parameter.numbers) > 1 and (index != first).any():
            return elementwise(function, table, *parameters)
        rows.append([parameter.numbers[place] for place in first.ravel().tolist()])
    numbers: list[Number] = []
    results = np.empty(shape, np.int64)
    single = not shape or all(len(parameter.numbers) == 1 for parameter in parameters)
    for entry in [...] if single else range(shape[0]):
        row = [values[0 if single else entry] for values in rows]
        places, index = np.unique(table.index[entry], return_inverse=True)
        found = np.empty(len(places), np.int64)
        _steps(lambda place, row=row, places=places: function(table.numbers[places[place]], *row), found, numbers)
        results[entry] = found[index].reshape(results[entry].shape)
    return _encoded(numbers, results)


def _steps(function: Callable[[int], Number], found: np.ndarray, numbers: list[Number]) -> None:
    """Fill `found` with places in `numbers` of a monotone function of the indices of `found`."""
    waiting = [(0, len(found) - 1, function(0), function(len(found) - 1))]
    while waiting:
        low, high, first, last = waiting.pop()
        if first == last or high - low < 2:
            found[low : high + 1] = len(numbers)
            numbers.append(first)
            if first != last:
                found[high] = len(numbers)
                numbers.append(last)
            continue
        middle = (low + high) // 2
        value = function(middle)
        waiting += [(low, middle, first, value), (middle, high, value, last)]
