"""XNOR-Net's products: signs of real inputs, and the magnitudes of these around each position."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from signfold.sw.train.activations import activation_estimator
from signfold.sw.train.latents import LatentWeights
from signfold.sw.train.method import Method
from signfold.sw.train.weights import BinaryConv, BinaryDense

__all__ = ["KMapConv", "KMapDense", "magnitudes"]


def magnitudes(
    x: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int]
) -> torch.Tensor:
    """Return K = A * k, A the mean |x| over channels, k the mean over the window (XNOR-Net, arXiv:1603.05279).

    Parameters
    ----------
    x : torch.Tensor
        [n, channels, height, width].
    kernel, stride : tuple of int
        Of the convolution.
    padding : tuple of int
        Top, bottom, left, right; padded places are of magnitude 0.

    Returns
    -------
    torch.Tensor
        [n, 1, rows, columns].
    """
    top, bottom, left, right = padding
    means = functional.pad(x.abs().mean(1, keepdim=True), (left, right, top, bottom))
    return functional.avg_pool2d(means, kernel, stride)


class _ReadsReals(LatentWeights):
    """What both share: layers that take the sign of what they read themselves.

    The gradient of the signs is the method's `activation_estimator`; K is a constant to it.
    """

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices, and follow schedules."""
        super().enter(method, progress)
        self.estimator = activation_estimator(method, stochastic=False).at(progress)

    def _bits(self, x: torch.Tensor) -> torch.Tensor:
        """Return signs, or what stands for them in a stage of real numbers."""
        if self.training and self._choices.activations_as != "quantized":
            return x.tanh() if self._choices.activations_as == "tanh" else x.clamp(-1.0, 1.0)
        return (self.estimator if self.training else self.estimator.deterministic()).apply(x, self._generator)


class KMapDense(_ReadsReals, BinaryDense):
    """Fully connected layer of signs times K, the mean |x| of all that it reads: a window over everything.

    Parameters
    ----------
    fan_in, channels, generator, weights, method, bias
        As for `BinaryDense`.
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
        super().__init__(fan_in, channels, generator, weights, method, bias)
        self.estimator = activation_estimator(self._choices, stochastic=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return products [n, channels] of real inputs [n, ...], flattened channels first."""
        return super().forward(self._bits(x)) * x.detach().flatten(1).abs().mean(1, keepdim=True)


class KMapConv(_ReadsReals, BinaryConv):
    """Convolution of signs times K, which reads real values and takes the sign itself.

    Parameters
    ----------
    layer, pad, generator, method
        As for `BinaryConv`; `pad` is a sign or 0.

    Raises
    ------
    ValueError
        The convolution has groups.
    """

    def __init__(
        self, layer: Mapping[str, Any], pad: float, generator: torch.Generator, method: Method | None = None
    ) -> None:
        if layer["groups"] != 1:
            raise ValueError(f"layer {layer['name']!r}: groups is {layer['groups']!r}, allowed with a K map: 1")
        super().__init__(layer, pad, generator, method)
        self._kernel = tuple(layer["kernel"])
        self.estimator = activation_estimator(self._choices, stochastic=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return products [n, out, height, width] of real inputs [n, in, height, width]."""
        return super().forward(self._bits(x)) * magnitudes(x.detach(), self._kernel, self._stride, self._padding)
