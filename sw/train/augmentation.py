"""Pictures of one epoch: a new order, new random shifts, mirror images, distortions and noise."""

import torch
from torch.nn import functional

from signfold.sw.train.distortion import distorted

__all__ = ["epoch_frames"]


def epoch_frames(
    pictures: torch.Tensor,
    labels: torch.Tensor,
    generator: torch.Generator,
    *,
    shift: int = 0,
    flip: bool = False,
    rotate: float = 0.0,
    zoom: float = 0.0,
    elastic: float = 0.0,
    noise: int = 0,
    bits: int = 8,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shuffle a training set, shift, mirror and distort each picture at random and add noise to every pixel.

    Working on the whole epoch at once makes one copy per offset instead of one per picture.

    Parameters
    ----------
    pictures : torch.Tensor
        Codes, uint8 [n, height, width] or [n, channels, height, width].
    labels : torch.Tensor
        Classes, int64 [n].
    generator : torch.Generator
        Source of order, offsets, mirror images, distortions and noise.
    shift : int, default: 0
        Largest shift in pixels; rows and columns move by -shift..shift independently, code 0 moves in. The same as a
        random crop from a picture that is padded by so many pixels.
    flip : bool, default: False
        Whether every other picture, at random, is mirrored left to right.
    rotate, zoom, elastic : float, default: 0
        Largest rotation in degrees, largest relative change of size, and standard deviation of pixels' displacements:
        see `signfold.sw.train.distortion.distorted`.
    noise : int, default: 0
        Largest change of a code: every pixel gets its own uniform integer of -noise..noise, and stays in range. Pixels
        near a threshold then fall on either side of it, which keeps a network from learning 1-bit pictures by heart.
    bits : int, default: 8
        Width of a code.

    Returns
    -------
    tuple of torch.Tensor
        Codes, uint8 of the pictures' shape and memory format, and their labels, int64 [n], in the new order.
    """
    order = torch.randperm(len(pictures), generator=generator)
    frames = _shifted(pictures, order, shift, generator) if shift else pictures[order]
    if flip:
        mirrored = (torch.rand(len(frames), generator=generator) < 0.5).nonzero().flatten()
        frames[mirrored] = frames[mirrored].flip(-1)
    if rotate or zoom or elastic:
        frames = distorted(frames, generator, rotate=rotate, zoom=zoom, elastic=elastic, bits=bits)
    if noise:
        change = torch.randint(-noise, noise + 1, frames.shape, generator=generator, dtype=torch.int16)
        frames = (frames + change).clamp_(0, (1 << bits) - 1).to(torch.uint8)
    return frames, labels[order]


def _shifted(pictures: torch.Tensor, order: torch.Tensor, shift: int, generator: torch.Generator) -> torch.Tensor:
    height, width = pictures.shape[-2:]
    span = 2 * shift + 1
    offsets = torch.randint(span * span, (len(pictures),), generator=generator)
    padded = functional.pad(pictures, (shift, shift, shift, shift))
    frames = torch.empty_like(pictures)
    for offset in range(span * span):
        top, left = divmod(offset, span)
        places = (offsets == offset).nonzero().flatten()
        frames[places] = padded[..., top : top + height, left : left + width][order[places]]
    return frames
