"""Layers that multiply by weights of a few levels: fully connected, and convolutions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.latents import LatentWeights
from signfold.sw.train.method import Method
from signfold.sw.train.quantizers import SignWeights, draw_power, quantize_gradient, weight_estimator
from signfold.sw.train.quantizers.backprop import conv_by_rounded, linear_by_rounded

__all__ = ["BinaryConv", "BinaryDense", "LatentWeights"]


class _Products(LatentWeights):
    """What both share: rounded gradients, scales and biases.

    Parameters
    ----------
    shape, weights, generator, method
        As for `LatentWeights`.
    bias : str or None
        "bits": -1 or +1 is added to each channel's sums, the sign of a latent that is trained as weights are (Bitwise
        Neural Networks, arXiv:1601.06071); None: nothing.

    Raises
    ------
    ValueError
        `bias` is neither, or the weights are not of few levels without a scale.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        weights: Mapping[str, Any],
        generator: torch.Generator,
        method: Method | None,
        bias: str | None,
    ) -> None:
        super().__init__(shape, weights, generator, method)
        if bias not in (None, "bits"):
            raise ValueError(f"bias is {bias!r}, allowed: 'bits', or None")
        if bias is not None and (not self.levels or self.scale_kind is not None or self._multibase is not None):
            raise ValueError(f"bias is {bias!r}, allowed with weights {dict(weights)!r}: None")
        latents = None if bias is None else nn.Parameter(torch.empty(shape[0]))
        self.register_parameter("bias", latents)
        if latents is not None:
            latents.data.uniform_(-self.span, self.span, generator=generator)
            self._bias_quantizer = SignWeights(weight_estimator(self.method, self._choices), self.span)

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices, and follow schedules."""
        super().enter(method, progress)
        if self.bias is not None:
            self._bias_quantizer = SignWeights(weight_estimator(self.method, method), self.span).at(progress)

    @torch.no_grad()
    def clip(self) -> None:
        """Bring the latents back into their range."""
        super().clip()
        if self.bias is not None and self._choices.clip is not None:
            self.bias.clamp_(-self.span, self.span)

    def _biases(self) -> torch.Tensor:
        """Return what is added to the sums."""
        if not self.training:
            return self._bias_quantizer.estimator.deterministic().apply(self.bias)
        if self._choices.weights_as != "quantized":
            return self.bias.tanh() if self._choices.weights_as == "tanh" else self.bias
        return self._bias_quantizer.apply(self.bias, self._generator)

    def _rounded(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return inputs for the gradient of the weights; None: the inputs themselves."""
        if not (self.training and self._choices.quantized_backprop):
            return None
        return draw_power(x.detach(), self._generator, self._choices.exponents)

    def _finish(self, sums: torch.Tensor) -> torch.Tensor:
        """Take sums to what the next layer reads."""
        if self.training and self._choices.gradient_bits is not None and self.quantizer is not None:
            sums = quantize_gradient(sums, self._choices.gradient_bits, self._generator)
        else:
            sums = self._scaled_sums(sums)
        return sums if self.bias is None else sums + self._biases().to(sums.dtype).view(-1, *(1,) * (sums.dim() - 2))


class BinaryDense(_Products):
    """Fully connected layer.

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
    bias : str, optional
        "bits", see `_Products`.
    """

    def __init__(
        self,
        fan_in: int,
        channels: int,
        generator: torch.Generator,
        weights: Mapping[str, Any] | None = None,
        method: Method | None = None,
        bias: str | None = None,
    ) -> None:
        super().__init__((channels, fan_in), weights or {}, generator, method, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums [n, channels] of inputs [n, ...], flattened channels first; integers of inputs -1 and +1."""
        x = x.flatten(1)
        weights, rounded = self.values(x.dtype), self._rounded(x)
        if rounded is None:
            return self._finish(functional.linear(x, weights))
        return self._finish(linear_by_rounded(x, weights, rounded))


class BinaryConv(_Products):
    """Convolution (cross-correlation).

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
        super().__init__(shape, layer.get("weights", {}), generator, method, layer.get("bias"))
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
