"""The error decay estimator of IR-Net: nearly the identity at first, nearly the sign's own derivative at the end."""

import math
from dataclasses import dataclass, replace

import torch

from signfold.sw.train.estimators.base import Estimator

__all__ = ["ErrorDecay"]


@dataclass(frozen=True)
class ErrorDecay(Estimator):
    """Derivative of k*tanh(t*x), whose t grows over the run (EDE; IR-Net, arXiv:1909.10788).

    t = t_min * 10**(p * log10(t_max/t_min)), p the share of the run that is done; k = max(1/t, 1). The networks of the
    authors' program have a hardtanh before each sign, whose gradient stops at its edges: that is `t_clip` 1.

    Parameters
    ----------
    t_min, t_max : float
        First and last t.
    progress : float
        The share p, 0 to 1.
    t_clip : float or None
        The gradient is 0 where |x| is at or above it; None: nowhere.

    Raises
    ------
    ValueError
        A parameter is outside of its range.
    """

    t_min: float = 0.1
    t_max: float = 10.0
    progress: float = 0.0
    t_clip: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        super().__post_init__()
        if not 0 < self.t_min <= self.t_max:
            raise ValueError(f"t_min is {self.t_min!r}, allowed: above 0 and at most t_max, {self.t_max!r}")
        if not 0 <= self.progress <= 1:
            raise ValueError(f"progress is {self.progress!r}, allowed: 0 to 1")
        if self.t_clip is not None and not self.t_clip > 0:
            raise ValueError(f"t_clip is {self.t_clip!r}, allowed: above 0, or None")

    @property
    def t(self) -> float:
        """Steepness."""
        return self.t_min * 10 ** (self.progress * math.log10(self.t_max / self.t_min))

    @property
    def k(self) -> float:
        """Height, which keeps the slope at 0 from falling below 1."""
        return max(1 / self.t, 1.0)

    def at(self, progress: float) -> "ErrorDecay":
        """Return the estimator when a share of the run is done."""
        return replace(self, progress=progress)

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return gradient * k*t*(1 - tanh(t*x)**2) inside the clip."""
        found = gradient * (self.k * self.t * (1 - (self.t * x).tanh().square()))
        return found if self.t_clip is None else torch.where(x.abs() < self.t_clip, found, 0.0)
