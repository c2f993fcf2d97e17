"""What a network is made of, in numbers."""

import numpy as np

from signfold.sw.network.graph import Network
from signfold.sw.network.nodes import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    Node,
    PadChannels,
    Pool,
    Quantize,
    Scale,
    Threshold,
)

__all__ = ["summarize", "threshold_statistics"]


def threshold_statistics(network: Network, node: Threshold) -> dict[str, int]:
    """Count what the thresholds of a node do.

    Parameters
    ----------
    network : Network
        The network.
    node : Threshold
        One of its nodes.

    Returns
    -------
    dict of str to int
        ``thresholds`` stored; ``always`` and ``never`` of them fire for every and for no attainable value; ``lowest``
        and ``highest``.
    """
    value = network.types[node.input]
    return {
        "thresholds": int(node.thresholds.size),
        "always": int(np.count_nonzero(node.thresholds <= value.low)),
        "never": int(np.count_nonzero(node.thresholds > value.high)),
        "lowest": int(node.thresholds.min()),
        "highest": int(node.thresholds.max()),
    }


def _parameters(network: Network, node: Node) -> dict[str, object]:
    """Return what is particular to a node's operation."""
    match node:
        case Dense() | Conv():
            values, counts = np.unique(node.weights, return_counts=True)
            entry: dict[str, object] = {
                "fan_in": node.fan_in,
                "weights": int(node.weights.size),
                "levels": node.levels,
                "weight_bits": int(node.weights.size) * (node.levels - 1).bit_length(),
                "products": network.types[node.name].elements * node.fan_in,
            }
            if node.levels == 2:
                entry["ones"] = int(node.weights.sum())
            elif node.levels == 3:
                entry["zeros"] = int(counts[values == 1].sum())
            if isinstance(node, Conv):
                entry |= {what: list(getattr(node, what)) for what in ("kernel", "stride", "padding")}
                entry |= {"pad": node.pad, "groups": node.groups}
            return entry
        case Pool():
            return {what: list(getattr(node, what)) for what in ("kernel", "stride", "padding")}
        case Threshold():
            inverted = 0 if node.inverted is None else int(node.inverted.sum())
            return threshold_statistics(network, node) | {"levels": node.levels, "inverted": inverted}
        case Affine():
            return {"fraction": node.fraction}
        case Scale():
            return {"shift": node.shift, "saturation": [node.low, node.high], "fraction": node.fraction}
        case Quantize():
            return {"shift": node.shift}
        case Add() | Concat():
            return {}
        case PadChannels():
            return {"before": node.before, "after": node.after}
    raise TypeError(f"no summary for {type(node).__name__}")


def summarize(network: Network) -> dict[str, object]:
    """Describe a network as a JSON object.

    Returns
    -------
    dict
        Input, one entry a node (name, operation, inputs, shape, width and range of its result, parameters), totals,
        metadata and content hash. ``products`` are multiplications a frame, those with padding among them.
    """
    layers = []
    for node in network.nodes:
        value = network.types[node.name]
        entry: dict[str, object] = {
            "name": node.name,
            "op": node.op,
            "inputs": list(node.inputs),
            "kind": value.kind,
            "shape": list(value.shape),
            "bits": value.bits,
            "low": value.low,
            "high": value.high,
            "step": value.step,
        }
        layers.append(entry | _parameters(network, node))

    def total(what: str) -> int:
        return sum(layer[what] for layer in layers if what in layer)

    return {
        "input": {"shape": list(network.input.shape), "bits": network.input.bits},
        "layers": layers,
        "output": network.output,
        "classes": network.classes,
        "weights": total("weights"),
        "weight_bits": total("weight_bits"),
        "products": total("products"),
        "thresholds": total("thresholds"),
        "metadata": dict(network.metadata),
        "content_hash": network.content_hash,
    }
