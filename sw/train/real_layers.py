"""Layers whose results are real numbers: rectifiers, and what joins the branches of a graph."""

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.norms import Norm

__all__ = ["Add", "Concat", "HardTanh", "PReLU", "Rectifier", "Subsample"]


class Rectifier(Norm):
    """Normalization, or none, followed by max(x, 0): activations of nets whose weights alone are binary."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rectify accumulators [n, channels, ...]."""
        return self.normalize(x).relu()


class HardTanh(nn.Module):
    """Clip to -1..1; the gradient passes between the edges, not at them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Clip values of any shape."""
        return functional.hardtanh(x)


class PReLU(nn.Module):
    """max(x, 0) + weight * min(x, 0), a weight a channel (He et al., arXiv:1502.01852).

    Parameters
    ----------
    channels : int
        Channels; weights begin at 1/4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rectify values [n, channels, ...]."""
        return functional.prelu(x, self.weight.to(x.dtype))


class Add(nn.Module):
    """Sum of branches of one shape."""

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        """Add values [n, channels, ...]."""
        total = x[0]
        for each in x[1:]:
            total = total + each
        return total


class Concat(nn.Module):
    """Channels of all branches, in order."""

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        """Join values [n, channels, ...] along axis 1."""
        return torch.cat(x, 1)


class Subsample(nn.Module):
    """Every so many rows and columns, and channels of zeros at the end: a shortcut without weights.

    Option A of the CIFAR networks of He et al. (arXiv:1512.03385).

    Parameters
    ----------
    stride : int
        Of rows and columns.
    channels : int
        Channels after it, no fewer than before.
    """

    def __init__(self, stride: int, channels: int) -> None:
        super().__init__()
        self._stride, self._channels = stride, channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pick values [n, channels, height, width]."""
        picked = x[:, :, :: self._stride, :: self._stride]
        return functional.pad(picked, (0, 0, 0, 0, 0, self._channels - x.shape[1]))
