"""Common subexpressions of a constant matrix: the pair of terms that most rows share becomes a term, and so on."""

from dataclasses import replace

import numpy as np

from signfold.hw.adder_graph import AdderGraph, Output, Sum
from signfold.sw.hardwire.differences import digit_count, parents
from signfold.sw.hardwire.trees import Trees

__all__ = ["LARGEST_MATRIX", "adder_graph", "graph_bits"]

#: Most digits other than 0 of a matrix.
LARGEST_MATRIX = 1 << 17
#: Longest chains of rows made one of the other that are tried.
_DEEPEST = (0, 1, 2)


def adder_graph(matrix: np.ndarray) -> AdderGraph:
    """Return sums of two terms each that multiply with a matrix.

    The search is the greedy one of multiple constant multiplication (Hartley, "Subexpression sharing in filters using
    canonic signed digit multipliers", 1996): of all pairs of terms, with equal or with opposite signs, the one that
    occurs in most rows becomes a term of its own. Entries of several bits are split into signed digits, whose rows
    share terms like those of different outputs. What no rows share is added up in trees, the narrowest terms first.
    Before, rows are made of one another (`signfold.sw.hardwire.differences`) where the sums are fewer bits then.

    Parameters
    ----------
    matrix : numpy.ndarray
        Integers, outputs x inputs.

    Returns
    -------
    AdderGraph
        With exactly this matrix. The same for the same matrix, always.

    Raises
    ------
    ValueError
        If the matrix has more than `LARGEST_MATRIX` digits other than 0.
    """
    matrix = np.asarray(matrix, np.int64)
    digits = int(digit_count(matrix).sum())
    if digits > LARGEST_MATRIX:
        raise ValueError(
            f"a hardwired matrix must have at most {LARGEST_MATRIX} signed digits other than 0, not {digits!r}"
        )
    # Rows that are equal, or one the negative of the other, are made once.
    first = matrix[np.arange(len(matrix)), (matrix != 0).argmax(axis=1)]
    signs = np.where(first < 0, -1, 1)
    different, which = np.unique(matrix * signs[:, None], axis=0, return_inverse=True)
    graph = min((_search(different, parents(different, deepest)) for deepest in _DEEPEST), key=graph_bits)
    outputs = []
    for row, sign in zip(which.reshape(-1).tolist(), signs.tolist(), strict=True):
        made = graph.outputs[row]
        outputs.append(made if sign > 0 or made.term is None else replace(made, minus=not made.minus))
    return replace(graph, outputs=tuple(outputs))


def _search(matrix: np.ndarray, tree: list[tuple[int, int, int]]) -> AdderGraph:
    """Return sums that make each row of its parent and of what it differs by."""
    outputs, inputs = matrix.shape
    rest = matrix.copy()
    for row, parent, sign in tree:
        if parent >= 0:
            rest[row] -= sign * matrix[parent]
    planes = _digits(rest)
    rows = np.concatenate([plane for _, plane in planes]) if planes else np.zeros((0, inputs), np.int8)
    table = _Table(rows)
    sums: list[Sum] = []
    while (pair := table.best()) is not None:
        left, right, minus = pair
        sums.append(Sum(left, right, minus))
        table.replace(left, right, minus)

    # The rows of one output, shifted against one another, are added like the terms of one row.
    trees = Trees(inputs, sums)
    results: dict[int, Output] = {}
    for row, parent, sign in tree:
        terms = []
        for k, (shift, _) in enumerate(planes):
            terms += [(term, one < 0, shift) for term, one in table.row(k * outputs + row)]
        if parent >= 0 and results[parent].term is not None:
            made = results[parent]
            terms.append((made.term, made.minus != (sign < 0), made.shift))
        results[row] = trees.add(terms)
    return _used(AdderGraph(inputs, tuple(trees.sums), tuple(results[row] for row in range(outputs))))


def graph_bits(graph: AdderGraph) -> int:
    """Return the bits of all sums of inputs of one bit: what they take in tables, roughly."""
    return sum((high - low).bit_length() for low, high in graph.ranges(1)[graph.inputs :])


def _digits(matrix: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return the canonic signed digits: (shift, int8 of -1, 0, 1) of each place that has any."""
    planes, rest, shift = [], matrix.copy(), 0
    while rest.any():
        odd = (rest & 1).astype(bool)
        # 1 or -1, so that the next digit is 0.
        digit = np.where(odd, 2 - (rest & 3), 0)
        if digit.any():
            planes.append((shift, digit.astype(np.int8)))
        rest = (rest - digit) >> 1
        shift += 1
    return planes


class _Table:
    """Rows of signed terms, and for each term how often it occurs with the same other one at most."""

    def __init__(self, rows: np.ndarray):
        count, inputs = rows.shape
        room = 2 * inputs + 16
        # Places are used again when no row shares their term any more.
        self._signs = np.zeros((count, room), np.float32)
        self._signs[:, :inputs] = rows
        self._held = np.abs(self._signs)
        self._terms = np.full(room, -1)
        self._terms[:inputs] = np.arange(inputs)
        self._next = inputs
        self._free = list(range(inputs, room))[::-1]
        # Never too few, perhaps too many.
        self._most = np.zeros(room, np.float32)
        self._most[:inputs] = count
        self._finished: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        self._pair = (0, 0)

    def _partners(self, place):
        """Return in how many rows each other term has the same sign as this one, and in how many the opposite one."""
        rows = np.flatnonzero(self._held[:, place])
        both = self._held[rows].sum(axis=0)
        difference = self._signs[rows, place] @ self._signs[rows]
        both[place] = difference[place] = 0
        return (both + difference) / 2, (both - difference) / 2

    def best(self) -> tuple[int, int, bool] | None:
        """Return the terms of the pair that occurs most often, and whether with opposite signs; None: none twice."""
        while True:
            place = int(self._most.argmax())
            if self._most[place] < 2:
                return None
            equal, opposite = self._partners(place)
            counts = np.maximum(equal, opposite)
            partner = int(counts.argmax())
            if counts[partner] == self._most[place]:
                first, second = sorted((place, partner), key=lambda index: self._terms[index])
                self._pair = first, second
                return int(self._terms[first]), int(self._terms[second]), bool(opposite[partner] > equal[partner])
            self._most[place] = counts[partner]
            if counts[partner] < 2:
                self._retire(place)

    def replace(self, left: int, right: int, minus: bool) -> None:
        """Give the pair just found a term of its own, in all rows that hold it."""
        first, second = self._pair
        held = self._signs[:, first] * self._signs[:, second] == (-1 if minus else 1)
        if not self._free:
            self._grow()
        place = self._free.pop()
        self._signs[:, place] = np.where(held, self._signs[:, first], 0)
        self._signs[held, first] = self._signs[held, second] = 0
        for index in (first, second, place):
            self._held[:, index] = np.abs(self._signs[:, index])
        self._terms[place] = self._next
        self._next += 1
        # A pair with the new term occurs no more often than the pair with one of its two.
        self._most[place] = min(self._held[:, place].sum(), self._most[first], self._most[second])

    def _retire(self, place):
        """Take a term out of the search that shares no pair any more, and never will."""
        for row in np.flatnonzero(self._held[:, place]):
            self._finished[row].append((int(self._terms[place]), int(self._signs[row, place])))
        self._signs[:, place] = self._held[:, place] = 0
        self._terms[place] = -1
        self._most[place] = 0
        self._free.append(place)

    def _grow(self):
        size = len(self._most)
        self._signs = np.concatenate([self._signs, np.zeros_like(self._signs)], axis=1)
        self._held = np.concatenate([self._held, np.zeros_like(self._held)], axis=1)
        self._terms = np.concatenate([self._terms, np.full(size, -1)])
        self._most = np.concatenate([self._most, np.zeros(size, np.float32)])
        self._free = list(range(size, 2 * size))[::-1]

    def row(self, row: int) -> list[tuple[int, int]]:
        """Return the terms of a row, each with its sign."""
        held = [(int(self._terms[k]), int(self._signs[row, k])) for k in np.flatnonzero(self._held[row])]
        return sorted(self._finished[row] + held)


def _used(graph: AdderGraph) -> AdderGraph:
    """Return the graph without sums that nothing reads."""
    read = {output.term for output in graph.outputs}
    for k, entry in reversed(list(enumerate(graph.sums))):
        if graph.inputs + k in read:
            read |= {entry.left, entry.right}
    names = {k: k for k in range(graph.inputs)}
    sums = []
    for k, entry in enumerate(graph.sums):
        if graph.inputs + k in read:
            names[graph.inputs + k] = graph.inputs + len(sums)
            shifts = entry.left_shift, entry.right_shift
            sums.append(Sum(names[entry.left], names[entry.right], entry.minus, *shifts))
    outputs = tuple(Output(names.get(out.term), out.minus, out.shift) for out in graph.outputs)
    return AdderGraph(graph.inputs, tuple(sums), outputs)
