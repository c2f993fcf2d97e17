"""Pictures of one epoch: a new order and new random shifts."""

import torch
from torch.nn import functional

__all__ = ["epoch_frames"]


def epoch_frames(
    pictures: torch.Tensor, labels: torch.Tensor, shift: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shuffle a training set and shift each picture by its own random offset.

    Working on the whole epoch at once makes one copy per offset instead of one per picture.

    Parameters
    ----------
    pictures : torch.Tensor
        Codes, uint8 [n, height, width].
    labels : torch.Tensor
        Classes, int64 [n].
    shift : int
        Largest shift in pixels; rows and columns move by -shift..shift independently, code 0 moves in.
    generator : torch.Generator
        Source of order and offsets.

    Returns
    -------
    tuple of torch.Tensor
        Codes, uint8 [n, height * width], and their labels, int64 [n], in the new order.
    """
    count, height, width = pictures.shape
    order = torch.randperm(count, generator=generator)
    if shift == 0:
        return pictures[order].flatten(1), labels[order]
    span = 2 * shift + 1
    offsets = torch.randint(span * span, (count,), generator=generator)
    padded = functional.pad(pictures, (shift, shift, shift, shift))
    frames = torch.empty_like(pictures)
    for offset in range(span * span):
        top, left = divmod(offset, span)
        places = (offsets == offset).nonzero().flatten()
        frames[places] = padded[order[places], top : top + height, left : left + width]
    return frames.flatten(1), labels[order]
