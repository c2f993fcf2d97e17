"""Fixed-point numbers: a multiplier, an offset and a shift a channel, saturated."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import MAX_SUM, Unary, check_sums, own
from signfold.sw.network.types import ValueType, is_int, shown

__all__ = ["MAX_SHIFT", "Quantize", "Scale", "Scaled"]

#: Largest shift and number of fraction bits.
MAX_SHIFT = 62


@dataclass(frozen=True, eq=False)
class Scaled(Unary):
    """What `Scale` and `Quantize` share: ``y = floor((multiplier[c]*s + offset[c]) / 2**shift)``, exactly.

    An offset that holds ``2**(shift - 1)`` beside its own value makes that rounding to the nearest. Nothing wraps: what
    comes before the shift must stay within 62 bits for every sum of the type that is read.

    Parameters
    ----------
    multiplier, offset : numpy.ndarray
        int64 ``[channels]``, or ``[1]`` for all channels alike.
    shift : int
        0 to 62.
    """

    multiplier: np.ndarray
    offset: np.ndarray
    shift: int

    def _check(self) -> None:
        for what in ("multiplier", "offset"):
            object.__setattr__(self, what, own(self.name, what, getattr(self, what), "int64", 1))
        if self.multiplier.shape != self.offset.shape:
            raise NetworkError(
                f"node {shown(self.name)}: multiplier has {len(self.multiplier)} channels and offset {len(self.offset)}"
            )
        if not is_int(self.shift) or not 0 <= self.shift <= MAX_SHIFT:
            raise NetworkError(
                f"node {shown(self.name)}: shift must be an integer from 0 to {MAX_SHIFT}, not {shown(self.shift)}"
            )

    def reach(self, value: ValueType) -> tuple[int, int]:
        """Return the lowest and the highest integer that sums of a type become before they are saturated.

        Raises
        ------
        NetworkError
            The value is no sums of as many channels, or exceeds 62 bits on the way.
        """
        check_sums(self.name, self.input, value)
        if len(self.multiplier) not in (1, value.shape[0]):
            raise NetworkError(
                f"node {shown(self.name)}: multipliers for {len(self.multiplier)} channels, but its input "
                f"{shown(self.input)} has {value.shape[0]}"
            )
        ends = []
        for channel, (factor, offset) in enumerate(zip(self.multiplier.tolist(), self.offset.tolist(), strict=True)):
            reached = sorted((factor * value.low + offset, factor * value.high + offset))
            # A product alone must fit as well, for it is there before the offset is added.
            if max(map(abs, (*reached, factor * value.low, factor * value.high))) >= MAX_SUM:
                raise NetworkError(
                    f"node {shown(self.name)}: multiplier {factor} and offset {offset} of channel {channel} exceed "
                    f"62 bits on sums from {value.low} to {value.high}"
                )
            ends += [end >> self.shift for end in reached]
        return min(ends), max(ends)


@dataclass(frozen=True, eq=False)
class Scale(Scaled):
    """Sums of a fixed format from sums: scaled, shifted, and saturated where limits are given.

    Parameters
    ----------
    low, high : int or None
        What lies beyond becomes this; None: nothing is cut. Both or neither.
    fraction : int
        Fraction bits, 0 to 62: a result stands for ``y / 2**fraction``. It does not enter the arithmetic.
    """

    op: ClassVar[str] = "scale"

    low: int | None = None
    high: int | None = None
    fraction: int = 0

    def _check(self) -> None:
        super()._check()
        limits = self.low, self.high
        if limits != (None, None) and not (
            all(is_int(limit) and abs(limit) < MAX_SUM for limit in limits) and self.low < self.high
        ):
            raise NetworkError(
                f"node {shown(self.name)}: low and high must be None or integers of at most 62 bits, low < high, not "
                f"{shown(limits)}"
            )
        if not is_int(self.fraction) or not 0 <= self.fraction <= MAX_SHIFT:
            raise NetworkError(
                f"node {shown(self.name)}: fraction must be an integer from 0 to {MAX_SHIFT}, not "
                f"{shown(self.fraction)}"
            )

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        low, high = self.reach(value)
        if self.low is not None:
            low, high = (min(max(end, self.low), self.high) for end in (low, high))
        return ValueType("sum", value.shape, low, high, 1)


@dataclass(frozen=True, eq=False)
class Quantize(Scaled):
    """Codes from sums, evenly spaced: y as above, saturated to 0 .. ``2**bits - 1``.

    The same function as a `Threshold` of ``2**bits - 1`` evenly spaced levels (of multiplier 1), at the cost of an
    adder instead of a table.

    Parameters
    ----------
    bits : int
        Width of a code, 1 to 8.
    """

    op: ClassVar[str] = "quantize"

    bits: int = 8

    def _check(self) -> None:
        super()._check()
        if not is_int(self.bits) or not 1 <= self.bits <= 8:
            raise NetworkError(f"node {shown(self.name)}: bits must be an integer from 1 to 8, not {shown(self.bits)}")

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        self.reach(value)
        return ValueType("code", value.shape, 0, (1 << self.bits) - 1, 1)
