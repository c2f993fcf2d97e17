"""A network as the planner sees it: groups of stages, and what each costs and takes for any choice of widths."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property

from signfold.hw.array import ArrayParameters
from signfold.hw.engine import EngineParameters
from signfold.hw.fabric import find_fabric
from signfold.hw.feeder import FeederParameters
from signfold.hw.gearbox import gearboxes
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.image import border_classes
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.stage import Stage
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sw.cost.accelerator import EngineShape, component_parts, engine_parts
from signfold.sw.cost.feeder import feeder_parts
from signfold.sw.cost.model import Cost, CostModel
from signfold.sw.cost.units import UnitShape
from signfold.sw.errors import PlanError
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower
from signfold.sw.network import Network
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.planner.hardwired import LARGEST, HardwiredLayer, hardwired_layers
from signfold.sw.planner.multiplier import MultiplierLayer

__all__ = ["Chain", "Group"]


@dataclass(frozen=True)
class Group:
    """A layer with weights, and the stages without weights that follow it.

    Parameters
    ----------
    index : int
        Number of the layer.
    stage : EngineParameters or LaneEngineParameters
        The layer, on the smallest array.
    followers : tuple of Stage
        What follows.
    packets : int
        Positions of a frame at its input.
    """

    index: int
    stage: Stage
    followers: tuple[Stage, ...]
    packets: int


class Chain:
    """Stages of a network on a fabric.

    Parameters
    ----------
    network : Network
        The network.
    model : CostModel
        What things take.
    clock_mhz : float, optional
        Clock that popcounts are pipelined for; by default they have one register, two in words of more than 64 bits.
    largest : int
        Weights of the largest layer that may be hardwired.
    """

    def __init__(self, network: Network, model: CostModel, clock_mhz: float | None = None, *, largest: int = LARGEST):
        self.network, self.model, self.fabric = network, model, find_fabric(model.fabric)
        self.clock_mhz, self.largest = clock_mhz, largest
        layers = network_layers(network)
        layers.check_chain("the planner")
        bare = Plan((LayerPlan(1, 1),) * len(layers.planned), 1, model.fabric)
        try:
            self.config = lower(network, bare, slack=False)
        except ValueError as error:
            raise PlanError(str(error)) from None
        self.prefix: tuple[Stage, ...] = ()
        self.groups: list[Group] = []
        packets = self.config.pixels.positions
        for layer, stage in zip(layers.layers, self.config.layers, strict=True):
            if layer.planned:
                self.groups.append(Group(len(self.groups), stage, (), packets))
            elif self.groups:
                group = self.groups.pop()
                self.groups.append(replace(group, followers=(*group.followers, stage)))
            else:
                self.prefix = (*self.prefix, stage)
            packets = stage.positions
        self.hardwired = cache(self._hardwired)
        self.multiplier = cache(self._multiplier)
        self.gear = cache(self._gear)
        self.following = cache(self._following)
        self.entry = cache(self._entry)
        self.stages = cache(self._stages)
        self._storage = cache(self._storage_cost)
        self._borders = cache(self._row_units)

    def cost(self, parameters) -> Cost:
        """Return what a component takes."""
        return self.model.of(component_parts(parameters, self.model.fabric))

    def input_lanes(self) -> list[int]:
        """Return the input lanes to choose from: those of a position where there are several."""
        pixels = self.config.pixels
        most = min(pixels.channels, 64)
        return [n for n in range(1, most + 1) if pixels.channels % n == 0]

    def _entry(self, lanes: int) -> tuple[Cost, int, int]:
        """Return cost, interval and lanes of what comes before the first layer, for so many input lanes."""
        pixels = replace(self.config.pixels, lanes=lanes)
        cost, interval, packets = self.cost(pixels), pixels.beats, pixels.positions
        for stage in self.prefix:
            own = _with_lanes(stage, min(lanes, stage.channels))
            gear_cost, gear_interval = self.gear(
                stage.input_elements // packets, stage.input_bits, lanes, own.input_lanes
            )
            cost += gear_cost + self.cost(own)
            interval = max(interval, gear_interval * packets, own.interval)
            lanes, packets = own.lanes, own.positions
        return cost, interval, lanes

    def _gear(self, elements: int, bits: int, before: int, after: int) -> tuple[Cost, int]:
        """Return cost and interval, of a packet, of the gearboxes between two widths."""
        cost, interval = Cost(), 0
        for gear in gearboxes(elements, bits, before, after):
            cost += self.cost(gear)
            interval = max(interval, gear.interval)
        return cost, interval

    def gear_before(self, index: int, before: int, after: int) -> tuple[Cost, int]:
        """Return cost and interval, of a frame, of the gearboxes before a layer."""
        group = self.groups[index]
        elements = group.stage.input_elements // group.packets
        cost, interval = self.gear(elements, group.stage.input_bits, before, after)
        return cost, interval * group.packets

    def _following(self, index: int, lanes: int, pool: int) -> tuple[Cost, int, int]:
        """Return cost, interval and output lanes of what follows a layer, for its lanes and those of the poolings."""
        group = self.groups[index]
        cost, interval, packets = Cost(), 0, group.stage.positions
        for stage in group.followers:
            own = _with_lanes(stage, min(pool or lanes, stage.channels))
            gear_cost, gear_interval = self.gear(
                stage.input_elements // packets, stage.input_bits, lanes, own.input_lanes
            )
            cost += gear_cost + self.cost(own)
            interval = max(interval, gear_interval * packets, own.interval)
            lanes, packets = own.lanes, own.positions
        return cost, interval, lanes

    def leaving(self, lanes: int) -> tuple[Cost, int]:
        """Return cost and interval of what comes after the last layer's lanes."""
        last = self.config.layers[-1]
        cost, interval = self.gear(last.channels, last.output_bits, lanes, 1)
        return cost + self._scores, max(interval * last.positions, self.config.scores.classes)

    @cached_property
    def _scores(self) -> Cost:
        return self.cost(self.config.scores)

    @cached_property
    def _logic(self) -> dict[int, HardwiredParameters]:
        return hardwired_layers(self.network, self.model.fabric, self.largest)

    def _hardwired(self, index: int) -> HardwiredLayer:
        return HardwiredLayer(self._logic[index], self.model, self.fabric, self.clock_mhz)

    def hardwired_choices(self, index: int) -> Iterator[LayerPlan]:
        """Yield the ways to run a layer as logic; none for one of too many weights."""
        if index in self._logic:
            yield from self.hardwired(index).choices()

    def _multiplier(self, index: int) -> MultiplierLayer:
        return MultiplierLayer(self.groups[index].stage, self.model, self.fabric, self.clock_mhz)

    def multiplier_choices(self, index: int) -> Iterator[LayerPlan]:
        """Yield the arrays of multipliers for a layer; none where it or the fabric has no use for them."""
        stage = self.groups[index].stage
        if isinstance(stage, EngineParameters) and MultiplierLayer.serves(stage, self.fabric):
            yield from self.multiplier(index).choices()

    def weights(self, index: int) -> int:
        """Return the number of a layer's weights."""
        return self.groups[index].stage.weights.size

    def lanes(self, index: int, choice: LayerPlan) -> tuple[int, int]:
        """Return the codes of a beat at a layer's input and output."""
        if choice.style == "hardwired" or isinstance(self.groups[index].stage, EngineParameters):
            return choice.simd, choice.hop
        return choice.cols, choice.cols

    def engine(self, index: int, choice: LayerPlan) -> tuple[Cost, int]:
        """Return cost and interval of a layer on an array or as logic, without the slack of its windows."""
        if choice.style == "hardwired":
            return self.hardwired(index).cost(choice)
        if choice.style == "multiplier":
            return self.multiplier(index).cost(choice)
        stage = self.groups[index].stage
        if isinstance(stage, LaneEngineParameters):
            planes = replace(stage.planes, space=choice.space)
            own = replace(stage, lanes=choice.cols, planes=planes, memory=choice.memory)
            return self.cost(own), own.interval
        shape = self.shape(stage, choice)
        cost = self._storage(index, choice.simd, shape.feeder.passes, choice.rows, choice.space)
        cost += self.model.of(engine_parts(shape, self.model.fabric, feeder=False))
        interval = max(shape.feeder.interval, stage.positions * shape.beats)
        return cost, interval

    def _stages(self, index: int, simd: int, cols: int, space: bool) -> int:
        """Return the registers of a layer's popcounts."""
        least = 1 if simd <= 64 else 2
        if self.clock_mhz is None:
            return least
        planes = replace(self.groups[index].stage.planes, space=space)
        array = ArrayParameters(1, cols, simd, cols, 1, 0, planes, self.fabric)
        return max(least, array.cell.popcount.stages_for(self.clock_mhz))

    def _storage_cost(self, index: int, simd: int, passes: int, rows: int, space: bool) -> Cost:
        feeder = _feeder(self.groups[index].stage, simd, passes, rows, space)
        return self.model.of(feeder_parts(feeder, self.model.fabric))

    def shape(self, stage: EngineParameters, choice: LayerPlan) -> EngineShape:
        """Return the size of a layer's engine, which has no weights yet."""
        planes = replace(stage.planes, space=choice.space)
        words = stage.taps * -(-stage.inputs // choice.simd)
        passes = -(-stage.channels // choice.cols)
        array = ArrayParameters(
            choice.rows, choice.cols, choice.simd, words, choice.hop, choice.stages, planes, self.fabric
        )
        feeder = _feeder(stage, choice.simd, passes, choice.rows, choice.space)
        width = array.cell.sum_width
        units = self._borders(stage.name, choice.rows, choice.hop, width)
        bits = width
        if units[0] is not None:
            bits = max(unit.bits for unit in units)
        tables = ((array.groups, choice.hop * array.cell.weight_width, feeder.sequencer.addresses, choice.memory),)
        return EngineShape(array, feeder, choice.hop, stage.channels, bits, units, tables)

    def _row_units(self, name: str, rows: int, hop: int, width: int) -> tuple[UnitShape | None, ...]:
        stage = next(group.stage for group in self.groups if group.stage.name == name)
        feeder = _feeder(stage, 1, stage.passes, rows, False)
        beats = -(-stage.channels // hop)
        units = []
        for storage in feeder.storages:
            border = border_classes(storage)[0] if stage.bordered else None
            if stage.thresholds is not None:
                bits = stage.thresholds.shape[1].bit_length()
                # The bit for a threshold that is never reached is hardly ever needed.
                units.append(UnitShape("threshold", hop, width, bits, beats, width, border, stage.channels))
            elif stage.units[0] is None:
                units.append(None)
            else:
                most = int(stage.units[0].corrections.max())
                out = (stage.step * ((1 << width) - 1) + most).bit_length()
                units.append(
                    UnitShape("correction", hop, width, out, beats, max(1, most.bit_length()), border, stage.channels)
                )
        return tuple(units)


def _with_lanes(stage: Stage, lanes: int) -> Stage:
    """Return a stage without weights for another width."""
    if isinstance(stage, ThresholdStageParameters):
        return replace(stage, unit=replace(stage.unit, lanes=lanes))
    return replace(stage, lanes=lanes)


@cache
def _feeder_of(image, inputs: int, words: int, simd: int, planes: PlaneParameters, passes: int, rows: int):
    if image is None:
        storage = ReplayParameters(simd, words, 1, planes.activation_bits)
    else:
        storage = image.window(simd, inputs, planes.activation_bits)
    return FeederParameters(storage, passes, planes, rows)


def _feeder(stage: EngineParameters, simd: int, passes: int, rows: int, space: bool) -> FeederParameters:
    words = stage.taps * -(-stage.inputs // simd)
    planes = replace(stage.planes, space=space)
    return _feeder_of(stage.image, stage.inputs, words, simd, planes, passes, rows)
