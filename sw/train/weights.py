"""Layers that multiply by weights of a few levels: fully connected, and convolutions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from signfold.sw.train.latents import LatentWeights
from signfold.sw.train.method import Method
from signfold.sw.train.quantizers import draw_power, quantize_gradient
from signfold.sw.train.quantizers.backprop import conv_by_rounded, linear_by_rounded

__all__ = ["BinaryConv", "BinaryDense", "LatentWeights"]


class _Products(LatentWeights):
    """What both share: rounded gradients and scales."""

    def _rounded(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return inputs for the gradient of the weights; None: the inputs themselves."""
        if not (self.training and self._choices.quantized_backprop):
            return None
        return draw_power(x.detach(), self._generator, self._choices.exponents)

    def _finish(self, sums: torch.Tensor) -> torch.Tensor:
        """Take sums to what the next layer reads."""
        if self.training and self._choices.gradient_bits is not None and self.quantizer is not None:
            return quantize_gradient(sums, self._choices.gradient_bits, self._generator)
        return self._scaled_sums(sums)


class BinaryDense(_Products):
    """Fully connected layer without bias.

    Parameters
    ----------
    fan_in : int
        Inputs.
    channels : int
        Outputs.
    generator : torch.Generator
        Source of the initial latent weights and of draws.
    weights : mapping, optional
        The layer's `weights` entry; signs without it.
    method : Method, optional
        Choices of training.
    """

    def __init__(
        self,
        fan_in: int,
        channels: int,
        generator: torch.Generator,
        weights: Mapping[str, Any] | None = None,
        method: Method | None = None,
    ) -> None:
        super().__init__((channels, fan_in), weights or {}, generator, method)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums [n, channels] of inputs [n, ...], flattened channels first; integers of inputs -1 and +1."""
        x = x.flatten(1)
        weights, rounded = self.values(x.dtype), self._rounded(x)
        if rounded is None:
            return self._finish(functional.linear(x, weights))
        return self._finish(linear_by_rounded(x, weights, rounded))


class BinaryConv(_Products):
    """Convolution (cross-correlation) without bias.

    Parameters
    ----------
    layer : mapping
        The layer's entry in a checkpoint.
    pad : float
        What stands in padded places.
    generator : torch.Generator
        Source of the initial latent weights and of draws.
    method : Method, optional
        Choices of training.
    """

    def __init__(
        self, layer: Mapping[str, Any], pad: float, generator: torch.Generator, method: Method | None = None
    ) -> None:
        shape = (layer["out"], layer["in"] // layer["groups"], *layer["kernel"])
        super().__init__(shape, layer.get("weights", {}), generator, method)
        self._stride, self._groups, self._pad = tuple(layer["stride"]), layer["groups"], pad
        self._padding = tuple(layer["padding"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums [n, out, height, width] of inputs [n, in, height, width]."""
        top, bottom, left, right = self._padding
        padding = (0, 0)
        if self._pad == 0.0 and top == bottom and left == right:
            padding = (top, left)
        elif any(self._padding):
            x = functional.pad(x, (left, right, top, bottom), value=self._pad)
        # Positions outside, channels inside: twice as fast on CPUs, and in one piece for the layers that follow.
        x = x.contiguous(memory_format=torch.channels_last)
        weights = self.values(x.dtype).contiguous(memory_format=torch.channels_last)
        rounded = self._rounded(x)
        if rounded is None:
            return self._finish(functional.conv2d(x, weights, None, self._stride, padding, 1, self._groups))
        return self._finish(conv_by_rounded(x, weights, rounded, self._stride, padding, self._groups))
