"""Pass: a graph of real numbers becomes integer nodes, exactly, or the operation that does not is named.

The graph is walked once. Of every tensor it is known which value of the integer network lies behind it, what its
integers stand for (a clipped line a channel, `line`) and where its elements lie (`layout`). Affine operations, batch
normalization, clips, reshapes and transposes change what is known; only products, pools and quantizers become nodes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from signfold.sw.compile.fold import number_values
from signfold.sw.compile.meaning import Meaning, code_for_pads
from signfold.sw.compile.refusals import KINDS
from signfold.sw.compile.window import Window
from signfold.sw.errors import CompileError, NetworkError
from signfold.sw.network import Conv, Dense, InputType, MaxPool, Node, SumPool, Threshold, ValueType
from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.evaluate import ROUTES, constant_tensors, needed
from signfold.sw.qonnx.graph import FAULTS, Graph, Operation, check_inputs, refuse
from signfold.sw.qonnx.layout import Layout
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.number import Number, inverse, root, sign
from signfold.sw.qonnx.operators import Tensor, apply, channel_axis, permutation, reshaped
from signfold.sw.qonnx.scores import Scores, make_scores
from signfold.sw.qonnx.steps import bipolar_steps, fold_steps, quant_steps, threshold_steps
from signfold.sw.qonnx.weights import integer_weights
from signfold.sw.qonnx.windows import check_work, read_window

__all__ = ["Pixels", "Streamlined", "streamline"]

#: Operations at the end that choose a class of scores, and change no comparison of them.
_TAILS = ("ArgMax", "TopK", "Softmax", "LogSoftmax")
#: Numbers that constants may have in all.
_CONSTANTS = 4 * MAX_ELEMENTS

_REAL = KINDS["relu"]


@dataclass(frozen=True)
class Pixels:
    """The pictures' codes, and what they stand for: code q is the real number ``scale*q + offset``."""

    bits: int = 8
    scale: Fraction = Fraction(1, 255)
    offset: Fraction = Fraction(0)


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


@dataclass(frozen=True, eq=False)
class _Signal:
    """What is known of a tensor that depends on the pictures."""

    source: str
    value: ValueType
    layout: Layout
    lines: tuple[Line, ...]
    linear: int | None = None  # node whose weights can still negate channels

    @property
    def channels(self) -> int:
        return self.value.shape[0]

    def line(self, channel: int) -> Line:
        return self.lines[channel % len(self.lines)]

    def each(self, function: Callable[[Line, int], Line], counts: list[int]) -> "_Signal":
        """Return the signal with its lines changed; `function` gets a channel, below the largest of `counts`."""
        count = max(len(self.lines), *counts)
        return replace(self, lines=tuple(function(self.line(channel), channel) for channel in range(count)))


def streamline(graph: Graph, pixels: Pixels, score_bits: int) -> Streamlined:
    """Turn a graph into integer nodes.

    Raises
    ------
    CompileError
        Naming the operation that does not fold, why, and where it can be said what would.
    """
    tensor, tail = _without_tail(graph)
    walk = _Walk(graph, pixels)
    operations = needed(graph, tensor)
    readers = {name: operation for operation in operations for name in operation.inputs}
    for operation in operations:
        try:
            walk.step(operation)
        except (CompileError, NetworkError) as cause:
            # Passes of the compiler and numbers that grow know no operation.
            raise cause if str(cause).startswith("node '") else refuse(operation, str(cause)) from None
        walk.forget(name for name in operation.inputs if readers[name] is operation and name != tensor)
    return walk.finish(tensor, tail, score_bits)


def _without_tail(graph: Graph) -> tuple[str, tuple[Operation, ...]]:
    """Return the tensor of the scores, and the operations after it that only choose among them."""
    tensor, tail = graph.output, []
    makers = {name: operation for operation in graph.operations for name in operation.outputs}
    while tensor in makers and makers[tensor].op in (*_TAILS, *(ROUTES if tail else ())):
        operation = makers[tensor]
        if operation.op in ("ArgMax", "TopK") and (
            operation.integer("select_last_index", 0) or not operation.integer("largest", 1)
        ):
            raise refuse(operation, "of equal scores the lowest class is taken, and the largest score wins")
        tail.append(operation)
        tensor = operation.inputs[0] if operation.inputs else ""
    return tensor, tuple(tail[::-1])


class _Walk:
    def __init__(self, graph: Graph, pixels: Pixels) -> None:
        self._graph = graph
        self._constants = constant_tensors(graph)
        self._room = _CONSTANTS
        self._pixels = InputType(graph.shape[1:], pixels.bits)
        shape = self._pixels.shape
        self._order = np.arange(self._pixels.elements)
        line = Line(pixels.scale, pixels.offset)
        self._signals = {graph.input: _Signal("input", self._pixels.value, Layout.plain(shape), (line,))}
        self._names = {"input"}
        self._nodes: list[Node] = []
        self._folds: list[tuple[Operation, str]] = []
        self._words = ""

    def step(self, operation: Operation) -> None:
        """Fold one operation."""
        check_inputs(operation)
        for name in operation.inputs:
            if name and name not in self._signals and name not in self._constants:
                raise refuse(operation, f"its input {shown(name)} comes from nowhere before it, or is a second result")
        signals = [name for name in operation.inputs if name in self._signals]
        if not signals or operation.op == "Shape":
            self._constant(operation)
            return
        if len(signals) > 1:
            kind = {"Concat": "concat"}.get(operation.op, "add")
            raise refuse(operation, f"two tensors of pictures meet: {KINDS[kind]}")
        if operation.op == "Concat":
            raise refuse(operation, "pictures are joined with constants")
        function = _FOLDS.get(operation.op)
        if function is None:
            reason = _REAL if operation.op in _REALS else "this operator does not become integers"
            raise refuse(operation, reason)
        self._words = "goes into what reads it"
        try:
            signal = function(self, operation, self._signals[signals[0]])
        except FAULTS as cause:
            raise refuse(operation, f"its inputs or attributes do not fit: {shown(str(cause))}") from None
        self._signals[operation.outputs[0]] = signal
        self._folds.append((operation, self._words))

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is known of tensors that nothing reads any more."""
        for name in names:
            self._signals.pop(name, None)

    def finish(self, tensor: str, tail: tuple[Operation, ...], score_bits: int) -> Streamlined:
        """Make the scores of the last tensor."""
        if tensor not in self._signals:
            raise CompileError(f"output {shown(tensor)} does not depend on the pictures, or comes from nowhere")
        signal, last = self._signals[tensor], self._folds[-1][0] if self._folds else None
        if last is None:
            raise CompileError(f"output {shown(tensor)}: the graph does nothing")
        if signal.value.kind != "sum" or signal.value.elements != signal.channels:
            raise refuse(
                last,
                f"the output must be one sum a class, not {signal.value.kind}s of shape {signal.value.shape}; allowed: "
                f"a dense layer, a convolution or an average pool over everything last",
            )
        if not signal.layout.is_plain:
            raise refuse(last, "the classes are in another order than the channels")
        lines = self._plain_lines(last, signal)
        negative = np.array([sign(line.slope) < 0 for line in lines])
        if negative.any() and signal.linear is not None:
            signal = self._negate(signal, negative)
            lines = signal.lines
        scores = make_scores(last, lines, signal.value, signal.source, score_bits)
        nodes = list(self._nodes)
        if scores.node is not None:
            nodes.append(replace(scores.node, name=self._name(scores.node.name)))
        return Streamlined(self._pixels, self._order, tuple(nodes), scores, tensor, tail, self._folds)

    # What operations need.

    def _constant(self, operation: Operation) -> None:
        tensors: list[Tensor | None] = []
        for name in operation.inputs:
            if name in self._signals:
                # Only Shape comes here with one.
                shape = (self._graph.shape[0], *self._signals[name].layout.shape)
                self._constants[operation.outputs[0]] = Tensor(_table(np.array(shape, np.int64)))
                return
            tensors.append(self._constants[name] if name else None)
        result = apply(operation, tensors)
        self._room -= result.table.index.size
        if self._room < 0:
            raise refuse(operation, f"constants of more than {_CONSTANTS} numbers are computed")
        self._constants[operation.outputs[0]] = result

    def _given(self, operation: Operation, place: int) -> Tensor | None:
        """Return a constant input; None where it is left out."""
        name = operation.inputs[place] if len(operation.inputs) > place else ""
        if not name:
            return None
        if name not in self._constants:
            raise refuse(operation, f"input {shown(name)} must be a constant")
        return self._constants[name]

    def _numbers(self, operation: Operation, place: int, signal: _Signal) -> list[Number]:
        """Return a constant input's numbers, one for all channels or one a channel."""
        tensor = self._given(operation, place)
        if tensor is None:
            raise refuse(operation, f"input {place} is missing")
        places = signal.layout.per_channel(operation, tensor, signal.channels)
        return [tensor.table.numbers[number] for number in places]

    def _vector(self, operation: Operation, place: int, signal: _Signal) -> list[Number]:
        """Return the numbers of a vector along the second dimension, one a channel of the network's value."""
        tensor = self._given(operation, place)
        if (
            tensor is None
            or len(tensor.shape) != 1
            or not signal.layout.shape
            or tensor.shape[0] != signal.layout.shape[0]
        ):
            raise refuse(operation, f"input {place} must be a vector of one number a channel")
        column = tensor.table.index.reshape(-1, *(1,) * (len(signal.layout.shape) - 1))
        return self._numbers_at(operation, signal, Tensor(tensor.table.at(column)))

    def _numbers_at(self, operation: Operation, signal: _Signal, tensor: Tensor) -> list[Number]:
        places = signal.layout.per_channel(operation, tensor, signal.channels)
        return [tensor.table.numbers[number] for number in places]

    def _name(self, name: str) -> str:
        name = name.encode("utf-8", "replace").decode()[:200] or "node"
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name

    def _append(self, node: Node, signal: _Signal) -> ValueType:
        value = node.infer(signal.value)
        self._nodes.append(node)
        return value

    def _negate(self, signal: _Signal, channels: np.ndarray) -> _Signal:
        """Flip weights: the sums of these channels change sign, and so do their lines' slopes."""
        node = self._nodes[signal.linear]
        weights = node.weights.copy()
        channels = np.broadcast_to(channels, (signal.channels,))
        weights[channels] = node.levels - 1 - weights[channels]
        self._nodes[signal.linear] = replace(node, weights=weights)
        lines = tuple(
            replace(line, slope=-line.slope) if flip else line
            for line, flip in zip((signal.line(c) for c in range(signal.channels)), channels.tolist(), strict=True)
        )
        return replace(signal, lines=lines)

    def _complement(self, operation: Operation, signal: _Signal, channels: np.ndarray) -> _Signal:
        """Invert channels of the codes that come in, so that the numbers that they stand for rise with them."""
        node = self._nodes[-1] if self._nodes else None
        if not isinstance(node, Threshold) or node.name != signal.source:
            raise refuse(
                operation, "some of its numbers fall with the integers behind them, and nothing can invert these"
            )
        channels = np.broadcast_to(channels, (signal.channels,))
        rows = np.broadcast_to(node.thresholds, (signal.channels, node.levels))
        inverted = np.broadcast_to(False if node.inverted is None else node.inverted, (signal.channels,)) ^ channels
        self._nodes[-1] = replace(node, thresholds=rows, inverted=inverted)
        lines = tuple(
            replace(line, slope=-line.slope, shift=line.at(node.levels)) if flip else line
            for line, flip in zip((signal.line(c) for c in range(signal.channels)), channels.tolist(), strict=True)
        )
        return replace(signal, lines=lines)

    def _plain_lines(self, operation: Operation, signal: _Signal) -> tuple[Line, ...]:
        """Return the lines without clips; real numbers that are really clipped are no codes."""
        lines = tuple(line.settled(signal.value) for line in signal.lines)
        if any(line.low is not None or line.high is not None for line in lines):
            raise refuse(operation, f"it reads clipped real numbers: {_REAL}")
        return lines

    def _image(self, operation: Operation, signal: _Signal) -> tuple[int, int]:
        if len(signal.layout.shape) != 3 or signal.layout.shape != signal.value.shape or not signal.layout.is_plain:
            raise refuse(
                operation,
                f"it must read pictures of channels, rows and columns as they are, not {shown(signal.layout.shape)} of "
                f"{shown(signal.value.shape)}",
            )
        return signal.value.shape[1:]

    # Operations.

    def same(self, operation: Operation, signal: _Signal) -> _Signal:
        """Identity, Dropout, Cast to floats."""
        if operation.op == "Cast" and operation.integer("to", 1) not in (1, 10, 11):
            raise refuse(operation, "real numbers become integers; allowed: a Quant")
        self._words = "nothing"
        return signal

    def route(self, operation: Operation, signal: _Signal) -> _Signal:
        """Reshape, Flatten, Squeeze, Unsqueeze, Transpose."""
        shape = (self._graph.shape[0], *signal.layout.shape)
        if operation.op == "Transpose":
            layout = signal.layout.transposed(
                tuple(a - 1 for a in permutation(operation, len(shape), batched=True)[1:])
            )
        else:
            wanted = reshaped(operation, shape, [None, self._given(operation, 1)])
            if wanted[0] != shape[0]:
                raise refuse(operation, f"shape {shown(wanted)} must keep the number of pictures first")
            layout = signal.layout.reshaped(wanted[1:])
        self._words = "order of elements"
        if signal.source != "input" or len(signal.lines) > 1 or not 1 <= len(layout.shape) <= 4:
            return replace(signal, layout=layout)
        # Frames are handed over in this order.
        self._order = self._order[layout.order.ravel()]
        self._pixels = InputType(layout.shape, self._pixels.bits)
        return replace(signal, value=self._pixels.value, layout=Layout.plain(layout.shape))

    def affine(self, operation: Operation, signal: _Signal) -> _Signal:
        """Mul, Add, Sub, Div, Neg with a constant."""
        first = operation.inputs[0] in self._signals
        if operation.op == "Neg":
            return signal.each(lambda line, _: line.affine(Fraction(-1), Fraction(0)), [1])
        numbers = self._numbers(operation, 1 if first else 0, signal)
        if operation.op == "Div":
            numbers = [inverse(number) for number in numbers] if first else [None]
            if None in numbers:
                raise refuse(operation, "it divides by the pictures, by 0 or by a sum of roots")

        def change(line: Line, channel: int) -> Line:
            number = numbers[channel % len(numbers)]
            match operation.op:
                case "Add":
                    return line.affine(Fraction(1), number)
                case "Sub":
                    return line.affine(Fraction(1), -number) if first else line.affine(Fraction(-1), number)
            return line.affine(number, Fraction(0))

        return signal.each(change, [len(numbers)])

    def norm(self, operation: Operation, signal: _Signal) -> _Signal:
        """Batch normalization."""
        if operation.integer("training_mode", 0) or not operation.integer("spatial", 1):
            raise refuse(operation, "training_mode must be 0 and spatial 1")
        vectors = [self._vector(operation, place, signal) for place in range(1, 5)]
        eps = Fraction(operation.number("epsilon", float(np.float32(1e-5))))
        count = max(len(vector) for vector in vectors)
        factors, constants = [], []
        for channel in range(count):
            gamma, beta, mean, variance = (vector[channel % len(vector)] for vector in vectors)
            if not all(isinstance(number, Fraction) for number in (gamma, beta, mean, variance)):
                raise refuse(operation, "its parameters hold square roots")
            if variance < 0 or variance + eps <= 0:
                raise refuse(
                    operation,
                    f"variance[{channel}] is {float(variance):g} and epsilon {float(eps):g}, must be positive",
                )
            factors.append(gamma * inverse(root(variance + eps)))
            constants.append(beta - factors[-1] * mean)
        return signal.each(lambda line, c: line.affine(factors[c % count], constants[c % count]), [count])

    def clip(self, operation: Operation, signal: _Signal) -> _Signal:
        """Relu and Clip."""
        if operation.op == "Relu":
            return signal.each(lambda line, _: line.clipped(Fraction(0), None), [1])
        bounds: list[Number | None] = []
        for place, name in ((1, "min"), (2, "max")):
            tensor = self._given(operation, place)
            if tensor is not None:
                bounds.append(tensor.table.item())
            else:
                stated = name in operation.attributes
                bounds.append(Fraction(operation.number(name, 0.0)) if stated else None)
        return signal.each(lambda line, _: line.clipped(*bounds), [1])

    def bipolar(self, operation: Operation, signal: _Signal) -> _Signal:
        """BipolarQuant."""
        steps = {number: bipolar_steps(operation, number) for number in self._numbers(operation, 1, signal)}
        return self._quantize(operation, signal, [steps[n] for n in self._numbers(operation, 1, signal)])

    def quant(self, operation: Operation, signal: _Signal) -> _Signal:
        """Quant and IntQuant."""
        scales, zeros = (self._numbers(operation, place, signal) for place in (1, 2))
        bits = self._numbers(operation, 3, signal)[0]
        count = max(len(scales), len(zeros))
        pairs = [(scales[c % len(scales)], zeros[c % len(zeros)]) for c in range(count)]
        steps = {pair: quant_steps(operation, *pair, bits) for pair in dict.fromkeys(pairs)}
        return self._quantize(operation, signal, [steps[pair] for pair in pairs])

    def thresholds(self, operation: Operation, signal: _Signal) -> _Signal:
        """MultiThreshold."""
        tensor = self._given(operation, 1)
        axis = channel_axis(operation, len(signal.layout.shape) + 1) - 1
        if tensor is None or len(tensor.shape) != 2 or tensor.shape[0] not in (1, signal.layout.shape[axis]):
            raise refuse(operation, "thresholds must be one row, or one a channel")
        rows = [threshold_steps(operation, tensor.table.at(row).to_list()) for row in tensor.table.index]
        if len(rows) > 1:
            index = np.arange(len(rows)).reshape(-1, *(1,) * (len(signal.layout.shape) - 1 - axis))
            index = np.broadcast_to(index, signal.layout.shape)
            rows = [rows[row] for row in signal.layout.channels_of(operation, index, signal.channels)]
        return self._quantize(operation, signal, rows)

    def _quantize(self, operation: Operation, signal: _Signal, steps: list) -> _Signal:
        lines = tuple(line.settled(signal.value) for line in signal.lines)
        complemented = steps[0].slope < 0
        if any((step.slope < 0) != complemented or step.top != steps[0].top for step in steps):
            raise refuse(operation, "some channels' scales are negative, others' positive")
        pooled = signal.linear is None
        negative, thresholds = fold_steps(operation, lines, steps, signal.value, pooled=pooled)
        if not pooled and negative.any():
            self._negate(signal, negative)
        inverted = (negative if pooled else np.zeros_like(negative)) ^ complemented
        node = Threshold(self._name(operation.name), signal.source, thresholds, inverted if inverted.any() else None)
        value = self._append(node, signal)
        out = []
        for step in steps:
            if complemented:
                # The code is top - q.
                out.append(Line(-step.slope, step.shift + step.slope * step.top))
            else:
                out.append(Line(step.slope, step.shift))
        what = "flipped" if not pooled else "inverted"
        self._words = f"thresholds, codes of {value.bits} bits; {int(negative.sum())} channels {what}"
        return _Signal(node.name, value, signal.layout, tuple(out))

    def _codes(
        self, operation: Operation, signal: _Signal
    ) -> tuple[_Signal, Fraction, np.ndarray, list[Fraction], bool]:
        """Return what a layer of products reads: codes; the unit of v; each channel's sign and offset of v.

        A channel's real number is ``unit*sign*(v + offset)``, v the odd integer of its code. The last result says that
        the codes number sums.
        """
        recoded = signal.value.kind == "sum"
        lines = self._plain_lines(operation, signal)
        if not all(line.rational for line in lines):
            raise refuse(operation, f"it reads real numbers that no quantizer made: {_REAL}")
        if recoded:
            name = self._name(f"{signal.source}.codes")
            node = number_values(name, signal.source, signal.value, operation.name)
            value, step, low = self._append(node, signal), signal.value.step, signal.value.low
            lines = tuple(Line(line.slope * step, line.at(low)) for line in lines)
            signal = replace(signal, source=name, value=value, lines=lines, linear=None)
        top = signal.value.high
        units = {abs(line.slope) / 2 for line in lines}
        if len(units) > 1 or 0 in units:
            raise refuse(
                operation,
                f"its input's channels have scales {shown([float(2 * unit) for unit in units])}, must be one number "
                f"other than 0 common to all channels; a scale a channel cannot fold into the integers",
            )
        signs = np.array([sign(line.slope) for line in lines])
        offsets = [top + 2 * line.shift / line.slope for line in lines]
        return signal, units.pop(), signs, offsets, recoded

    def dense(self, operation: Operation, signal: _Signal) -> _Signal:
        """MatMul and Gemm with constant weights, and XnorPopcountMatMul."""
        if operation.inputs[0] not in self._signals:
            raise refuse(operation, "the pictures must be on the left of the weights")
        *ones, width = signal.layout.shape
        table = self._given(operation, 1).table
        if operation.op == "Gemm":
            if operation.integer("transA", 0):
                raise refuse(operation, "transA must be 0")
            index = table.index if operation.integer("transB", 0) else table.index.T
        else:
            index = table.index.T
        if index.ndim != 2 or any(size != 1 for size in ones) or index.shape[1] != width:
            raise refuse(
                operation,
                f"weights {table.shape} must meet pictures flattened to one vector, not {signal.layout.shape}",
            )
        popcount = operation.op == "XnorPopcountMatMul"
        if popcount:
            table = table.map(lambda x: 2 * x - 1)
            signal = signal.each(lambda line, _: line.affine(Fraction(2), Fraction(-1)), [1])
            index = table.index.T
        signal, unit, signs, offsets, _ = self._codes(operation, signal)
        placed = np.empty_like(index)
        placed[:, signal.layout.order.ravel()] = index
        weights = integer_weights(operation, table.at(placed))
        each = weights.integers.reshape(len(index), signal.channels, -1)
        totals = each.sum(axis=2) * signs
        weights = _signed(weights, signs.repeat(signal.value.elements // len(signs)))
        node = Dense(self._name(operation.name), signal.source, weights.codes, weights.levels)
        lines = _sum_lines(unit, weights.units, totals, offsets)
        result = self._linear(node, signal, lines, Layout.plain((*ones, len(index))))
        if popcount:
            result = result.each(lambda line, _: line.affine(Fraction(1, 2), Fraction(width, 2)), [1])
        if operation.op == "Gemm":
            alpha, beta = (Fraction(operation.number(name, 1.0)) for name in ("alpha", "beta"))
            result = result.each(lambda line, _: line.affine(alpha, Fraction(0)), [1])
            if self._given(operation, 2) is not None:
                bias = [beta * number for number in self._numbers(operation, 2, result)]
                result = result.each(lambda line, c: line.affine(Fraction(1), bias[c % len(bias)]), [len(bias)])
        return result

    def conv(self, operation: Operation, signal: _Signal) -> _Signal:
        """Conv with constant weights."""
        picture = self._image(operation, signal)
        table, groups = self._given(operation, 1).table, operation.integer("group", 1)
        if len(table.shape) != 4 or table.shape[1] * groups != signal.channels:
            raise refuse(operation, f"weights {table.shape} in {groups} group(s) must read {signal.channels} channels")
        if groups != 1 and not groups == signal.channels == table.shape[0]:
            raise refuse(operation, f"group is {groups}, must be 1, or as many as channels in and out (depthwise)")
        window = read_window(operation, picture, table.shape[2:])
        check_work(operation, window, picture, table.shape[0] * table.shape[1])
        negative = np.array([sign(line.slope) < 0 for line in signal.lines])
        if negative.any() and window.reaches_padding(picture) and len({_zero(line) for line in signal.lines}) > 1:
            # Pads are one code: the same one in inverted channels, once the codes are those that fall.
            signal = self._complement(operation, signal, negative)
        signal, unit, signs, offsets, recoded = self._codes(operation, signal)
        weights = integer_weights(operation, table)
        totals = weights.integers.sum(axis=(2, 3))
        if groups > 1:
            totals = totals * signs.reshape(-1, 1)
            weights = _signed(weights, signs.reshape(-1, 1, 1, 1))
            offsets = [offsets[channel % len(offsets)] for channel in range(groups)]
            lines = tuple(
                Line(unit * u, unit * u * int(total) * offset)
                for u, (total,), offset in zip(weights.units, totals, offsets, strict=True)
            )
        else:
            totals = totals * signs
            weights = _signed(weights, signs.reshape(1, -1, 1, 1))
            lines = _sum_lines(unit, weights.units, totals, offsets)
        padding, pad = (0, 0, 0, 0), None
        if window.reaches_padding(picture):
            padding = window.padding
            pad = code_for_pads(_Pads(operation.name), Meaning(tuple(offsets)), signal.value, recoded=recoded)
        node = Conv(
            self._name(operation.name),
            signal.source,
            weights.codes,
            window.stride,
            padding,
            pad,
            groups,
            weights.levels,
        )
        result = self._linear(node, signal, lines, None)
        if self._given(operation, 2) is not None:
            bias = self._vector(operation, 2, result)
            result = result.each(lambda line, c: line.affine(Fraction(1), bias[c % len(bias)]), [len(bias)])
        return result

    def _linear(self, node: Node, signal: _Signal, lines: tuple[Line, ...], layout: Layout | None) -> _Signal:
        value = self._append(node, signal)
        self._words = f"{node.op} of {1 if node.levels == 2 else node.levels} {'bit' if node.levels == 2 else 'levels'}"
        layout = Layout.plain(value.shape) if layout is None else layout
        return _Signal(node.name, value, layout, lines, len(self._nodes) - 1)

    def max_pool(self, operation: Operation, signal: _Signal) -> _Signal:
        """MaxPool: of integers, where these rise with what they stand for."""
        picture = self._image(operation, signal)
        window = read_window(operation, picture)
        check_work(operation, window, picture, signal.channels)
        negative = np.array([sign(line.slope) < 0 for line in signal.lines])
        if negative.any():
            signal = (
                self._complement(operation, signal, negative)
                if signal.linear is None
                else self._negate(signal, negative)
            )
        padding = window.padding if window.reaches_padding(picture) else (0, 0, 0, 0)
        node = MaxPool(self._name(operation.name), signal.source, window.kernel, window.stride, padding)
        value = self._append(node, signal)
        self._words = "maximum of integers"
        return _Signal(node.name, value, Layout.plain(value.shape), signal.lines)

    def average(self, operation: Operation, signal: _Signal) -> _Signal:
        """AveragePool, GlobalAveragePool, ReduceMean: sums over windows."""
        picture = self._image(operation, signal)
        keep = True
        if operation.op == "AveragePool":
            window = read_window(operation, picture)
            check_work(operation, window, picture, signal.channels)
        else:
            window = Window(tuple(picture), (1, 1))
            if operation.op == "ReduceMean":
                axes, given = operation.integers("axes", None), self._given(operation, 1)
                if axes is None and given is not None:
                    axes = tuple(int(axis) for axis in given.table.to_list())
                if sorted(axis % 4 for axis in axes or ()) != [2, 3]:
                    raise refuse(operation, "means must be over rows and columns")
                keep = bool(operation.integer("keepdims", 1))
        lines = self._plain_lines(operation, signal)
        padding = window.padding if window.reaches_padding(picture) else (0, 0, 0, 0)
        # Of codes q from 0 to h the sum is that of v = 2*q - h.
        half = Fraction(1, 2) if signal.value.kind == "code" else Fraction(1)
        middle = Fraction(signal.value.high, 2) if signal.value.kind == "code" else Fraction(0)
        shifts = [line.shift + line.slope * middle for line in lines]
        if any(padding):
            if not operation.integer("count_include_pad", 0):
                raise refuse(operation, "count_include_pad must be 1 where windows hold pads: counts would differ")
            if any(sign(shift) for shift in shifts):
                raise refuse(operation, "pads are the real number 0, which is not the integer 0 of its input")
        lines = tuple(Line(line.slope * (half / window.area), shift) for line, shift in zip(lines, shifts, strict=True))
        node = SumPool(self._name(operation.name), signal.source, window.kernel, window.stride, padding)
        value = self._append(node, signal)
        self._words = "sum of integers; the count goes into what reads it"
        layout = Layout.plain(value.shape)
        return _Signal(node.name, value, layout if keep else layout.reshaped(value.shape[:1]), lines, signal.linear)


@dataclass(frozen=True)
class _Pads:
    """A convolution whose pads are the real number 0, as `code_for_pads` reads it."""

    name: str
    pad: None = None


def _table(array: np.ndarray):
    from signfold.sw.qonnx.table import Table

    return Table.of(array)


def _zero(line: Line) -> Number | None:
    """Return where a line is 0, if it is rational and anywhere."""
    return -line.shift / line.slope if line.rational and line.slope else None


def _signed(weights, signs: np.ndarray):
    """Return integer weights times signs of what they read."""
    return replace(weights, integers=weights.integers * signs)


def _sum_lines(unit: Fraction, units: list[Fraction], totals: np.ndarray, offsets: list[Fraction]) -> tuple[Line, ...]:
    """Return what sums stand for: each channel's shift is the sum of weight times offset of what it reads."""
    # Channels in of the same offset are summed first: there are few different ones.
    places: dict[Fraction, list[int]] = {}
    for channel, offset in enumerate(offsets):
        places.setdefault(offset, []).append(channel)
    groups = [
        (offset, (totals[:, where] if len(offsets) > 1 else totals).sum(axis=1)) for offset, where in places.items()
    ]
    lines = []
    for channel, factor in enumerate(units):
        total = sum((offset * int(sums[channel]) for offset, sums in groups), Fraction(0))
        lines.append(Line(unit * factor, unit * factor * total))
    return tuple(lines) if len(set(lines)) > 1 else (lines[0],)


_REALS = ("LeakyRelu", "PRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid", "HardSwish", "Softplus", "Erf", "Gelu")
_FOLDS: dict[str, Callable[[_Walk, Operation, _Signal], _Signal]] = {
    "Add": _Walk.affine,
    "AveragePool": _Walk.average,
    "BatchNormalization": _Walk.norm,
    "BipolarQuant": _Walk.bipolar,
    "Cast": _Walk.same,
    "Clip": _Walk.clip,
    "Conv": _Walk.conv,
    "Div": _Walk.affine,
    "Dropout": _Walk.same,
    "Flatten": _Walk.route,
    "Gemm": _Walk.dense,
    "GlobalAveragePool": _Walk.average,
    "Identity": _Walk.same,
    "IntQuant": _Walk.quant,
    "MatMul": _Walk.dense,
    "MaxPool": _Walk.max_pool,
    "Mul": _Walk.affine,
    "MultiThreshold": _Walk.thresholds,
    "Neg": _Walk.affine,
    "Quant": _Walk.quant,
    "ReduceMean": _Walk.average,
    "Relu": _Walk.clip,
    "Reshape": _Walk.route,
    "Squeeze": _Walk.route,
    "Sub": _Walk.affine,
    "Transpose": _Walk.route,
    "Unsqueeze": _Walk.route,
    "XnorPopcountMatMul": _Walk.dense,
}
