"""Normalization by the batch: the usual one, and that of shifts instead of multiplications."""

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.estimators import replace_through
from signfold.sw.train.quantizers import approximate_power, approximate_power_through

__all__ = ["NORMS", "BatchNorm", "Norm"]

#: Kinds of normalization.
NORMS = ("batch", "shift")


class Norm(nn.Module):
    """Normalization before an activation, or none.

    * "batch": batch normalization a channel (Ioffe and Szegedy, arXiv:1502.03167). Tensors `weight`, `bias`,
      `running_mean`, `running_var`.
    * "shift": shift-based batch normalization (Hubara et al., arXiv:1602.02830). With c = x - mean over the batch,
      v = mean of c * AP2(c) and AP2 the power of two of `quantizers.approximate_power`, the result is
      AP2(weight) * AP2(1/sqrt(v + eps)) * c + bias; where a batch gives v below 0, v is 0. The gradient passes AP2
      unchanged. Tensors `weight`, `bias`, `running_mean` and `running_istd`, the running mean of 1/sqrt(v + eps), which
      outside of training stands in its place.
    * None: nothing is changed, and there are no tensors.

    With `fraction`, shift-based ones round mean and bias to multiples of 2**-fraction, and so the result, halves up;
    the gradient passes unchanged. An integer network of as many fraction bits then computes the same numbers.

    Parameters
    ----------
    channels : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float
        Weight of the newest batch in the running statistics.
    norm : str or None
        One of `NORMS`, or None.
    fraction : int, optional
        Fraction bits, shift-based ones alone.

    Raises
    ------
    ValueError
        `norm` is neither, or another one has fraction bits.
    """

    def __init__(
        self, channels: int, eps: float, momentum: float, norm: str | None = "batch", fraction: int | None = None
    ) -> None:
        super().__init__()
        if norm not in (None, *NORMS):
            raise ValueError(f"norm is {norm!r}, allowed: {', '.join(NORMS)}, or None")
        if fraction is not None and norm != "shift":
            raise ValueError(f"norm is {norm!r}, allowed with fraction bits: 'shift'")
        self._unit = None if fraction is None else 2.0**-fraction
        self.norm, self.eps, self.momentum = norm, eps, momentum
        if norm is not None:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
            self.register_buffer("running_mean", torch.zeros(channels))
            self.register_buffer("running_var" if norm == "batch" else "running_istd", torch.ones(channels))

    def normalize(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize accumulators [n, channels, ...]: by the batch in training, by the running statistics otherwise.

        Statistics and parameters are float32 whatever the type of the accumulators.
        """
        if self.norm is None:
            return x
        if self.norm == "shift":
            return self._by_shifts(x.float()).to(x.dtype)
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def _by_shifts(self, x: torch.Tensor) -> torch.Tensor:
        shape = (1, -1, *(1,) * (x.dim() - 2))
        if self.training:
            axes = (0, *range(2, x.dim()))
            mean = x.mean(axes)
            mean = self._rounded(mean)
            centred = x - mean.view(shape)
            variance = (centred * approximate_power_through(centred)).mean(axes)
            inverse = (variance.clamp(min=0.0) + self.eps).rsqrt()
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_istd.lerp_(inverse, self.momentum)
            factor = approximate_power_through(self.weight) * approximate_power_through(inverse)
        else:
            centred = x - self._rounded(self.running_mean).view(shape)
            factor = approximate_power_through(self.weight) * approximate_power(self.running_istd)
        return self._rounded(factor.view(shape) * centred + self._rounded(self.bias).view(shape))

    def _rounded(self, x: torch.Tensor) -> torch.Tensor:
        """Round to a multiple of the unit, if there is one."""
        if self._unit is None:
            return x
        return replace_through(x, torch.floor(x.detach() / self._unit + 0.5) * self._unit)


class BatchNorm(Norm):
    """Normalization alone, to real values or scores."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize accumulators [n, channels, ...]."""
        return self.normalize(x)
