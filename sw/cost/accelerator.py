"""Cost of accelerators: the parts of each of their components."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amaranth.hdl import Shape

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.array import ArrayParameters
from signfold.hw.collector import CollectorParameters
from signfold.hw.engine_core import EngineCore
from signfold.hw.feeder import FeederParameters
from signfold.hw.graph import GraphConfig
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.host_link import HostLinkParameters
from signfold.hw.lane_array import LaneArrayParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.stream import QueueParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sw.cost.branches import branch_functions
from signfold.sw.cost.cells import array_parts, lane_parts
from signfold.sw.cost.feeder import feeder_parts, queue_parts
from signfold.sw.cost.hardwired import hardwired_parts
from signfold.sw.cost.link import link_parts
from signfold.sw.cost.model import Cost, cost_model
from signfold.sw.cost.part import Part, bits_of, table_part
from signfold.sw.cost.shared import shared_parts
from signfold.sw.cost.units import (
    UnitShape,
    collector_part,
    in_block,
    kept_columns,
    part_functions,
    rom_part,
    unit_parts,
    unit_shape,
)

__all__ = ["EngineShape", "component_parts", "engine_parts", "engine_shape", "predict", "predict_stages"]


@dataclass(frozen=True)
class EngineShape:
    """Size of an engine, without its weights.

    Parameters
    ----------
    array : ArrayParameters or LaneArrayParameters
        The array.
    feeder : FeederParameters
        What feeds it.
    lanes : int
        Codes of an output beat.
    channels : int
        Output channels.
    output_bits : int
        Bits of a code or sum that goes out.
    units : tuple of UnitShape or None
        What the sums of each row go through.
    tables : tuple of (int, int, int, str)
        Weight tables: how many, width, depth and style.
    """

    array: ArrayParameters | LaneArrayParameters
    feeder: FeederParameters
    lanes: int
    channels: int
    output_bits: int
    units: tuple[UnitShape | None, ...]
    tables: tuple[tuple[int, int, int, str], ...]

    @property
    def beats(self) -> int:
        """Output beats of a position."""
        return -(-self.channels // self.lanes)

    @property
    def queue_depth(self) -> int:
        """Depth of a row's queue, as `EngineCore.queue` has it."""
        latency = {"threshold": lambda unit: unit.bits, "correction": lambda unit: 1, "invert": lambda unit: 1}
        unit = max((latency[unit.kind](unit) if unit else 0 for unit in self.units), default=0)
        groups, words = self.array.groups, self.array.pass_words
        lifetime = words + self.array.latency + unit + groups + QueueParameters.LATENCY + self.feeder.storage.DELAY + 2
        return groups * (-(-lifetime // words) + 2) + (self.beats if self.feeder.rows > 1 else 0)


def engine_shape(engine: EngineCore) -> EngineShape:
    """Return the size of an engine."""
    tables = tuple((1, rom.width, rom.depth, getattr(rom, "style", "auto")) for rom in engine.weight_roms)
    units = tuple(unit_shape(unit) if unit else None for unit in engine.units)
    return EngineShape(engine.array, engine.feeder, engine.lanes, engine.channels, engine.output_bits, units, tables)


def engine_parts(
    shape: EngineShape, fabric: str, engine: EngineCore | None = None, *, feeder: bool = True, last: bool = True
) -> list[Part]:
    """Return the parts of an engine.

    Parameters
    ----------
    shape : EngineShape
        Its size.
    fabric : str
        What it is made of.
    engine : EngineCore, optional
        The engine itself: its small tables are judged by their contents.
    feeder : bool
        Count the feeder.
    last : bool
        What follows looks at the ends of packets, as gearboxes do.
    """
    parts = feeder_parts(shape.feeder, fabric) if feeder else []
    array = shape.array
    parts += lane_parts(array) if isinstance(array, LaneArrayParameters) else array_parts(array)
    rows, depth = shape.feeder.rows, shape.queue_depth
    collector = CollectorParameters(array.groups, shape.feeder.passes, shape.beats)
    last = last or rows > 1
    payload = shape.lanes * shape.output_bits + last
    for row in range(rows):
        parts.append(collector_part(collector, last))
        parts += queue_parts(payload, depth, fabric)
        if shape.units[row] is not None:
            roms = engine.units[row].roms if engine is not None else None
            parts += unit_parts(shape.units[row], fabric, roms)
    if engine is not None:
        parts += [rom_part(rom, fabric) for rom in engine.weight_roms]
    else:
        for count, width, deep, style in shape.tables:
            parts.append(table_part(fabric, width, deep, in_block(width, deep, style), count=count))
    room, address = (depth - array.groups).bit_length(), bits_of(shape.feeder.sequencer.addresses)
    unit = shape.units[0]
    delay = 0 if unit is None else (unit.bits if unit.kind == "threshold" else 1)
    # Room in the queue, with its sign, and what left it; the end of a position beside the units; whose turn it is.
    ffs = rows * (room + 2 + (delay if last else 0)) + bits_of(rows)
    if array.pass_words > 1:
        # Claims are counted a cycle late.
        ffs += 1 + (collector.passes > 1 and collector.final_beats < collector.groups)
    if shape.tables:
        registers = int(array.registers_weights)
        ffs += address * (array.lead - registers + array.groups - 1)
        if engine is not None:
            ffs += registers * sum(kept_columns(rom) for rom in engine.weight_roms)
        else:
            ffs += registers * sum(count * width for count, width, _, _ in shape.tables)
    features = {"one": 1, "room": rows * room}
    if rows > 1:
        features["turns"] = payload * (rows - 1)
    parts.append(Part("engine", ffs, features=features))
    return parts


def _threshold_stage(p: ThresholdStageParameters, fabric: str, last: bool) -> list[Part]:
    parts = unit_parts(unit_shape(p.unit), fabric, p.unit.roms)
    for unit in p.further:
        parts += unit_parts(unit_shape(unit), fabric, unit.roms)
    parts += queue_parts(p.unit.lanes * p.unit.bits + last, p.queue.depth, fabric)
    room = p.queue.depth.bit_length()
    ffs = room + 1 + (p.unit_latency if last else 0)
    return [*parts, Part("threshold stage", ffs, features={"one": 1, "room": room})]


def component_parts(parameters, fabric: str, *, last: bool = True) -> list[Part]:
    """Return the parts of any component; without `last` what follows does not look at the ends of packets.

    Raises
    ------
    TypeError
        If there is no cost model of it.
    """
    if isinstance(parameters, AcceleratorConfig):
        return [part for _, parts in _stage_parts(parameters, fabric) for part in parts]
    if isinstance(parameters, EngineCore):
        return engine_parts(engine_shape(parameters), fabric, parameters, last=last)
    if isinstance(parameters, ThresholdStageParameters):
        return _threshold_stage(parameters, fabric, last)
    if isinstance(parameters, HardwiredParameters):
        return hardwired_parts(parameters, fabric, last)
    if isinstance(parameters, SharedEngineParameters):
        return shared_parts(parameters, fabric)
    if isinstance(parameters, ArrayParameters):
        return array_parts(parameters)
    if isinstance(parameters, LaneArrayParameters):
        return lane_parts(parameters)
    if isinstance(parameters, FeederParameters):
        return feeder_parts(parameters, fabric)
    if isinstance(parameters, QueueParameters):
        return queue_parts(Shape.cast(parameters.shape).width, parameters.depth, fabric)
    if isinstance(parameters, HostLinkParameters):
        return link_parts(parameters, fabric)
    if (function := (part_functions() | branch_functions()).get(type(parameters))) is not None:
        return function(parameters, fabric, last)
    raise TypeError(f"there is no cost model of {type(parameters).__name__}")


def predict(parameters, fabric: str) -> Cost:
    """Return what a component or a whole accelerator takes; see `component_parts` and `signfold.sw.cost.model`."""
    return cost_model(fabric).of(component_parts(parameters, fabric))


def predict_stages(config: AcceleratorConfig, fabric: str) -> Sequence[tuple[str, Cost]]:
    """Return what each stage of an accelerator takes, gearboxes included, in order."""
    model = cost_model(fabric)
    return [(name, model.of(parts)) for name, parts in _stage_parts(config, fabric)]


def _stage_parts(config: AcceleratorConfig, fabric: str) -> Iterator[tuple[str, list[Part]]]:
    """Yield the parts of each stage. Of stages, gearboxes alone look at the ends of packets: synthesis knows."""
    if isinstance(config, GraphConfig):
        # Joins, paddings and scales look at the ends of packets as well.
        for name, stage in config.stages:
            yield name, component_parts(stage, fabric)
        return
    stages = config.stages
    for (name, stage), (follower, _) in zip(stages, [*stages[1:], ("", None)], strict=True):
        last = follower.startswith("gearbox") or not follower
        yield name, component_parts(stage, fabric, last=last)
