"""Sums between stages: how integers of either sign travel unsigned, and what joining them makes of that."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from signfold.hw.check import check_integer

__all__ = ["LIMIT", "GivesSums", "SumFormat", "added_format", "common_format"]

#: What no number on the way of a sum reaches: 62 bits, as in the integer network.
LIMIT = 1 << 62


@dataclass(frozen=True)
class SumFormat:
    """Sums s = step * u - origin that travel as unsigned u, as engines and pools give them.

    Codes are sums of step 1 and origin 0.

    Parameters
    ----------
    bits : int
        Width of u.
    step : int
        What a unit of u counts.
    origin : int
        The u times step that stands for 0; negative where all sums are above 0.
    largest : int or None
        Largest u; by default that of the width.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    bits: int
    step: int = 1
    origin: int = 0
    largest: int | None = None

    def __post_init__(self):
        check_integer("bits of a sum", self.bits, minimum=1, maximum=62)
        check_integer("step of a sum", self.step, minimum=1, maximum=LIMIT - 1)
        check_integer("origin of a sum", self.origin, minimum=1 - LIMIT, maximum=LIMIT - 1)
        if self.largest is None:
            object.__setattr__(self, "largest", (1 << self.bits) - 1)
        check_integer("largest of a sum", self.largest, minimum=0, maximum=(1 << self.bits) - 1)
        for name in ("bits", "step", "origin", "largest"):
            # NumPy's integers would wrap.
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if max(self.step * self.largest, self.high) >= LIMIT:
            raise ValueError(f"sums up to {self.high} must stay below 2**62")

    @property
    def low(self) -> int:
        """Smallest s."""
        return -self.origin

    @property
    def high(self) -> int:
        """Largest s."""
        return self.step * self.largest - self.origin

    def brought_to(self, other: "SumFormat") -> tuple[int, int]:
        """Return the factor and the constant, both at least 0, of the u of the same sum in another format.

        Raises
        ------
        ValueError
            If the other format does not hold each of these sums.
        """
        factor, rest = divmod(self.step, other.step)
        constant, offset_rest = divmod(other.origin - self.origin, other.step)
        if rest or offset_rest or constant < 0 or factor * self.largest + constant > other.largest:
            raise ValueError(f"sums of {self} must be sums of {other}")
        return factor, constant


class GivesSums:
    """What parameters whose component gives sums in a format tell of it, in the words of `signfold.hw.stage`."""

    #: Format of what goes out.
    output: SumFormat

    @property
    def output_bits(self) -> int:
        """Width of an outgoing sum, unsigned."""
        return self.output.bits

    @property
    def output_step(self) -> int:
        """Step of the sums that go out."""
        return self.output.step

    @property
    def origin(self) -> int:
        """Origin of the sums that go out."""
        return self.output.origin

    @property
    def largest_output(self) -> int:
        """Largest u that goes out."""
        return self.output.largest


def common_format(formats: Sequence[SumFormat]) -> SumFormat:
    """Return the narrowest format that holds the sums of all `formats`.

    Raises
    ------
    ValueError
        If it would take more than 62 bits.
    """
    origin = max(each.origin for each in formats)
    step = gcd(*(each.step for each in formats), *(origin - each.origin for each in formats))
    return _format(step, origin, max(each.high for each in formats))


def added_format(formats: Sequence[SumFormat]) -> SumFormat:
    """Return the narrowest format of the sum of one value of each of `formats`.

    Raises
    ------
    ValueError
        If it would take more than 62 bits.
    """
    step = gcd(*(each.step for each in formats))
    return _format(step, sum(each.origin for each in formats), sum(each.high for each in formats))


def _format(step: int, origin: int, high: int) -> SumFormat:
    largest = (high + origin) // step
    if max(largest, abs(origin), abs(high)) >= LIMIT:
        raise ValueError(f"sums from {-origin} to {high} must stay below 2**62")
    return SumFormat(max(1, largest.bit_length()), step, origin, largest)
