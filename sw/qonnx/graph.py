"""An ONNX graph as plain data: what the reader hands over, free of the `onnx` package."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = ["CUSTOM_DOMAINS", "FAULTS", "Graph", "Operation", "check_inputs", "refuse"]

#: Domains of the quantizers and of MultiThreshold, by age: Brevitas' first exporter, FINN, qonnx.
CUSTOM_DOMAINS = ("onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general")


@dataclass(frozen=True, eq=False)
class Operation:
    """One node of the graph.

    Parameters
    ----------
    name : str
        Name for people: the node's, or that of its first result.
    op : str
        Operator, such as ``"Conv"``. The operators of `CUSTOM_DOMAINS` mean the same in all of them.
    inputs, outputs : tuple of str
        Tensors; an empty name is an input left out.
    attributes : mapping
        Integers, floats (float32 numbers), text, lists of these, and arrays.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object]

    def integer(self, name: str, default: int | None) -> int | None:
        """Return an integer attribute."""
        value = self.attributes.get(name, default)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise refuse(self, f"{name} must be an integer, not {shown(value)}")
        return value

    def integers(self, name: str, default: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Return a list of integers as a tuple."""
        value = self.attributes.get(name, default)
        if value is None:
            return None
        if not isinstance(value, (tuple, list)) or not all(isinstance(v, int) for v in value):
            raise refuse(self, f"{name} must be a list of integers, not {shown(value)}")
        return tuple(value)

    def number(self, name: str, default: float) -> float:
        """Return a float attribute, finite."""
        value = self.attributes.get(name, default)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not np.isfinite(value):
            raise refuse(self, f"{name} must be a finite number, not {shown(value)}")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """Return a text attribute."""
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise refuse(self, f"{name} must be text, not {shown(value)}")
        return value


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph from one tensor of pictures to one tensor of scores.

    Parameters
    ----------
    input, output : str
        Names of the tensors.
    shape : tuple of int
        Shape of the input, frames first (1 where the file leaves it open).
    integers : bool
        The input is declared as unsigned 8-bit integers, not floats.
    operations : tuple of Operation
        Each after those whose results it reads.
    constants : mapping of str to numpy.ndarray
        Initializers, finite numbers unless thresholds.
    producer : str
        Name and version of the program that wrote the file.
    bits : int
        Width of the input's integers: 8, or what qonnx's note of the input's type says.
    """

    input: str
    shape: tuple[int, ...]
    integers: bool
    output: str
    operations: tuple[Operation, ...]
    constants: Mapping[str, np.ndarray]
    producer: str = ""
    bits: int = 8


#: Fewest and most inputs of an operator; the fewest must be there.
_INPUTS: dict[str, tuple[int, int]] = {
    "BatchNormalization": (5, 5),
    "Clip": (1, 3),
    "Concat": (1, 64),
    "Constant": (0, 0),
    "Conv": (2, 3),
    "Dropout": (1, 3),
    "Gemm": (2, 3),
    "IntQuant": (4, 4),
    "Quant": (4, 4),
    "TopK": (1, 2),
}
_INPUTS |= dict.fromkeys(("Add", "BipolarQuant", "Div", "Gather", "MatMul", "Mul", "MultiThreshold"), (2, 2))
_INPUTS |= dict.fromkeys(("Pow", "Sub", "XnorPopcountMatMul"), (2, 2))
_INPUTS |= dict.fromkeys(("ReduceMean", "Reshape", "Squeeze", "Unsqueeze"), (1, 2))
#: Whatever goes wrong with inputs that a file should not have.
FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


def check_inputs(operation: Operation) -> None:
    """Refuse an operation with too few or too many inputs."""
    least, most = _INPUTS.get(operation.op, (1, 1))
    if not least <= len(operation.inputs) <= most or not all(operation.inputs[:least]):
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise refuse(operation, f"it has {len(operation.inputs)} inputs or an empty one, must have {wanted}")


def refuse(operation: Operation, why: str) -> CompileError:
    """Return the error that names an operation and says why it does not become integers."""
    return CompileError(f"node {shown(operation.name)} ({operation.op}): {why}")
