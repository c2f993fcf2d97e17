"""Phases: plans with shared engines, which take input and give results in a part of a frame's cycles alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from signfold.sw.planner.candidates import keeping_up
from signfold.sw.planner.ends import End, Limits, extend, prune

__all__ = ["share", "share_first"]

#: Ends by the width of their stream.
Ends = Mapping[int, list[End]]
#: Ends just behind a shared engine: by layer, then by width and cycles that are not the phase.
Behind = Sequence[dict[tuple[int, int], list[End]]]


def share_first(search: Any, entries: Ends, cycles: int, limits: Limits, behind: Behind) -> None:
    """Add plans that begin with a shared engine and have no other, for any phase.

    Parameters
    ----------
    search : Search
        Candidates.
    entries : mapping
        What comes before the first layer, by its width.
    cycles : int
        Cycles of a frame.
    limits : Limits
        What may be used.
    behind : sequence of mapping
        Where they are added: by the layer that follows, by width and cycles that are not the phase.
    """
    for candidate in search.shared[0]:
        if candidate.inner + candidate.interval > cycles:
            continue
        for lanes, found in entries.items():
            cost, gear = search.chain.gear_before(0, lanes, candidate.lanes_in)
            into = behind[candidate.span][candidate.lanes_out, candidate.inner]
            for end in found:
                end = end.after(cost, gear).after(candidate.cost, candidate.interval)
                if end.interval + candidate.inner <= cycles and _allowed(end, limits):
                    into.append(end._replace(inner=candidate.inner, steps=(candidate, end.steps)))


def share(search: Any, phase: int, cycles: int, limits: Limits, behind: Behind) -> None:
    """Add plans with shared engines, where all before the last of them works in `phase` cycles."""
    count = len(search.layers)
    fitting = [
        [one for one in found if one.interval <= phase and one.inner + phase <= cycles] for found in search.shared
    ]
    if not any(fitting):
        return
    states: list[dict[int, list[End]]] = [defaultdict(list) for _ in range(count + 1)]
    states[0] |= search.entries(phase)
    for index in range(max(k for k, found in enumerate(fitting) if found) + 1):
        if not states[index]:
            continue
        now = {lanes: prune(found, limits) for lanes, found in states[index].items()}
        for width, outs in keeping_up(search.layers[index], phase).items():
            entering = _before(search, index, width, now, phase, limits)
            extend(entering, outs, states[index + 1])
        by_width: dict[int, list[End]] = {}
        for candidate in fitting[index]:
            if candidate.lanes_in not in by_width:
                by_width[candidate.lanes_in] = _before(search, index, candidate.lanes_in, now, phase, limits)
            for end in by_width[candidate.lanes_in]:
                inner = max(end.inner, candidate.inner)
                end = end.after(candidate.cost, candidate.interval)._replace(inner=inner, steps=(candidate, end.steps))
                # What follows sees the phase, whatever of it is used.
                states[index + candidate.span][candidate.lanes_out].append(end)
                behind[index + candidate.span][candidate.lanes_out, cycles - phase].append(end)


def _before(search: Any, index: int, width: int, states: Ends, phase: int, limits: Limits) -> list[End]:
    """Return the ends at a width before a layer."""
    entering = []
    for lanes, found in states.items():
        cost, interval = search.chain.gear_before(index, lanes, width)
        if interval <= phase:
            entering += [end.after(cost, interval) for end in found]
    return prune(entering, limits)


def _allowed(end: End, limits: Limits) -> bool:
    return end.logic <= limits.logic and end.brams <= limits.brams and end.special <= limits.special
