"""Rounding with the straight-through gradient."""

from typing import Any

import torch

__all__ = ["replace_through", "round_through"]


class _ReplaceThrough(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def replace_through(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Put a value in the place of another and pass the gradient unchanged (straight-through, arXiv:1308.3432).

    Parameters
    ----------
    x : torch.Tensor
        What the gradient goes to.
    value : torch.Tensor
        What the result is, to the bit; same shape and type, a constant to the gradient.

    Returns
    -------
    torch.Tensor
        A copy of `value`.
    """
    return _ReplaceThrough.apply(x, value)


def round_through(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integer, halves to the even one, and pass the gradient unchanged.

    Parameters
    ----------
    x : torch.Tensor
        Any floating type.

    Returns
    -------
    torch.Tensor
        Same shape and type, integers.
    """
    return replace_through(x, x.detach().round())
