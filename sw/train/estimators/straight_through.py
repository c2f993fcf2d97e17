"""Straight-through estimators: the gradient passes as it is, inside a clip, or weighted by the sigmoid's slope."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from signfold.sw.train.estimators.base import Estimator

__all__ = ["Clipped", "Identity", "SigmoidScaled"]


@dataclass(frozen=True)
class Identity(Estimator):
    """The gradient passes unchanged, "as if it had been the identity" (arXiv:1308.3432)."""

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient."""
        del x
        return gradient


@dataclass(frozen=True)
class SigmoidScaled(Estimator):
    """The gradient times the sigmoid's derivative, s(x)(1 - s(x)): the variant of arXiv:1308.3432."""

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return gradient * s(x) * (1 - s(x))."""
        slope = x.sigmoid()
        return gradient * (slope * (1 - slope))


@dataclass(frozen=True)
class Clipped(Estimator):
    """The gradient passes where |x| <= t_clip and is 0 elsewhere (BNN, arXiv:1602.02830; arXiv:1906.08637).

    Parameters
    ----------
    t_clip : float
        Edge, rounded to the type of x; 1 in BNN, 1.3 in the second paper's recipes.
    inclusive : bool
        Whether the gradient passes at the edges themselves; XNOR-Net's program stops it there.

    Raises
    ------
    ValueError
        The edge is not positive.
    """

    t_clip: float = 1.0
    inclusive: bool = True

    def __post_init__(self) -> None:
        """Refuse an edge at or below 0."""
        super().__post_init__()
        if not self.t_clip > 0:
            raise ValueError(f"t_clip is {self.t_clip!r}, allowed: above 0")

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient inside the clip."""
        edge = _edge(self.t_clip, self.inclusive, x.dtype)
        return torch.ops.aten.hardtanh_backward(gradient, x, -edge, edge)


@lru_cache
def _edge(t_clip: float, inclusive: bool, dtype: torch.dtype) -> float:
    # The edges of torch's operator are outside: the next number above makes the edge itself inside.
    edge = torch.tensor(t_clip, dtype=dtype)
    return float(torch.nextafter(edge, torch.tensor(float("inf"), dtype=dtype)) if inclusive else edge)
