"""Weights of k bits, DoReFa."""

from dataclasses import dataclass

import torch

from signfold.sw.train.estimators import round_through
from signfold.sw.train.quantizers.base import WeightQuantizer

__all__ = ["DoReFaWeights"]


@dataclass(frozen=True)
class DoReFaWeights(WeightQuantizer):
    """c = round(L * (tanh(w)/(2 * max|tanh w|) + 1/2)), L = levels - 1, halves to even (arXiv:1606.06160).

    The gradient passes the rounding unchanged and takes the derivatives of tanh and of the division. Where all latents
    are 0, all codes are the even one next to the middle.

    Parameters
    ----------
    levels : int
        A power of two, 4 to 65,536.
    """

    levels: int

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return codes."""
        return (_unit(latents.detach()) * (self.levels - 1)).round()

    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the values of the codes."""
        del generator
        top = self.levels - 1
        return (round_through(_unit(latents) * top) * 2 - top).div(top)


def _unit(latents: torch.Tensor) -> torch.Tensor:
    bent = latents.tanh()
    largest = bent.abs().max()
    return (bent / (2 * torch.where(largest > 0, largest, 1.0)) + 0.5).clamp(0.0, 1.0)
