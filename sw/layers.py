"""A network seen as what computes it: layers with their thresholds, the form that plans and lowering work on."""

from dataclasses import replace

import numpy as np

from signfold.sw.errors import PlanError
from signfold.sw.graph_layers import graph_layers
from signfold.sw.layer import Layer, Layers
from signfold.sw.network import Affine, Conv, Dense, MaxPool, Network, SumPool, Threshold

__all__ = ["Layer", "Layers", "network_layers"]

#: Nodes that chains are made of.
_CHAINED = (Conv, Dense, MaxPool, SumPool, Threshold, Affine)


def network_layers(network: Network) -> Layers:
    """Return the layers of a network.

    Thresholds on the result of a max pooling of sums move before it: the largest sum reaches a threshold where any sum
    does.

    Raises
    ------
    PlanError
        If a node has no place where it stands, or the network ends with codes.
    """
    nodes = list(network.nodes)
    for node, before in zip(nodes, ["input", *(node.name for node in nodes)], strict=False):
        if node.inputs != (before,) or not isinstance(node, _CHAINED):
            return graph_layers(network, node.name)
    pixels = affine = None
    if isinstance(nodes[0], Threshold) and nodes[0].levels == 1 and nodes[0].inverted is None:
        pixels = nodes.pop(0)
    if isinstance(nodes[-1], Affine):
        affine = nodes.pop()
    layers: list[Layer] = []
    for node in nodes:
        match node:
            case Conv() | Dense() | MaxPool() | SumPool():
                layers.append(Layer(node, node.name))
            case Threshold():
                _attach(network, layers, node)
            case _:
                raise PlanError(f"node {node.name!r}: {node.op} has no place inside a network")
    if not layers or isinstance(layers[-1].node, Threshold) or layers[-1].thresholds is not None:
        raise PlanError(f"node {network.output!r}: the network must end with sums")
    read = tuple(replace(layer, inputs=(k - 1,)) for k, layer in enumerate(layers))
    return Layers(network, pixels, read, affine)


def _attach(network: Network, layers: list[Layer], node: Threshold) -> None:
    """Give thresholds to the layer whose sums they compare."""
    value = network.types[node.input]
    thresholds = np.broadcast_to(node.thresholds, (value.shape[0], node.levels))
    inverted = None
    if node.inverted is not None:
        inverted = np.broadcast_to(node.inverted, (value.shape[0],))
    if value.kind == "code":
        layers.append(Layer(node, node.name, thresholds, compares=node.name))
        if inverted is not None:
            layers[-1] = replace(layers[-1], result="")
            layers.append(_identity(node, inverted))
        return
    index = len(layers) - 1
    while isinstance(layers[index].node, MaxPool):
        index -= 1
    moved = index < len(layers) - 1
    layers[index] = replace(layers[index], result="" if moved or inverted is not None else node.name)
    layers[index] = replace(layers[index], thresholds=thresholds, compares=node.name)
    for k in range(index + 1, len(layers)):
        layers[k] = replace(layers[k], result="")
    if inverted is not None and not moved:
        layers.append(_identity(node, inverted))
    elif moved:
        layers[-1] = replace(layers[-1], result=node.name, inverted=inverted)


def _identity(node: Threshold, inverted: np.ndarray) -> Layer:
    """Return a max pooling over one position, which complements the codes of some channels."""
    return Layer(MaxPool(node.name, node.input, (1, 1), (1, 1)), node.name, None, inverted)
