"""What two networks must have in common to run on one accelerator with other contents of its memories."""

from signfold.sw.network import Conv, Dense, Network, Node, Threshold
from signfold.sw.network.nodes import Pool

__all__ = ["network_shape"]


def network_shape(network: Network) -> str:
    """Say what two networks must share to run on one accelerator, but for what is wired into the logic."""
    values = (f"{_geometry(node)} {'x'.join(map(str, network.types[node.name].shape))}" for node in network.nodes)
    shape = "x".join(map(str, network.input.shape))
    return f"{shape} codes of {network.input.bits} bits, {', '.join(values)}"


def _geometry(node: Node) -> str:
    """Say what of a node is wired into the logic."""
    wired = [str(node.levels)] if isinstance(node, (Conv, Dense, Threshold)) else []
    if isinstance(node, (Conv, Pool)):
        pairs = [node.kernel, node.stride, node.padding]
        wired += ["x".join(map(str, numbers)) for numbers in pairs]
        wired += [f"pad {node.pad}"] if isinstance(node, Conv) else []
    if isinstance(node, Threshold) and node.inverted is not None:
        wired.append("inverted")
    return f"{node.op} ({', '.join(wired)})" if wired else node.op
