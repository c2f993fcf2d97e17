"""Weights of a few levels that stand before latent floats: signs, ternary values, k bits."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.estimators import binary_sign, replace_through, round_through

__all__ = ["BinaryConv", "BinaryDense", "LatentWeights"]

#: Levels that DoReFa rounds to.
_POWERS = tuple(1 << bits for bits in range(2, 9))


class LatentWeights(nn.Module):
    """Base of the layers that multiply: latent weights, and the few-level weights that the products use.

    * 2 levels: the sign of the latent, sign(0) = +1.
    * 2**k levels, DoReFa (Zhou et al., arXiv:1606.06160): w = (2c - L)/L, L = levels - 1,
      c = round(L * (tanh(W) / (2 * max|tanh W|) + 1/2)), halves to even.
    * 3 levels, ternary (Li and Liu, arXiv:1605.04711, without the scale): w = c - 1, -1 or +1 where
      |W| > delta * mean|W| over the layer, else 0.

    With more than two levels the codes c are a buffer, `codes`, which a checkpoint stores: outside of training the
    products use these, so that nobody ever needs to compute the same tanh.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weights, output channels first.
    weights : mapping
        The layer's `weights` entry in a checkpoint.
    generator : torch.Generator
        Source of the initial latent weights, uniform in [-1, 1].

    Raises
    ------
    ValueError
        The entry names no known method.
    """

    def __init__(self, shape: tuple[int, ...], weights: Mapping[str, Any], generator: torch.Generator) -> None:
        super().__init__()
        self.levels = weights.get("levels", 2)
        self.method = weights.get("method", "sign")
        self._delta = weights.get("delta", 0.7)
        known = {"sign": self.levels == 2, "ternary": self.levels == 3, "dorefa": self.levels in _POWERS}
        if not known.get(self.method, False):
            raise ValueError(f"weights are {dict(weights)!r}, allowed: 2 levels, 3 by 'ternary', 4 to 256 by 'dorefa'")
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-1.0, 1.0, generator=generator))
        if self.levels != 2:
            self.register_buffer("codes", torch.empty(shape, dtype=torch.uint8))
            self.refresh()

    def values(self, dtype: torch.dtype) -> torch.Tensor:
        """Weights as the products use them: of the latents in training, of the stored codes otherwise.

        Parameters
        ----------
        dtype : torch.dtype
            Type of the result; the rounding itself is done in float32.

        Returns
        -------
        torch.Tensor
            Same shape as the latents.
        """
        if self.levels == 2:
            return binary_sign(self.weight).to(dtype)
        if not self.training:
            return (self.codes.float() * 2 - (self.levels - 1)).div(self.levels - 1).to(dtype)
        if self.method == "ternary":
            return replace_through(self.weight, self._ternary() - 1).to(dtype)
        top = self.levels - 1
        return (round_through(self._unit() * top) * 2 - top).div(top).to(dtype)

    @torch.no_grad()
    def refresh(self) -> None:
        """Make the stored codes those of the present latents."""
        if self.levels == 2:
            return
        codes = self._ternary() if self.method == "ternary" else (self._unit() * (self.levels - 1)).round()
        self.codes.copy_(codes)

    @torch.no_grad()
    def clip(self) -> None:
        """Bring the latent weights back to [-1, 1], which every optimizer step must be followed by."""
        self.weight.clamp_(-1.0, 1.0)

    def _unit(self) -> torch.Tensor:
        bent = self.weight.tanh()
        return (bent / (2 * bent.abs().max()) + 0.5).clamp(0.0, 1.0)

    def _ternary(self) -> torch.Tensor:
        latents = self.weight.detach()
        return 1 + latents.sign() * (latents.abs() > self._delta * latents.abs().mean())


class BinaryDense(LatentWeights):
    """Fully connected layer without bias.

    Parameters
    ----------
    fan_in : int
        Inputs.
    channels : int
        Outputs.
    generator : torch.Generator
        Source of the initial latent weights.
    weights : mapping, optional
        Levels of the weights, two without it.
    """

    def __init__(
        self, fan_in: int, channels: int, generator: torch.Generator, weights: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__((channels, fan_in), weights or {}, generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums [n, channels] of inputs [n, ...], flattened channels first; integers of inputs -1 and +1."""
        return functional.linear(x.flatten(1), self.values(x.dtype))


class BinaryConv(LatentWeights):
    """Convolution (cross-correlation) without bias.

    Parameters
    ----------
    layer : mapping
        The layer's entry in a checkpoint.
    pad : float
        What stands in padded places.
    generator : torch.Generator
        Source of the initial latent weights.
    """

    def __init__(self, layer: Mapping[str, Any], pad: float, generator: torch.Generator) -> None:
        shape = (layer["out"], layer["in"] // layer["groups"], *layer["kernel"])
        super().__init__(shape, layer.get("weights", {}), generator)
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
        return functional.conv2d(x, weights, None, self._stride, padding, 1, self._groups)
