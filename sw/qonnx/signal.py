"""What is known of a tensor that depends on the pictures, on its way through the graph."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from signfold.sw.network import ValueType
from signfold.sw.qonnx.layout import Layout
from signfold.sw.qonnx.line import Line

__all__ = ["Pixels", "Signal"]


@dataclass(frozen=True)
class Pixels:
    """The pictures' codes, and what they stand for: code q is the real number ``scale*q + offset``."""

    bits: int = 8
    scale: Fraction = Fraction(1, 255)
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, eq=False)
class Signal:
    """What is known of a tensor.

    Parameters
    ----------
    source : str
        Node of the integer network that gives the value behind it, or ``"input"``.
    value : ValueType
        Type of that value.
    layout : Layout
        Where the tensor's elements lie in it.
    lines : tuple of Line
        What its integers (of codes: from 0) stand for: one for all channels, or one a channel.
    linear : int or None
        Node, by its place, whose weights can still negate channels.
    """

    source: str
    value: ValueType
    layout: Layout
    lines: tuple[Line, ...]
    linear: int | None = None

    @property
    def channels(self) -> int:
        """Channels of the value."""
        return self.value.shape[0]

    def line(self, channel: int) -> Line:
        """Return the line of a channel."""
        return self.lines[channel % len(self.lines)]

    def each(self, function: Callable[[Line, int], Line], counts: list[int]) -> "Signal":
        """Return the signal with its lines changed; `function` gets a channel, below the largest of `counts`."""
        count = max(len(self.lines), *counts)
        return replace(self, lines=tuple(function(self.line(channel), channel) for channel in range(count)))
