"""Ends: beginnings of plans as the search follows them, and what may be used."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from signfold.sw.cost.model import Cost
from signfold.sw.planner.candidates import Candidate, area, special

__all__ = ["End", "Limits", "extend", "prune"]


@dataclass(frozen=True)
class Limits:
    """What may be used.

    Parameters
    ----------
    logic, brams, sprams : float
        Most logic (see `area`), block RAMs, and large RAMs of iCE40 UP.
    exchange : float
        Logic that a block RAM is worth, where one can be had for the other.
    dsps : float
        Most multiplier blocks.
    """

    logic: float = inf
    brams: float = inf
    exchange: float = 200.0
    sprams: float = inf
    dsps: float = inf

    @property
    def special(self) -> float:
        """Most large RAMs or multiplier blocks, of which no fabric's cost model has both."""
        return min(self.sprams, self.dsps)

    def allow(self, cost: Cost) -> bool:
        """Return whether `cost` is within the limits."""
        return area(cost) <= self.logic and cost.brams <= self.brams and special(cost) <= self.special

    def weigh(self, cost: Cost) -> float:
        """Return logic and block RAMs as one number."""
        return area(cost) + self.exchange * cost.brams


class End(NamedTuple):
    """The beginning of a plan.

    Its choices are linked, the last first; in the end there are the input lanes. While a shared engine may follow or
    has just come, `interval` is that of all stages at work while its input comes or its results go, `inner` the cycles
    in which it does neither.
    """

    logic: float
    brams: int
    special: int
    interval: int
    inner: int
    steps: tuple

    def after(self, cost: Cost, interval: int) -> "End":
        """Return the end with a stage more."""
        logic, brams, blocks = self.logic + area(cost), self.brams + cost.brams, self.special + special(cost)
        return End(logic, brams, blocks, max(self.interval, interval), self.inner, self.steps)

    def free(self) -> "End":
        """Return the end past the last shared engine: its interval is that of whole frames."""
        return End(self.logic, self.brams, self.special, self.interval + self.inner, 0, self.steps)


def prune(found: Iterable[End], limits: Limits) -> list[End]:
    """Return what is within the limits and not beaten in logic, block RAMs and special ones."""
    kept: list[End] = []
    # Of what has been kept, the fewest block RAMs with at most so many special blocks.
    fewest: dict[int, float] = {}
    for end in sorted(found, key=_order):
        if end.logic > limits.logic:
            break
        if end.brams > limits.brams or end.special > limits.special:
            continue
        if all(end.brams < brams for blocks, brams in fewest.items() if blocks <= end.special):
            kept.append(end)
            fewest[end.special] = end.brams
    return kept


def _order(end: End) -> tuple:
    return end[:5]


def extend(entering: list[End], outs: dict[int, list[Candidate]], following: dict[int, list[End]]) -> None:
    """Add every end with every candidate to those that follow, by output width."""
    for out, candidates in outs.items():
        into = following[out]
        for candidate in candidates:
            cost, interval = candidate.cost, candidate.interval
            own, brams, blocks = area(cost), cost.brams, special(cost)
            for logic, have, taken, before, inner, steps in entering:
                more = before if before > interval else interval
                into.append(End(logic + own, have + brams, taken + blocks, more, inner, (candidate, steps)))
