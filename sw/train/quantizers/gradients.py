"""Gradients of k bits, rounded with noise (DoReFa)."""

from typing import Any

import torch

from signfold.sw.train.estimators import draw_uniform

__all__ = ["quantize_gradient", "rounded_gradient"]


def rounded_gradient(gradient: torch.Tensor, bits: int, generator: torch.Generator) -> torch.Tensor:
    """Round a gradient to k bits of each sample's range (DoReFa, arXiv:1606.06160).

    2M * (q(clip(d/(2M) + 1/2 + N, 0, 1)) - 1/2), M the largest |d| of the sample, q rounding to multiples of
    1/(2**k - 1), N noise, uniform over one such step about 0. A sample of zeros stays.

    Parameters
    ----------
    gradient : torch.Tensor
        d, [n, ...].
    bits : int
        k, 1 or more.
    generator : torch.Generator
        Source of noise.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    top = (1 << bits) - 1
    wide = gradient.float()
    largest = wide.abs().amax(tuple(range(1, wide.dim())), keepdim=True) if wide.dim() > 1 else wide.abs()
    span = torch.where(largest > 0, 2 * largest, 1.0)
    noise = (draw_uniform(gradient, generator) - 0.5) / top
    codes = ((wide / span + 0.5 + noise).clamp(0.0, 1.0) * top).round()
    return torch.where(largest > 0, span * (codes / top - 0.5), 0.0).to(gradient.dtype)


class _QuantizeGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bits: int, generator: torch.Generator) -> torch.Tensor:
        ctx.bits, ctx.generator = bits, generator
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return rounded_gradient(gradient, ctx.bits, ctx.generator), None, None


def quantize_gradient(x: torch.Tensor, bits: int, generator: torch.Generator) -> torch.Tensor:
    """Pass a value, and its gradient rounded.

    Parameters
    ----------
    x : torch.Tensor
        [n, ...].
    bits : int
        Of the gradient.
    generator : torch.Generator
        Source of noise, drawn from in the backward pass.

    Returns
    -------
    torch.Tensor
        x.
    """
    return _QuantizeGradient.apply(x, bits, generator)
