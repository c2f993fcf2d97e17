"""Hardwired layers as the planner sees them: what one takes for any widths of its streams."""

from collections.abc import Iterator
from dataclasses import replace

from signfold.hw.fabric import Fabric
from signfold.hw.hardwired import HardwiredParameters
from signfold.sw.cost.hardwired import logic_parts, stream_parts
from signfold.sw.cost.model import Cost, CostModel
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower
from signfold.sw.network import Conv, Network
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["LARGEST", "HardwiredLayer", "adder_stages", "hardwired_layers"]

#: Weights of the largest layer that is considered as logic. It takes most of a table a weight, whatever its speed, so
#: that larger ones fit no FPGA that we build for; the search for their additions would take seconds.
LARGEST = 1 << 15
#: Levels of a popcount that an addition's carry chain takes as long as, and what is assumed of other fabrics.
_LEVELS, _DELAYS = 2.0, (1.9, 1.5)


def hardwired_layers(network: Network, fabric: str, largest: int = LARGEST) -> dict[int, HardwiredParameters]:
    """Return the layers of a network of at most so many weights as logic, by number; widths are any."""
    layers, plans = network_layers(network), []
    for layer in layers.planned:
        node = layer.node
        # A convolution takes a position a beat.
        simd = network.types[node.input].shape[0] if isinstance(node, Conv) else 1
        small = node.weights.size <= largest
        plans.append(LayerPlan(simd=simd, style="hardwired") if small else LayerPlan(1, 1))
    config = lower(network, Plan(tuple(plans), 1, fabric), slack=False)
    planned = [stage for stage, layer in zip(config.layers, layers.layers, strict=True) if layer.planned]
    return {index: stage for index, stage in enumerate(planned) if isinstance(stage, HardwiredParameters)}


class HardwiredLayer:
    """A layer of a network as logic.

    Parameters
    ----------
    stage : HardwiredParameters
        The layer, of any widths.
    model : CostModel
        What things take.
    fabric : Fabric
        What they are made of.
    clock_mhz : float, optional
        Clock that additions are pipelined for; by default they have one register.
    """

    def __init__(self, stage: HardwiredParameters, model: CostModel, fabric: Fabric, clock_mhz: float | None = None):
        self.stages = adder_stages(stage.graph.depth, fabric, clock_mhz)
        self.base: HardwiredParameters = replace(stage, stages=self.stages)
        self._model = model
        self._logic = model.of(logic_parts(self.base))

    def choices(self) -> Iterator[LayerPlan]:
        """Yield the widths that are considered: powers of two and divisors."""
        base = self.base
        inputs = [base.inputs] if base.image is not None else _widths(base.inputs)
        for simd in inputs:
            for hop in _widths(base.channels):
                yield LayerPlan(simd=simd, hop=hop, stages=self.stages, style="hardwired")

    def cost(self, plan: LayerPlan) -> tuple[Cost, int]:
        """Return cost and interval."""
        own = replace(self.base, simd=plan.simd, hop=plan.hop)
        return self._logic + self._model.of(stream_parts(own, self._model.fabric)), own.interval


def adder_stages(depth: int, fabric: Fabric, clock_mhz: float | None) -> int:
    """Return the registers among so many levels of additions that a clock needs, by the fabric's delays."""
    if clock_mhz is None:
        return 1
    ends, level = fabric.delays or _DELAYS
    levels = max(1, int((1000 / clock_mhz - ends) / (_LEVELS * level)))
    return min(16, depth // levels)


def _widths(count: int) -> list[int]:
    """Return powers of two and divisors up to a number."""
    return sorted({n for n in range(1, count + 1) if count % n == 0 or not n & (n - 1)})
