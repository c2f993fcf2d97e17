"""Differences: rows of a matrix as other rows plus few terms more."""

import numpy as np

__all__ = ["digit_count", "parents"]


def parents(matrix: np.ndarray, deepest: int) -> list[tuple[int, int, int]]:
    """Return for each row from which other one it is made with the fewest terms: a spanning tree of least weight.

    Two rows of n entries -1 and 1 differ, or agree, in less than n / 2 places, and the difference is 2 there: a sum
    with a shift, of less than half the terms. (The idea is that of da4ml, Sun et al., "da4ml: Distributed Arithmetic
    for Real-time Neural Networks on FPGAs", arXiv:2507.04535.)

    Parameters
    ----------
    matrix : numpy.ndarray
        Integers, rows x inputs.
    deepest : int
        Rows that are made one of the other: the longest chain from a row that stands for itself. 0: all do.

    Returns
    -------
    list of (int, int, int)
        Row, parent and sign, parents first: row = sign * parent + difference. Parent -1: the row stands for itself.
    """
    rows = len(matrix)
    costs = digit_count(matrix).sum(axis=1)
    best, source, sign = costs.copy(), np.full(rows, -1), np.ones(rows, np.int64)
    depth = np.zeros(rows, np.int64)
    left = np.ones(rows, bool)
    order = []
    for _ in range(rows):
        row = int(np.where(left, best, np.iinfo(np.int64).max).argmin())
        left[row] = False
        if source[row] >= 0:
            depth[row] = depth[source[row]] + 1
        order.append((row, int(source[row]), int(sign[row])))
        if depth[row] == deepest:
            continue
        for factor in (1, -1):
            # The row itself is one term more.
            cost = 1 + digit_count(matrix - factor * matrix[row]).sum(axis=1)
            nearer = left & (cost < best)
            best[nearer], source[nearer], sign[nearer] = cost[nearer], row, factor
    return order


def digit_count(values: np.ndarray) -> np.ndarray:
    """Return how many canonic signed digits other than 0 each integer has."""
    size = np.abs(np.asarray(values, np.int64))
    changed = (size + (size << 1)) ^ size
    count = np.zeros(size.shape, np.int64)
    while changed.any():
        count += changed & 1
        changed >>= 1
    # Bit 0 of 3 n is that of n.
    return count
