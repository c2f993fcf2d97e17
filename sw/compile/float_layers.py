"""Layers of the trained network as the compiler sees them: float32 parameters, checked, free of any framework."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from signfold.sw.compile.activation import Activation
from signfold.sw.compile.window import Window
from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = [
    "AveragePooling",
    "BatchNorm",
    "CommonScale",
    "FloatConv",
    "FloatDense",
    "FloatLayer",
    "LinearLayer",
    "MaxPooling",
    "PixelCodes",
    "PixelThresholds",
]


def _finite(layer: str, parameter: str, values: np.ndarray) -> np.ndarray:
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
    """Pixels as they are: code q of k bits stands for ``(q/(2**k - 1) - mean)/std``.

    Parameters
    ----------
    name : str
        Name of the layer.
    mean, std : numpy.ndarray
        float32, one number or one a channel; std is positive.
    """

    kind: ClassVar[str] = "input_codes"

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        """Check the parameters."""
        for parameter in ("mean", "std"):
            object.__setattr__(self, parameter, _finite(self.name, parameter, getattr(self, parameter)))
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
class LinearLayer(FloatLayer):
    """What dense layers and convolutions share: latent weights, and the codes that stand for what they are used as.

    Parameters
    ----------
    name : str
        Name of the layer.
    weights : numpy.ndarray
        Latent weights, float32, output channels first.
    levels : int
        Values that a weight can take. 2: its sign, sign(0) = +1. ``2**k``: code c stands for ``(2*c - (levels - 1)) /
        (levels - 1)`` (DoReFa). 3: code c stands for ``c - 1`` (ternary).
    codes : numpy.ndarray or None
        uint8 of the weights' shape, 0 to ``levels - 1``; with two levels made of the signs, whatever is given.

    Raises
    ------
    CompileError
        A weight is not finite, or a code is out of range.
    """

    weights: np.ndarray
    levels: int = 2
    codes: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the weights."""
        object.__setattr__(self, "weights", _finite(self.name, "weight", self.weights))
        if self.levels not in (3, *(1 << bits for bits in range(1, 9))):
            raise CompileError(
                f"layer {shown(self.name)}: levels is {shown(self.levels)}, must be 3 or 2, 4, 8, ..., 256"
            )
        if self.codes is None and self.levels != 2:
            raise CompileError(f"layer {shown(self.name)}: weights of {self.levels} levels need their codes")
        codes = (self.weights >= 0).astype(np.uint8) if self.levels == 2 else np.array(self.codes, np.uint8)
        if codes.shape != self.weights.shape:
            raise CompileError(
                f"layer {shown(self.name)}: codes have shape {codes.shape}, but weights {self.weights.shape}"
            )
        bad = np.argwhere(codes >= self.levels)
        if len(bad):
            place = tuple(int(index) for index in bad[0])
            raise CompileError(
                f"layer {shown(self.name)}: code {list(place)} is {int(codes[place])}, must be below {self.levels}"
            )
        codes.flags.writeable = False
        object.__setattr__(self, "codes", codes)

    @property
    def channels(self) -> int:
        """Sums at each position."""
        return len(self.weights)

    @property
    def fan_in(self) -> int:
        """Products in each sum."""
        return prod(self.weights.shape[1:])

    @property
    def integers(self) -> np.ndarray:
        """Weights as the integer network has them, int64: odd integers, or -2, 0 and 2 with three levels."""
        return 2 * self.codes.astype(np.int64) - (self.levels - 1)

    @property
    def divisor(self) -> int:
        """What `integers` are divided by to give the weights."""
        return self.levels - 1


@dataclass(frozen=True, eq=False)
class FloatDense(LinearLayer):
    """A fully connected layer, weights ``[out, in]``; what it reads is flattened, channels first."""

    kind: ClassVar[str] = "dense"

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if self.fan_in != prod(shape):
            raise CompileError(f"layer {shown(self.name)}: fan-in {self.fan_in}, but {prod(shape)} values come in")
        return (self.channels,)


@dataclass(frozen=True, eq=False)
class FloatConv(LinearLayer):
    """A convolution (cross-correlation, as frameworks have it), weights ``[out, in/groups, height, width]``.

    Parameters
    ----------
    window : Window
        Kernel, stride and padding.
    pad : int or None
        None: pads are the real number 0. An integer: they are what this code of the input stands for.
    groups : int
        1, or the number of channels, which must be equal in and out (depthwise).
    """

    kind: ClassVar[str] = "conv"

    window: Window = Window((1, 1))
    pad: int | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        """Check weights and window."""
        super().__post_init__()
        if self.weights.ndim != 4 or self.weights.shape[2:] != self.window.kernel:
            raise CompileError(
                f"layer {shown(self.name)}: weights have shape {self.weights.shape}, but the kernel is "
                f"{self.window.kernel}"
            )

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        if len(shape) != 3:
            raise CompileError(f"layer {shown(self.name)}: a convolution reads (channels, height, width), not {shape}")
        if self.groups not in (1, shape[0]) or (self.groups > 1 and self.channels != shape[0]):
            raise CompileError(
                f"layer {shown(self.name)}: groups is {self.groups} with {shape[0]} channels in and {self.channels} "
                f"out, must be 1, or depthwise (as many groups as channels in and out)"
            )
        if self.weights.shape[1] * self.groups != shape[0]:
            raise CompileError(
                f"layer {shown(self.name)}: {self.weights.shape[1] * self.groups} channels wanted, but {shape[0]} "
                f"channels come in"
            )
        return (self.channels, *self.window.positions(self.name, shape[1:]))


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
class BatchNorm(FloatLayer):
    """Batch normalization a channel, ``y = gamma*(s - mean)/sqrt(variance + eps) + beta``, and what follows it.

    Parameters
    ----------
    name : str
        Name of the layer.
    gamma, beta, mean, variance : numpy.ndarray
        float32, one a channel.
    eps : float
        Rounded to float32, as frameworks do before they add it.
    activation : Activation or None
        Makes codes of y; None: y are the scores.

    Raises
    ------
    CompileError
        A parameter is NaN or infinite, a variance is negative, or ``variance + eps`` is not positive.
    """

    kind: ClassVar[str] = "batchnorm"

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    eps: float
    activation: Activation | None

    def __post_init__(self) -> None:
        """Check the parameters."""
        for parameter in ("gamma", "beta", "mean", "variance"):
            object.__setattr__(self, parameter, _finite(self.name, parameter, getattr(self, parameter)))
        with np.errstate(over="ignore"):
            eps = np.float32(self.eps)
        if not np.isfinite(eps):
            raise CompileError(f"layer {shown(self.name)}: eps is {self.eps!r}, must be finite in float32")
        object.__setattr__(self, "eps", float(eps))
        for channel, variance in enumerate(self.variance.tolist()):
            # The sign of a float64 sum of two float32 numbers is exact.
            if variance < 0 or variance + self.eps <= 0:
                raise CompileError(
                    f"layer {shown(self.name)}: variance[{channel}] is {variance!r} and eps {self.eps!r}; the variance "
                    f"must not be negative and their sum must be positive"
                )

    @property
    def channels(self) -> int:
        """Channels normalized."""
        return len(self.gamma)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        for parameter in ("gamma", "beta", "mean", "variance"):
            values = getattr(self, parameter)
            if values.shape != (shape[0],):
                raise CompileError(
                    f"layer {shown(self.name)}: {parameter} has shape {values.shape}, but {shape[0]} channels come in"
                )
        return shape


@dataclass(frozen=True, eq=False)
class CommonScale(FloatLayer):
    """Scores ``s * exp(log_scale)``: one positive scale for all classes."""

    kind: ClassVar[str] = "scale"

    log_scale: np.ndarray

    def __post_init__(self) -> None:
        """Check the scale."""
        object.__setattr__(self, "log_scale", _finite(self.name, "log_scale", self.log_scale))
