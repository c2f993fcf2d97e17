"""Sign with a gradient: what makes a binarized network trainable."""

from typing import Any

import torch

__all__ = ["BinarySign", "binary_sign"]


class BinarySign(torch.autograd.Function):
    """Deterministic sign with the clipped straight-through estimator (Hubara et al., arXiv:1602.02830).

    Forward: +1 where x >= 0 (so sign(0) = sign(-0.0) = +1), else -1.
    Backward: the gradient passes unchanged where |x| <= 1, both edges included, and is 0 elsewhere.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Binarize `x` and remember it for the backward pass."""
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Pass the gradient inside the clip."""
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


def binary_sign(x: torch.Tensor) -> torch.Tensor:
    """Binarize a tensor to -1 and +1 with the clipped straight-through estimator.

    Parameters
    ----------
    x : torch.Tensor
        Latent weights or normalized sums.

    Returns
    -------
    torch.Tensor
        Same shape and type, every element -1 or +1.
    """
    return BinarySign.apply(x)
