"""Random rotations, sizes and elastic distortions of training pictures."""

from math import radians

import torch
from torch.nn import functional

__all__ = ["distorted"]

#: Pictures at a time: what is in between takes twelve times their memory.
_CHUNK = 4096

#: Standard deviation, in pixels, of the Gaussian that smooths displacements, as published.
_SMOOTH = 4.0


def distorted(
    pictures: torch.Tensor,
    generator: torch.Generator,
    *,
    rotate: float = 0.0,
    zoom: float = 0.0,
    elastic: float = 0.0,
    bits: int = 8,
) -> torch.Tensor:
    """Turn and stretch every picture about its middle, and displace its pixels smoothly, all at random.

    Elastic distortions are those of Simard, Steinkraus and Platt, "Best practices for convolutional neural networks
    applied to visual document analysis" (ICDAR 2003): a random move of each pixel, smoothed by a Gaussian of 4 pixels.

    Parameters
    ----------
    pictures : torch.Tensor
        Codes, uint8 [n, height, width] or [n, channels, height, width].
    generator : torch.Generator
        Source of angles, sizes and displacements.
    rotate : float, default: 0
        Largest angle in degrees; uniform, to either side.
    zoom : float, default: 0
        Largest relative change of height and of width, each by itself; uniform, smaller or larger, below 1.
    elastic : float, default: 0
        Standard deviation of a pixel's displacement along each side, in pixels. The paper's alpha of 34 is 1.4.
    bits : int, default: 8
        Width of a code.

    Returns
    -------
    torch.Tensor
        Codes, uint8 of the same shape: linear interpolation, rounded to the nearest code; code 0 comes in at the edges.
    """
    count = len(pictures)
    drawn = torch.rand(3, count, generator=generator) * 2 - 1
    angle = drawn[0] * radians(rotate)
    height, width = pictures.shape[-2:]
    down, across = 1 + zoom * drawn[1], 1 + zoom * drawn[2]
    zero = torch.zeros(count)
    # From places in the new picture to those in the old one, both from -1 to 1 along each side.
    rows = [
        torch.stack([angle.cos() / across, -angle.sin() / across * (height / width), zero], 1),
        torch.stack([angle.sin() / down * (width / height), angle.cos() / down, zero], 1),
    ]
    places = torch.stack(rows, 1)
    frames = torch.empty_like(pictures)
    for start in range(0, count, _CHUNK):
        some = pictures[start : start + _CHUNK]
        shape = (len(some), -1, height, width)
        grid = functional.affine_grid(
            places[start : start + _CHUNK], [len(some), 1, height, width], align_corners=False
        )
        if elastic:
            grid += elastic * _displacements(len(some), height, width, generator)
        moved = functional.grid_sample(some.reshape(shape).float(), grid, align_corners=False)
        frames[start : start + _CHUNK] = moved.round_().clamp_(0, (1 << bits) - 1).to(torch.uint8).reshape(some.shape)
    return frames


def _displacements(count: int, height: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Draw fields [count, height, width, across and down] whose values have a standard deviation of one pixel."""
    down, across = _smoothing(height), _smoothing(width)
    noise = torch.rand(count, 2, down.shape[1], across.shape[1], generator=generator).sub_(0.5).mul_(12**0.5)
    pixels = torch.tensor([2 / width, 2 / height])
    return (down @ noise @ across.T).permute(0, 2, 3, 1) * pixels


def _smoothing(length: int) -> torch.Tensor:
    """Weights [length, points] of noise at points half a Gaussian's deviation apart; squares of a row sum to one."""
    step, reach = _SMOOTH / 2, 3 * _SMOOTH
    points = torch.arange(-reach, length + reach, step)
    weights = torch.exp(-0.5 * ((torch.arange(length)[:, None] - points) / _SMOOTH) ** 2)
    return weights / weights.square().sum(1, keepdim=True).sqrt()
