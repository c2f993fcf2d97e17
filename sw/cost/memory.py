"""Memories before synthesis: which block RAMs, LUT RAMs or logic Yosys makes of a table or a two-port memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from signfold.sw.cost.tables import expected_tables

__all__ = ["Memory", "ram", "rom", "rom_width"]

#: Widths and depths of a block RAM, as tables (one port) and as memories that are written and read.
_BLOCKS = {
    "ice40": {"rom": ((2, 2048), (4, 1024), (8, 512), (16, 256)), "ram": ((2, 2048), (4, 1024), (8, 512), (16, 256))},
    "ecp5": {
        "rom": ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)),
        "ram": ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)),
    },
    # In halves of a 36 kbit RAM.
    "xilinx": {
        "rom": ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)),
        "ram": ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)),
    },
}
#: Cost of a block RAM in memory_libmap, and of the logic around one where a read and a write may meet.
_BLOCK_COST = {"ice40": 64, "ecp5": 128, "xilinx": 129}
_EMULATION = {"ice40": 15, "ecp5": 8, "xilinx": 2}
_FACTOR = 0.5


@dataclass(frozen=True)
class Memory:
    """What a memory takes.

    Parameters
    ----------
    kind : str
        "block", "distributed" or "logic".
    luts, ffs, brams : int or float
        Resources.
    chosen : float
        LUTs of a table that choose between others.
    """

    kind: str
    luts: float
    ffs: float
    brams: int
    chosen: float = 0


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _mux(ways: int, fabric: str) -> float:
    """Return the LUTs of a bit chosen from so many."""
    if ways <= 1:
        return 0
    if fabric == "xilinx":
        return _ceil(ways - 1, 3)
    return ways - 1 if ways != 5 else 3


def _block(fabric: str, shape: str, width: int, depth: int) -> tuple[float, int, int]:
    """Return cost, number and banks of the block RAMs for a memory."""
    best = None
    for unit, places in _BLOCKS[fabric][shape]:
        banks = _ceil(depth, places)
        padded = width if shape == "rom" else _padded(fabric, unit, width)
        number = _ceil(banks * padded, unit)
        cost = _BLOCK_COST[fabric] * number + _FACTOR * ((banks - 1) * width + (banks if banks > 1 else 0))
        if best is None or cost < best[0]:
            best = cost, number, banks
    return best


def _padded(fabric: str, unit: int, width: int) -> int:
    """Return the width up to whole units of write enable: bits on iCE40, bytes of 9 bits elsewhere."""
    byte = 1 if fabric == "ice40" else min(unit, 9)
    return _ceil(width, byte) * byte


def _distributed(fabric: str, width: int, depth: int) -> tuple[float, float] | None:
    """Return cost and LUTs of a LUT RAM."""
    if fabric == "ice40":
        return None
    if fabric == "ecp5":
        banks = _ceil(depth, 16)
        units = banks * _ceil(width, 4)
        cost, luts = 4 * units, 4 * units
    else:
        options = []
        for bits, places in ((6, 32), (3, 64)):
            banks = _ceil(depth, places)
            units = banks * _ceil(width, bits)
            options.append((units + 7 * banks * width / bits + _FACTOR * (banks - 1) * width, units, banks))
        for bits, places in ((4, 32), (2, 64), (1, 128)):
            banks = _ceil(depth, places)
            options.append(
                (8 * banks * width / bits + _FACTOR * (banks - 1) * width, banks * _ceil(width, bits), banks)
            )
        cost, units, banks = min(options)
        cost -= _FACTOR * (banks - 1) * width
        luts = 4 * units
    cost += _FACTOR * ((banks - 1) * width + (banks if banks > 1 else 0)) + 2
    return cost, luts + width * _mux(banks, fabric) + (banks if banks > 1 else 0)


@lru_cache(maxsize=1 << 16)
def ram(fabric: str, width: int, depth: int) -> Memory:
    """Return what a memory with a write port and a clocked read port takes.

    Where a block RAM has no defined value for a place read while it is written, Yosys adds registers and a comparison.

    Parameters
    ----------
    fabric : str
        "ecp5", "ice40" or "xilinx".
    width, depth : int
        Bits of a word, words.
    """
    if width == 0:
        return Memory("logic", 0, 0, 0)
    if depth == 1:
        return Memory("logic", width, 2 * width, 0)
    address = (depth - 1).bit_length()
    cost, number, banks = _block(fabric, "ram", width, depth)
    options = [(cost + _EMULATION[fabric], "block")]
    spread = _distributed(fabric, width, depth)
    if spread:
        options.append((spread[0], "distributed"))
    options.append((width * depth, "logic"))
    # Where costs are equal, logic.
    kind = min(options, key=lambda option: (option[0], option[1] != "logic"))[1]
    if kind == "logic":
        return Memory(kind, depth + width * _mux(depth, fabric), width * depth + width, 0)
    if kind == "distributed":
        return Memory(kind, spread[1], width, 0)
    luts = width * _mux(banks, fabric) + (banks if banks > 1 else 0)
    ffs = (banks - 1).bit_length()
    if fabric != "xilinx":
        luts, ffs = luts + width + address + 2, ffs + 2 * width + address + 2
    return Memory(kind, luts, ffs, number)


def rom_width(width: int, words: Sequence[int]) -> int:
    """Return how many columns of a table are not constant: synthesis leaves the others out."""
    ones, zeros, mask = 0, 0, (1 << width) - 1
    for word in words:
        ones |= word
        zeros |= ~word & mask
    return (ones & zeros).bit_count()


def rom(fabric: str, width: int, depth: int, block: bool) -> Memory:
    """Return what a table of random contents with a clocked output takes.

    Parameters
    ----------
    fabric : str
        "ecp5", "ice40" or "xilinx".
    width, depth : int
        Bits of a word, words.
    block : bool
        It lies in block RAM; else in LUTs.
    """
    if block and depth > 1 and width:
        _, number, banks = _block(fabric, "rom", width, depth)
        return Memory("block", width * _mux(banks, fabric), (banks - 1).bit_length(), number)
    luts, chosen, columns = expected_tables(fabric, width, depth)
    return Memory("logic", luts, columns, 0, chosen)
