"""Report: where the trained model's float32 arithmetic leaves the exact fold, and what the head's rounding cost.

Nothing of it changes the network. The exact fold is the contract; a channel listed here is one whose trained model
rounded a result to the other side of zero.
"""

import numpy as np

from signfold.sw.compile.float32 import Evaluator
from signfold.sw.compile.float_layers import BatchNorm
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.network import Affine, Network, Threshold
from signfold.sw.network.summary import threshold_statistics

__all__ = ["head_report", "layer_report"]

#: Sums times channels evaluated at a time: 16 MiB of float32.
_BLOCK = 1 << 22


def layer_report(float_network: FloatNetwork, network: Network, evaluate: Evaluator) -> list[dict[str, object]]:
    """Compare every hidden channel with its float32 evaluation at every attainable sum.

    Returns
    -------
    list of dict
        One entry a hidden layer: ``layer``, ``channels``, ``fan_in``, ``flipped`` (gamma < 0), threshold statistics,
        the ``smallest_margin`` of the layer, and ``differing`` with an entry a channel: ``channel``, exact
        ``threshold``, ``sums`` (how many sums get another bit), ``sum`` and ``value`` (first of them and its float32
        result), ``margin``. A margin is the smallest distance of a result from zero in units in the last place of the
        largest of its terms ``s*slope``, ``mean*slope`` and ``beta``.
    """
    entries = []
    for dense, norm in float_network.hidden:
        node = network.node(norm.name)
        assert isinstance(node, Threshold)
        thresholds = node.thresholds[:, 0]
        sums = np.arange(-dense.fan_in, dense.fan_in + 1, 2)
        step = max(1, _BLOCK // len(sums))
        margins, differing = [], []
        for start in range(0, norm.channels, step):
            part = _channels(norm, slice(start, start + step))
            values = evaluate(part, np.repeat(sums[:, None], part.channels, axis=1).astype(np.float32))
            exact = np.where(part.gamma < 0, -sums[:, None], sums[:, None]) >= thresholds[start : start + step]
            margins.append(_margins(part, sums))
            wrong = (values >= 0) != exact
            for channel in np.flatnonzero(wrong.any(axis=0)).tolist():
                first = int(np.flatnonzero(wrong[:, channel])[0])
                differing.append(
                    {
                        "channel": start + channel,
                        "threshold": int(thresholds[start + channel]),
                        "sums": int(np.count_nonzero(wrong[:, channel])),
                        "sum": int(sums[first]),
                        "value": _json_number(values[first, channel]),
                        "margin": _json_number(margins[-1][channel]),
                    }
                )
        entries.append(
            {
                "layer": norm.name,
                "channels": norm.channels,
                "fan_in": dense.fan_in,
                "flipped": int(np.count_nonzero(norm.gamma < 0)),
                **threshold_statistics(network, node),
                "smallest_margin": _json_number(min(float(np.nanmin(part)) for part in margins)),
                "differing": differing,
            }
        )
    return entries


def _channels(norm: BatchNorm, part: slice) -> BatchNorm:
    """Return a layer of some of the channels."""
    return BatchNorm(
        norm.name, norm.gamma[part], norm.beta[part], norm.mean[part], norm.variance[part], norm.eps, norm.activation
    )


def _margins(norm: BatchNorm, sums: np.ndarray) -> np.ndarray:
    """Return each channel's smallest distance from zero in float32 units in the last place, computed in float64."""
    slope = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.eps)
    products, center = sums[:, None] * slope, norm.mean * slope
    constants = np.maximum(np.abs(center), np.abs(norm.beta)).clip(np.finfo(np.float32).tiny)
    largest = np.maximum(np.abs(products), constants)
    unit = np.exp2(np.floor(np.log2(largest)) - 23)
    return (np.abs(products - center + norm.beta) / unit).min(axis=0)


def _json_number(value: float) -> float | None:
    """Return a number that JSON can hold; None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None


def head_report(
    float_network: FloatNetwork, network: Network, evaluate: Evaluator, frames: np.ndarray | None
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

    Returns
    -------
    dict
        ``kind`` (``"sums"`` or ``"affine"``), ``score_bits``; for an affine also ``fraction``, ``error`` (largest
        possible distance of a score from its exact value, in score units) and, given frames, ``frames`` and
        ``agreement``: the share whose class equals that of the float head over the same exact sums.
    """
    node = network.node(network.output)
    entry: dict[str, object] = {"kind": "sums", "score_bits": network.types[network.output].bits}
    if not isinstance(node, Affine):
        return entry
    largest = network.types[node.input].high
    entry |= {"kind": "affine", "fraction": node.fraction, "error": (largest + 1) / 2}
    if frames is not None:
        body = Network(network.input, network.nodes[:-1], node.input)
        sums = body.evaluate(frames).scores
        classes = np.argmax(evaluate(float_network.head, sums.astype(np.float32)), axis=1)
        agreeing = int(np.count_nonzero(classes == network.evaluate(frames).classes))
        entry |= {"frames": len(frames), "agreement": agreeing / len(frames)}
    return entry
