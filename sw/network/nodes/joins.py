"""Where branches meet: sums added, channels put side by side."""

from dataclasses import dataclass
from math import gcd
from typing import ClassVar

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import MAX_SUM, Join, Unary, check_sums
from signfold.sw.network.types import MAX_ELEMENTS, ValueType, is_int, shown

__all__ = ["Add", "Concat", "PadChannels"]


@dataclass(frozen=True, eq=False)
class Add(Join):
    """Sums of one shape, added element by element; they must have one unit, which no one checks but the compiler."""

    op: ClassVar[str] = "add"

    def infer(self, *values: ValueType) -> ValueType:
        """See `Node.infer`."""
        for source, value in zip(self.sources, values, strict=True):
            check_sums(self.name, source, value)
            if value.shape != values[0].shape:
                raise NetworkError(
                    f"node {shown(self.name)}: {shown(source)} has shape {value.shape} and {shown(self.sources[0])} "
                    f"{values[0].shape}; they must be equal"
                )
        low, high = sum(value.low for value in values), sum(value.high for value in values)
        if max(-low, high) >= MAX_SUM:
            raise NetworkError(f"node {shown(self.name)}: sums from {low} to {high} exceed 62 bits")
        return ValueType("sum", values[0].shape, low, high, gcd(*(value.step for value in values)))


@dataclass(frozen=True, eq=False)
class Concat(Join):
    """Channels of all sources, one after another: sums of any ranges, or codes of as many levels."""

    op: ClassVar[str] = "concat"

    def infer(self, *values: ValueType) -> ValueType:
        """See `Node.infer`."""
        first = values[0]
        for source, value in zip(self.sources, values, strict=True):
            if value.kind != first.kind or value.shape[1:] != first.shape[1:]:
                raise NetworkError(
                    f"node {shown(self.name)}: {shown(source)} gives {value.kind}s of shape {value.shape} and "
                    f"{shown(self.sources[0])} {first.kind}s of shape {first.shape}; they may differ in channels alone"
                )
            if value.kind == "code" and value.high != first.high:
                raise NetworkError(
                    f"node {shown(self.name)}: {shown(source)} gives codes 0 to {value.high} and "
                    f"{shown(self.sources[0])} 0 to {first.high}; they must be equal"
                )
        shape = (sum(value.shape[0] for value in values), *first.shape[1:])
        result = _union(values, shape)
        if result.elements > MAX_ELEMENTS:
            raise NetworkError(f"node {shown(self.name)}: shape {shape} is more than {MAX_ELEMENTS} elements")
        return result


@dataclass(frozen=True, eq=False)
class PadChannels(Unary):
    """Sums with channels of zeros before and after their own, as shortcuts have them where channels double.

    Parameters
    ----------
    before, after : int
        Channels, 0 or more, not both 0.
    """

    op: ClassVar[str] = "padchannels"

    before: int
    after: int

    def _check(self) -> None:
        for what in ("before", "after"):
            count = getattr(self, what)
            if not is_int(count) or not 0 <= count <= MAX_ELEMENTS:
                raise NetworkError(
                    f"node {shown(self.name)}: {what} must be an integer from 0 to {MAX_ELEMENTS}, not {shown(count)}"
                )
        if not self.before + self.after:
            raise NetworkError(f"node {shown(self.name)}: before and after must not both be 0")

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        check_sums(self.name, self.input, value)
        shape = (self.before + value.shape[0] + self.after, *value.shape[1:])
        result = _union((value, ValueType("sum", shape, 0, 0, value.step)), shape)
        if result.elements > MAX_ELEMENTS:
            raise NetworkError(f"node {shown(self.name)}: shape {shape} is more than {MAX_ELEMENTS} elements")
        return result


def _union(values: tuple[ValueType, ...], shape: tuple[int, ...]) -> ValueType:
    """Return the type that holds all integers of several."""
    low, high = min(value.low for value in values), max(value.high for value in values)
    step = gcd(*(value.step for value in values), *(value.low - low for value in values))
    return ValueType(values[0].kind, shape, low, high, step)
