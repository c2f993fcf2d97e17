"""The state of the walk that makes integer nodes of a graph, and what every operation needs of it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from signfold.sw.compile.refusals import KINDS
from signfold.sw.network import InputType, Node, Threshold, ValueType
from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.evaluate import constant_tensors
from signfold.sw.qonnx.graph import Graph, Operation, refuse
from signfold.sw.qonnx.layout import Layout
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.number import Number
from signfold.sw.qonnx.operators import apply
from signfold.sw.qonnx.signal import Pixels, Signal
from signfold.sw.qonnx.table import Table
from signfold.sw.qonnx.tensor import Tensor

__all__ = ["REAL", "Walk"]

#: Why real numbers cannot be read.
REAL = KINDS["relu"]
#: Numbers that constants may have in all.
_CONSTANTS = 4 * MAX_ELEMENTS


class Walk:
    """Nodes so far, and what is known of the graph's tensors.

    Parameters
    ----------
    graph : Graph
        The graph.
    pixels : Pixels
        What the codes of its pictures stand for.

    Attributes
    ----------
    signals, constants : dict
        Tensors that depend on the pictures, and those that do not, by name.
    nodes : list of Node
        Nodes of the integer network.
    pixels : InputType
        Its frames.
    order : numpy.ndarray
        Place in the graph's input of each element of a frame.
    words : str
        What the operation at hand becomes.
    """

    def __init__(self, graph: Graph, pixels: Pixels) -> None:
        self.graph = graph
        self.constants = constant_tensors(graph)
        self.room = _CONSTANTS
        self.pixels = InputType(graph.shape[1:], pixels.bits)
        shape = self.pixels.shape
        self.order = np.arange(self.pixels.elements)
        line = Line(pixels.scale, pixels.offset)
        self.signals = {graph.input: Signal("input", self.pixels.value, Layout.plain(shape), (line,))}
        self.names = {"input"}
        self.nodes: list[Node] = []
        self.words = ""

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is known of tensors that nothing reads any more."""
        for name in names:
            self.signals.pop(name, None)

    def constant(self, operation: Operation) -> None:
        """Compute a constant: of constants, or a shape."""
        tensors: list[Tensor | None] = []
        for name in operation.inputs:
            if name in self.signals:
                # Only Shape comes here with one.
                shape = (self.graph.shape[0], *self.signals[name].layout.shape)
                self.constants[operation.outputs[0]] = Tensor(Table.of(np.array(shape, np.int64)))
                return
            tensors.append(self.constants[name] if name else None)
        result = apply(operation, tensors)
        self.room -= result.table.index.size
        if self.room < 0:
            raise refuse(operation, f"constants of more than {_CONSTANTS} numbers are computed")
        self.constants[operation.outputs[0]] = result

    def given(self, operation: Operation, place: int) -> Tensor | None:
        """Return a constant input; None where it is left out."""
        name = operation.inputs[place] if len(operation.inputs) > place else ""
        if not name:
            return None
        if name not in self.constants:
            raise refuse(operation, f"input {shown(name)} must be a constant")
        return self.constants[name]

    def numbers(self, operation: Operation, place: int, signal: Signal) -> list[Number]:
        """Return a constant input's numbers, one for all channels or one a channel."""
        tensor = self.given(operation, place)
        if tensor is None:
            raise refuse(operation, f"input {place} is missing")
        places = signal.layout.per_channel(operation, tensor, signal.channels)
        return [tensor.table.numbers[number] for number in places]

    def vector(self, operation: Operation, place: int, signal: Signal) -> list[Number]:
        """Return the numbers of a vector along the second dimension, one a channel of the network's value."""
        tensor = self.given(operation, place)
        if (
            tensor is None
            or len(tensor.shape) != 1
            or not signal.layout.shape
            or tensor.shape[0] != signal.layout.shape[0]
        ):
            raise refuse(operation, f"input {place} must be a vector of one number a channel")
        column = tensor.table.index.reshape(-1, *(1,) * (len(signal.layout.shape) - 1))
        return self.numbers_at(operation, signal, Tensor(tensor.table.at(column)))

    def numbers_at(self, operation: Operation, signal: Signal, tensor: Tensor) -> list[Number]:
        """Return a constant's numbers, one for all channels or one a channel."""
        places = signal.layout.per_channel(operation, tensor, signal.channels)
        return [tensor.table.numbers[number] for number in places]

    def name(self, name: str) -> str:
        """Return a name that no node has yet."""
        name = name.encode("utf-8", "replace").decode()[:200] or "node"
        while name in self.names:
            name += "'"
        self.names.add(name)
        return name

    def append(self, node: Node, signal: Signal) -> ValueType:
        """Append a node that reads a signal, and return the type of its result."""
        value = node.infer(signal.value)
        self.nodes.append(node)
        return value

    def negate(self, signal: Signal, channels: np.ndarray) -> Signal:
        """Flip weights: the sums of these channels change sign, and so do their lines' slopes."""
        node = self.nodes[signal.linear]
        weights = node.weights.copy()
        channels = np.broadcast_to(channels, (signal.channels,))
        weights[channels] = node.levels - 1 - weights[channels]
        self.nodes[signal.linear] = replace(node, weights=weights)
        lines = tuple(
            replace(line, slope=-line.slope) if flip else line
            for line, flip in zip((signal.line(c) for c in range(signal.channels)), channels.tolist(), strict=True)
        )
        return replace(signal, lines=lines)

    def complement(self, operation: Operation, signal: Signal, channels: np.ndarray) -> Signal:
        """Invert channels of the codes that come in, so that the numbers that they stand for rise with them."""
        node = self.nodes[-1] if self.nodes else None
        if not isinstance(node, Threshold) or node.name != signal.source:
            raise refuse(
                operation, "some of its numbers fall with the integers behind them, and nothing can invert these"
            )
        channels = np.broadcast_to(channels, (signal.channels,))
        rows = np.broadcast_to(node.thresholds, (signal.channels, node.levels))
        inverted = np.broadcast_to(False if node.inverted is None else node.inverted, (signal.channels,)) ^ channels
        self.nodes[-1] = replace(node, thresholds=rows, inverted=inverted)
        lines = tuple(
            replace(line, slope=-line.slope, shift=line.at(node.levels)) if flip else line
            for line, flip in zip((signal.line(c) for c in range(signal.channels)), channels.tolist(), strict=True)
        )
        return replace(signal, lines=lines)

    def plain_lines(self, operation: Operation, signal: Signal) -> tuple[Line, ...]:
        """Return the lines without clips; real numbers that are really clipped are no codes."""
        lines = tuple(line.settled(signal.value) for line in signal.lines)
        if any(line.low is not None or line.high is not None for line in lines):
            raise refuse(operation, f"it reads clipped real numbers: {REAL}")
        return lines

    def image(self, operation: Operation, signal: Signal) -> tuple[int, int]:
        """Return height and width of a signal that must be an image of channels, rows and columns as it is."""
        if len(signal.layout.shape) != 3 or signal.layout.shape != signal.value.shape or not signal.layout.is_plain:
            raise refuse(
                operation,
                f"it must read pictures of channels, rows and columns as they are, not {shown(signal.layout.shape)} of "
                f"{shown(signal.value.shape)}",
            )
        return signal.value.shape[1:]
