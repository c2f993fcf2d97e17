"""What quantizers of weights share: codes to store, and values with a gradient for training."""

from abc import ABC, abstractmethod

import torch

__all__ = ["WeightQuantizer", "value_of"]


def value_of(codes: torch.Tensor, levels: int) -> torch.Tensor:
    """Return what codes stand for: (2c - L)/L, L = levels - 1, from -1 to 1.

    Parameters
    ----------
    codes : torch.Tensor
        Integers from 0 to levels - 1, of any type.
    levels : int
        2 or more.

    Returns
    -------
    torch.Tensor
        float32, same shape.
    """
    return (codes.float() * 2 - (levels - 1)).div(levels - 1)


class WeightQuantizer(ABC):
    """Latents to weights of a few levels.

    Attributes
    ----------
    levels : int
        Number of codes.
    """

    levels: int

    @abstractmethod
    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the codes that are deployed: no draw, no gradient.

        Parameters
        ----------
        latents : torch.Tensor
            float32, output channels first.

        Returns
        -------
        torch.Tensor
            Integers from 0 to levels - 1, same shape, of any type.
        """

    @abstractmethod
    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the values that training multiplies by.

        Parameters
        ----------
        latents : torch.Tensor
            float32, output channels first.
        generator : torch.Generator
            Source of draws.

        Returns
        -------
        torch.Tensor
            Same shape, with the quantizer's gradient; the values of codes.
        """

    def at(self, progress: float) -> "WeightQuantizer":
        """Return the quantizer for a share of the run that is done: this one where nothing changes."""
        del progress
        return self
