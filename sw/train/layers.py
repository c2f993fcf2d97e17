"""Layers of a binarized network; each kind is one entry of a checkpoint's layer list."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.estimators import binary_sign

__all__ = ["BatchNorm", "BatchNormSign", "BinaryDense", "InputThreshold", "Scale"]


class InputThreshold(nn.Module):
    """Turn pixel codes into bits: +1 where pixel >= threshold, else -1.

    Parameters
    ----------
    thresholds : sequence of int
        One for all pixels, or one a pixel. Part of the model's description, not a trained tensor.
    """

    def __init__(self, thresholds: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("thresholds", torch.tensor(thresholds, dtype=torch.int16), persistent=False)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Binarize uint8 codes [n, elements] to float32."""
        return torch.where(codes >= self.thresholds, 1.0, -1.0)


class BinaryDense(nn.Module):
    """Fully connected layer without bias whose weights are the signs of its latent weights.

    Parameters
    ----------
    fan_in : int
        Inputs.
    channels : int
        Outputs.
    generator : torch.Generator
        Source of the initial latent weights, uniform in [-1, 1].
    """

    def __init__(self, fan_in: int, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, fan_in).uniform_(-1.0, 1.0, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Accumulators [n, channels] of inputs [n, fan_in]; integers when the inputs are -1 and +1."""
        return functional.linear(x, binary_sign(self.weight))

    @torch.no_grad()
    def clip(self) -> None:
        """Bring the latent weights back to [-1, 1], which every optimizer step must be followed by."""
        self.weight.clamp_(-1.0, 1.0)


class BatchNorm(nn.Module):
    """Batch normalization a channel (Ioffe and Szegedy, arXiv:1502.03167).

    Parameters
    ----------
    channels : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float
        Weight of the newest batch in the running mean and variance.
    """

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = eps
        self.momentum = momentum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize accumulators [n, channels]: by the batch in training, by the running statistics otherwise."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )


class BatchNormSign(BatchNorm):
    """Batch normalization followed by the sign: what the compiler folds into one threshold a channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Bits [n, channels] as -1 and +1."""
        return binary_sign(super().forward(x))


class Scale(nn.Module):
    """Multiply all class scores by one positive number, exp(log_scale), which no comparison of classes sees.

    Parameters
    ----------
    fan_in : int
        Fan-in of the layer before; the first scale is 1/sqrt(fan_in), which gives scores of about unit variance.
    """

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(-0.5 * torch.log(torch.tensor(float(fan_in))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of accumulators."""
        return x * self.log_scale.exp()
