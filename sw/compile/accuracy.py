"""Accuracy of an integer network on a data set, by the golden model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from signfold.sw.data import Dataset
from signfold.sw.errors import DataError
from signfold.sw.network import Evaluation, Network

__all__ = ["Accuracy", "frames_for", "measure"]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """How many frames a network classifies rightly.

    Parameters
    ----------
    labels : numpy.ndarray
        int64 ``[n]``: true classes.
    evaluation : Evaluation
        What the network says.
    """

    labels: np.ndarray
    evaluation: Evaluation

    @property
    def frames(self) -> int:
        """Frames seen."""
        return len(self.labels)

    @property
    def correct(self) -> int:
        """Frames whose class is right."""
        return int(np.count_nonzero(self.evaluation.classes == self.labels))

    @property
    def fraction(self) -> float:
        """Share of frames whose class is right."""
        return self.correct / self.frames

    def by_class(self, classes: int) -> list[dict[str, int]]:
        """Return frames and right answers of each class."""
        right = self.evaluation.classes == self.labels
        return [
            {
                "class": label,
                "frames": int(np.count_nonzero(self.labels == label)),
                "correct": int(np.count_nonzero(right & (self.labels == label))),
            }
            for label in range(classes)
        ]


def frames_for(
    network: Network, dataset: Dataset, split: str, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read the frames and labels of a split, as the network takes them.

    Parameters
    ----------
    network : Network
        The network.
    dataset : Dataset
        Data whose pixels, code width and classes must be the network's.
    split : str
        A part of the data set.
    limit : int, optional
        First frames only.

    Raises
    ------
    DataError
        The data does not fit the network, or cannot be read.
    """
    for what, ours, theirs in (
        ("pixels", network.input.elements, dataset.elements),
        ("bits a pixel", network.input.bits, dataset.bits),
        ("classes", network.classes, dataset.classes),
    ):
        if ours != theirs:
            raise DataError(f"data set {dataset.name!r} has {theirs} {what}, but the network takes {ours}")
    pictures, labels = dataset.split(split)
    return pictures[:limit], labels[:limit]


def measure(
    network: Network, frames: np.ndarray, labels: np.ndarray, *, progress: Callable[[int], object] | None = None
) -> Accuracy:
    """Evaluate labelled frames with the golden model; `progress` is that of `Network.evaluate`."""
    return Accuracy(labels, network.evaluate(frames, progress=progress))
