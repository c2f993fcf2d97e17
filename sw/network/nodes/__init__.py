"""The operations of an integer network.

Each node is a frozen object with read-only arrays. Its constructor checks what the node alone can know; `infer` checks
it against the values it reads and gives the exact type of its result.
"""

from signfold.sw.network.nodes.affine import Affine
from signfold.sw.network.nodes.base import Join, Node, Unary
from signfold.sw.network.nodes.conv import Conv
from signfold.sw.network.nodes.dense import Dense
from signfold.sw.network.nodes.joins import Add, Concat, PadChannels
from signfold.sw.network.nodes.pools import MaxPool, Pool, SumPool
from signfold.sw.network.nodes.scale import Quantize, Scale, Scaled
from signfold.sw.network.nodes.threshold import Threshold

__all__ = [
    "NODES",
    "Add",
    "Affine",
    "Concat",
    "Conv",
    "Dense",
    "Join",
    "MaxPool",
    "Node",
    "PadChannels",
    "Pool",
    "Quantize",
    "Scale",
    "Scaled",
    "SumPool",
    "Threshold",
    "Unary",
]

#: Node classes by the name that files use.
NODES: dict[str, type[Node]] = {
    node.op: node
    for node in (Threshold, Dense, Conv, MaxPool, SumPool, Affine, Scale, Quantize, Add, Concat, PadChannels)
}
