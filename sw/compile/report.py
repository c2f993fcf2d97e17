"""Report: where the trained model's float32 arithmetic leaves the exact fold, and what the head's rounding cost.

Nothing of it changes the network. The exact fold is the contract; a channel listed here is one whose trained model
rounded a result to the other side of a step.
"""

from collections.abc import Iterator

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float32 import Evaluator, round_codes
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import fold_body
from signfold.sw.compile.meaning import Meaning
from signfold.sw.network import Affine, Network, Threshold, ValueType
from signfold.sw.network.summary import threshold_statistics

__all__ = ["head_report", "layer_report", "margins", "real_sums"]

#: Sums times channels evaluated at a time: 16 MiB of float32.
_BLOCK = 1 << 22
#: Sums times channels of a layer up to which every attainable sum is evaluated; beyond, those near thresholds.
_ALL = 1 << 24
#: Attainable sums on either side of a threshold that count as near.
_NEAR = 32


def layer_report(float_network: FloatNetwork, network: Network, evaluate: Evaluator) -> list[dict[str, object]]:
    """Compare every channel before an activation with its float32 evaluation at attainable sums.

    Every attainable sum, or, in layers of more than 2**24 sums and channels, the 32 on either side of each threshold.

    Returns
    -------
    list of dict
        One entry an activation: ``layer``, ``channels``, ``fan_in`` (0 where it reads means), ``bits`` of its codes,
        ``flipped`` (gamma < 0: weights flipped or channel inverted), ``all_sums``, threshold statistics, the
        ``smallest_margin`` of the layer, and ``differing`` with an entry a channel: ``channel``, ``sums`` (how many
        sums get another code), ``sum`` and ``value`` (first of them as trained, before any flip, and its float32
        result), ``code`` and ``float_code`` there, the ``threshold`` that parts them, ``margin``. A margin is the
        smallest distance of a result from a step in units in the last place of the largest of its terms ``s*slope``,
        ``mean*slope`` and ``beta``.
    """
    folded = fold_body(float_network)
    entries = []
    for linear, norm in float_network.hidden:
        node = network.node(norm.name)
        assert isinstance(node, Threshold)
        smallest, differing = np.inf, []
        for channels, sums in _blocks(node, network.types[node.input]):
            part = norm.part(channels)
            reals = real_sums(folded.sums[norm.name], sums, channels)
            values = evaluate(part, reals.astype(np.float32))
            codes = _codes(node, norm, folded.flips[norm.name], channels, sums)
            distances = margins(part, reals)
            smallest = min(smallest, float(np.nanmin(distances)))
            found = round_codes(norm.activation, values)
            wrong = found != codes
            for channel in np.flatnonzero(wrong.any(axis=0)).tolist():
                first = int(np.flatnonzero(wrong[:, channel])[0])
                code, float_code = int(codes[first, channel]), found[first, channel]
                differing.append(
                    {
                        "channel": channels.start + channel,
                        "threshold": _between(node, norm, channels.start + channel, code, float_code),
                        "sums": int(np.count_nonzero(wrong[:, channel])),
                        "sum": int(sums[first, channel]),
                        "code": code,
                        "float_code": _json_number(float_code),
                        "value": _json_number(values[first, channel]),
                        "margin": _json_number(distances[:, channel].min()),
                    }
                )
        entries.append(
            {
                "layer": norm.name,
                "channels": norm.channels,
                "fan_in": 0 if linear is None else linear.fan_in,
                "bits": norm.activation.bits,
                "flipped": int(np.count_nonzero(norm.gamma < 0)),
                "all_sums": _count(network.types[node.input]) * norm.channels <= _ALL,
                **threshold_statistics(network, node),
                "smallest_margin": _json_number(smallest),
                "differing": differing,
            }
        )
    return entries


def _count(value: ValueType) -> int:
    return (value.high - value.low) // value.step + 1


def _blocks(node: Threshold, value: ValueType) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield channels and the sums ``[n, channels]``, as trained, to evaluate in them."""
    channels, count = len(node.thresholds), _count(value)
    if count * channels <= _ALL:
        sums = np.arange(value.low, value.high + 1, value.step)
        step = max(1, _BLOCK // count)
        for start in range(0, channels, step):
            part = slice(start, min(start + step, channels))
            yield part, np.repeat(sums[:, None], part.stop - part.start, axis=1)
        return
    around = np.arange(-_NEAR, _NEAR + 1) * value.step
    for channel in range(channels):
        near = np.clip(np.unique(node.thresholds[channel])[:, None] + around, value.low, value.high)
        # Thresholds are of flipped sums where weights are flipped: both signs hold them.
        yield slice(channel, channel + 1), np.unique(np.concatenate([near, -near]))[:, None]


def real_sums(meaning: Meaning, sums: np.ndarray, channels: slice = slice(None)) -> np.ndarray:
    """Return what sums ``[n, channels, ...]`` stand for, in float64: right to its last places, and exact for bits."""
    offsets, scales = (np.array([float(number) for number in numbers]) for numbers in (meaning.offsets, meaning.scales))
    offsets = offsets[channels] if len(offsets) > 1 else offsets
    scales = scales[channels] if len(scales) > 1 else scales
    trailing = (-1, *(1,) * (sums.ndim - 2))
    return (sums + offsets.reshape(trailing)) / float(meaning.divisor) * scales.reshape(trailing)


def _codes(node: Threshold, norm: BatchNorm, flips: np.ndarray, channels: slice, sums: np.ndarray) -> np.ndarray:
    """Return the trained codes of sums ``[n, channels]`` before any flip."""
    codes = np.empty(sums.shape, np.int64)
    for column, channel in enumerate(range(channels.start, channels.stop)):
        values = -sums[:, column] if flips[channel] else sums[:, column]
        counts = np.searchsorted(node.thresholds[channel], values, side="right")
        codes[:, column] = node.levels - counts if _counts_down(node, norm, channel) else counts
    return codes


def _counts_down(node: Threshold, norm: BatchNorm, channel: int) -> bool:
    """Say whether the trained code falls with the number of thresholds met."""
    inverted = node.inverted is not None and bool(node.inverted[channel])
    return inverted != norm.activation.complemented


def _between(node: Threshold, norm: BatchNorm, channel: int, code: int, other: float) -> int:
    """Return a threshold between two codes, the nearest to `code`; the first where the other is none."""
    level = code if other < code else code + 1
    level = min(max(level, 1), node.levels)
    down = _counts_down(node, norm, channel)
    return int(node.thresholds[channel, node.levels - level if down else level - 1])


def margins(norm: BatchNorm, reals: np.ndarray) -> np.ndarray:
    """Return the distance of each result from the nearest step, in float32 units in the last place of its largest term.

    Parameters
    ----------
    norm : BatchNorm
        The layer, with an activation.
    reals : numpy.ndarray
        float64 sums ``[n, channels, ...]``.

    Returns
    -------
    numpy.ndarray
        float64 of the same shape, computed in float64.
    """
    trailing = (-1, *(1,) * (reals.ndim - 2))
    slope, beta = norm.slopes.reshape(trailing), norm.constants.reshape(trailing)
    center = norm.mean.reshape(trailing) * slope
    products = reals * slope
    constants = np.maximum(np.abs(center), np.abs(beta)).clip(np.finfo(np.float32).tiny)
    unit = np.exp2(np.floor(np.log2(np.maximum(np.abs(products), constants))) - 23)
    values = products - center + beta
    first, _ = norm.activation.step(1)
    last, _ = norm.activation.step(norm.activation.levels)
    nearest = float(first)
    if last > first:
        spacing = float((last - first) / (norm.activation.levels - 1))
        nearest = float(first) + spacing * np.clip(
            np.rint((values - float(first)) / spacing), 0, norm.activation.levels - 1
        )
    return np.abs(values - nearest) / unit


def _json_number(value: float) -> float | None:
    """Return a number that JSON can hold; None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None


def head_report(
    float_network: FloatNetwork,
    network: Network,
    evaluate: Evaluator,
    frames: np.ndarray | None,
    scores: np.ndarray | None = None,
) -> dict[str, object]:
    """Say what the scores are and what their rounding cost.

    Parameters
    ----------
    float_network : FloatNetwork
        The trained network.
    network : Network
        What it was compiled to.
    evaluate : callable
        float32 evaluation of a batch normalization.
    frames : numpy.ndarray or None
        Pictures to compare on.
    scores : numpy.ndarray, optional
        int64 ``[n, classes]``: what the network makes of them, where it is known.

    Returns
    -------
    dict
        ``kind``: ``"sums"``, ``"offsets"`` (sums and a constant a class) or ``"affine"``; ``score_bits``. Unless they
        are sums also ``fraction``, ``error`` (largest possible distance of a score from its exact value, in score
        units) and, given frames, ``frames`` and ``agreement``: the share whose class equals that of the float head over
        the same exact sums.
    """
    node, head = network.node(network.output), float_network.head
    entry: dict[str, object] = {"kind": "sums", "score_bits": network.types[network.output].bits}
    if not isinstance(node, Affine):
        return entry
    meaning = fold_body(float_network).meaning
    # Also of weights with a scale a class.
    if isinstance(head, BatchNorm) or len(meaning.scales) > 1:
        entry["kind"], error = "affine", (network.types[node.input].high + 1) / 2
    else:
        exact = all((offset * 2**node.fraction).denominator == 1 for offset in meaning.offsets)
        entry["kind"], error = "offsets", 0.0 if exact else 0.5
    entry |= {"fraction": node.fraction, "error": error}
    if frames is not None:
        if scores is not None and node.scale.all():
            sums = (scores - node.offset) // node.scale
        else:
            sums = Network(network.input, network.nodes[:-1], node.input).evaluate(frames).scores
        reals = real_sums(meaning, sums)
        trained = evaluate(head, reals.astype(np.float32)) if isinstance(head, BatchNorm) else reals
        classes = np.argmax(sums * node.scale + node.offset, axis=1)
        agreeing = int(np.count_nonzero(np.argmax(trained, axis=1) == classes))
        entry |= {"frames": len(frames), "agreement": agreeing / len(frames)}
    return entry
