"""The trained float model beside the golden model: the same codes and classes, or float32 rounding at an exact step.

The trained model is run by its framework. For codes, each activation's are replaced by the golden ones, so that every
layer reads what the integer network computed and a difference shows where it arises; `rounding` explains it, or not.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.rounding import Comparison, FloatTrace, first_difference
from signfold.sw.network import Network

__all__ = ["BLOCK", "FloatModel", "compare_classes", "compare_codes"]

#: Frames through both models at a time.
BLOCK = 50
#: Differing codes and frames listed one by one.
LISTED = 20


class FloatModel(Protocol):
    """The trained model, run by the framework that trained it, `BLOCK` frames at a time."""

    def classes(self, frames: np.ndarray) -> np.ndarray:
        """Classify frames ``[n, *shape]``: int64 ``[n]``, the lowest class among those of the highest score."""

    def trace(self, frames: np.ndarray, forced: Mapping[str, np.ndarray] | None = None) -> FloatTrace:
        """Run frames ``[n, *shape]``; the codes of activations in `forced` are replaced before the next layer."""


def _blocks(frames: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(frames), BLOCK):
        yield start, frames[start : start + BLOCK]


def compare_codes(
    float_network: FloatNetwork,
    network: Network,
    model: FloatModel,
    frames: np.ndarray,
) -> list[dict[str, object]]:
    """Compare every code of every activation on some frames.

    Parameters
    ----------
    float_network, network : FloatNetwork, Network
        The trained network and what it was compiled to.
    model : FloatModel
        The trained network in its framework.
    frames : numpy.ndarray
        uint8 ``[n, *shape]``.

    Returns
    -------
    list of dict
        One entry an activation: ``layer``, ``codes`` compared, ``differing``, ``explained`` of them by float32 rounding
        at a step, ``sum_error`` (largest error of a float sum as a share of its bound), ``first_differing``: ``frame``,
        ``place`` (channel, row, column), ``code``, ``float_code``, ``ratio`` (distance from the step over the distance
        that rounding explains; at most 1 where explained).
    """
    comparison = Comparison(float_network, network)
    entries: dict[str, dict] = {
        norm.name: {
            "layer": norm.name,
            "codes": 0,
            "differing": 0,
            "explained": 0,
            "sum_error": 0.0,
            "first_differing": [],
        }
        for norm in comparison.norms
    }
    for start, block in _blocks(frames):
        golden = network.trace(block)
        found = model.trace(block, {norm.name: golden[norm.name] for norm in comparison.norms})
        for norm in comparison.norms:
            layer, entry = comparison.check(norm, golden, found), entries[norm.name]
            entry["codes"] += int(golden[norm.name].size)
            entry["differing"] += len(layer.places)
            entry["explained"] += int(np.count_nonzero(layer.ratios <= 1))
            entry["sum_error"] = max(entry["sum_error"], layer.sum_error)
            for place, ratio in zip(layer.places.tolist(), layer.ratios.tolist(), strict=True):
                if len(entry["first_differing"]) == LISTED:
                    break
                entry["first_differing"].append(
                    {
                        "frame": start + place[0],
                        "place": place[1:],
                        "code": int(golden[norm.name][tuple(place)]),
                        "float_code": int(found.codes[norm.name][tuple(place)]),
                        "ratio": ratio if np.isfinite(ratio) else None,
                    }
                )
    return list(entries.values())


def compare_classes(
    float_network: FloatNetwork,
    network: Network,
    model: FloatModel,
    frames: np.ndarray,
    classes: np.ndarray,
) -> dict[str, object]:
    """Compare the classes of frames and, for each that differs, find where the float model first left the exact one.

    Parameters
    ----------
    float_network, network, model, frames
        As for `compare_codes`.
    classes : numpy.ndarray
        int64 ``[n]``: what the golden model says.

    Returns
    -------
    dict
        ``frames``, ``differing`` (frames of another class), ``explained`` of them, and ``first_differing``: ``frame``,
        ``float`` and ``integer`` (classes), ``layer`` (name of the first activation with differing codes; None: the
        codes are all the same and the scores differ), ``codes`` (how many differ there), ``gap`` (exact distance of the
        two real scores; 0: they are equal, and the golden model takes the lower class), ``explained``.
    """
    comparison = Comparison(float_network, network)
    theirs = model.classes(frames)
    differing = explained = 0
    listed = []
    for start, block in _blocks(frames):
        ours, others = classes[start : start + len(block)], theirs[start : start + len(block)]
        wrong = np.flatnonzero(ours != others).tolist()
        if not wrong:
            continue
        # The same frames in one piece once more: frameworks may round differently in pieces of another size.
        found, golden = model.trace(block), network.trace(block)
        for frame in wrong:
            pick = slice(frame, frame + 1)
            exact = {name: value[pick] for name, value in golden.items()}
            rounded = FloatTrace(
                found.scores[pick],
                {name: value[pick] for name, value in found.sums.items()},
                {name: value[pick] for name, value in found.codes.items()},
            )
            entry = first_difference(comparison, exact, rounded, int(ours[frame]), int(others[frame]))
            differing += 1
            explained += entry["explained"]
            if len(listed) < LISTED:
                ends = {"frame": start + frame, "float": int(others[frame]), "integer": int(ours[frame])}
                listed.append(ends | entry)
    return {"frames": len(frames), "differing": differing, "explained": explained, "first_differing": listed}
