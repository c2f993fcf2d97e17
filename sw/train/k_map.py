"""XNOR-Net's convolution: signs of real inputs, and the magnitudes of these around each position."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from signfold.sw.train.activations import activation_estimator
from signfold.sw.train.method import Method
from signfold.sw.train.weights import BinaryConv

__all__ = ["KMapConv", "magnitudes"]


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


class KMapConv(BinaryConv):
    """Convolution of signs times K, which reads real values and takes the sign itself.

    K is a constant to the gradient; that of the signs is the method's `activation_estimator`.

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

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices, and follow schedules."""
        super().enter(method, progress)
        self.estimator = activation_estimator(method, stochastic=False).at(progress)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return products [n, out, height, width] of real inputs [n, in, height, width]."""
        if self.training and self._choices.activations_as != "quantized":
            bits = x.tanh() if self._choices.activations_as == "tanh" else x.clamp(-1.0, 1.0)
        else:
            bits = (self.estimator if self.training else self.estimator.deterministic()).apply(x, self._generator)
        return super().forward(bits) * magnitudes(x.detach(), self._kernel, self._stride, self._padding)
