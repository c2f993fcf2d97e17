"""The trained network as the compiler sees it: float32 parameters, checked, free of any framework."""

from dataclasses import dataclass, fields

import numpy as np

from signfold.sw.errors import CompileError
from signfold.sw.network import InputType
from signfold.sw.network.types import shown

__all__ = ["BatchNorm", "CommonScale", "FloatDense", "FloatLayer", "FloatNetwork", "PixelThresholds"]


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

    name: str


@dataclass(frozen=True, eq=False)
class PixelThresholds(FloatLayer):
    """Bits of pixels: ``pixel >= threshold``; int64 ``[1]`` or one a pixel, any integers."""

    thresholds: np.ndarray


@dataclass(frozen=True, eq=False)
class FloatDense(FloatLayer):
    """Latent weights, float32 ``[out, in]``; a weight stands for +1 where it is >= 0, else for -1."""

    weights: np.ndarray

    def __post_init__(self) -> None:
        """Check the weights."""
        object.__setattr__(self, "weights", _finite(self.name, "weight", self.weights))

    @property
    def bits(self) -> np.ndarray:
        """Weights as bits, uint8 ``[out, in]``: 1 is +1."""
        return (self.weights >= 0).astype(np.uint8)

    @property
    def fan_in(self) -> int:
        """Products in each sum."""
        return self.weights.shape[1]


@dataclass(frozen=True, eq=False)
class BatchNorm(FloatLayer):
    """Batch normalization of sums, ``y = gamma*(s - mean)/sqrt(variance + eps) + beta``, then the sign or the scores.

    Parameters
    ----------
    name : str
        Name of the layer.
    gamma, beta, mean, variance : numpy.ndarray
        float32, one a channel.
    eps : float
        Rounded to float32, as frameworks do before they add it.
    sign : bool
        Bits follow (1 where ``y >= 0``); otherwise y are the scores.

    Raises
    ------
    CompileError
        A parameter is NaN or infinite, a variance is negative, or ``variance + eps`` is not positive.
    """

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    eps: float
    sign: bool

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


@dataclass(frozen=True, eq=False)
class CommonScale(FloatLayer):
    """Scores ``s * exp(log_scale)``: one positive scale for all classes."""

    log_scale: np.ndarray

    def __post_init__(self) -> None:
        """Check the scale."""
        object.__setattr__(self, "log_scale", _finite(self.name, "log_scale", self.log_scale))


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A chain: pixel thresholds, dense layers each followed by a `BatchNorm` with sign, a last dense layer, a head.

    Parameters
    ----------
    input : InputType
        Pictures taken.
    pixels : PixelThresholds
        First layer.
    hidden : tuple of (FloatDense, BatchNorm)
        Layers whose results are bits; may be empty.
    last : FloatDense
        Dense layer whose sums make the scores.
    head : CommonScale, BatchNorm or None
        What follows it; None: the sums are the scores.

    Raises
    ------
    CompileError
        Shapes do not fit, naming the layer.
    """

    input: InputType
    pixels: PixelThresholds
    hidden: tuple[tuple[FloatDense, BatchNorm], ...]
    last: FloatDense
    head: CommonScale | BatchNorm | None

    def __post_init__(self) -> None:
        """Check that the layers fit together."""
        if self.pixels.thresholds.shape not in ((1,), (self.input.elements,)):
            raise CompileError(
                f"layer {shown(self.pixels.name)}: {self.pixels.thresholds.size} thresholds, must be 1 or one for "
                f"each of {self.input.elements} pixels"
            )
        width = self.input.elements
        blocks = [*self.hidden, (self.last, self.head if isinstance(self.head, BatchNorm) else None)]
        for dense, norm in blocks:
            if dense.fan_in != width:
                raise CompileError(f"layer {shown(dense.name)}: fan-in {dense.fan_in}, but {width} values come in")
            width = len(dense.weights)
            if norm is not None:
                if norm.sign == (norm is self.head):
                    raise CompileError(f"layer {shown(norm.name)}: hidden layers give bits, the last one scores")
                self._check_norm(norm, width)

    @staticmethod
    def _check_norm(norm: BatchNorm, channels: int) -> None:
        for field in fields(norm):
            values = getattr(norm, field.name)
            if isinstance(values, np.ndarray) and values.shape != (channels,):
                raise CompileError(
                    f"layer {shown(norm.name)}: {field.name} has shape {values.shape}, but {channels} channels come in"
                )

    @property
    def widths(self) -> tuple[int, ...]:
        """Pixels, hidden channels, classes."""
        return (self.input.elements, *(len(dense.weights) for dense, _ in self.hidden), len(self.last.weights))
