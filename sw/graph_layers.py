"""Layers of a network that branches."""

from collections import Counter
from dataclasses import replace

import numpy as np

from signfold.sw.errors import PlanError
from signfold.sw.layer import Layer, Layers
from signfold.sw.network import Affine, Conv, Dense, MaxPool, Network, SumPool, Threshold

__all__ = ["graph_layers"]


def graph_layers(network: Network, branches: str) -> Layers:
    """Return the layers of any network.

    Thresholds go to the layer whose sums they compare, through max poolings too, where nobody else reads those sums and
    that layer can compare; elsewhere they stand alone, and scales and quantizers always do. Thresholds of one level on
    the input are its pixel thresholds where nobody reads its codes.

    Parameters
    ----------
    network : Network
        The network.
    branches : str
        Name of its first node that has no place in a chain.

    Raises
    ------
    PlanError
        If a node has no place where it stands, or the network ends with codes.
    """
    graph = _Graph(network)
    for node in network.nodes:
        graph.add(node)
    last = graph.layers[-1] if graph.layers else None
    final = network.output if graph.affine is None else graph.affine.input
    if last is None or last.thresholds is not None or graph.home[final] != len(graph.layers) - 1:
        raise PlanError(f"node {network.output!r}: the network must end with sums of a layer")
    if graph.readers[final] > 1:
        raise PlanError(f"node {final!r}: must not be read by other nodes, because its sums are the scores")
    return Layers(network, graph.pixels, tuple(graph.layers), graph.affine, branches)


class _Graph:
    """Layers under construction.

    Attributes
    ----------
    home : dict of str to int
        Which layer gives the value of each node; -1: the input stage.
    readers : Counter
        Inputs of nodes that read each value; the network's output is read once.
    """

    def __init__(self, network: Network):
        self.network = network
        self.pixels: Threshold | None = None
        self.affine: Affine | None = None
        self.layers: list[Layer] = []
        self.home = {"input": -1}
        self.readers = Counter(name for node in network.nodes for name in node.inputs)
        self.readers[network.output] += 1

    def add(self, node) -> None:
        """Add a node."""
        match node:
            case Threshold():
                self._threshold(node)
            case Affine() if node.name == self.network.output:
                self.affine = node
            case Affine():
                raise PlanError(f"node {node.name!r}: affine has no place inside a network")
            case _:
                self._append(node)

    def _append(self, node, thresholds=None, inverted=None):
        inputs = tuple(self.home[name] for name in node.inputs)
        self.home[node.name] = len(self.layers)
        compares = "" if thresholds is None else node.name
        self.layers.append(Layer(node, node.name, thresholds, inverted, compares, inputs))

    def _threshold(self, node):
        """Add thresholds: on the input, to a layer, or alone."""
        if node.input == "input" and self.readers["input"] == 1 and node.levels == 1 and node.inverted is None:
            self.pixels = node
            self.home[node.name] = -1
            return
        channels = self.network.types[node.input].shape[0]
        thresholds = np.broadcast_to(node.thresholds, (channels, node.levels))
        inverted = None if node.inverted is None else np.broadcast_to(node.inverted, (channels,))
        path = self._path(node)
        if not path or (inverted is not None and len(path) == 1):
            self._append(node, thresholds, inverted)
            return
        for k in path:
            self.layers[k] = replace(self.layers[k], result="")
        self.layers[path[-1]] = replace(self.layers[path[-1]], thresholds=thresholds, compares=node.name)
        self.layers[path[0]] = replace(self.layers[path[0]], result=node.name)
        if inverted is not None:
            self.layers[path[0]] = replace(self.layers[path[0]], inverted=inverted)
        self.home[node.name] = path[0]

    def _path(self, node):
        """Return the layers from what the thresholds read back to the one that can compare; empty: none can."""
        value, path = node.input, []
        while value != "input" and self.network.types[value].kind == "sum" and self.readers[value] == 1:
            path.append(self.home[value])
            layer = self.layers[path[-1]]
            if isinstance(layer.node, (Conv, Dense, SumPool)):
                return path
            if not isinstance(layer.node, MaxPool):
                break
            value = layer.node.input
        return []
