"""Shared engines as the planner sees them: runs of layers on one array, and what each takes."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from signfold.hw.engine import EngineParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.shared_layer import SharedLayer
from signfold.hw.shared_loader import CHUNK_BYTES
from signfold.sw.cost.model import Cost
from signfold.sw.cost.shared import shared_parts
from signfold.sw.plan import LayerPlan
from signfold.sw.planner.candidates import Candidate, undominated, with_poolings
from signfold.sw.planner.chain import Chain

__all__ = ["SharedRuns"]

#: Words and columns that are considered.
_WORDS, _COLUMNS = (8, 16, 32, 64), (1, 2, 4, 8, 16, 32)
#: Sizes of column groups that are considered: so many from the smallest legal one on.
_GROUPS = 2


class SharedRuns:
    """Runs of layers of a network that may share an array.

    Parameters
    ----------
    chain : Chain
        The network.
    loading : Cost or None
        What the link takes more where weights are loaded; None: nobody could load them.
    """

    def __init__(self, chain: Chain, loading: Cost | None = None):
        self.chain, self.loading = chain, loading
        #: Why a run that ends with a layer cannot go on with the next one.
        self.breaks: dict[int, str] = {}
        for index in range(len(chain.groups)):
            if reason := self._break(index):
                self.breaks[index] = reason
        self._layer = cache(self._make_layer)

    def _break(self, index: int) -> str:
        """Return why no run goes on after a layer; empty if one may."""
        groups = self.chain.groups
        if not isinstance(groups[index].stage, EngineParameters):
            return f"layer {index} is a depthwise convolution"
        if index + 1 < len(groups) and not isinstance(groups[index + 1].stage, EngineParameters):
            return f"layer {index + 1} is a depthwise convolution"
        followers = groups[index].followers
        if len(followers) > 1:
            return f"two poolings follow layer {index}"
        if followers and getattr(followers[0], "operation", "") != "max":
            return f"a sum pooling follows layer {index}"
        if followers and followers[0].inverted is not None:
            return f"codes after layer {index} are complemented"
        return ""

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield first and last layer of every run: of several layers, or of one where weights may be loaded."""
        count = len(self.chain.groups)
        for first in range(count):
            if not isinstance(self.chain.groups[first].stage, EngineParameters):
                continue
            last = first
            while True:
                if last > first or self.loading is not None:
                    yield first, last
                if last + 1 == count or last in self.breaks:
                    break
                last += 1

    def choices(self, first: int, last: int) -> Iterator[LayerPlan]:
        """Yield the arrays that are considered for a run."""
        stages = [self.chain.groups[index].stage for index in range(first, last + 1)]
        channels = max(stage.channels for stage in stages)
        for simd in _WORDS:
            words = min(stage.taps * -(-stage.inputs // simd) * len(stage.planes.plays) for stage in stages)
            for cols in _COLUMNS:
                if cols >= 2 * channels:
                    continue
                registers = max(self.chain.stages(k, simd, min(cols, 8), False) for k in range(first, last + 1))
                hops = [1 << k for k in range(7) if -(-cols // words) <= 1 << k <= min(cols, simd)]
                for hop in hops[:_GROUPS]:
                    plan = LayerPlan(cols, simd, hop, registers)
                    yield plan
                    if self.loading is not None and hop * simd <= 8 * CHUNK_BYTES:
                        yield replace(plan, memory="loaded")

    def candidates(self, first: int, last: int, least: int = 0) -> list[Candidate]:
        """Return the candidates of a run that no other one beats; see `signfold.sw.planner.candidates`."""
        found: dict[tuple[int, int], list[Candidate]] = {}
        for plan in self.choices(first, last):
            if first == last and plan.memory != "loaded":
                continue
            candidate = self.candidate(first, last, plan, least)
            if candidate is not None:
                found.setdefault((candidate.lanes_in, candidate.lanes_out), []).append(candidate)
        kept = [best for same in found.values() for best in undominated(same)]
        return with_poolings(self.chain, last, kept)

    def candidate(self, first: int, last: int, plan: LayerPlan, least: int = 0) -> Candidate | None:
        """Return a run on an array, without what follows; None where the array cannot compute the layers."""
        engine = self._engine(first, last, plan)
        if engine is None:
            return None
        fabric = self.chain.model.fabric
        loaded = plan.memory == "loaded"
        cost = self.chain.model.of(shared_parts(engine, fabric, contents=False, loaded=loaded))
        if loaded:
            cost += self.loading
        phase = max(engine.layers[-1].cycles, engine.input_beats * engine.input_bits, least)
        inner = engine.interval - max(engine.layers[-1].cycles, engine.input_beats * engine.input_bits)
        plans = (plan, *[LayerPlan(shares=True)] * (last - first))
        return Candidate(plans, engine.input_lanes, engine.lanes, phase, cost, inner)

    def _engine(self, first: int, last: int, plan: LayerPlan) -> SharedEngineParameters | None:
        size = plan.cols, plan.simd, plan.hop, plan.stages
        try:
            layers = tuple(self._layer(index, size, index < last) for index in range(first, last + 1))
            return SharedEngineParameters(layers[0].engine.name, layers)
        except ValueError:
            return None

    def _make_layer(self, index: int, size: tuple[int, int, int, int], pooled: bool) -> SharedLayer:
        group = self.chain.groups[index]
        cols, simd, hop, stages = size
        planes = replace(group.stage.planes, space=False)
        engine = replace(group.stage, cols=cols, simd=simd, hop=hop, stages=stages, planes=planes)
        return SharedLayer(engine, group.followers[0].image if pooled and group.followers else None)
