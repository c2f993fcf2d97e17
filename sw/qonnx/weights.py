"""Pass: constant weights become integers of whole bit planes, times a positive unit a channel."""

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm

import numpy as np

from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.number import Number
from signfold.sw.qonnx.table import Table

__all__ = ["IntegerWeights", "integer_weights"]

#: Largest number of levels of a weight.
_MOST = 256


@dataclass(frozen=True, eq=False)
class IntegerWeights:
    """``weight = unit*integer``.

    Parameters
    ----------
    integers : numpy.ndarray
        int64 ``[channels, ...]``: odd integers from ``-(levels - 1)`` to ``levels - 1``; of 3 levels -2, 0 and 2.
    levels : int
        2, 3 or a power of two up to 256.
    units : list of Fraction
        One a channel, positive; 0 where all weights of the channel are 0.
    """

    integers: np.ndarray
    levels: int
    units: list[Fraction]

    @property
    def codes(self) -> np.ndarray:
        """Weights as the integer network stores them, uint8."""
        return ((self.integers + self.levels - 1) // 2).astype(np.uint8)


def integer_weights(operation: Operation, table: Table) -> IntegerWeights:
    """Find the integers of constant weights ``[channels, ...]``.

    Raises
    ------
    CompileError
        A channel's weights are no odd multiples of one number, and not -w, 0 and w.
    """
    channels = table.index.reshape(len(table.index), -1)
    places = [np.unique(row) for row in channels]
    for channel, row in enumerate(places):
        if len(row) > _MOST:
            raise refuse(
                operation,
                f"weights of channel {channel} take {len(row)} values: they are real numbers; a BipolarQuant or Quant "
                f"before them is missing",
            )
    scaled = [_multiples(operation, channel, [table.numbers[p] for p in row]) for channel, row in enumerate(places)]
    # What each channel can be: odd integers, or -1, 0 and 1.
    ternary = any(0 in multiples for _, multiples in scaled)
    highest = max(abs(multiple) for _, multiples in scaled for multiple in multiples)
    for channel, (unit, multiples) in enumerate(scaled):
        whole = all(multiple % 2 for multiple in multiples)
        if unit and ((ternary and max(map(abs, multiples)) > 1) or (not ternary and not whole)) or highest >= _MOST:
            few = ", ".join(f"{float(unit) * m:g}" for m in sorted(multiples)[:4])
            raise refuse(
                operation,
                f"weights of channel {channel} take {len(multiples)} values such as {few}, which are neither odd "
                f"multiples of one number up to {_MOST - 1} nor -w, 0 and w, so they are no sums of bit planes; the "
                f"nearest that imports: bipolar, ternary, or k-bit weights without a zero (DoReFa)",
            )
    levels = 3 if ternary else 1 << highest.bit_length()
    factor = 2 if ternary else 1
    integers = np.empty(channels.shape, np.int64)
    units = []
    for channel, (unit, multiples) in enumerate(scaled):
        lookup = np.zeros(len(table.numbers), np.int64)
        lookup[places[channel]] = [factor * multiple for multiple in multiples]
        integers[channel] = lookup[channels[channel]]
        units.append(unit / factor)
    if ternary and all(unit == 0 for unit in units):
        levels, integers = 2, integers + 1
    return IntegerWeights(integers.reshape(table.index.shape), levels, units)


def _multiples(operation: Operation, channel: int, numbers: list[Number]) -> tuple[Fraction, list[int]]:
    """Return the largest common divisor of a channel's weights, and what multiples of it they are."""
    if not all(isinstance(number, Fraction) for number in numbers):
        raise refuse(operation, f"weights of channel {channel} have square roots in them")
    below = reduce(lcm, (number.denominator for number in numbers), 1)
    above = reduce(gcd, (number.numerator * (below // number.denominator) for number in numbers), 0)
    unit = Fraction(above, below)
    return unit, [int(number / unit) if unit else 0 for number in numbers]
