"""Estimators that are pieces of polynomials: Bi-Real's ApproxSign, and the tight step of Xu and Cheung."""

from dataclasses import dataclass

import torch

from signfold.sw.train.estimators.base import Estimator

__all__ = ["ApproxSign", "Tight"]


@dataclass(frozen=True)
class ApproxSign(Estimator):
    """Derivative of the piecewise parabola between -1 and 1, 2 - 2|x| (Bi-Real Net, arXiv:1808.00278; 1906.08637).

    Parameters
    ----------
    t_clip : float
        The gradient is 0 where |x| is above it; at most 1, beyond which the parabola would turn.

    Raises
    ------
    ValueError
        The edge is not in (0, 1].
    """

    t_clip: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an edge outside of (0, 1]."""
        super().__post_init__()
        if not 0 < self.t_clip <= 1:
            raise ValueError(f"t_clip is {self.t_clip!r}, allowed: above 0 and at most 1")

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return gradient * (2 - 2|x|) inside the clip."""
        size = x.abs()
        return gradient * torch.where(size <= self.t_clip, 2 - 2 * size, 0.0)


@dataclass(frozen=True)
class Tight(Estimator):
    """Derivative with a long tail, for trained binarization (Xu and Cheung, arXiv:1909.11366).

    That of a unit step is 2 - 4|x| up to |x| = 0.4, then 0.4 up to 1, then 0, as Dynamic Sparse Training
    (arXiv:2005.06870) quotes and uses it. The sign is twice the step less 1, so its derivative is twice that.
    """

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return gradient times 4 - 8|x|, 0.8 or 0."""
        size = x.abs()
        slope = torch.where(size <= 0.4, 4 - 8 * size, 0.8)
        return gradient * torch.where(size <= 1, slope, 0.0)
