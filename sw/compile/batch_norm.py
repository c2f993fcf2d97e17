"""Batch normalization and the activation after it, as the compiler sees them: float32 parameters, and exact ones."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from signfold.sw.compile.activation import Activation
from signfold.sw.compile.float_layers import FloatLayer, finite
from signfold.sw.compile.power_of_two import power_of_two
from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = ["BatchNorm"]


@dataclass(frozen=True, eq=False)
class BatchNorm(FloatLayer):
    """Batch normalization a channel, ``y = gamma*(s - mean)/sqrt(variance + eps) + beta + shift``, and what follows it.

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
    shift : numpy.ndarray or None
        float32, one a channel: a second number that is added; None: 0.
    powers : tuple of numpy.ndarray or None
        Shift-based: float32 weight and inverse deviation, one a channel, whose powers of two `gamma` is the product of
        (see `by_shift`); the variance is then 1 and eps 0.
    reads : str or None
        Layer of the checkpoint that reads the sums, where this one stands for several; None: `name`.
    fraction : int or None
        The result is rounded to multiples of ``2**-fraction``, halves up; None: it is not rounded.

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
    shift: np.ndarray | None = None
    powers: tuple[np.ndarray, np.ndarray] | None = None
    reads: str | None = None
    fraction: int | None = None

    @classmethod
    def by_shift(
        cls,
        name: str,
        weight: np.ndarray,
        beta: np.ndarray,
        mean: np.ndarray,
        deviation: np.ndarray,
        activation: Activation | None,
        **others: object,
    ) -> "BatchNorm":
        """Build a shift-based one: ``y = AP2(weight)*AP2(deviation)*(s - mean) + beta`` (arXiv:1602.02830).

        Parameters
        ----------
        name : str
            Name of the layer.
        weight, beta, mean, deviation : numpy.ndarray
            float32, one a channel; `deviation` is the running mean of 1/deviation.
        activation : Activation or None
            See the class, as for `others`. With `fraction`, mean and beta are rounded to it as well.

        Raises
        ------
        CompileError
            A parameter is not finite, a deviation negative, or a product beyond float32.
        """
        powers = (finite(name, "weight", weight), finite(name, "running_istd", deviation))
        if weight.shape != deviation.shape:
            raise CompileError(f"layer {shown(name)}: weight has shape {weight.shape}, running_istd {deviation.shape}")
        gamma = np.empty(weight.shape, np.float32)
        for channel, (factor, inverse) in enumerate(zip(*(values.tolist() for values in powers), strict=True)):
            if inverse < 0:
                raise CompileError(f"layer {shown(name)}: running_istd[{channel}] is {inverse!r}, must not be negative")
            product = power_of_two(factor) * power_of_two(inverse)
            if abs(product) >= Fraction(2) ** 128 or float(np.float32(float(product))) != product:
                raise CompileError(
                    f"layer {shown(name)}: the powers of two of weight[{channel}] {factor!r} and "
                    f"running_istd[{channel}] {inverse!r} have a product beyond float32"
                )
            gamma[channel] = float(product)
        ones = np.ones(weight.shape, np.float32)
        if others.get("fraction") is not None:
            unit = np.float32(2.0 ** -others["fraction"])
            # In float32, as training does it.
            mean, beta = (np.floor(finite(name, "mean", v) / unit + np.float32(0.5)) * unit for v in (mean, beta))
        return cls(name, gamma, beta, mean, ones, 0.0, activation, powers=powers, **others)

    def __post_init__(self) -> None:
        """Check the parameters."""
        for parameter in ("gamma", "beta", "mean", "variance"):
            object.__setattr__(self, parameter, finite(self.name, parameter, getattr(self, parameter)))
        if self.shift is not None:
            object.__setattr__(self, "shift", finite(self.name, "offset", self.shift))
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

    def exact(self, channel: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
        """Return gamma, ``beta + shift``, mean and ``variance + eps`` of a channel."""
        gamma, beta, mean, variance = (
            Fraction(float(values[channel])) for values in (self.gamma, self.beta, self.mean, self.variance)
        )
        if self.shift is not None:
            beta += Fraction(float(self.shift[channel]))
        return gamma, beta, mean, variance + Fraction(self.eps)

    @property
    def slopes(self) -> np.ndarray:
        """``gamma/sqrt(variance + eps)`` in float64."""
        return self.gamma.astype(np.float64) / np.sqrt(self.variance.astype(np.float64) + self.eps)

    @property
    def constants(self) -> np.ndarray:
        """``beta + shift`` in float64."""
        return self.beta.astype(np.float64) + (0.0 if self.shift is None else self.shift.astype(np.float64))

    def part(self, channels: slice) -> "BatchNorm":
        """Return the layer of some of the channels."""
        arrays = {what: getattr(self, what)[channels] for what in ("gamma", "beta", "mean", "variance")}
        shift = None if self.shift is None else self.shift[channels]
        powers = None if self.powers is None else (self.powers[0][channels], self.powers[1][channels])
        return replace(self, **arrays, shift=shift, powers=powers)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `FloatLayer.shape`."""
        for parameter in ("gamma", "beta", "mean", "variance", "shift"):
            values = getattr(self, parameter)
            if values is not None and values.shape != (shape[0],):
                raise CompileError(
                    f"layer {shown(self.name)}: {parameter} has shape {values.shape}, but {shape[0]} channels come in"
                )
        return shape
