"""Comparison of what a device computed with the golden model."""

import numpy as np

from signfold.sw.errors import MismatchError
from signfold.sw.link.device import Results
from signfold.sw.network import Network

__all__ = ["compare_with_golden"]


def compare_with_golden(network: Network, frames: np.ndarray, results: Results, source: str) -> None:
    """Make sure that results are those of the golden model, every score and class.

    Parameters
    ----------
    network : Network
        What should have been computed.
    frames : numpy.ndarray
        uint8 codes ``[n, ...]``.
    results : Results
        What was computed.
    source : str
        Where the results come from, for the message.

    Raises
    ------
    MismatchError
        Naming how many frames differ, and of the first the first class with both values.
    """
    golden = network.evaluate(frames)
    wrong = np.flatnonzero((golden.scores != results.scores).any(axis=1) | (golden.classes != results.classes))
    if len(wrong) == 0:
        return
    frame = int(wrong[0])
    differing = np.flatnonzero(golden.scores[frame] != results.scores[frame])
    if len(differing):
        label = int(differing[0])
        ours, theirs = int(results.scores[frame, label]), int(golden.scores[frame, label])
        what = f"the score of class {label} is {ours}, the golden model's {theirs}"
    else:
        what = f"the class is {int(results.classes[frame])}, the golden model's {int(golden.classes[frame])}"
    raise MismatchError(f"{len(wrong)} of {len(frames)} frames from {source} differ; in frame {frame} {what}")
