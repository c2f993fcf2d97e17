"""Cost of what stands between the arrays of networks that branch: scales, forks, joins, channels of zeros.

Counted from widths, not fitted: `docs/hardware.md` holds what synthesis makes of one of each.
"""

from collections.abc import Callable

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.fork import ForkParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.sw.cost.feeder import queue_parts
from signfold.sw.cost.part import Part, bits_of
from signfold.sw.cost.units import rom_part

__all__ = ["branch_functions"]

#: Unsigned numbers that a multiplier block multiplies: signed ones of a bit more.
_BLOCKS = {"xilinx": (24, 17), "ecp5": (17, 17)}


def _scale(p: ScaleStageParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of a scale stage."""
    unit, plan = p.unit, p.unit.plan
    lanes = min(unit.lanes, unit.channels) if unit.beats == 1 else unit.lanes
    widths = {field.name: field.width for field in plan.fields}
    total, output = plan.total_shape.width, unit.output_bits
    # A lane's tables: complement, product, addition, and what is chosen where results are cut. Of the addition of one
    # constant, the zeros that it ends with are wiring, as far as the bits below are dropped.
    added, dsps = float(total), 0
    if "offset" not in widths:
        constant = plan.constants["offset"]
        added = total - min(plan.right, (constant & -constant).bit_length() - 1) if constant else 0
    luts, ffs = added if "offset" in widths else added / 2, added or total
    if "negative" in widths:
        luts += plan.bits
    if "shift" in widths:
        # A choice of four takes a table of six inputs; the ends of the product have fewer to choose from.
        luts += plan.product_width * widths["shift"] * (0.3 if fabric == "xilinx" else 0.6)
    if plan.multiplies:
        ffs += plan.product_width
    if plan.multiplies and "shift" not in widths:
        factor = widths.get("factor", plan.constants.get("factor", 1).bit_length())
        if fabric in _BLOCKS:
            wide, narrow = _BLOCKS[fabric]
            sizes = sorted((plan.bits, factor), reverse=True)
            dsps = -(-sizes[0] // wide) * -(-sizes[1] // narrow)
            if fabric == "xilinx":
                # Blocks of this family add as well, and hold both.
                ffs, luts = 0, luts - added
        else:
            luts += plan.bits * factor
    if plan.saturates:
        ffs += output
        luts += output + sum(limit is not None for limit in plan.cut) * total / 4
    parts = [rom_part(rom, fabric) for rom in unit.roms]
    room = p.queue.depth.bit_length()
    parts += queue_parts(unit.lanes * output + last, p.queue.depth, fabric)
    parts.append(Part("threshold stage", room + 1, features={"one": 1, "room": room}))
    address = 2 * bits_of(unit.beats)
    control = unit.latency * (1 + last) + (address if unit.roms else 0)
    parts.append(Part("scale", lanes * ffs + control, lanes * luts + (address if unit.roms else 0), 0, lanes * dsps))
    return parts


def _fork(p: ForkParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of a fork."""
    return [Part("fork", p.ways, 2 * p.ways + 1)]


def _add(p: AddJoinParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of an add join."""
    ways = len(p.formats)
    return [Part("add", p.lanes * p.output_bits + 1 + last, p.lanes * (ways - 1) * p.output_bits + 2 + 2 * ways)]


def _concat(p: ConcatJoinParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of a concat join."""
    ways, turn = len(p.formats), bits_of(len(p.formats))
    sums = 0
    for source in p.formats:
        factor, constant = source.brought_to(p.output)
        # A factor that is no power of two is another addition.
        sums += (constant != 0) + (factor & (factor - 1) != 0)
    chosen = p.output_bits * (1 + (ways - 2) / (3 if fabric == "xilinx" else 1))
    luts = p.lanes * (chosen + sums * p.output_bits / 2) + 4 * ways
    return [Part("concat", p.lanes * p.output_bits + 1 + last + turn, luts)]


def _padding(p: PadChannelsParameters, fabric: str, last: bool = True) -> list[Part]:
    """Return the parts of a channel padding."""
    place = bits_of(p.beats[0] + 1 + p.beats[2])
    factor, constant = p.source.brought_to(p.output)
    luts = p.lanes * p.output_bits * (1 + (constant != 0)) + 2 * place + 4
    return [Part("padding", p.lanes * p.output_bits + 1 + last + place, luts)]


def branch_functions() -> dict[type, Callable]:
    """Return the functions that give the parts of each kind, as `signfold.sw.cost.units.part_functions`."""
    return {
        AddJoinParameters: _add,
        ConcatJoinParameters: _concat,
        ForkParameters: _fork,
        PadChannelsParameters: _padding,
        ScaleStageParameters: _scale,
    }
