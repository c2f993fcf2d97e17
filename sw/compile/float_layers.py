"""Layers without weights as the compiler sees them: float32 parameters, checked, free of any framework."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.compile.window import Window
from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = [
    "AveragePooling",
    "CommonScale",
    "FloatLayer",
    "MaxPooling",
    "PixelCodes",
    "PixelThresholds",
    "finite",
]


def finite(layer: str, parameter: str, values: np.ndarray) -> np.ndarray:
    """Return a read-only float32 copy, refused with the place of its first NaN or infinity."""
    values = np.array(values, np.float32, order="C")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = tuple(int(index) for index in bad[0])
        raise CompileError(
            f"layer {shown(layer)}: {parameter}{list(place) if place else ''} is {float(values[place])}, must be finite"
        )
    values.flags.writeable = False
    return values


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """What all layers share: the name that checkpoints and error messages use."""

    kind: ClassVar[str]

    name: str

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the result, channels first, for a value of this shape.

        Raises
        ------
        CompileError
            The value does not fit, naming the layer, what comes in and what is wanted.
        """
        return shape


@dataclass(frozen=True, eq=False)
class PixelThresholds(FloatLayer):
    """Bits of pixels: ``pixel >= threshold``; int64 ``[1]``, or one a pixel of a flat picture, any integers.

    Of a picture with channels: one a channel.
    """

    kind: ClassVar[str] = "input_threshold"

    thresholds: np.ndarray

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if self.thresholds.shape not in ((1,), (shape[0],)):
            raise CompileError(
                f"layer {shown(self.name)}: {self.thresholds.size} thresholds, must be 1 or one for each of "
                f"{shape[0]} {'pixels' if len(shape) == 1 else 'channels'}"
            )
        return shape


@dataclass(frozen=True, eq=False)
class PixelCodes(FloatLayer):
    """Pixels as they are: code q of k bits stands for ``(q/(2**k - 1) - mean)/std``, or ``(2*q - (2**k - 1))/divisor``.

    Parameters
    ----------
    name : str
        Name of the layer.
    mean, std : numpy.ndarray
        float32, one number or one a channel; std is positive.
    divisor : int or None
        In the place of both, where it is given.
    """

    kind: ClassVar[str] = "input_codes"

    mean: np.ndarray
    std: np.ndarray
    divisor: int | None = None

    def __post_init__(self) -> None:
        """Check the parameters."""
        for parameter in ("mean", "std"):
            object.__setattr__(self, parameter, finite(self.name, parameter, getattr(self, parameter)))
        for channel, std in enumerate(self.std.tolist()):
            if std <= 0:
                raise CompileError(f"layer {shown(self.name)}: std[{channel}] is {std!r}, must be positive")

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        for parameter in ("mean", "std"):
            count = len(getattr(self, parameter))
            if count not in (1, shape[0]):
                raise CompileError(
                    f"layer {shown(self.name)}: {count} numbers in {parameter}, must be 1 or one for each of "
                    f"{shape[0]} channels"
                )
        return shape


@dataclass(frozen=True, eq=False)
class _Pooling(FloatLayer):
    window: Window

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if len(shape) != 3:
            raise CompileError(f"layer {shown(self.name)}: pooling reads (channels, height, width), not {shape}")
        return (shape[0], *self.window.positions(self.name, shape[1:]))


@dataclass(frozen=True, eq=False)
class MaxPooling(_Pooling):
    """Largest value of each window; pads never win."""

    kind: ClassVar[str] = "maxpool"


@dataclass(frozen=True, eq=False)
class AveragePooling(_Pooling):
    """Mean of each window, pads counted as 0."""

    kind: ClassVar[str] = "avgpool"


@dataclass(frozen=True, eq=False)
class CommonScale(FloatLayer):
    """Scores ``s * exp(log_scale)``: one positive scale for all classes."""

    kind: ClassVar[str] = "scale"

    log_scale: np.ndarray

    def __post_init__(self) -> None:
        """Check the scale."""
        object.__setattr__(self, "log_scale", finite(self.name, "log_scale", self.log_scale))
