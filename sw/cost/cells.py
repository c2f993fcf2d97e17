"""Cost of the arrays: cells, and what joins them."""

from dataclasses import replace
from functools import lru_cache

from signfold.hw.array import ArrayParameters
from signfold.hw.cell import CellParameters
from signfold.hw.lane_array import LaneArrayParameters
from signfold.sw.cost.multiplier import multiplier_part
from signfold.sw.cost.part import Part

__all__ = ["array_parts", "cell_part", "lane_parts"]


@lru_cache(maxsize=4096)
def cell_part(cell: CellParameters) -> Part:
    """Return a cell: its popcount's tree counter by counter, and its accumulator."""
    popcount = cell.popcount
    tree = popcount.tree
    # As the popcount places its registers.
    depth = popcount.depth
    first = depth - len(tree.layers)
    registered = {-(-k * depth // cell.stages) for k in range(1, cell.stages + 1)} if cell.stages else set()
    left, ffs = cell.stages, cell.sum_width
    for level in range(len(tree.layers) + 1):
        registers = left if level == len(tree.layers) else int(level + first in registered)
        left -= registers
        ffs += registers * len(tree.alive(level))
    counters = [step.counter for layer in tree.layers for step in layer]
    # A word of a bit or two is all but part of the accumulator.
    features = {"narrow" if cell.simd <= 2 else "one": 1, "sum": cell.sum_width}
    if any(play.double for play in cell.planes.plays):
        features["double"] = cell.sum_width
    if cell.simd > 2:
        features["parts"] = sum(popcount.part_widths)
        features["encoded" if cell.encoded else "plain"] = cell.simd * len(popcount.pairs)
    if cell.fabric.counters:
        features["tables"] = sum(counter.tables for counter in counters)
    else:
        short = [counter for counter in counters if len(counter.heights) <= 2]
        features["short"] = sum(counter.width for counter in short)
        # Carry cells of ECP5 add two bits each.
        cell_bits = 2 if cell.fabric.name == "ecp5" else 1
        long = [counter for counter in counters if len(counter.heights) > 2]
        features["chain"] = sum(-(-len(counter.heights) // cell_bits) * cell_bits for counter in long)
        features["chains"] = len(long)
    return Part("cell", ffs, features=features)


def array_parts(p: ArrayParameters) -> list[Part]:
    """Return the parts of a systolic array."""
    cell = multiplier_part(p.cell) if p.planes.multiplies else cell_part(p.cell)
    parts = [replace(cell, count=p.rows * p.cols)]
    word, weight = p.cell.activation_width, p.hop * p.cell.weight_width
    control = 3 + any(play.double for play in p.planes.plays)
    total = p.hop * p.cell.sum_width
    later = p.rows * (p.groups - 1)
    ffs = control * (p.lead + p.stages + p.rows - 1 + later)
    ffs += later * word + word * p.rows * (p.rows - 1) // 2
    ffs += (p.rows - 1) * p.groups * weight
    ffs += p.rows * p.groups + 2 * later * total
    features = {"groups": p.rows * p.groups, "passing": later * total}
    if p.encoded:
        ffs += p.rows * word * p.lead
        features["encoder"] = p.rows * word * p.lead
    parts.append(Part("array", ffs, features=features))
    return parts


def lane_parts(p: LaneArrayParameters) -> list[Part]:
    """Return the parts of a lane array."""
    parts = [Part("lanes", 1, features={"one": 1})]
    if p.operation == "multiply":
        cell = cell_part(p.cell)
        parts.append(Part(cell.kind, cell.ffs, features=cell.features, count=p.lanes))
        return parts
    bits = p.planes.activation_lanes
    features = {"one": 1, "bits": bits - 1} if p.operation == "max" else {"one": 1, "bits": bits, "sum": p.sum_width}
    parts.append(Part(f"lanes.{p.operation}", p.sum_width, features=features, count=p.lanes))
    return parts
