"""Several binary activations of each value, summed with trained factors (ABC-Net)."""

import torch
from torch import nn

from signfold.sw.train.estimators import Clipped, Estimator, make_estimator
from signfold.sw.train.method import Method
from signfold.sw.train.norms import Norm

__all__ = ["BatchNormBases"]


class BatchNormBases(Norm):
    """Normalization followed by sum over j of b_j * H_j(x), H_j(x) = 1 where clip(x + v_j, 0, 1) >= 1/2, else -1.

    ABC-Net (Lin, Zhao and Pan, arXiv:1711.11294): a convolution of this is the sum of those of N binary inputs. b and v
    are trained, one of each a layer (`scale` and `shift`). The gradient of H_j is the clip's: it passes where x + v_j
    is from 0 to 1, edges included. The first v lie evenly from -1 to 1, so that thresholds 1/2 - v_j differ, and the
    first b are 1/N: what the paper begins with is not known here.

    Parameters
    ----------
    channels : int
        Channels.
    eps, momentum, norm
        As for `Norm`.
    generator : torch.Generator, optional
        Source of draws, where the estimator makes any.
    bases : int
        Number N of binary activations; one has v = 1/2, a plain sign.
    method : Method, optional
        Choices of training; its `activation_estimator` is of x + v_j - 1/2.

    Raises
    ------
    ValueError
        There are no bases.
    """

    def __init__(
        self,
        channels: int,
        eps: float,
        momentum: float,
        norm: str | None = "batch",
        generator: torch.Generator | None = None,
        *,
        bases: int,
        method: Method | None = None,
    ) -> None:
        super().__init__(channels, eps, momentum, norm)
        if bases < 1:
            raise ValueError(f"bases is {bases!r}, allowed: 1 or more")
        self._generator = generator
        self.shift = nn.Parameter(torch.linspace(-1.0, 1.0, bases) if bases > 1 else torch.full((1,), 0.5))
        self.scale = nn.Parameter(torch.full((bases,), 1 / bases))
        self.enter(method or Method(), 0.0)

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices, and follow schedules."""
        self._stage = method.activations_as
        choice = method.activation_estimator
        own: Estimator = Clipped(0.5) if choice is None else make_estimator(choice)
        self.estimator = own.at(progress)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sums [n, channels, ...] of signs times their factors."""
        y = self.normalize(x)
        estimator = self.estimator if self.training else self.estimator.deterministic()
        total = torch.zeros_like(y)
        for scale, shift in zip(self.scale.to(y.dtype), self.shift.to(y.dtype), strict=True):
            if self.training and self._stage != "quantized":
                bits = y.tanh() if self._stage == "tanh" else 2 * (y + shift).clamp(0.0, 1.0) - 1
            else:
                bits = estimator.apply(y + (shift - 0.5), self._generator)
            total = total + scale * bits
        return total
