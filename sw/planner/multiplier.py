"""Layers on arrays of multipliers as the planner sees them: what one takes for any size of its array."""

from collections.abc import Iterator
from dataclasses import replace

from signfold.hw.engine import EngineParameters
from signfold.hw.fabric import Fabric
from signfold.sw.cost.accelerator import EngineShape, engine_parts
from signfold.sw.cost.model import Cost, CostModel
from signfold.sw.cost.multiplier import blocks
from signfold.sw.cost.units import unit_shape
from signfold.sw.plan import LayerPlan

__all__ = ["MultiplierLayer"]

#: Most products of a word, and most rows, that are considered.
_LONGEST, _ROWS = 64, 8


class MultiplierLayer:
    """A layer whose weights and codes have several bits, on an array of multipliers.

    Parameters
    ----------
    stage : EngineParameters
        The layer, on any array.
    model : CostModel
        What things take.
    fabric : Fabric
        What they are made of.
    clock_mhz : float, optional
        Clock that additions are pipelined for; by default they have one register, two in words of more than 64 codes.
    """

    def __init__(self, stage: EngineParameters, model: CostModel, fabric: Fabric, clock_mhz: float | None = None):
        bare = LayerPlan(style="multiplier")
        planes = bare.planes(stage.planes.activation_bits, stage.planes.weight_levels)
        self._stage = replace(stage, planes=planes, cols=1, simd=1, hop=1, rows=1, fabric=fabric)
        self._model, self._clock = model, clock_mhz

    @staticmethod
    def serves(stage: EngineParameters, fabric: Fabric) -> bool:
        """Return whether multipliers are considered: several bits on both sides, and blocks that multiply them."""
        planes = stage.planes
        return min(planes.activation_bits, planes.weight_planes) > 1 and blocks(planes, fabric) > 0

    def choices(self) -> Iterator[LayerPlan]:
        """Yield the arrays that are considered: words of divisors, columns that save a pass, the narrowest groups."""
        stage = self._stage
        channels, width = stage.channels, stage.output_size[1]
        columns = sorted({-(-channels // passes) for passes in range(1, channels + 1)})
        for simd in (n for n in range(1, min(stage.inputs, _LONGEST) + 1) if stage.inputs % n == 0):
            stages = 1
            if self._clock is not None:
                stages = replace(stage, simd=simd).array.cell.stages_for(self._clock)
            words = stage.taps * (stage.inputs // simd)
            for rows in (n for n in range(1, min(width, _ROWS) + 1) if width % n == 0):
                for wanted in columns:
                    for hop in sorted({-(-wanted // words), wanted}):
                        cols = -(-wanted // hop) * hop
                        yield LayerPlan(cols, simd, hop, stages, rows, style="multiplier")

    def cost(self, plan: LayerPlan) -> tuple[Cost, int]:
        """Return cost and interval, without the slack of windows."""
        own = replace(self._stage, cols=plan.cols, simd=plan.simd, hop=plan.hop, stages=plan.stages, rows=plan.rows)
        units = tuple(unit_shape(unit) if unit else None for unit in own.units)
        array, depth = own.array, own.feeder.sequencer.addresses
        tables = ((array.groups, own.hop * array.cell.weight_width, depth, own.memory),)
        shape = EngineShape(array, own.feeder, own.hop, own.channels, own.output_bits, units, tables)
        return self._model.of(engine_parts(shape, self._model.fabric)), own.interval
