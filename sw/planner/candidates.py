"""Candidates: the ways to run a layer, and the best of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from signfold.hw.engine import EngineParameters
from signfold.sw.cost.model import Cost
from signfold.sw.plan import LayerPlan
from signfold.sw.planner.chain import Chain

__all__ = ["Candidate", "area", "candidates", "choices", "keeping_up", "special", "undominated", "with_poolings"]

#: Longest words, and most rows, that are considered; and where a pass does all channels.
_LONGEST, _ROWS, _MORE_ROWS = 1024, 8, 32
#: Weights, in bits, of the largest layer whose tables may lie in LUTs although a block RAM would take them.
_IN_LUTS = 1 << 15


@dataclass(frozen=True)
class Candidate:
    """A way to run a layer, or several on a shared engine.

    Parameters
    ----------
    plans : tuple of LayerPlan
        Plan of each layer.
    lanes_in, lanes_out : int
        Codes of a beat at its input and, after the poolings that follow, at its output.
    interval : int
        Cycles of a frame; of a shared engine, those in which its input comes and its results go.
    cost : Cost
        What it takes, with the poolings that follow.
    inner : int
        Cycles of a frame in which a shared engine neither takes nor gives anything.
    """

    plans: tuple[LayerPlan, ...]
    lanes_in: int
    lanes_out: int
    interval: int
    cost: Cost
    inner: int = 0

    @property
    def span(self) -> int:
        """Layers with weights."""
        return len(self.plans)


def area(cost: Cost) -> float:
    """Return the logic that counts against a budget: logic cells on iCE40, LUTs elsewhere."""
    return cost.cells


def special(cost: Cost) -> int:
    """Return the blocks of a kind of their own: large RAMs of iCE40 UP, or multipliers. No cost model has both."""
    return cost.sprams + cost.dsps


def choices(chain: Chain, index: int) -> Iterator[LayerPlan]:
    """Yield the arrays that are considered for a layer.

    Words of divisors of the input channels and of powers of two; for each, every number of columns that saves a pass;
    column groups of the smallest size that is legal, of powers of two, and of all columns; one row or several; planes
    in time and in space; one more register where popcounts are long; weights of small layers also in LUTs.
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
            for rows in (n for n in range(1, min(width, _MORE_ROWS) + 1) if width % n == 0):
                for wanted in _columns(channels) if rows <= _ROWS else (channels,):
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


def candidates(chain: Chain, index: int, least: int = 0, styles: Collection[str] = ("array",)) -> list[Candidate]:
    """Return the candidates of a layer that no other one beats in cycles and in every resource at the same widths.

    Parameters
    ----------
    chain : Chain
        The network.
    index : int
        Number of the layer.
    least : int
        Cycles that a frame takes whatever the layer does: being faster is worth nothing.
    styles : collection of str
        "array", "multiplier", "hardwired": what is considered.
    """
    found: dict[tuple[int, int], list[Candidate]] = {}
    plans: list[LayerPlan] = []
    if "array" in styles:
        plans += choices(chain, index)
    if "multiplier" in styles:
        plans += chain.multiplier_choices(index)
    if "hardwired" in styles:
        plans += chain.hardwired_choices(index)
    for plan in plans:
        cost, interval = chain.engine(index, plan)
        lanes = chain.lanes(index, plan)
        found.setdefault(lanes, []).append(Candidate((plan,), *lanes, max(interval, least), cost))
    kept = [best for same in found.values() for best in undominated(same)]
    return with_poolings(chain, index, kept)


def with_poolings(chain: Chain, index: int, kept: list[Candidate]) -> list[Candidate]:
    """Return candidates that end with a layer together with the poolings that follow it."""
    group = chain.groups[index]
    if not group.followers:
        return kept
    # Poolings work on as many channels as come, or on another number.
    pooled: dict[tuple[int, int], list[Candidate]] = {}
    most = max(stage.channels for stage in group.followers)
    for candidate in kept:
        for pool in sorted(pools(most)):
            cost, interval, lanes = chain.following(index, candidate.lanes_out, pool)
            plans = candidate.plans
            if pool and pool != candidate.lanes_out:
                plans = (replace(plans[0], pool=pool), *plans[1:])
            elif pool:
                continue
            slower = max(candidate.interval, interval)
            pooled.setdefault((candidate.lanes_in, lanes), []).append(
                replace(candidate, plans=plans, lanes_out=lanes, interval=slower, cost=candidate.cost + cost)
            )
    return [best for same in pooled.values() for best in undominated(same)]


def undominated(found: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that no other one beats in cycles, logic, block RAMs and special ones."""
    kept: list[tuple] = []
    for candidate in sorted(found, key=lambda c: (c.interval, area(c.cost), c.cost.brams)):
        cost = candidate.cost
        own = area(cost), cost.brams, special(cost), candidate.inner
        if not any(all(a <= b for a, b in zip(other, own, strict=True)) for other, _ in kept):
            kept.append((own, candidate))
    return [candidate for _, candidate in kept]


def keeping_up(found: Iterable[Candidate], cycles: int) -> dict[int, dict[int, list[Candidate]]]:
    """Return the candidates of at most so many cycles, by input and output width, without those that others beat."""
    groups: dict[int, dict[int, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in found:
        if candidate.interval <= cycles:
            groups[candidate.lanes_in][candidate.lanes_out].append(candidate)
    for outs in groups.values():
        for out, same in outs.items():
            same.sort(key=lambda one: (area(one.cost), one.cost.brams, one.interval))
            kept: list[Candidate] = []
            fewest: dict[int, int] = {}
            for one in same:
                brams, blocks = one.cost.brams, special(one.cost)
                if all(brams < have for taken, have in fewest.items() if taken <= blocks):
                    kept.append(one)
                    fewest[blocks] = brams
            outs[out] = kept
    return groups
