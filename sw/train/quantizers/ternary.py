"""Three levels: by a threshold (ternary weight networks), or at random (ternary connect)."""

from dataclasses import dataclass, replace

import torch

from signfold.sw.train.estimators import Estimator, Identity, draw_uniform
from signfold.sw.train.quantizers.base import WeightQuantizer

__all__ = ["TernaryConnect", "TernaryWeights"]


@dataclass(frozen=True)
class TernaryWeights(WeightQuantizer):
    """-1 or +1 where |w| > delta * mean|w| over the layer, else 0 (Li and Liu, arXiv:1605.04711, without the scale).

    Parameters
    ----------
    delta : float
        Share of the mean magnitude, 0.7 in the paper.
    estimator : Estimator
        Gradient.
    """

    delta: float = 0.7
    estimator: Estimator = Identity()
    levels = 3

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return 0, 1 and 2 for -1, 0 and +1."""
        latents = latents.detach()
        return 1 + latents.sign() * (latents.abs() > self.delta * latents.abs().mean())

    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the values of the codes."""
        del generator
        return self.estimator.through(latents, self.codes(latents) - 1)

    def at(self, progress: float) -> "TernaryWeights":
        """Move the estimator on."""
        return replace(self, estimator=self.estimator.at(progress))


@dataclass(frozen=True)
class TernaryConnect(WeightQuantizer):
    """sgn(w) with probability |w|/H, else 0 (Lin et al., arXiv:1510.03009), which is w/H in the mean.

    Deployed is the nearest of -1, 0 and +1 to w/H, 0 at the halves: the paper itself deploys the latents.

    Parameters
    ----------
    span : float
        The latents' range H.
    estimator : Estimator
        Gradient.
    """

    span: float = 1.0
    estimator: Estimator = Identity()
    levels = 3

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Return 0, 1 and 2 for -1, 0 and +1."""
        return 1 + latents.sign() * (latents.abs() > self.span / 2)

    def apply(self, latents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return draws."""
        scaled = latents if self.span == 1.0 else latents / self.span
        known = scaled.detach()
        drawn = draw_uniform(known, generator) < known.abs()
        return self.estimator.through(scaled, known.sign() * drawn)

    def at(self, progress: float) -> "TernaryConnect":
        """Move the estimator on."""
        return replace(self, estimator=self.estimator.at(progress))
