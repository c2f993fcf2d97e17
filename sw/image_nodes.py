"""What the map of images says of a network's nodes."""

from itertools import accumulate
from typing import Any

import numpy as np

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.hardwired import HardwiredParameters
from signfold.sw.layers import Layers
from signfold.sw.network import Affine, Conv, Dense, MaxPool, PadChannels, Quantize, Scale, SumPool, Threshold
from signfold.sw.scale_images import scale_node

__all__ = ["image_nodes"]


def image_nodes(layers: Layers, config: AcceleratorConfig) -> list[dict[str, Any]]:
    """Describe a network's nodes in order, but for what the images hold; `layer` says in which layer's images.

    Of a hardwired layer there are no images: its integers stand here, `codes` of weights as hexadecimal digits.
    """
    network = layers.network
    firsts = accumulate((stage.span for stage in config.layers), initial=0)
    hardwired = {k for k, stage in zip(firsts, config.layers, strict=False) if isinstance(stage, HardwiredParameters)}
    home = {layer.node.name: k for k, layer in enumerate(layers.layers)}
    # Thresholds are with the layer that compares, whatever poolings they have moved before; inversions come after.
    comparing = {layer.compares: k for k, layer in enumerate(layers.layers) if layer.thresholds is not None}
    inverting = {layer.result: k for k, layer in enumerate(layers.layers) if layer.inverted is not None}
    places = {name: number for number, name in enumerate(["input", *(node.name for node in network.nodes)], start=-1)}
    nodes: list[dict[str, Any]] = []
    for node in network.nodes:
        entry: dict[str, Any] = {"op": node.op}
        if layers.branches:
            entry["inputs"] = [places[name] for name in node.inputs]
        match node:
            case Dense():
                entry |= {"layer": home[node.name], "channels": node.channels, "levels": node.levels}
                entry |= {"shape": list(network.types[node.input].shape)}
            case Conv():
                entry |= {"layer": home[node.name], "channels": node.channels, "levels": node.levels}
                entry |= {"shape": list(node.weights.shape[1:]), "stride": list(node.stride)}
                entry |= {"padding": list(node.padding), "pad": node.pad, "groups": node.groups}
            case MaxPool() | SumPool():
                entry |= {key: list(getattr(node, key)) for key in ("kernel", "stride", "padding")}
            case Threshold():
                entry |= {"layer": None if node is layers.pixels else comparing[node.name]}
                entry |= {"levels": node.levels, "rows": len(node.thresholds)}
                entry |= {"inverted": None if node.inverted is None else inverting[node.name]}
            case Affine():
                entry |= {"fraction": node.fraction}
            case PadChannels():
                entry |= {"before": node.before, "after": node.after}
            case Scale() | Quantize():
                entry |= {"layer": home[node.name]} | scale_node(node, config.layers[home[node.name]].unit)
        if entry.get("layer") in hardwired:
            entry |= _integers(node)
        nodes.append(entry)
    return nodes


def _integers(node: Conv | Dense | Threshold) -> dict[str, Any]:
    """Return the integers of a node that has no images."""
    if isinstance(node, Threshold):
        return {"thresholds": node.thresholds.tolist()}
    kind = np.uint8 if node.levels <= 256 else "<u2"
    return {"codes": [row.astype(kind).tobytes().hex() for row in node.weights.reshape(node.channels, -1)]}
