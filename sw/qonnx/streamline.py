"""Pass: a graph of real numbers becomes integer nodes, exactly, or the operation that does not is named.

The graph is walked once. Of every tensor it is known which value of the integer network lies behind it, what its
integers stand for (a clipped line a channel, `line`) and where its elements lie (`layout`). Affine operations, batch
normalization, clips, reshapes and transposes change what is known; only products, pools and quantizers become nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from signfold.sw.compile.refusals import KINDS
from signfold.sw.errors import CompileError, NetworkError
from signfold.sw.network import InputType, Node
from signfold.sw.network.types import shown
from signfold.sw.qonnx import fold_pools, fold_products, fold_quantizers, fold_reals
from signfold.sw.qonnx.evaluate import UNCHANGING, needed
from signfold.sw.qonnx.graph import FAULTS, Graph, Operation, check_inputs, refuse
from signfold.sw.qonnx.number import sign
from signfold.sw.qonnx.scores import Scores, make_scores
from signfold.sw.qonnx.signal import Pixels, Signal
from signfold.sw.qonnx.walk import REAL, Walk

__all__ = ["Pixels", "Streamlined", "streamline"]

#: Operations at the end that choose a class of scores, and change no comparison of them.
_TAILS = ("ArgMax", "TopK", "Softmax", "LogSoftmax")
#: Operators that give real numbers, and always will.
_REALS = ("LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid", "HardSwish", "Softplus", "Erf", "Gelu")
_FOLDS: dict[str, Callable[[Walk, Operation, Signal], Signal]] = {
    "Add": fold_reals.affine,
    "AveragePool": fold_pools.average,
    "BatchNormalization": fold_reals.norm,
    "BipolarQuant": fold_quantizers.bipolar,
    "Cast": fold_reals.same,
    "Clip": fold_reals.clip,
    "Conv": fold_products.conv,
    "Div": fold_reals.affine,
    "Dropout": fold_reals.same,
    "Flatten": fold_reals.route,
    "Gemm": fold_products.dense,
    "GlobalAveragePool": fold_pools.average,
    "Identity": fold_reals.same,
    "IntQuant": fold_quantizers.quant,
    "MatMul": fold_products.dense,
    "MaxPool": fold_pools.max_pool,
    "Mul": fold_reals.affine,
    "MultiThreshold": fold_quantizers.thresholds,
    "Neg": fold_reals.affine,
    "Quant": fold_quantizers.quant,
    "ReduceMean": fold_pools.average,
    "Relu": fold_reals.clip,
    "Reshape": fold_reals.route,
    "Squeeze": fold_reals.route,
    "Sub": fold_reals.affine,
    "Transpose": fold_reals.route,
    "Unsqueeze": fold_reals.route,
    "XnorPopcountMatMul": fold_products.dense,
}


@dataclass(frozen=True, eq=False)
class Streamlined:
    """What a graph became.

    Parameters
    ----------
    input : InputType
        Frames of the integer network.
    order : numpy.ndarray
        Place in the graph's input, in C order, of each element of a frame.
    nodes : tuple of Node
        Nodes, the last of which gives the scores.
    scores : Scores
        What these are.
    tensor : str
        Tensor of the graph that they stand for.
    tail : tuple of Operation
        Operations after it that were left out: they choose a class.
    folds : list of (Operation, str)
        What became of each operation that the pictures pass, in words.
    """

    input: InputType
    order: np.ndarray
    nodes: tuple[Node, ...]
    scores: Scores
    tensor: str
    tail: tuple[Operation, ...]
    folds: list[tuple[Operation, str]]


def streamline(graph: Graph, pixels: Pixels, score_bits: int) -> Streamlined:
    """Turn a graph into integer nodes.

    Raises
    ------
    CompileError
        Naming the operation that does not fold, why, and where it can be said what would.
    """
    tensor, tail = _without_tail(graph)
    walk = Walk(graph, pixels)
    folds: list[tuple[Operation, str]] = []
    operations = needed(graph, tensor)
    readers = {name: operation for operation in operations for name in operation.inputs}
    for operation in operations:
        try:
            _step(walk, operation, folds)
        except (CompileError, NetworkError) as cause:
            # Passes of the compiler and numbers that grow know no operation.
            raise cause if str(cause).startswith("node '") else refuse(operation, str(cause)) from None
        walk.forget(name for name in operation.inputs if readers[name] is operation and name != tensor)
    return _finish(walk, tensor, tail, score_bits, folds)


def _without_tail(graph: Graph) -> tuple[str, tuple[Operation, ...]]:
    """Return the tensor of the scores, and the operations after it that only choose among them."""
    tensor, tail, scores, count = graph.output, [], graph.output, 0
    # Backwards, so that each operation is met once, whatever reads what.
    for operation in reversed(graph.operations):
        if tensor not in operation.outputs:
            continue
        if operation.op not in (*_TAILS, *UNCHANGING) or not operation.inputs:
            break
        tail.append(operation)
        tensor = operation.inputs[0]
        if operation.op in _TAILS:
            scores, count = tensor, len(tail)
    return scores, tuple(tail[:count][::-1])


def _check_tail(tail: tuple[Operation, ...], rank: int) -> None:
    """Refuse operations at the end that choose otherwise than the highest score of a picture, lowest class first."""
    for operation in tail:
        if operation.op in UNCHANGING:
            # From there on axes may be others; what has been chosen stays chosen.
            return
        axis = operation.integer("axis", 0 if operation.op == "ArgMax" else -1)
        if axis % rank != 1:
            raise refuse(operation, f"axis {axis} must be that of the classes, 1")
        if operation.integer("select_last_index", 0) or not operation.integer("largest", 1):
            raise refuse(operation, "of equal scores the lowest class is taken, and the largest score wins")


def _step(walk: Walk, operation: Operation, folds: list[tuple[Operation, str]]) -> None:
    """Fold one operation."""
    check_inputs(operation)
    for name in operation.inputs:
        if name and name not in walk.signals and name not in walk.constants:
            raise refuse(operation, f"its input {shown(name)} comes from nowhere before it, or is a second result")
    signals = [name for name in operation.inputs if name in walk.signals]
    if not signals or operation.op == "Shape":
        walk.constant(operation)
        return
    if len(signals) > 1:
        kind = {"Concat": "concat"}.get(operation.op, "add")
        raise refuse(operation, f"two tensors of pictures meet: {KINDS[kind]}")
    if operation.op == "Concat":
        raise refuse(operation, "pictures are joined with constants")
    function = _FOLDS.get(operation.op)
    if function is None:
        reason = REAL if operation.op in _REALS else "this operator does not become integers"
        raise refuse(operation, reason)
    walk.words = "goes into what reads it"
    try:
        signal = function(walk, operation, walk.signals[signals[0]])
    except FAULTS as cause:
        raise refuse(operation, f"its inputs or attributes do not fit: {shown(str(cause))}") from None
    walk.signals[operation.outputs[0]] = signal
    folds.append((operation, walk.words))


def _finish(
    walk: Walk, tensor: str, tail: tuple[Operation, ...], score_bits: int, folds: list[tuple[Operation, str]]
) -> Streamlined:
    """Make the scores of the last tensor."""
    if tensor not in walk.signals:
        raise CompileError(f"output {shown(tensor)} does not depend on the pictures, or comes from nowhere")
    signal, last = walk.signals[tensor], folds[-1][0] if folds else None
    if last is None:
        raise CompileError(f"output {shown(tensor)}: the graph does nothing")
    if signal.value.kind != "sum" or signal.value.elements != signal.channels:
        raise refuse(
            last,
            f"the output must be one sum a class, not {signal.value.kind}s of shape {signal.value.shape}; allowed: "
            f"a dense layer, a convolution or an average pool over everything last",
        )
    _check_tail(tail, len(signal.layout.shape) + 1)
    if not signal.layout.is_plain:
        raise refuse(last, "the classes are in another order than the channels")
    lines = walk.plain_lines(last, signal)
    negative = np.array([sign(line.slope) < 0 for line in lines])
    if negative.any() and signal.linear is not None:
        signal = walk.negate(signal, negative)
        lines = signal.lines
    scores = make_scores(last, lines, signal.value, signal.source, score_bits)
    nodes = list(walk.nodes)
    if scores.node is not None:
        nodes.append(replace(scores.node, name=walk.name(scores.node.name)))
    return Streamlined(walk.pixels, walk.order, tuple(nodes), scores, tensor, tail, folds)
