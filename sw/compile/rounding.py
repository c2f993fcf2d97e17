"""How wrong float32 can be: differing codes of the trained model, each explained by rounding at an exact step or not.

A code that differs is explained where the exact result is no farther from the step that it crossed than float32 can be
wrong there: the measured error of the float sum, which itself must stay within the bound for a float32 sum of so many
products, times the slope, and 16 units in the last place of the largest term for the normalization.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import AveragePooling, PixelCodes
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import fold_body
from signfold.sw.compile.linear_layers import LinearLayer
from signfold.sw.compile.report import real_sums
from signfold.sw.network import Affine, Network, Threshold

__all__ = ["Comparison", "Difference", "FloatTrace", "first_difference"]

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


class Comparison:
    """Exact values behind each float one."""

    def __init__(self, float_network: FloatNetwork, network: Network) -> None:
        self.network = network
        self.float_network = float_network
        folded = fold_body(float_network)
        self._meanings, self._flips, self.last = folded.sums, folded.flips, folded.meaning
        self.norms = [norm for _, norm in float_network.hidden]
        self.bounds = _sum_errors(float_network)

    def exact_sums(self, norm: BatchNorm, trace: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the exact real sums that `norm` reads, float64 ``[n, channels, ...]``."""
        node = self.network.node(norm.name)
        assert isinstance(node, Threshold)
        sums = trace[node.input]
        # Thresholds follow flipped weights: undo the flip.
        sums = sums * np.where(self._flips[norm.name], -1, 1).reshape(-1, *(1,) * (sums.ndim - 2))
        return real_sums(self._meanings[norm.name], sums)

    def check(self, norm: BatchNorm, golden: Mapping[str, np.ndarray], found: FloatTrace) -> "Difference":
        """Compare the codes of one layer, whose inputs were the same."""
        codes, float_codes = golden[norm.name], found.codes[norm.name]
        exact, sums = self.exact_sums(norm, golden), found.sums[norm.name].astype(np.float64)
        errors = np.abs(sums - exact)
        differing = np.argwhere(float_codes != codes)
        bound = self.bounds[norm.name]
        if not len(differing):
            return Difference(differing, np.empty(0), float(errors.max(initial=0.0)) / bound)
        place = tuple(differing.T)
        channel = differing[:, 1]
        slope, beta, mean = norm.slopes[channel], norm.constants[channel], norm.mean.astype(np.float64)[channel]
        terms = np.stack([exact[place] * slope, mean * slope, beta])
        value = terms[0] - terms[1] + terms[2]
        steps = [float(norm.activation.step(level)[0]) for level in range(1, norm.activation.levels + 1)]
        # The step that the float code crossed last.
        level = np.where(float_codes[place] > codes[place], float_codes[place], float_codes[place] + 1)
        distance = np.abs(value - np.array(steps)[np.clip(level, 1, len(steps)) - 1])
        # Signed codes are made of y + 1.
        least = 1.0 if norm.activation.kind == "signed" else np.finfo(np.float32).tiny
        unit = np.exp2(np.floor(np.log2(np.abs(terms).max(axis=0).clip(least))) - 23)
        allowed = np.abs(slope) * errors[place] + _NORM_ERROR * unit
        ratio = np.where(errors[place] <= bound, distance / allowed, np.inf)
        return Difference(differing, ratio, float(errors.max()) / bound)


@dataclass(frozen=True, eq=False)
class Difference:
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
                largest *= 1.0 if layer.scale is None else float(np.abs(layer.scale).max())
                terms, total = terms + layer.fan_in + 1, layer.fan_in * largest + (layer.bias is not None)
            case AveragePooling():
                terms += layer.window.area
            case BatchNorm():
                bounds[layer.name] = (terms + 8) * 2.0**-24 * total
                largest = 1.0 if layer.activation is None else abs(layer.activation.scale)
                terms, total = 1, largest
    bounds[""] = (terms + 8) * 2.0**-24 * total
    return bounds


def first_difference(
    comparison: Comparison, golden: Mapping[str, np.ndarray], found: FloatTrace, ours: int, theirs: int
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
        slope = head.slopes[pair]
        shift = head.beta[pair] - head.mean[pair] * slope
    values = exact * slope + shift
    allowed = float((np.abs(slope) * comparison.bounds[name] + 2.0**-20 * (np.abs(values) + np.abs(shift))).sum())
    scaled = len(comparison.last.scales) > 1
    if isinstance(node, Affine):
        unit = 2.0**-node.fraction
        largest = network.types[node.input].high
        if isinstance(head, BatchNorm) or scaled:
            allowed += (largest + 1) * unit
        else:
            allowed += unit / float(comparison.last.divisor)
    gap = float(abs(values[0] - values[1]))
    if not isinstance(head, BatchNorm) and not scaled:
        meaning, (mine, other) = comparison.last, sums.reshape(-1)[[ours, theirs]].tolist()
        exact_gap = abs(mine - other + meaning.offset(ours) - meaning.offset(theirs)) / meaning.divisor
        gap = float(exact_gap * meaning.scales[0])
    return {"layer": None, "codes": 0, "gap": gap, "explained": gap <= allowed}
