"""Layers with weights as the compiler sees them: latent floats, and the codes that stand for what they are used as."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import ClassVar

import numpy as np

from signfold.sw.compile.float_layers import FloatLayer, finite
from signfold.sw.compile.window import Window
from signfold.sw.errors import CompileError
from signfold.sw.network.nodes.levels import LEVELS, code_type
from signfold.sw.network.types import shown

__all__ = ["FloatConv", "FloatDense", "LinearLayer"]


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
        uint8 of the weights' shape, uint16 for more than 256 levels, 0 to ``levels - 1``. None, with two levels: the
        signs.
    scale : numpy.ndarray or None
        float32 ``[1]`` or ``[out]``: what the weights are multiplied by besides; may be negative or 0. None: 1.
    copies : int
        Times that each sum is computed, channels of a copy together: `channels` counts all of them.
    bias : numpy.ndarray or None
        float32 ``[out]``: latents whose signs, sign(0) = +1, are added to the sums; not with a scale. None: nothing is.

    Raises
    ------
    CompileError
        A weight, scale or bias is not finite, a code is out of range, or there are a scale and a bias.
    """

    weights: np.ndarray
    levels: int = 2
    codes: np.ndarray | None = None
    scale: np.ndarray | None = None
    copies: int = 1
    bias: np.ndarray | None = None
    #: Whether the codes were given, not made of the signs.
    stored: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Check the weights."""
        object.__setattr__(self, "weights", finite(self.name, "weight", self.weights))
        if self.levels not in LEVELS:
            raise CompileError(
                f"layer {shown(self.name)}: levels is {shown(self.levels)}, must be 3 or 2, 4, 8, ..., 65536"
            )
        if self.codes is None and self.levels != 2:
            raise CompileError(f"layer {shown(self.name)}: weights of {self.levels} levels need their codes")
        kind = code_type(self.levels)
        codes = (self.weights >= 0).astype(kind) if self.codes is None else np.array(self.codes, kind)
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
        object.__setattr__(self, "stored", self.codes is not None)
        object.__setattr__(self, "codes", codes)
        if self.scale is not None:
            object.__setattr__(self, "scale", finite(self.name, "scale", self.scale))
            if self.scale.shape not in ((1,), (self.channels,)):
                raise CompileError(
                    f"layer {shown(self.name)}: scale has shape {self.scale.shape}, must be 1 number or one for each "
                    f"of {self.channels} channels"
                )

        if self.bias is not None:
            object.__setattr__(self, "bias", finite(self.name, "bias", self.bias))
            if self.scale is not None or self.bias.shape != (self.channels,):
                raise CompileError(
                    f"layer {shown(self.name)}: bias has shape {self.bias.shape}, must be one number for each of "
                    f"{self.channels} channels of weights without a scale"
                )

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

    @property
    def factors(self) -> tuple[Fraction, ...]:
        """The scale: one number, or one a channel."""
        return (Fraction(1),) if self.scale is None else tuple(Fraction(float(scale)) for scale in self.scale)

    @property
    def biases(self) -> np.ndarray:
        """What is added to the sums of weights, int64 ``[channels]``: -1, 0 or +1."""
        return np.zeros(self.channels, np.int64) if self.bias is None else np.where(self.bias >= 0, 1, -1)

    @property
    def negative(self) -> np.ndarray:
        """Bool ``[channels]``: the scale is negative."""
        return np.zeros(self.channels, bool) if self.scale is None else np.resize(self.scale < 0, self.channels)


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
