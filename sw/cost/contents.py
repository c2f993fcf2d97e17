"""What is compared with, or added to, the fields of a table: which of their bits count, by their contents."""

from dataclasses import dataclass

from signfold.hw.rom import RomParameters
from signfold.sw.cost.tables import table_columns

__all__ = ["Fields", "fields"]

#: Inputs of a LUT: comparisons of so many bits with a constant are gates, longer ones carry chains.
_GATES = {"ice40": 4, "ecp5": 4, "xilinx": 6}


@dataclass(frozen=True)
class Fields:
    """Equal fields of a table's words.

    Parameters
    ----------
    constant : tuple of int
        Values of the fields that hold the same in every word.
    variable : tuple of (int, int)
        Of the others, the lowest bit that is ever set and the number of bits from the lowest up to the highest.
    """

    constant: tuple[int, ...]
    variable: tuple[tuple[int, int], ...]

    @staticmethod
    def random(count: int, width: int, depth: int) -> "Fields":
        """Return fields of a table of so many words whose contents nobody knows."""
        if depth == 1:
            return Fields((1 << (width - 1) | 2,) * count, ())
        return Fields((), ((0, width),) * count)

    def compared(self, width: int, fabric: str) -> dict[str, float]:
        """Return features of telling whether numbers of `width` bits are at least the fields."""
        features = {"gates": 0, "fixed": 0, "compared": 0, "chains": 0}
        for value in self.constant:
            # Every number is at least 0, and none at least 2**width.
            if not 0 < value < 1 << width:
                continue
            bits = width - _zeros(value)
            if bits <= _GATES[fabric]:
                features["gates"] += bits > 1
            else:
                features["fixed"] += bits
                features["chains"] += 1
        for low, high in self.variable:
            features["compared"] += max(width, high) - low
            features["chains"] += 1
        return features

    def added(self, width: int) -> dict[str, float]:
        """Return features of adding the fields to numbers, with sums of `width` bits."""
        constant = [width - _zeros(value) for value in self.constant if value]
        variable = [width - low for low, _ in self.variable]
        return {"fixed": sum(constant), "sum": sum(variable), "chains": len(constant) + len(variable)}

    def flipped(self) -> dict[str, float]:
        """Return features of complementing a bit where a field of one bit is set."""
        return {"inverted": sum(self.constant), "bits": len(self.variable)}


def fields(rom: RomParameters, width: int) -> Fields:
    """Return what the fields of `width` bits of a table hold."""
    found = table_columns(rom.width, rom.words)
    full = (1 << found.words) - 1
    constant, variable = [], []
    for start in range(0, rom.width, width):
        own = found.columns[start : start + width]
        if all(column in (0, full) for column in own):
            constant.append(sum(bool(column) << bit for bit, column in enumerate(own)))
        else:
            some = [bit for bit, column in enumerate(own) if column]
            variable.append((some[0], some[-1] + 1))
    return Fields(tuple(constant), tuple(variable))


def _zeros(value: int) -> int:
    return (value & -value).bit_length() - 1
