"""The pictures of a run: whether its options fit them, and how they lie in memory."""

import numpy as np
import torch

from signfold.sw.data import Dataset
from signfold.sw.train.options import TrainingOptions

__all__ = ["check_fits", "pictures_of"]


def check_fits(options: TrainingOptions, dataset: Dataset) -> None:
    """Refuse options that do not fit the data.

    Parameters
    ----------
    options : TrainingOptions
        `threshold`, `shift` and `noise` are read.
    dataset : Dataset
        The data.

    Raises
    ------
    ValueError
        One of them does not fit.
    """
    if options.threshold is not None and options.threshold > 1 << dataset.bits:
        raise ValueError(f"threshold is {options.threshold!r}, allowed for {dataset.name}: 0..{1 << dataset.bits}")
    if options.shift >= min(dataset.shape[-2:]):
        raise ValueError(f"shift is {options.shift!r}, allowed for {dataset.name}: below {min(dataset.shape[-2:])}")
    if options.noise >= 1 << dataset.bits:
        raise ValueError(f"noise is {options.noise!r}, allowed for {dataset.name}: below {1 << dataset.bits}")


def pictures_of(pictures: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Take over pictures, channels innermost where they have channels: the order that convolutions are fastest in.

    Parameters
    ----------
    pictures : numpy.ndarray
        Codes, uint8 [n, height, width] or [n, channels, height, width].
    labels : numpy.ndarray
        Classes, int64 [n].

    Returns
    -------
    tuple of torch.Tensor
        The same.
    """
    taken = torch.from_numpy(pictures.copy())
    if taken.dim() == 4:
        taken = taken.contiguous(memory_format=torch.channels_last)
    return taken, torch.from_numpy(labels)
