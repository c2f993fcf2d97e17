"""What a network is made of, in numbers."""

import numpy as np

from signfold.sw.network.graph import Network
from signfold.sw.network.nodes import Affine, Dense, Threshold

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


def summarize(network: Network) -> dict[str, object]:
    """Describe a network as a JSON object.

    Returns
    -------
    dict
        Input, one entry a node (name, operation, input, shape, width and range of its result, parameters), totals,
        metadata and content hash.
    """
    layers = []
    for node in network.nodes:
        value = network.types[node.name]
        entry: dict[str, object] = {
            "name": node.name,
            "op": node.op,
            "input": node.input,
            "shape": list(value.shape),
            "bits": value.bits,
            "low": value.low,
            "high": value.high,
        }
        match node:
            case Dense():
                entry |= {"fan_in": node.fan_in, "weights": int(node.weights.size), "ones": int(node.weights.sum())}
            case Threshold():
                entry |= threshold_statistics(network, node)
            case Affine():
                entry |= {"fraction": node.fraction}
        layers.append(entry)
    return {
        "input": {"shape": list(network.input.shape), "bits": network.input.bits},
        "layers": layers,
        "output": network.output,
        "classes": network.classes,
        "weights": sum(int(node.weights.size) for node in network.nodes if isinstance(node, Dense)),
        "thresholds": sum(int(node.thresholds.size) for node in network.nodes if isinstance(node, Threshold)),
        "metadata": dict(network.metadata),
        "content_hash": network.content_hash,
    }
