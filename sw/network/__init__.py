"""The integer network, contract of the house: graph, file, golden model. Imports no torch."""

from signfold.sw.network.graph import Evaluation, Network
from signfold.sw.network.nodes import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    MaxPool,
    Node,
    PadChannels,
    Quantize,
    Scale,
    SumPool,
    Threshold,
)
from signfold.sw.network.types import InputType, ValueType

__all__ = [
    "Add",
    "Affine",
    "Concat",
    "Conv",
    "Dense",
    "Evaluation",
    "InputType",
    "MaxPool",
    "Network",
    "Node",
    "PadChannels",
    "Quantize",
    "Scale",
    "SumPool",
    "Threshold",
    "ValueType",
]
