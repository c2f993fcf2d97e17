"""Random rotations and sizes of training pictures."""

from math import radians

import torch
from torch.nn import functional

__all__ = ["distorted"]

#: Pictures at a time: what is in between takes twelve times their memory.
_CHUNK = 4096


def distorted(
    pictures: torch.Tensor, generator: torch.Generator, *, rotate: float = 0.0, zoom: float = 0.0, bits: int = 8
) -> torch.Tensor:
    """Turn and stretch every picture about its middle at random.

    Parameters
    ----------
    pictures : torch.Tensor
        Codes, uint8 [n, height, width] or [n, channels, height, width].
    generator : torch.Generator
        Source of angles and sizes.
    rotate : float, default: 0
        Largest angle in degrees; uniform, to either side.
    zoom : float, default: 0
        Largest relative change of height and of width, each by itself; uniform, smaller or larger, below 1.
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
        moved = functional.grid_sample(some.reshape(shape).float(), grid, align_corners=False)
        frames[start : start + _CHUNK] = moved.round_().clamp_(0, (1 << bits) - 1).to(torch.uint8).reshape(some.shape)
    return frames
