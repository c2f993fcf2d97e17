"""A network seen as what computes it: layers with their thresholds, the form that plans and lowering work on."""

from dataclasses import dataclass, replace

import numpy as np

from signfold.sw.errors import PlanError
from signfold.sw.network import Affine, Conv, Dense, MaxPool, Network, SumPool, Threshold

__all__ = ["Layer", "Layers", "network_layers"]


@dataclass(frozen=True, eq=False)
class Layer:
    """A node that computes, and the thresholds on its result.

    Attributes
    ----------
    node : Conv, Dense, MaxPool, SumPool or Threshold
        The operation; a `Threshold` where thresholds stand alone, on the codes of the input.
    result : str
        Name of the network's node whose value the layer gives; empty where it gives none, because thresholds have
        moved before a pooling.
    thresholds : numpy.ndarray or None
        int64 ``[channels, levels]``, on the sums; None where sums, or a pooling's codes, go out.
    inverted : numpy.ndarray or None
        bool ``[channels]``: channels of a max pooling whose codes are complemented after it.
    """

    node: Conv | Dense | MaxPool | SumPool | Threshold
    result: str
    thresholds: np.ndarray | None = None
    inverted: np.ndarray | None = None

    @property
    def planned(self) -> bool:
        """Whether the layer has weights, and so an entry in plans."""
        return isinstance(self.node, (Conv, Dense))


@dataclass(frozen=True, eq=False)
class Layers:
    """A network as layers.

    Attributes
    ----------
    network : Network
        The network.
    pixels : Threshold or None
        Thresholds of one level on the input; None where codes go on as they are.
    layers : tuple of Layer
        Layers in order.
    affine : Affine or None
        Scale and offset of the scores.
    """

    network: Network
    pixels: Threshold | None
    layers: tuple[Layer, ...]
    affine: Affine | None

    @property
    def planned(self) -> tuple[Layer, ...]:
        """Layers with weights."""
        return tuple(layer for layer in self.layers if layer.planned)

    @property
    def flat(self) -> bool:
        """Whether the first layer reads the input as a vector, not as positions of an image."""
        first = next((layer.node for layer in self.layers if not isinstance(layer.node, Threshold)), None)
        return isinstance(first, Dense)


def network_layers(network: Network) -> Layers:
    """Return the layers of a network.

    Thresholds on the result of a max pooling of sums move before it: the largest sum reaches a threshold where any sum
    does.

    Raises
    ------
    PlanError
        If the network is no chain, or ends with codes.
    """
    nodes = list(network.nodes)
    for node, before in zip(nodes, ["input", *(node.name for node in nodes)], strict=False):
        if node.inputs != (before,):
            raise PlanError(f"node {node.name!r}: must read node {before!r}, because only chains can be planned")
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
    return Layers(network, pixels, tuple(layers), affine)


def _attach(network: Network, layers: list[Layer], node: Threshold) -> None:
    """Give thresholds to the layer whose sums they compare."""
    value = network.types[node.input]
    thresholds = np.broadcast_to(node.thresholds, (value.shape[0], node.levels))
    inverted = None
    if node.inverted is not None:
        inverted = np.broadcast_to(node.inverted, (value.shape[0],))
    if value.kind == "code":
        layers.append(Layer(node, node.name, thresholds))
        if inverted is not None:
            layers[-1] = replace(layers[-1], result="")
            layers.append(_identity(node, inverted))
        return
    index = len(layers) - 1
    while isinstance(layers[index].node, MaxPool):
        index -= 1
    moved = index < len(layers) - 1
    layers[index] = replace(layers[index], result="" if moved or inverted is not None else node.name)
    layers[index] = replace(layers[index], thresholds=thresholds)
    for k in range(index + 1, len(layers)):
        layers[k] = replace(layers[k], result="")
    if inverted is not None and not moved:
        layers.append(_identity(node, inverted))
    elif moved:
        layers[-1] = replace(layers[-1], result=node.name, inverted=inverted)


def _identity(node: Threshold, inverted: np.ndarray) -> Layer:
    """Return a max pooling over one position, which complements the codes of some channels."""
    return Layer(MaxPool(node.name, node.input, (1, 1), (1, 1)), node.name, None, inverted)
