"""Weights of Bitwise Neural Networks: signs of which a share is silenced."""

from dataclasses import dataclass, replace
from fractions import Fraction

import torch

from signfold.sw.train.estimators import Estimator, Identity
from signfold.sw.train.quantizers.base import WeightQuantizer

__all__ = ["BitwiseWeights"]


@dataclass(frozen=True)
class BitwiseWeights(WeightQuantizer):
    """+1 where w > beta, -1 where w < -beta, else 0 (Kim and Smaragdis, arXiv:1601.06071).

    The boundary beta is the magnitude up to which the share `sparsity` of the layer's latents lies: a share rounded
    down to whole weights. With two levels there is no 0, and the weight is the sign.

    Parameters
    ----------
    levels : int
        2 or 3.
    sparsity : float
        Share of zeros, the paper's lambda.
    estimator : Estimator
        Gradient; the paper's second stage passes it unchanged.
    """

    levels: int = 2
    sparsity: float = 0.0
    estimator: Estimator = Identity()

    def boundary(self, latents: torch.Tensor) -> torch.Tensor:
        """Return beta, a scalar."""
        sizes = latents.detach().abs().flatten()
        # Of the number as it is written: 0.29 of 100 weights are 29, though the float is a little less.
        zeros = int(Fraction(str(self.sparsity)) * len(sizes))
        return sizes.kthvalue(zeros).values if zeros else sizes.new_zeros(())

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return 0 and 1 for -1 and +1; or 0, 1 and 2 for -1, 0 and +1."""
        latents = latents.detach()
        if self.levels == 2:
            return latents >= 0
        beta = self.boundary(latents)
        return 1 + (latents > beta).float() - (latents < -beta).float()

    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the values of the codes."""
        if self.levels == 2:
            return self.estimator.apply(latents, generator)
        return self.estimator.through(latents, self.codes(latents) - 1)

    def at(self, progress: float) -> "BitwiseWeights":
        """Move the estimator on."""
        return replace(self, estimator=self.estimator.at(progress))
