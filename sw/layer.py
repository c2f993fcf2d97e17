"""Layers: what computes, with its thresholds; the form of a network that plans and lowering work on."""

from dataclasses import dataclass

import numpy as np

from signfold.sw.errors import PlanError
from signfold.sw.network import Affine, Conv, Dense, Network, Node, Threshold

__all__ = ["Layer", "Layers"]


@dataclass(frozen=True, eq=False)
class Layer:
    """A node that computes, and the thresholds on its result.

    Attributes
    ----------
    node : Node
        The operation; a `Threshold` where thresholds stand alone: on codes, or in a network that branches on sums that
        others read as well, or that no layer with an array gives.
    result : str
        Name of the network's node whose value the layer gives; empty where it gives none, because thresholds have
        moved before a pooling.
    thresholds : numpy.ndarray or None
        int64 ``[channels, levels]``, on the sums; None where sums, or a pooling's codes, go out.
    inverted : numpy.ndarray or None
        bool ``[channels]``: channels of a max pooling, or of thresholds that stand alone, whose codes are complemented
        after it.
    compares : str
        Name of the node that the thresholds are of; empty where there are none.
    inputs : tuple of int
        What it reads, by number: layers before it, or -1, the input behind its pixel thresholds.
    """

    node: Node
    result: str
    thresholds: np.ndarray | None = None
    inverted: np.ndarray | None = None
    compares: str = ""
    inputs: tuple[int, ...] = ()

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
    branches : str
        Name of the first node that has no place in a chain: the network needs a graph. Empty: it is a chain.
    """

    network: Network
    pixels: Threshold | None
    layers: tuple[Layer, ...]
    affine: Affine | None
    branches: str = ""

    @property
    def planned(self) -> tuple[Layer, ...]:
        """Layers with weights."""
        return tuple(layer for layer in self.layers if layer.planned)

    @property
    def _input(self) -> set[int]:
        """Numbers of the layers that give codes of the input, thresholds alone in between; -1 among them."""
        found = {-1}
        for k, layer in enumerate(self.layers):
            if isinstance(layer.node, Threshold) and found.issuperset(layer.inputs):
                found.add(k)
        return found

    @property
    def flat(self) -> bool:
        """Whether layers read the input as a vector, not as positions of an image: all that do are dense."""
        found = self._input
        readers = [
            layer.node for k, layer in enumerate(self.layers) if k not in found and not found.isdisjoint(layer.inputs)
        ]
        return bool(readers) and all(isinstance(node, Dense) for node in readers)

    def reads_vector(self, layer: Layer) -> bool:
        """Return whether a layer reads the input as a vector."""
        return self.flat and not self._input.isdisjoint(layer.inputs)

    def check_chain(self, what: str) -> None:
        """Refuse a network that branches for something that serves chains alone.

        Raises
        ------
        PlanError
            The network is no chain; `what` begins the message, which names the node where chains end.
        """
        if self.branches:
            raise PlanError(
                f"{what} serves chains of layers alone: node {self.branches!r} joins or scales sums, or reads a node "
                f"that is not the one before it"
            )
