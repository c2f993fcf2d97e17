"""Candidates: the arrays that a layer may run on, and the best of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from signfold.hw.engine import EngineParameters
from signfold.sw.cost.model import Cost
from signfold.sw.plan import LayerPlan
from signfold.sw.planner.chain import Chain

__all__ = ["Candidate", "area", "candidates", "choices"]

#: Longest words, and most rows, that are considered.
_LONGEST, _ROWS = 1024, 8
#: Weights, in bits, of the largest layer whose tables may lie in LUTs although a block RAM would take them.
_IN_LUTS = 1 << 15


@dataclass(frozen=True)
class Candidate:
    """A way to run a layer.

    Parameters
    ----------
    plan : LayerPlan
        The array.
    lanes_in, lanes_out : int
        Codes of a beat at its input and, after the poolings that follow, at its output.
    interval : int
        Cycles of a frame.
    cost : Cost
        What it takes, with the poolings that follow.
    """

    plan: LayerPlan
    lanes_in: int
    lanes_out: int
    interval: int
    cost: Cost


def area(cost: Cost) -> float:
    """Return the logic that counts against a budget: logic cells on iCE40, LUTs elsewhere."""
    return cost.cells


def choices(chain: Chain, index: int) -> Iterator[LayerPlan]:
    """Yield the arrays that are considered for a layer.

    Words of divisors of the input channels and of powers of two; for each, every number of columns that saves a pass;
    column groups of the smallest size that is legal, of powers of two, and of all columns; one row or a few; planes in
    time and in space; one more register where popcounts are long; weights of small layers also in LUTs.
    """
    stage = chain.groups[index].stage
    if not isinstance(stage, EngineParameters):
        for cols in _columns(stage.channels):
            yield LayerPlan(cols, 1)
        return
    inputs, channels = stage.inputs, stage.channels
    lengths = {n for n in range(1, min(inputs, _LONGEST) + 1) if inputs % n == 0}
    lengths |= {1 << k for k in range(11) if 1 << k < 2 * inputs}
    width = stage.output_size[1]
    small = channels * stage.fan_in * stage.planes.weight_planes <= _IN_LUTS
    plays = len(stage.planes.plays)
    for simd in sorted(lengths):
        for space in (False, True) if plays > 1 else (False,):
            words = stage.taps * -(-inputs // simd) * (1 if space else plays)
            for rows in (n for n in range(1, min(width, _ROWS) + 1) if width % n == 0):
                for wanted in _columns(channels):
                    least = -(-wanted // words)
                    hops = {least, wanted} | {1 << k for k in range(7) if least <= 1 << k < wanted}
                    # Arrays of few columns count in another way.
                    stages = chain.stages(index, simd, min(wanted, 8), space)
                    for hop in sorted(hops):
                        plan = LayerPlan(-(-wanted // hop) * hop, simd, hop, stages, rows, space)
                        yield plan
                        if small:
                            yield replace(plan, memory="lut")


def pools(channels: int) -> set[int]:
    """Return the lanes of poolings to choose from; 0: those that come."""
    return {0, channels} | {1 << k for k in range(9) if 1 << k < channels}


def _columns(channels: int) -> list[int]:
    """Return the numbers of columns that take fewer passes than any smaller one."""
    return sorted({-(-channels // passes) for passes in range(1, channels + 1)})


def candidates(chain: Chain, index: int, least: int = 0) -> list[Candidate]:
    """Return the candidates of a layer that no other one beats in cycles and in every resource at the same widths.

    Parameters
    ----------
    chain : Chain
        The network.
    index : int
        Number of the layer.
    least : int
        Cycles that a frame takes whatever the layer does: being faster is worth nothing.
    """
    found: dict[tuple[int, int], list[Candidate]] = {}
    group = chain.groups[index]
    lanes_of = _lanes_of(group.stage)
    for plan in choices(chain, index):
        cost, interval = chain.engine(index, plan)
        found.setdefault((_input_lanes(group.stage, plan), lanes_of(plan)), []).append(
            Candidate(plan, _input_lanes(group.stage, plan), lanes_of(plan), max(interval, least), cost)
        )
    kept = [best for same in found.values() for best in undominated(same)]
    if not group.followers:
        return kept
    # Poolings work on as many channels as come, or on another number.
    pooled: dict[tuple[int, int], list[Candidate]] = {}
    most = max(stage.channels for stage in group.followers)
    for candidate in kept:
        for pool in sorted(pools(most)):
            cost, interval, lanes = chain.following(index, candidate.lanes_out, pool)
            plan = candidate.plan
            if pool and pool != candidate.lanes_out:
                plan = replace(plan, pool=pool)
            elif pool:
                continue
            pooled.setdefault((candidate.lanes_in, lanes), []).append(
                Candidate(plan, candidate.lanes_in, lanes, max(candidate.interval, interval), candidate.cost + cost)
            )
    return [best for same in pooled.values() for best in undominated(same)]


def _input_lanes(stage, plan: LayerPlan) -> int:
    return plan.simd if isinstance(stage, EngineParameters) else plan.cols


def _lanes_of(stage):
    return (lambda plan: plan.hop) if isinstance(stage, EngineParameters) else (lambda plan: plan.cols)


def undominated(found: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that no other one beats in cycles, logic and block RAMs."""
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (c.interval, area(c.cost), c.cost.brams)):
        if not any(
            area(other.cost) <= area(candidate.cost) and other.cost.brams <= candidate.cost.brams for other in kept
        ):
            kept.append(candidate)
    return kept
