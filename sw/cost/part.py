"""Parts of a design: what can be counted of each, and the features that its logic is estimated from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

__all__ = ["Part", "bits_of", "logic_table_part", "memory_part", "table_part"]

from signfold.sw.cost.memory import Memory, ram, rom
from signfold.sw.cost.tables import rom_tables


@dataclass(frozen=True)
class Part:
    """One component, or what remains of one without those inside it.

    Parameters
    ----------
    kind : str
        What it is: coefficients are per kind.
    ffs : float
        Flip-flops, counted from its registers.
    luts : float
        LUTs that can be counted, those of memories above all.
    brams, dsps, sprams : int
        Block RAMs (halves of 36 kbit on Xilinx), multipliers, and large RAMs of iCE40 UP.
    features : mapping of str to float
        What further LUTs are proportional to.
    count : int
        Equal parts that this stands for.
    """

    kind: str
    ffs: float = 0
    luts: float = 0
    brams: int = 0
    dsps: int = 0
    sprams: int = 0
    features: Mapping[str, float] = field(default_factory=dict)
    count: int = 1


def bits_of(count: int) -> int:
    """Return the width of a register that counts so many values."""
    return max(0, count - 1).bit_length()


def memory_part(fabric: str, width: int, depth: int, count: int = 1) -> Part:
    """Return a memory that is written and read."""
    return _memory("ram", ram(fabric, width, depth), width, count)


def table_part(fabric: str, width: int, depth: int, block: bool, count: int = 1) -> Part:
    """Return a table of random contents."""
    return _memory("rom", rom(fabric, width, depth, block), width, count)


def logic_table_part(fabric: str, columns: Collection[int], depth: int) -> Part:
    """Return a table in LUTs that holds these columns, none of them constant; see `signfold.sw.cost.tables`."""
    luts, chosen = rom_tables(fabric, columns, depth)
    return _memory("rom", Memory("logic", luts, len(columns), 0, chosen), len(columns), 1)


def _memory(kind: str, memory: Memory, width: int, count: int) -> Part:
    features = {"luts": memory.luts, "chosen": memory.chosen} if memory.luts or memory.chosen else {}
    if features and kind == "ram":
        features["one"] = 1
    return Part(f"{kind}.{memory.kind}", memory.ffs, 0, memory.brams, 0, 0, features, count)
