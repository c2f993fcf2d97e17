"""The search: for a number of cycles, the best choice for every layer, exactly.

Resources add up along the chain, and neighbours meet only in the widths of their streams. So a dynamic programme over
layers, with the width of the stream as its state and all undominated sums of logic, block RAMs and special blocks
(large RAMs or multipliers) as its values, finds what trying all combinations would find; `tests/sw/test_planner.py`
compares the two.

A shared engine is an edge over several layers. It takes input and gives results in a part of a frame's cycles alone,
its phase, for which every stage before it and the gearboxes after it must be fast enough. What goes before a shared
engine is looked for with a few lengths of the phase, `SHARES` of a frame; for one that comes first all lengths are.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from signfold.sw.cost.model import Cost
from signfold.sw.plan import Plan
from signfold.sw.planner.candidates import Candidate, area, candidates, keeping_up, special
from signfold.sw.planner.chain import Chain
from signfold.sw.planner.ends import End, Limits, extend, prune
from signfold.sw.planner.phases import share, share_first
from signfold.sw.planner.shared import SharedRuns

__all__ = ["SHARES", "STYLES", "Limits", "Search", "Solution"]

#: Ways to run a layer.
STYLES = ("array", "multiplier", "hardwired", "shared")
#: Parts of a frame's cycles, one in so many, in which stages before a shared engine may have to do all their work.
SHARES = (16, 4, 2)


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
    styles : collection of str
        Which of `STYLES` are considered.
    loading : Cost or None
        What the link takes more where weights are loaded; None: nobody could load them.
    """

    def __init__(
        self,
        chain: Chain,
        lanes: Iterable[int],
        extra: Cost | None = None,
        on_layer: Callable[[int], object] | None = None,
        *,
        styles: Collection[str] = ("array",),
        loading: Cost | None = None,
    ):
        self.chain, self.lanes, self.extra = chain, sorted(lanes), extra or Cost()
        classes, elements = chain.config.scores.classes, chain.config.pixels.elements
        #: Cycles that no plan goes below.
        self.floor = max(classes, -(-elements // self.lanes[-1]))
        self.layers: list[list[Candidate]] = []
        #: Shared engines by their first layer.
        self.shared: list[list[Candidate]] = [[] for _ in chain.groups]
        self.runs = SharedRuns(chain, loading) if "shared" in styles else None
        runs = [] if self.runs is None else list(self.runs.runs())
        for index in range(len(chain.groups)):
            if on_layer:
                on_layer(index)
            self.layers.append(candidates(chain, index, self.floor, styles))
            for first, last in runs:
                if first == index:
                    # A single layer takes input while it works.
                    into = self.layers if first == last else self.shared
                    into[index] += self.runs.candidates(first, last, self.floor if first == last else 0)

    @cached_property
    def _intervals(self) -> list[int]:
        chain = self.chain
        found = {candidate.interval for layer in self.layers for candidate in layer}
        found |= {candidate.interval + candidate.inner for layer in self.shared for candidate in layer}
        entries = [chain.entry(lanes) for lanes in self.lanes]
        found |= {interval for _, interval, _ in entries}
        # A shared engine that takes its input as fast as it comes.
        slowest = max(interval for _, interval, _ in entries)
        found |= {slowest + candidate.inner for candidate in self.shared[0]}
        before = {lanes for _, _, lanes in entries}
        for index, layer in enumerate(self.layers):
            beginning = [*layer, *self.shared[index]]
            widths = {candidate.lanes_in for candidate in beginning}
            found |= {chain.gear_before(index, lanes, width)[1] for lanes in before for width in widths}
            ending = [one for first in range(index + 1) for one in self.shared[first] if first + one.span == index + 1]
            before = {candidate.lanes_out for candidate in [*layer, *ending]}
        found |= {chain.leaving(lanes)[1] for lanes in before}
        return sorted({max(self.floor, interval) for interval in found})

    def intervals(self) -> list[int]:
        """Return every number of cycles that a plan of arrays and logic can take, and some of shared engines'."""
        return self._intervals

    @property
    def slowest(self) -> int:
        """Cycles that are enough for every plan."""
        return max(SHARES) * self._intervals[-1] if any(self.shared) else self._intervals[-1]

    def slowest_layer(self) -> tuple[int, int] | None:
        """Return the layer that bounds the fewest cycles, and those; None where a layer has to be shared."""
        if not all(self.layers):
            return None
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

    def solution(self, end: End) -> Solution:
        """Return the plan that an end stands for."""
        chain, choices, step = self.chain, [], end.steps
        while len(step) == 2:
            choices.append(step[0])
            step = step[1]
        (input_lanes,) = step
        choices.reverse()
        plans = tuple(plan for choice in choices for plan in choice.plans)
        cost, _, lanes = chain.entry(input_lanes)
        cost += self.extra
        index = 0
        for choice in choices:
            cost += chain.gear_before(index, lanes, choice.lanes_in)[0] + choice.cost
            lanes, index = choice.lanes_out, index + choice.span
        return Solution(Plan(plans, input_lanes, chain.model.fabric), end.interval, cost + chain.leaving(lanes)[0])

    def reaches(self, cycles: int, limits: Limits) -> bool:
        """Return whether there is a plan of at most so many cycles within limits."""
        return bool(self.ends(cycles, limits, shared=False) or (any(self.shared) and self.ends(cycles, limits)))

    def ends(self, cycles: int, limits: Limits, *, shared: bool = True) -> list[End]:
        """Return the undominated plans of at most so many cycles within limits, with or without shared engines."""
        chain, count = self.chain, len(self.layers)
        # Ends by layer and width of the stream: after all shared engines, and just behind one, by its inner cycles.
        after: list[dict[int, list[End]]] = [defaultdict(list) for _ in range(count + 1)]
        behind: list[dict[tuple[int, int], list[End]]] = [defaultdict(list) for _ in range(count + 1)]
        entries = self.entries(cycles)
        for lanes, found in entries.items():
            after[0][lanes] += found
        if shared:
            share_first(self, entries, cycles, limits, behind)
        for part in SHARES if shared and any(self.shared[1:]) else ():
            share(self, cycles // part, cycles, limits, behind)
        for index in range(count):
            states = {(lanes, 0): prune(found, limits) for lanes, found in after[index].items()}
            states |= {key: prune(found, limits) for key, found in behind[index].items() if key[1]}
            for width, outs in keeping_up(self.layers[index], cycles).items():
                entering = self._entering(index, width, states, cycles, limits)
                extend(entering, outs, after[index + 1])
        ends = []
        for lanes, inner in [*((lanes, 0) for lanes in after[count]), *behind[count]]:
            cost, interval = chain.leaving(lanes)
            if interval + inner <= cycles:
                found = behind[count][lanes, inner] if inner else after[count][lanes]
                ends += [end.after(cost, interval).free() for end in found]
        return prune(ends, limits)

    def entries(self, cycles: int) -> dict[int, list[End]]:
        """Return what comes before the first layer, by its width."""
        states: dict[int, list[End]] = defaultdict(list)
        for lanes in self.lanes:
            cost, interval, out = self.chain.entry(lanes)
            if interval <= cycles:
                cost += self.extra
                states[out].append(End(area(cost), cost.brams, special(cost), interval, 0, (lanes,)))
        return states

    def _entering(self, index, width, states, cycles, limits) -> list[End]:
        """Return the ends at a width before a layer: behind gearboxes, which a shared engine before keeps busy."""
        entering = []
        for (lanes, inner), found in states.items():
            cost, interval = self.chain.gear_before(index, lanes, width)
            if interval + inner <= cycles:
                more = [end.after(cost, interval) for end in found]
                entering += [end.free() for end in more] if inner else more
        return prune(entering, limits)
