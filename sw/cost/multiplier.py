"""Cost of cells that multiply: multiplier blocks, and the additions around them."""

from functools import lru_cache

from signfold.hw.fabric import Fabric
from signfold.hw.multiplier_cell import MultiplierCellParameters
from signfold.hw.planes import PlaneParameters
from signfold.sw.cost.part import Part

__all__ = ["FEWEST_BLOCKS", "blocks", "multiplier_part"]

#: Multiplier blocks of the smallest devices that networks go on: XC7Z010, LFE5U-25F and GW1NR-9.
FEWEST_BLOCKS = {"xilinx": 80, "ecp5": 28, "gowin": 20}

#: Bits of a product below which synthesis multiplies in logic although there are blocks.
_SMALLEST = {"xilinx": 9}
#: LUTs for each bit of the additions, of the total, and for each partial product of a multiplication in logic, after
#: `python benchmarks/multipliers.py` and cells alone of 1 to 16 codes and 1 to 16 bits. Xilinx's blocks add as well.
_LUTS = {"xilinx": (1.0, 0.0, 2.0), "ecp5": (2.1, 2.1, 2.5), "ice40": (1.1, 1.1, 2.5)}


def blocks(planes: PlaneParameters, fabric: Fabric) -> int:
    """Return the multiplier blocks that one product takes; 0 where it is computed in logic."""
    if fabric.multiplier is None:
        return 0
    narrow, wide = sorted((planes.activation_bits + 1, planes.weight_planes + 1))
    if narrow + wide < _SMALLEST.get(fabric.name, 0):
        return 0
    least, most = sorted(fabric.multiplier)
    return -(-narrow // least) * -(-wide // most)


@lru_cache(maxsize=4096)
def multiplier_part(cell: MultiplierCellParameters) -> Part:
    """Return a cell that multiplies."""
    fabric, planes = cell.fabric, cell.planes
    widths = planes.activation_bits, planes.weight_planes + 1
    before, behind, *levels = cell.registers
    taken = blocks(planes, fabric)
    # Xilinx's blocks have registers of their own for all of that, and with one product for the total.
    inside = fabric.name == "xilinx" and taken
    ffs = 0 if inside else cell.simd * (before + behind) * sum(widths)
    if not inside or cell.simd > 1:
        ffs += cell.sum_width
    width, count, added = sum(widths), cell.simd, 0
    for registers in levels:
        width += 1
        added += count // 2 * width
        count = -(-count // 2)
        ffs += registers * count * width
    bit, total, partial = _LUTS.get(fabric.name, _LUTS["ecp5"])
    luts = bit * added + total * cell.sum_width
    if not taken:
        luts += partial * cell.simd * widths[0] * widths[1]
    return Part("multiplier", ffs, luts, 0, cell.simd * taken)
