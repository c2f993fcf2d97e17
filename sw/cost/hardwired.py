"""Cost of hardwired layers: what holds a position's inputs, additions, comparisons with constants, the output queue."""

import numpy as np

from signfold.hw.adder_logic import AdderLogicParameters
from signfold.hw.constant_threshold import ConstantThresholdParameters
from signfold.hw.gather import GatherParameters
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.line_window import LineWindowParameters
from signfold.sw.cost.feeder import queue_parts
from signfold.sw.cost.part import Part, bits_of, memory_part
from signfold.sw.cost.units import gearbox_parts

__all__ = ["hardwired_parts", "logic_parts", "stream_parts"]

#: Sums whose terms have at most so many bits together are gates; see `signfold.hw.adder_logic`.
_GATES = 6


def hardwired_parts(p: HardwiredParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of a hardwired layer; without `last` what follows does not look at the ends of packets."""
    return logic_parts(p) + stream_parts(p, fabric, last)


def logic_parts(p: HardwiredParameters) -> list[Part]:
    """Return the additions and what their sums go through: what `simd` and `hop` do not change."""
    return [_additions(p.logic, _alive(p)), _unit(p)]


def stream_parts(p: HardwiredParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return what holds inputs and results."""
    parts = _source(p.source, fabric)
    if p.waiting is not None:
        parts += queue_parts(p.simd * p.bits, p.waiting.depth, fabric)
    if p.border[0] is not None and p.border[0].count > 1:
        border = p.border[0]
        number, places = bits_of(border.count), bits_of(len(border.columns)) + bits_of(len(border.rows))
        features = {"one": 1, "number": number, "places": places, "classes": border.count}
        parts.append(Part("hardwired.border", number + places, features=features))
    parts += queue_parts(p.channels * p.output_bits, p.queue.depth, fabric)
    if p.narrower is not None:
        parts += gearbox_parts(p.narrower, fabric, last)
    room = p.queue.depth.bit_length()
    ffs = room + p.logic.latency + p.unit.latency
    return [*parts, Part("hardwired", ffs, features={"one": 1, "room": room})]


def _source(source: GatherParameters | LineWindowParameters, fabric: str) -> list[Part]:
    """Return what holds all inputs of a position."""
    if isinstance(source, GatherParameters):
        word = bits_of(source.words)
        held = source.words * source.simd * source.bits
        return [Part("gather", held + word + 1, features={"one": 1, "word": word})]
    image, size = source.image, source.inputs * source.bits
    height, width = image.kernel
    places = bits_of(source.lines) + bits_of(source.pitch)
    features = {"one": 1, "places": places, "corners": sum(len(source.corners(axis)) for axis in (0, 1))}
    if any(image.padding):
        features["pad"] = size
    parts = [Part("line window", places + 2 + height * width * size, features=features)]
    if height > 1 and source.pitch > 1:
        parts.append(memory_part(fabric, (height - 1) * size, source.pitch))
    return parts


def _alive(p: HardwiredParameters) -> np.ndarray:
    """Return which channels' outputs matter: others are constant, and synthesis leaves out what only they read."""
    if not isinstance(p.unit, ConstantThresholdParameters):
        return np.ones(p.channels, bool)
    ends = np.array([p.logic.bounds(k) for k in range(p.channels)])
    bounds = p.unit.bounds
    inside = (bounds > ends[:, 0, None]) & (bounds <= ends[:, 1, None])
    return inside.any(axis=(0, 2))


def _additions(p: AdderLogicParameters, alive: np.ndarray) -> Part:
    """Return the additions that living outputs read, and the registers between their parts."""
    graph, ranges = p.graph, p.ranges
    used = {out.term for out, lives in zip(graph.outputs, alive, strict=True) if lives and out.term is not None}
    for k in reversed(range(len(graph.sums))):
        if graph.inputs + k in used:
            used |= {graph.sums[k].left, graph.sums[k].right}
    widths = [p.bits] * graph.inputs + [_width(*ranges[graph.inputs + k]) for k in range(len(graph.sums))]
    # The last part in which each term is read.
    until = [0] * len(widths)
    for output, lives in zip(graph.outputs, alive, strict=True):
        if lives and output.term is not None:
            until[output.term] = p.stages
    features = {"one": 1, "gates": 0, "adders": 0, "chains": 0}
    for k, entry in enumerate(graph.sums):
        number = graph.inputs + k
        if number not in used:
            continue
        for term in (entry.left, entry.right):
            until[term] = max(until[term], p.parts[number])
        lengths = widths[entry.left] + entry.left_shift + widths[entry.right] + entry.right_shift
        if lengths <= _GATES:
            features["gates"] += widths[number]
        else:
            # Bits that only one of the two has below are passed on.
            features["adders"] += widths[number] - (0 if entry.minus else max(entry.left_shift, entry.right_shift))
            features["chains"] += 1
    ffs = sum(widths[term] * max(0, until[term] - p.parts[term]) for term in used)
    return Part("additions", ffs, features=features)


def _width(low: int, high: int) -> int:
    """Return the width of a signal for values from the smaller of `low` and 0 to `high`."""
    return max(high.bit_length(), (~low).bit_length()) + 1 if low < 0 else high.bit_length()


def _unit(p: HardwiredParameters) -> Part:
    """Return what terms go through: comparisons with constants, or the addition of one."""
    unit = p.unit
    widths = [_width(*p.logic.bounds(k)) for k in range(p.channels)]
    if not isinstance(unit, ConstantThresholdParameters):
        varies = sum(len(set(column)) > 1 for column in unit.constants.T.tolist())
        total = p.channels * p.output_bits
        return Part("constant sum", total, features={"one": 1, "sum": total, "varies": varies * p.output_bits})
    features = {"one": 1, "constant": 0, "bound": 0, "entries": 0}
    ffs = 0
    for k, width in enumerate(widths):
        low, high = p.logic.bounds(k)
        for stage in range(unit.bits):
            half = 1 << (unit.bits - 1 - stage)
            table = set(unit.bounds[:, k, half - 1 :: 2 * half].reshape(-1).tolist())
            if len(table) > 1:
                features["bound"] += width
                features["entries"] += len(table)
            elif low < next(iter(table)) <= high:
                features["constant"] += width
            # A code so far, and the term where another comparison follows.
            ffs += stage + 1 + (width if stage < unit.bits - 1 else 0)
    if unit.border is not None:
        ffs += (unit.bits - 1) * bits_of(len(unit.thresholds))
    return Part("constant threshold", ffs, features=features)
