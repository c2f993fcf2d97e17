"""The trained float model beside the golden model: the same codes and classes, or float32 rounding at an exact step.

The trained model is run by its framework with each activation's codes replaced by the golden ones, so that every layer
reads what the integer network computed and a difference shows where it arises. A code that differs is explained where
the exact result is no farther from the step that it crossed than float32 can be wrong there: the measured error of the
float sum, which itself must stay within the bound for a float32 sum of so many products, times the slope, and 16 units
in the last place of the largest term for the normalization.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from signfold.sw.compile.float_layers import AveragePooling, BatchNorm, LinearLayer, PixelCodes
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import fold_body
from signfold.sw.compile.report import real_sums
from signfold.sw.network import Affine, Network, Threshold

__all__ = ["FloatModel", "FloatTrace", "compare_classes", "compare_codes"]

#: Frames through both models at a time.
BLOCK = 50
#: Differing codes and frames listed one by one.
LISTED = 20
#: Units in the last place that the roundings of a float32 normalization can add up to, generously.
_NORM_ERROR = 16


@dataclass(frozen=True, eq=False)
class FloatTrace:
    """What a trained float model computed for some frames.

    Parameters
    ----------
    scores : numpy.ndarray
        float32 ``[n, classes]``.
    sums : dict of str to numpy.ndarray
        float32 ``[n, channels, ...]`` that each batch normalization with an activation read.
    codes : dict of str to numpy.ndarray
        int64 codes that each activation gave.
    """

    scores: np.ndarray
    sums: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]


class FloatModel(Protocol):
    """The trained model, run by the framework that trained it, `BLOCK` frames at a time."""

    def classes(self, frames: np.ndarray) -> np.ndarray:
        """Classify frames ``[n, *shape]``: int64 ``[n]``, the lowest class among those of the highest score."""

    def trace(self, frames: np.ndarray, forced: Mapping[str, np.ndarray] | None = None) -> FloatTrace:
        """Run frames ``[n, *shape]``; the codes of activations in `forced` are replaced before the next layer."""


class _Comparison:
    """Exact values behind each float one."""

    def __init__(self, float_network: FloatNetwork, network: Network) -> None:
        self.network = network
        self.float_network = float_network
        folded = fold_body(float_network)
        self._meanings, self.last = folded.sums, folded.meaning
        self.norms = [norm for _, norm in float_network.hidden]
        self.bounds = _sum_errors(float_network)

    def exact_sums(self, norm: BatchNorm, trace: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the exact real sums that `norm` reads, float64 ``[n, channels, ...]``."""
        node = self.network.node(norm.name)
        assert isinstance(node, Threshold)
        sums = trace[node.input]
        if node.inverted is None:
            # Thresholds follow flipped weights: undo the flip.
            sums = sums * np.where(norm.gamma < 0, -1, 1).reshape(-1, *(1,) * (sums.ndim - 2))
        return real_sums(self._meanings[norm.name], sums)

    def check(self, norm: BatchNorm, golden: Mapping[str, np.ndarray], found: FloatTrace) -> "_Layer":
        """Compare the codes of one layer, whose inputs were the same."""
        codes, float_codes = golden[norm.name], found.codes[norm.name]
        exact, sums = self.exact_sums(norm, golden), found.sums[norm.name].astype(np.float64)
        errors = np.abs(sums - exact)
        differing = np.argwhere(float_codes != codes)
        bound = self.bounds[norm.name]
        if not len(differing):
            return _Layer(differing, np.empty(0), float(errors.max(initial=0.0)) / bound)
        place = tuple(differing.T)
        channel = differing[:, 1]
        gamma, beta, mean, variance = (
            values.astype(np.float64)[channel] for values in (norm.gamma, norm.beta, norm.mean, norm.variance)
        )
        slope = gamma / np.sqrt(variance + norm.eps)
        terms = np.stack([exact[place] * slope, mean * slope, beta])
        value = terms[0] - terms[1] + terms[2]
        steps = [float(norm.activation.step(level)[0]) for level in range(1, norm.activation.levels + 1)]
        # The step that the float code crossed last.
        level = np.where(float_codes[place] > codes[place], float_codes[place], float_codes[place] + 1)
        distance = np.abs(value - np.array(steps)[np.clip(level, 1, len(steps)) - 1])
        unit = np.exp2(np.floor(np.log2(np.abs(terms).max(axis=0).clip(np.finfo(np.float32).tiny))) - 23)
        allowed = np.abs(slope) * errors[place] + _NORM_ERROR * unit
        ratio = np.where(errors[place] <= bound, distance / allowed, np.inf)
        return _Layer(differing, ratio, float(errors.max()) / bound)


@dataclass(frozen=True, eq=False)
class _Layer:
    """Differing codes of a layer: places, distances over what rounding explains; error of sums over its bound."""

    places: np.ndarray
    ratios: np.ndarray
    sum_error: float


def _sum_errors(network: FloatNetwork) -> dict[str, float]:
    """Return, for each batch normalization and the head, how wrong a float32 sum of its products can be."""
    bounds: dict[str, float] = {}
    largest, terms, total = 1.0, 1, 1.0
    for layer in network.layers:
        match layer:
            case PixelCodes():
                ends = [(end - layer.mean.astype(float)) / layer.std.min() for end in (0.0, 1.0)]
                largest = float(np.abs(ends).max())
                terms, total = 1, largest
            case LinearLayer():
                terms, total = terms + layer.fan_in, layer.fan_in * largest
            case AveragePooling():
                terms += layer.window.area
            case BatchNorm():
                bounds[layer.name] = (terms + 8) * 2.0**-24 * total
                largest, terms, total = 1.0, 1, 1.0
    bounds[""] = (terms + 8) * 2.0**-24 * total
    return bounds


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
    comparison = _Comparison(float_network, network)
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
    comparison = _Comparison(float_network, network)
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
            entry = _first_difference(comparison, exact, rounded, int(ours[frame]), int(others[frame]))
            differing += 1
            explained += entry["explained"]
            if len(listed) < LISTED:
                ends = {"frame": start + frame, "float": int(others[frame]), "integer": int(ours[frame])}
                listed.append(ends | entry)
    return {"frames": len(frames), "differing": differing, "explained": explained, "first_differing": listed}


def _first_difference(
    comparison: _Comparison, golden: Mapping[str, np.ndarray], found: FloatTrace, ours: int, theirs: int
) -> dict[str, object]:
    """Say where one frame's float evaluation first leaves the exact one, and whether rounding explains it there."""
    for norm in comparison.norms:
        layer = comparison.check(norm, golden, found)
        if len(layer.places):
            explained = bool((layer.ratios <= 1).all())
            return {"layer": norm.name, "codes": len(layer.places), "gap": None, "explained": explained}
    network, head = comparison.network, comparison.float_network.head
    node = network.node(network.output)
    sums = golden[node.input if isinstance(node, Affine) else node.name]
    exact = real_sums(comparison.last, sums.reshape(1, -1))[0, [ours, theirs]]
    # How far rounding can move one of the two scores: that of the sums and, in an affine head, of the stored integers.
    name = head.name if isinstance(head, BatchNorm) else ""
    slope, shift = np.ones(2), np.zeros(2)
    if isinstance(head, BatchNorm):
        pair = [ours, theirs]
        slope = (head.gamma.astype(float) / np.sqrt(head.variance.astype(float) + head.eps))[pair]
        shift = head.beta[pair] - head.mean[pair] * slope
    values = exact * slope + shift
    allowed = float((np.abs(slope) * comparison.bounds[name] + 2.0**-20 * (np.abs(values) + np.abs(shift))).sum())
    if isinstance(node, Affine):
        unit = 2.0**-node.fraction
        largest = network.types[node.input].high
        if isinstance(head, BatchNorm):
            allowed += (largest + 1) * unit
        else:
            allowed += unit / float(comparison.last.divisor)
    gap = float(abs(values[0] - values[1]))
    if not isinstance(head, BatchNorm):
        meaning, (mine, other) = comparison.last, sums.reshape(-1)[[ours, theirs]].tolist()
        gap = float(abs(mine - other + meaning.offset(ours) - meaning.offset(theirs)) / meaning.divisor)
    return {"layer": None, "codes": 0, "gap": gap, "explained": gap <= allowed}
