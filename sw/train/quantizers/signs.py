"""One bit: the sign of the latent, or a draw of it."""

from dataclasses import dataclass, replace

import torch

from signfold.sw.train.estimators import Clipped, Estimator
from signfold.sw.train.quantizers.base import WeightQuantizer

__all__ = ["SignWeights"]


@dataclass(frozen=True)
class SignWeights(WeightQuantizer):
    """-1 or +1 by the latent's sign, sign(0) = +1.

    Parameters
    ----------
    estimator : Estimator
        Its gradient; with a draw, training takes random bits (stochastic binarization of BinaryConnect,
        arXiv:1511.00363), and what is deployed is the sign.
    span : float
        Draws are made of latent/span: H of that paper's program.
    """

    estimator: Estimator = Clipped()
    span: float = 1.0
    levels = 2

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return 1 where the latent is 0 or more, else 0."""
        return latents >= 0

    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return signs, or draws."""
        if self.estimator.draw is not None and self.span != 1.0:
            latents = latents / self.span
        return self.estimator.apply(latents, generator)

    def at(self, progress: float) -> "SignWeights":
        """Move the estimator on."""
        return replace(self, estimator=self.estimator.at(progress))
