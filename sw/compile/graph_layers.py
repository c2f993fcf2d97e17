"""Layers of networks that branch, as the compiler sees them: what joins branches, shortcuts, clips of real numbers."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from signfold.sw.compile.float_layers import FloatLayer
from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = ["Clip", "Join", "Shortcut", "Total"]


@dataclass(frozen=True, eq=False)
class Clip(FloatLayer):
    """Real numbers below `low` become `low`, those above `high` become `high`; None: nothing is cut there.

    A rectifier is a clip at 0, hardtanh one at -1 and 1.
    """

    kind: ClassVar[str] = "clip"

    low: Fraction | None
    high: Fraction | None


@dataclass(frozen=True, eq=False)
class Shortcut(FloatLayer):
    """Every so many rows and columns, then channels of zeros behind those there are.

    Parameters
    ----------
    stride : int
        Of rows and columns, at least 1.
    channels : int
        Channels of the result.
    """

    kind: ClassVar[str] = "subsample"

    stride: int
    channels: int

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if len(shape) != 3 or shape[0] > self.channels:
            raise CompileError(
                f"layer {shown(self.name)}: a shortcut to {self.channels} channels reads at most as many channels of "
                f"an image, not {shape}"
            )
        return (self.channels, *(-(-size // self.stride) for size in shape[1:]))


@dataclass(frozen=True, eq=False)
class Total(FloatLayer):
    """The sum of branches of one shape."""

    kind: ClassVar[str] = "add"

    def shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if len(set(shapes)) > 1:
            raise CompileError(f"layer {shown(self.name)}: it adds values of shapes {shown(shapes)}, must be equal")
        return shapes[0]


@dataclass(frozen=True, eq=False)
class Join(FloatLayer):
    """Channels of all branches, one after another."""

    kind: ClassVar[str] = "concat"

    def shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if len({shape[1:] for shape in shapes}) > 1:
            raise CompileError(
                f"layer {shown(self.name)}: it joins values of shapes {shown(shapes)}, must be equal but for channels"
            )
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])
