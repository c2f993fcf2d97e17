"""Layers of a binarized network; each kind is one entry of a checkpoint's layer list."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.estimators import binary_sign, round_through

__all__ = [
    "AvgPool",
    "BatchNorm",
    "BatchNormQuant",
    "BatchNormSign",
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
    """Pixel codes as numbers: code q of k bits is (q / (2**k - 1) - mean) / std.

    Parameters
    ----------
    bits : int
        Width of a code, k.
    mean, std : sequence of float
        One number, or one a channel. Part of the model's description.
    """

    def __init__(self, bits: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self._top = float((1 << bits) - 1)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Float32 of uint8 codes, in the same shape."""
        return (codes / self._top - _by_channel(self.mean, codes)) / _by_channel(self.std, codes)


def _by_channel(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One value for all, or one an element of axis 1, in a shape that broadcasts over `x`."""
    return values.view(-1, *(1,) * (x.dim() - 2))


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
        """Normalize accumulators [n, channels, ...]: by the batch in training, by the running statistics otherwise.

        Statistics and parameters are float32 whatever the type of the accumulators.
        """
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
        )


class BatchNormSign(BatchNorm):
    """Batch normalization followed by the sign: what the compiler folds into one threshold a channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Bits [n, channels, ...] as -1 and +1."""
        return binary_sign(super().forward(x))


class BatchNormQuant(BatchNorm):
    """Batch normalization followed by rounding to k bits (DoReFa, arXiv:1606.06160): thresholds, once folded.

    Unsigned: clip to [0, 1], code round(x * (2**k - 1)), value code / (2**k - 1). Signed: clip to [-1, 1], code
    round((x + 1) / 2 * (2**k - 1)), value (2 * code - (2**k - 1)) / (2**k - 1). Halves go to the even code. The
    gradient passes unchanged inside the clip.

    Parameters
    ----------
    channels : int
        Channels.
    eps, momentum : float
        As for `BatchNorm`.
    bits : int
        Width of a code, k.
    signed : bool
        Whether codes stand for -1..1 instead of 0..1.
    """

    def __init__(self, channels: int, eps: float, momentum: float, bits: int, signed: bool) -> None:
        super().__init__(channels, eps, momentum)
        self._top = float((1 << bits) - 1)
        self._signed = signed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the codes [n, channels, ...]."""
        # In float32: the eight digits of bfloat16 would not tell neighbouring codes apart.
        y = super().forward(x).float()
        if self._signed:
            y = (y.clamp(-1.0, 1.0) + 1) / 2
            return ((2 * round_through(y * self._top) - self._top) / self._top).to(x.dtype)
        return (round_through(y.clamp(0.0, 1.0) * self._top) / self._top).to(x.dtype)


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
