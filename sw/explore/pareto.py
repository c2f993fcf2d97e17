"""Pareto fronts: what nothing else beats in everything."""

from collections.abc import Sequence

__all__ = ["front"]


def front(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Return the points that no other one dominates.

    A point dominates another if it is at least as good in every coordinate and better in one. Equal points are all
    kept.

    Parameters
    ----------
    points : sequence of tuple of float
        Of equal length; more is better in every coordinate.

    Returns
    -------
    list of int
        Their numbers, ascending.
    """
    kept: list[tuple[float, ...]] = []
    # What dominates a point is larger in this order, so that it has been seen before.
    for point in sorted(set(points), reverse=True):
        if not any(all(a >= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    best = set(kept)
    return [number for number, point in enumerate(points) if point in best]
