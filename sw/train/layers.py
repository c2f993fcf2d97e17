"""What networks begin with, pool by and end in; each kind is one entry of a checkpoint's layer list."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "AvgPool",
    "InputCodes",
    "InputThreshold",
    "MaxPool",
    "Scale",
]


class InputThreshold(nn.Module):
    """Turn pixel codes into bits: +1 where pixel >= threshold, else -1.

    Parameters
    ----------
    thresholds : sequence of int
        One for all pixels; or one a pixel of flat pictures, one a channel of others. Part of the model's description,
        not a trained tensor.
    """

    def __init__(self, thresholds: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("thresholds", torch.tensor(thresholds, dtype=torch.int16), persistent=False)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Binarize uint8 codes [n, elements] or [n, channels, height, width] to float32."""
        return torch.where(codes >= _by_channel(self.thresholds, codes), 1.0, -1.0)


class InputCodes(nn.Module):
    """Pixel codes as numbers: code q of k bits is (q / (2**k - 1) - mean) / std, or (2*q - (2**k - 1)) / divisor.

    Parameters
    ----------
    bits : int
        Width of a code, k.
    mean, std : sequence of float
        One number, or one a channel. Part of the model's description.
    divisor : int, optional
        A power of two, in the place of mean and std: the numbers, and sums of them, are then exact.
    """

    def __init__(
        self, bits: int, mean: Sequence[float] = (0.5,), std: Sequence[float] = (0.5,), divisor: int | None = None
    ) -> None:
        super().__init__()
        self._top, self._divisor = float((1 << bits) - 1), divisor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Float32 of uint8 codes, in the same shape."""
        if self._divisor is not None:
            return (2.0 * codes - self._top) / self._divisor
        return (codes / self._top - _by_channel(self.mean, codes)) / _by_channel(self.std, codes)


def _by_channel(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One value for all, or one an element of axis 1, in a shape that broadcasts over `x`."""
    return values.view(-1, *(1,) * (x.dim() - 2))


class _Pool(nn.Module):
    """What pools share: a window, in floor mode.

    Parameters
    ----------
    kernel, stride : sequence of int
        Height and width, rows and columns.
    padding : sequence of int
        Top, bottom, left, right.
    """

    def __init__(self, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> None:
        super().__init__()
        self._kernel, self._stride, self._padding = tuple(kernel), tuple(stride), tuple(padding)

    def _padded(self, x: torch.Tensor, value: float) -> torch.Tensor:
        top, bottom, left, right = self._padding
        return functional.pad(x, (left, right, top, bottom), value=value) if any(self._padding) else x


class MaxPool(_Pool):
    """Largest value of each window; padded places never win."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maxima [n, channels, height, width]."""
        return functional.max_pool2d(self._padded(x, float("-inf")), self._kernel, self._stride)


class AvgPool(_Pool):
    """Mean of each window; padded places count as 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Means [n, channels, height, width]."""
        return functional.avg_pool2d(self._padded(x, 0.0), self._kernel, self._stride)


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
        """Scores of accumulators [n, channels] or, one position a picture, [n, channels, 1, 1]."""
        return x * self.log_scale.exp()
