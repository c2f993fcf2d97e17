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
from signfold.sw.qonnx.operators import Tensor, apply
from signfold.sw.qonnx.table import Table

__all__ = ["ROUTES", "constant_tensors", "evaluate", "needed"]

#: Elements of a picture times pictures evaluated at a time.
_BLOCK = 1 << 20
#: Pictures at a time.
_FRAMES = 1000
#: Operations that change no number.
ROUTES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast")


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
    step = max(1, min(_FRAMES, _BLOCK // max(1, int(np.prod(graph.shape[1:])))))
    for start in range(0, len(frames), step):
        block = slice(start, min(start + step, len(frames)))
        index = frames[block].astype(np.int64).reshape(-1, *graph.shape[1:])
        tensors = {graph.input: Tensor(Table(numbers, index), True, graph.shape[0])}
        for operation in operations:
            if operation.outputs[0] not in constants:
                tensors[operation.outputs[0]] = apply(operation, _inputs(operation, constants | tensors))
        yield block, tensors[tensor].table


def _inputs(operation: Operation, tensors: dict[str, Tensor]) -> list[Tensor | None]:
    for name in operation.inputs:
        if name and name not in tensors:
            raise refuse(operation, f"its input {shown(name)} comes from nowhere before it, or is a second result")
    return [tensors[name] if name else None for name in operation.inputs]
