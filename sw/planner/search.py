"""The search: for a number of cycles, the best choice for every layer, exactly.

Resources add up along the chain, and neighbours meet only in the widths of their streams. So a dynamic programme over
layers, with the width of the stream as its state and all undominated sums of logic and block RAMs as its values, finds
what trying all combinations would find; `tests/sw/test_planner.py` compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

from signfold.sw.cost.model import Cost
from signfold.sw.plan import Plan
from signfold.sw.planner.candidates import Candidate, area, candidates
from signfold.sw.planner.chain import Chain

__all__ = ["Limits", "Search", "Solution"]


@dataclass(frozen=True)
class Limits:
    """What may be used.

    Parameters
    ----------
    logic, brams : float
        Most logic (see `area`) and block RAMs.
    exchange : float
        Logic that a block RAM is worth, where one can be had for the other.
    """

    logic: float = inf
    brams: float = inf
    exchange: float = 200.0

    def allow(self, cost: Cost) -> bool:
        """Return whether `cost` is within the limits."""
        return area(cost) <= self.logic and cost.brams <= self.brams

    def weigh(self, cost: Cost) -> float:
        """Return logic and block RAMs as one number."""
        return area(cost) + self.exchange * cost.brams


@dataclass(frozen=True)
class Solution:
    """A plan for a number of cycles.

    Parameters
    ----------
    plan : Plan
        The plan.
    interval : int
        Cycles from frame to frame.
    cost : Cost
        What it takes, without the slack of windows.
    """

    plan: Plan
    interval: int
    cost: Cost


class Search:
    """Candidates of a network, to be searched for different cycles and limits.

    Parameters
    ----------
    chain : Chain
        The network on a fabric.
    lanes : sequence of int
        Input lanes to choose from.
    extra : Cost
        What is there besides the accelerator.
    on_layer : callable, optional
        Called with the number of each layer before its candidates are made.
    """

    def __init__(self, chain: Chain, lanes: Iterable[int], extra: Cost | None = None, on_layer=None):
        self.chain, self.lanes, self.extra = chain, sorted(lanes), extra or Cost()
        classes, elements = chain.config.scores.classes, chain.config.pixels.elements
        #: Cycles that no plan goes below.
        self.floor = max(classes, -(-elements // self.lanes[-1]))
        self.layers: list[list[Candidate]] = []
        for index in range(len(chain.groups)):
            if on_layer:
                on_layer(index)
            self.layers.append(candidates(chain, index, self.floor))

    @cached_property
    def _intervals(self) -> list[int]:
        chain = self.chain
        found = {candidate.interval for layer in self.layers for candidate in layer}
        found |= {chain.entry(lanes)[1] for lanes in self.lanes}
        before = {chain.entry(lanes)[2] for lanes in self.lanes}
        for index, layer in enumerate(self.layers):
            widths = {candidate.lanes_in for candidate in layer}
            found |= {chain.gear_before(index, lanes, width)[1] for lanes in before for width in widths}
            before = {candidate.lanes_out for candidate in layer}
        found |= {chain.leaving(lanes)[1] for lanes in before}
        return sorted({max(self.floor, interval) for interval in found})

    def intervals(self) -> list[int]:
        """Return every number of cycles that a plan can take, ascending: those of some array, gearbox or input."""
        return self._intervals

    def slowest_layer(self) -> tuple[int, int]:
        """Return the layer that bounds the fewest cycles, and those cycles."""
        fastest = [min(candidate.interval for candidate in layer) for layer in self.layers]
        index = max(range(len(fastest)), key=fastest.__getitem__)
        return index, fastest[index]

    def best(self, cycles: int, limits: Limits) -> Solution | None:
        """Return the smallest plan of at most so many cycles within limits; None if there is none."""
        ends = self.ends(cycles, limits)
        if not ends:
            return None
        end = min(ends, key=lambda end: (end.logic + limits.exchange * end.brams, end.interval))
        return self.solution(end)

    def solution(self, end: "End") -> Solution:
        """Return the plan that an end stands for."""
        choices, step = [], end.steps
        while len(step) == 2:
            choices.append(step[0])
            step = step[1]
        (input_lanes,) = step
        plan = Plan(tuple(choice.plan for choice in reversed(choices)), input_lanes, self.chain.model.fabric)
        cost, _, lanes = self.chain.entry(input_lanes)
        cost += self.extra
        for index, choice in enumerate(reversed(choices)):
            cost += self.chain.gear_before(index, lanes, choice.lanes_in)[0] + choice.cost
            lanes = choice.lanes_out
        return Solution(plan, end.interval, cost + self.chain.leaving(lanes)[0])

    def ends(self, cycles: int, limits: Limits) -> list["End"]:
        """Return the undominated plans of at most so many cycles within limits."""
        chain = self.chain
        states: dict[int, list[End]] = {}
        for lanes in self.lanes:
            cost, interval, out = chain.entry(lanes)
            if interval <= cycles:
                cost += self.extra
                states.setdefault(out, []).append(End(area(cost), cost.brams, interval, (lanes,)))
        states = {out: _prune(found, limits) for out, found in states.items()}
        for index in range(len(self.layers)):
            following: dict[int, list[End]] = {}
            for width, outs in self._groups(index, cycles).items():
                entering = []
                for lanes, found in states.items():
                    cost, interval = chain.gear_before(index, lanes, width)
                    if interval <= cycles:
                        logic, brams = area(cost), cost.brams
                        for end in found:
                            more = max(end.interval, interval)
                            entering.append(End(end.logic + logic, end.brams + brams, more, end.steps))
                entering = _prune(entering, limits)
                for out, own in outs.items():
                    into = following.setdefault(out, [])
                    for logic, brams, interval, candidate in own:
                        for end in entering:
                            more = max(end.interval, interval)
                            into.append(End(end.logic + logic, end.brams + brams, more, (candidate, end.steps)))
            states = {out: _prune(found, limits) for out, found in following.items()}
        ends = []
        for lanes, found in states.items():
            cost, interval = chain.leaving(lanes)
            if interval <= cycles:
                for end in found:
                    more = max(end.interval, interval)
                    ends.append(End(end.logic + area(cost), end.brams + cost.brams, more, end.steps))
        return _prune(ends, limits)

    def _groups(self, index: int, cycles: int) -> dict[int, dict[int, list[tuple]]]:
        """Return the candidates that keep up, by input and output width, without those that others beat."""
        groups: dict[int, dict[int, list[tuple]]] = {}
        for candidate in self.layers[index]:
            if candidate.interval <= cycles:
                entry = (area(candidate.cost), candidate.cost.brams, candidate.interval, candidate)
                groups.setdefault(candidate.lanes_in, {}).setdefault(candidate.lanes_out, []).append(entry)
        for outs in groups.values():
            for out, found in outs.items():
                found.sort(key=lambda entry: entry[:3])
                kept: list[tuple] = []
                for entry in found:
                    if not kept or entry[1] < kept[-1][1]:
                        kept.append(entry)
                outs[out] = kept
        return groups


class End(NamedTuple):
    """The beginning of a plan: what it takes, and its choices, the last first; in the end the input lanes."""

    logic: float
    brams: int
    interval: int
    steps: tuple


def _prune(found: list[End], limits: Limits) -> list[End]:
    """Return what is within the limits and not beaten in logic and block RAMs."""
    kept: list[End] = []
    for end in sorted(found, key=lambda end: end[:3]):
        if end.logic > limits.logic:
            break
        if end.brams <= limits.brams and (not kept or end.brams < kept[-1].brams):
            kept.append(end)
    return kept
