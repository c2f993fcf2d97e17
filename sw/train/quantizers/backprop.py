"""Quantized back-propagation: products whose weight gradients need shifts instead of multiplications."""

from typing import Any

import torch
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

__all__ = ["conv_by_rounded", "linear_by_rounded"]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weights: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(weights, rounded)
        return functional.linear(x, weights)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        weights, rounded = ctx.saved_tensors
        return gradient @ weights, gradient.T @ rounded, None


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weights: torch.Tensor,
        rounded: torch.Tensor,
        stride: tuple[int, int],
        padding: tuple[int, int],
        groups: int,
    ) -> torch.Tensor:
        ctx.save_for_backward(weights, rounded)
        ctx.how = (stride, padding, 1, groups)
        return functional.conv2d(x, weights, None, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weights, rounded = ctx.saved_tensors
        towards_x = conv2d_input(rounded.shape, weights, gradient, *ctx.how) if ctx.needs_input_grad[0] else None
        return towards_x, conv2d_weight(rounded, weights.shape, gradient, *ctx.how), None, None, None, None


def linear_by_rounded(x: torch.Tensor, weights: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """Multiply by weights; their gradient is taken with other inputs (Lin et al., arXiv:1510.03009).

    Parameters
    ----------
    x : torch.Tensor
        [n, inputs].
    weights : torch.Tensor
        [outputs, inputs].
    rounded : torch.Tensor
        What stands for x in the gradient of the weights, such as `powers.draw_power` of it.

    Returns
    -------
    torch.Tensor
        [n, outputs].
    """
    return _Linear.apply(x, weights, rounded)


def conv_by_rounded(
    x: torch.Tensor,
    weights: torch.Tensor,
    rounded: torch.Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
) -> torch.Tensor:
    """Convolve; the gradient of the weights is taken with other inputs.

    Parameters
    ----------
    x : torch.Tensor
        [n, inputs, height, width].
    weights : torch.Tensor
        [outputs, inputs/groups, kernel height, kernel width].
    rounded : torch.Tensor
        What stands for x in the gradient of the weights.
    stride, padding, groups
        As for torch's convolution.

    Returns
    -------
    torch.Tensor
        [n, outputs, rows, columns].
    """
    return _Conv.apply(x, weights, rounded, stride, padding, groups)
