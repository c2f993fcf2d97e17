"""Estimators that are derivatives of smooth functions near the sign: tanh, and the sign-swish of BNN+."""

from dataclasses import dataclass

import torch

from signfold.sw.train.estimators.base import Estimator

__all__ = ["SwishSign", "Tanh"]


@dataclass(frozen=True)
class Tanh(Estimator):
    """Derivative of tanh(s*x), s*(1 - tanh(s*x)**2).

    Parameters
    ----------
    steepness : float
        The factor s, positive.

    Raises
    ------
    ValueError
        It is not positive.
    """

    steepness: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        super().__post_init__()
        if not self.steepness > 0:
            raise ValueError(f"steepness is {self.steepness!r}, allowed: above 0")

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return gradient * s * (1 - tanh(s*x)**2)."""
        return gradient * (self.steepness * (1 - (self.steepness * x).tanh().square()))


@dataclass(frozen=True)
class SwishSign(Estimator):
    """Derivative of the sign-swish 2*s(bx)*(1 + bx*(1 - s(bx))) - 1 (BNN+, arXiv:1812.11800), s the sigmoid.

    Which is b * (2 - bx*tanh(bx/2)) / (1 + cosh(bx)); it is negative beyond |bx| = 2.4.

    Parameters
    ----------
    beta : float
        The factor b, positive.

    Raises
    ------
    ValueError
        It is not positive.
    """

    beta: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        super().__post_init__()
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta!r}, allowed: above 0")

    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Return gradient * b * (2 - bx*tanh(bx/2)) / (1 + cosh(bx))."""
        z = self.beta * x
        # 1/(1 + cosh z) = 2*s(z)*s(-z): nothing overflows.
        return gradient * (self.beta * (2 - z * (z / 2).tanh()) * (2 * z.sigmoid() * (-z).sigmoid()))
