"""The integer network, contract of the house: graph, file, golden model. Imports no torch."""

from signfold.sw.network.graph import Evaluation, Network
from signfold.sw.network.nodes import Affine, Conv, Dense, MaxPool, Node, SumPool, Threshold
from signfold.sw.network.types import InputType, ValueType

__all__ = [
    "Affine",
    "Conv",
    "Dense",
    "Evaluation",
    "InputType",
    "MaxPool",
    "Network",
    "Node",
    "SumPool",
    "Threshold",
    "ValueType",
]
