"""Sums of scaled signs that together approach real weights (ABC-Net)."""

from dataclasses import dataclass, replace

import torch

from signfold.sw.train.estimators import Estimator, Identity, sign
from signfold.sw.train.quantizers.base import WeightQuantizer

__all__ = ["MAX_BASES", "MultiBaseWeights"]

#: A code of eight bits holds the signs.
MAX_BASES = 8


@dataclass(frozen=True)
class MultiBaseWeights(WeightQuantizer):
    """w ~ sum of a_i * B_i, B_i = sign(w - mean + u_i * std), u_i = -1 + 2i/(M - 1), i from 0 (arXiv:1711.11294).

    Mean and standard deviation (of all weights, not of a sample) are the layer's. The a_i minimize the squared error
    to w, over the layer or over each output channel; where bases coincide they share what is due to them. The gradient
    of w is the sum of a_i times that of B_i; a_i, mean and deviation are constants to it.

    Bit i of a code is base i's sign. Unlike other codes these have no values by themselves: see `combined`.

    Parameters
    ----------
    bases : int
        Number M of bases, 1 to `MAX_BASES`; one base is the sign of w - mean.
    by_channel : bool
        Whether each output channel has its own a_i.
    estimator : Estimator
        Gradient of each sign, at what it is the sign of.

    Raises
    ------
    ValueError
        There are none or too many bases.
    """

    bases: int
    by_channel: bool = False
    estimator: Estimator = Identity()

    def __post_init__(self) -> None:
        """Refuse impossible numbers of bases."""
        if not 1 <= self.bases <= MAX_BASES:
            raise ValueError(f"bases is {self.bases!r}, allowed: 1 to {MAX_BASES}")

    @property
    def levels(self) -> int:
        """Number of codes."""
        return 1 << self.bases

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the signs, bit by bit."""
        bits = (self._shifted(latents.detach()) >= 0).to(torch.int16)
        powers = torch.tensor([1 << i for i in range(self.bases)], dtype=torch.int16, device=latents.device)
        return (bits * powers.view(-1, *(1,) * latents.dim())).sum(0)

    def scales(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the a_i, float32 [bases], or [bases, output channels]."""
        latents = latents.detach()
        signs = sign(self._shifted(latents)).flatten(2).double()  # bases, channels, the rest
        target = latents.flatten(1).double()
        if not self.by_channel:
            signs, target = signs.reshape(self.bases, 1, -1), target.reshape(1, -1)
        signs = signs.transpose(0, 1)  # channels, bases, the rest
        products = signs @ signs.transpose(1, 2)
        alphas = torch.linalg.pinv(products, hermitian=True) @ (signs @ target.unsqueeze(-1))
        found = alphas.squeeze(-1).T.float()
        return found if self.by_channel else found[:, 0]

    def combined(self, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Return the weights, sum of a_i * B_i.

        Parameters
        ----------
        codes : torch.Tensor
            Signs, bit by bit.
        scales : torch.Tensor
            What `scales` gave.

        Returns
        -------
        torch.Tensor
            float32, the shape of `codes`.
        """
        codes = codes.to(torch.int16)
        weights = torch.zeros(codes.shape, device=codes.device)
        for base in range(self.bases):
            weights = weights + self._alpha(scales, base, codes.dim()) * (((codes >> base) & 1) * 2 - 1)
        return weights

    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the weights with the gradient."""
        scales = self.scales(latents)
        shifted = self._shifted(latents)
        signs = [self.estimator.apply(shifted[base], generator) for base in range(self.bases)]
        return sum(self._alpha(scales, base, latents.dim()) * signs[base] for base in range(self.bases))

    def at(self, progress: float) -> "MultiBaseWeights":
        """Move the estimator on."""
        return replace(self, estimator=self.estimator.at(progress))

    def _shifted(self, latents: torch.Tensor) -> torch.Tensor:
        """Return w - mean + u_i * std for each base."""
        known = latents.detach()
        mean, deviation = known.mean(), known.std(correction=0)
        step = 2 / (self.bases - 1) if self.bases > 1 else 0.0
        start = -1.0 if self.bases > 1 else 0.0
        return torch.stack([latents - mean + (start + step * base) * deviation for base in range(self.bases)])

    @staticmethod
    def _alpha(scales: torch.Tensor, base: int, dimensions: int) -> torch.Tensor:
        alpha = scales[base]
        return alpha.view(-1, *(1,) * (dimensions - 1)) if alpha.dim() else alpha
