"""A dense network seen as its layers: the form that plans and lowering work on."""

from dataclasses import dataclass

from signfold.sw.errors import PlanError
from signfold.sw.network import Affine, Dense, Network, Threshold

__all__ = ["DenseLayer", "dense_layers", "input_thresholds"]


@dataclass(frozen=True)
class DenseLayer:
    """A dense node and what follows it.

    Attributes
    ----------
    dense : Dense
        The weights.
    threshold : Threshold or None
        Thresholds on its sums; None in the last layer.
    affine : Affine or None
        Scale and offset of the scores; only ever in the last layer.
    """

    dense: Dense
    threshold: Threshold | None
    affine: Affine | None = None

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.dense.weights.shape[0]

    @property
    def fan_in(self) -> int:
        """Inputs of each channel."""
        return self.dense.weights.shape[1]


def input_thresholds(network: Network) -> Threshold:
    """Return the node that turns input codes into bits.

    Raises
    ------
    PlanError
        If the network does not begin with one.
    """
    first = network.nodes[0]
    if not isinstance(first, Threshold) or first.thresholds.shape[1] != 1:
        raise PlanError(f"node {first.name!r}: the first node must be thresholds on the input codes, one level each")
    return first


def dense_layers(network: Network) -> list[DenseLayer]:
    """Return the layers of a chain of dense nodes.

    Raises
    ------
    PlanError
        If the network is anything but thresholds on the input, dense layers with one threshold a channel, and a final
        dense layer with or without an affine node; the message names the node.
    """
    previous = input_thresholds(network)
    for node in network.nodes[1:]:
        if node.inputs != (previous.name,):
            raise PlanError(f"node {node.name!r}: must read node {previous.name!r}, because only chains can be planned")
        previous = node
    layers = []
    nodes = list(network.nodes[1:])
    while nodes:
        dense = nodes.pop(0)
        if not isinstance(dense, Dense):
            raise PlanError(f"node {dense.name!r}: must be a dense node, not {dense.op}")
        following = nodes.pop(0) if nodes else None
        if isinstance(following, Threshold) and following.thresholds.shape[1] == 1:
            layers.append(DenseLayer(dense, following))
        elif following is None or (isinstance(following, Affine) and not nodes):
            layers.append(DenseLayer(dense, None, following))
        else:
            raise PlanError(f"node {following.name!r}: only thresholds of one level may follow a dense node")
    if not layers or layers[-1].threshold is not None:
        raise PlanError(f"node {network.output!r}: the network must end with a dense or affine node")
    return layers
