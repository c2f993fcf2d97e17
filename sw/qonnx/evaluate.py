"""The reference: an ONNX graph evaluated in exact real arithmetic, operator by operator as the file has them.

It shares nothing with the passes that make integers: constants are exact float32 numbers, square roots stay roots, and
quantizers decide by exact comparison. Streamlined networks are compared with it score by score.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown
from signfold.sw.qonnx.graph import Graph, Operation, refuse
from signfold.sw.qonnx.operators import apply
from signfold.sw.qonnx.table import Table
from signfold.sw.qonnx.tensor import Tensor

__all__ = ["UNCHANGING", "constant_tensors", "evaluate", "needed"]

#: Elements of the widest tensor of a picture times pictures evaluated at a time.
_BLOCK = 1 << 22
#: Operations that change no number.
UNCHANGING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast")


def needed(graph: Graph, tensor: str) -> list[Operation]:
    """Return the operations that a tensor depends on, in order."""
    wanted, found = {tensor}, []
    for operation in reversed(graph.operations):
        if wanted & set(operation.outputs):
            found.append(operation)
            wanted.update(name for name in operation.inputs if name)
    return found[::-1]


def constant_tensors(graph: Graph) -> dict[str, Tensor]:
    """Return the graph's constants as exact numbers."""
    tensors = {}
    for name, array in graph.constants.items():
        if not np.isfinite(array).all():
            raise CompileError(f"tensor {shown(name)}: its numbers must be finite")
        tensors[name] = Tensor(Table.of(array))
    return tensors


def evaluate(
    graph: Graph, frames: np.ndarray, scale: Fraction, offset: Fraction, tensor: str | None = None
) -> Iterator[tuple[slice, Table]]:
    """Evaluate a tensor of the graph, block by block.

    Parameters
    ----------
    graph : Graph
        The graph.
    frames : numpy.ndarray
        uint8 codes ``[n, ...]`` in the order of the graph's input; code q is the real number ``scale*q + offset``.
    scale, offset : Fraction
        See there.
    tensor : str, optional
        Which; without it the graph's output.

    Yields
    ------
    slice
        Frames of this block.
    Table
        The tensor's numbers, frames first.

    Raises
    ------
    CompileError
        An operator is not known or does not fit its inputs.
    """
    tensor = graph.output if tensor is None else tensor
    operations = needed(graph, tensor)
    constants = constant_tensors(graph)
    dynamic = {graph.input}
    for operation in operations:
        if dynamic & set(operation.inputs):
            dynamic.update(operation.outputs)
        else:
            constants[operation.outputs[0]] = apply(operation, _inputs(operation, constants))
    numbers = [scale * q + offset for q in range(256)]
    readers = {name: operation for operation in operations for name in operation.inputs}
    start, step = 0, 1
    while start < len(frames):
        block = slice(start, min(start + step, len(frames)))
        index = frames[block].astype(np.int64).reshape(-1, *graph.shape[1:])
        tensors = {graph.input: Tensor(Table(numbers, index), True, graph.shape[0])}
        widest = index[0].size
        for operation in operations:
            if operation.outputs[0] in constants:
                continue
            result = apply(operation, _inputs(operation, constants | tensors))
            widest = max(widest, result.table.index[:1].size if result.batched else 0)
            tensors[operation.outputs[0]] = result
            for name in operation.inputs:
                if readers[name] is operation and name != tensor:
                    tensors.pop(name, None)
        yield block, tensors[tensor].table
        # The first frame alone says how many fit.
        start, step = block.stop, max(1, _BLOCK // widest)


def _inputs(operation: Operation, tensors: dict[str, Tensor]) -> list[Tensor | None]:
    for name in operation.inputs:
        if name and name not in tensors:
            raise refuse(operation, f"its input {shown(name)} comes from nowhere before it, or is a second result")
    return [tensors[name] if name else None for name in operation.inputs]
