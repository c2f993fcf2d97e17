"""Verifier: checks the integer nodes against the float network, sharing nothing with the passes that made them.

It follows the chain once more from what each code stands for, as a table of real numbers. A layer's sums are an affine
function of its codes, so its slope (the weights, one by one) and its value for the frame of all codes 0 say all.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import AveragePooling, FloatLayer, MaxPooling, PixelCodes, PixelThresholds
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import FloatConv, FloatDense, LinearLayer
from signfold.sw.compile.verify_layer import counts, verify_weights, verify_window
from signfold.sw.compile.verify_norm import Line, verify_affine, verify_shift, verify_thresholds
from signfold.sw.errors import CompileError, NetworkError
from signfold.sw.network import Conv, Dense, MaxPool, Node, SumPool, Threshold
from signfold.sw.network.types import shown

__all__ = ["verify_body", "verify_head"]


def verify_body(network: FloatNetwork, nodes: Sequence[Node]) -> list[Line]:
    """Prove that `nodes` compute the codes and last sums of `network` for every input.

    Returns
    -------
    list of Line
        What the last sums stand for, one a class.

    Raises
    ------
    CompileError
        Naming the layer and channel that differ, the sum at which they do, and both codes.
    """
    walk = _Walk(network, nodes)
    try:
        for index, layer in enumerate(network.body):
            walk.step(layer, network.body[index + 1 :])
    except NetworkError as cause:
        raise CompileError(f"verify: {cause}") from None
    return walk.finish()


def verify_head(network: FloatNetwork, body: Sequence[Node], nodes: Sequence[Node], lines: Sequence[Line]) -> None:
    """Prove that the scores are the raw sums, or an affine of them rounded correctly in each class.

    Parameters
    ----------
    network : FloatNetwork
        The trained network.
    body : sequence of Node
        Nodes that `verify_body` has proven.
    nodes : sequence of Node
        The same, and what makes the scores.
    lines : sequence of Line
        What the last sums stand for, as `verify_body` returned it.

    Raises
    ------
    CompileError
        Naming the layer, class and number that is off.
    """
    head = network.head
    last = network.body[-1] if head is None else head
    count = len(body)
    if len(nodes) < count or any(mine is not theirs for mine, theirs in zip(body, nodes, strict=False)):
        raise CompileError(f"verify: layer {shown(last.name)}: the head changed nodes before it")
    rest = nodes[count:]
    if any(node.input != body[-1].name for node in rest):
        raise CompileError(f"verify: layer {shown(last.name)}: scores must be made of {shown(body[-1].name)}")
    if isinstance(head, BatchNorm):
        if len(rest) != 1:
            raise CompileError(f"verify: layer {shown(head.name)} must become one affine, not {len(rest)} nodes")
        verify_affine(head, rest[0], lines)
    elif len({line.slope for line in lines}) > 1:
        if len(rest) != 1:
            raise CompileError(f"verify: layer {shown(last.name)} must become one affine, not {len(rest)} nodes")
        ones, zeros = np.ones(len(lines)), np.zeros(len(lines))
        verify_affine(BatchNorm(rest[0].name, ones, zeros, zeros, ones, 0.0, None), rest[0], lines)
    elif lines[0].slope <= 0:
        raise CompileError(f"verify: layer {shown(last.name)}: the sums are not the scores times a positive number")
    elif len({line.shift for line in lines}) > 1:
        if len(rest) != 1:
            raise CompileError(f"verify: layer {shown(last.name)} must become one affine, not {len(rest)} nodes")
        verify_shift(rest[0], lines)
    elif rest:
        raise CompileError(f"verify: layer {shown(last.name)}: scores must be the sums, not {rest[0].op}")


class _Walk:
    """Follows layers and nodes side by side."""

    def __init__(self, network: FloatNetwork, nodes: Sequence[Node]) -> None:
        self._input = network.input
        self._nodes = list(nodes)
        self._source = "input"
        self._value = network.input.value
        # Of codes: what each stands for, a table for all channels or one a channel. Of sums: a line a channel.
        self._tables: list[list[Fraction]] = []
        self._lines: list[Line] = []
        self._flipped = False
        # Whether codes are the complement of the checkpoint's.
        self._opposite = False

    def _take(self, layer: FloatLayer, kind: type[Node]) -> Node:
        """Return the next node, which must be of this kind and read the one before; its result's type is inferred."""
        if not self._nodes:
            raise CompileError(f"verify: layer {shown(layer.name)} became no node: too few nodes")
        node = self._nodes.pop(0)
        if not isinstance(node, kind):
            raise CompileError(f"verify: layer {shown(layer.name)} became {node.op}")
        if node.input != self._source:
            raise CompileError(f"verify: node {shown(node.name)} reads {shown(node.input)}, not {shown(self._source)}")
        self._source = node.name
        return node

    def finish(self) -> list[Line]:
        """Refuse nodes of no layer."""
        if self._nodes:
            raise CompileError(f"verify: node {shown(self._nodes[0].name)} belongs to no layer: too many nodes")
        return self._lines

    def step(self, layer: FloatLayer, later: Sequence[FloatLayer]) -> None:
        """Check what `layer` became; `later` are the layers after it."""
        match layer:
            case PixelThresholds():
                self._pixels(layer)
            case PixelCodes():
                top = self._value.high
                means = [Fraction(float(mean)) for mean in layer.mean]
                stds = [Fraction(float(std)) for std in layer.std]
                if layer.divisor is not None:
                    means, stds = [Fraction(1, 2)], [Fraction(layer.divisor, 2 * top)]
                self._tables = [
                    [(Fraction(q, top) - means[c % len(means)]) / stds[c % len(stds)] for q in range(top + 1)]
                    for c in range(max(len(means), len(stds)))
                ]
            case LinearLayer():
                if self._value.kind == "sum":
                    self._recoded(layer)
                self._sums(layer, later)
            case MaxPooling() | AveragePooling():
                self._pool(layer)
            case BatchNorm():
                node = self._take(layer, Threshold)
                verify_thresholds(layer, node, self._value, self._lines, invertible=not self._flipped)
                self._value, self._flipped = node.infer(self._value), False
                levels, scale = layer.activation.levels, Fraction(layer.activation.scale)
                low = Fraction(0) if layer.activation.kind in ("unsigned", "coupled") else Fraction(-1)
                table = [scale * (low + q * (1 - low) / levels) for q in range(node.levels + 1)]
                self._opposite = scale < 0
                self._tables = [table[::-1] if self._opposite else table]
            case _:
                raise TypeError(f"no proof for {type(layer).__name__}")

    def _pixels(self, layer: PixelThresholds) -> None:
        node = self._take(layer, Threshold)
        if node.thresholds.shape != (len(layer.thresholds), 1) or node.inverted is not None:
            raise CompileError(f"verify: layer {shown(layer.name)} must become {len(layer.thresholds)} thresholds")
        folded_thresholds = node.thresholds[:, 0].tolist()
        for channel, (trained, folded) in enumerate(zip(layer.thresholds.tolist(), folded_thresholds, strict=True)):
            for pixel in range(1 << self._input.bits):
                if (pixel >= trained) != (pixel >= folded):
                    raise CompileError(
                        f"verify: layer {shown(layer.name)} channel {channel}: threshold {folded} differs from "
                        f"{trained} at pixel {pixel}"
                    )
        self._value = node.infer(self._value)
        self._tables = [[Fraction(-1), Fraction(1)]]

    def _recoded(self, layer: FloatLayer) -> None:
        """Check that each value of the sums gets a code of its own, and that these stand for evenly spaced numbers."""
        node, value = self._take(layer, Threshold), self._value
        where = f"verify: node {shown(node.name)}"
        if node.thresholds.shape[0] != 1 or node.inverted is not None:
            raise CompileError(f"{where} must have thresholds common to all channels")
        sums = range(value.low, value.high + 1, value.step)
        codes = [int((node.thresholds[0] <= total).sum()) for total in sums]
        if codes != list(range(len(codes))):
            raise CompileError(f"{where} must number the {len(codes)} values of its input, not give {shown(codes)}")
        self._value = node.infer(value)
        self._tables = [
            [line.slope * (value.low + value.step * q) + line.shift for q in range(node.levels + 1)]
            for line in dict.fromkeys(self._lines)
        ]
        if len(self._tables) > 1:
            self._tables = [
                [line.slope * (value.low + value.step * q) + line.shift for q in range(node.levels + 1)]
                for line in self._lines
            ]

    def _sums(self, layer: FloatDense | FloatConv, later: Sequence[FloatLayer]) -> None:
        """Check weights and geometry, and find what the sums stand for."""
        node = self._take(layer, Dense if isinstance(layer, FloatDense) else Conv)
        norm = next((other for other in later if not isinstance(other, AveragePooling)), None)
        self._flipped = isinstance(norm, BatchNorm)
        flipped = norm.gamma < 0 if self._flipped else np.zeros(layer.channels, bool)
        scales = [Fraction(1)] if layer.scale is None else [Fraction(float(scale)) for scale in layer.scale]
        scales = scales * (layer.channels // len(scales))
        flipped = flipped != np.array([scale < 0 for scale in scales])
        verify_weights(layer, node, flipped)
        shape = self._value.shape
        if isinstance(layer, FloatConv):
            verify_window(layer, node, self._value, self._tables, opposite=self._opposite)
            if node.groups != layer.groups:
                raise CompileError(f"verify: layer {shown(layer.name)}: groups {node.groups}, not {layer.groups}")
        top = self._value.high
        lowest, slopes = [table[0] for table in self._tables], {(table[-1] - table[0]) / top for table in self._tables}
        slope = slopes.pop()
        for table in self._tables:
            if slopes or table != [table[0] + slope * q for q in range(len(table))]:
                raise CompileError(f"verify: layer {shown(layer.name)} reads codes that are not evenly spaced alike")
        # The frame of all codes 0: integers -top and the reals that tables begin with.
        if isinstance(layer, FloatDense):
            folded = node.weights.reshape(len(node.weights), shape[0], -1)
        else:
            folded = node.weights.reshape(*node.weights.shape[:2], -1)
        totals = (2 * folded.astype(np.int64) - (node.levels - 1)).sum(axis=2)
        depthwise = isinstance(layer, FloatConv) and layer.groups > 1
        self._lines = []
        for channel, row in enumerate(totals.tolist()):
            factor = -scales[channel] if flipped[channel] else scales[channel]
            reads = [channel] if depthwise else range(shape[0])
            if len(lowest) == 1:
                reads, row = [0], [sum(row)]
            real = sum(factor * Fraction(t, layer.levels - 1) * lowest[i] for i, t in zip(reads, row, strict=True))
            if layer.bias is not None:
                real += -1 if layer.bias[channel] < 0 else 1
            per_sum = factor * slope / 2 / (layer.levels - 1)
            self._lines.append(Line(per_sum, real - per_sum * -top * sum(row)))
        self._value = node.infer(self._value)

    def _pool(self, layer: MaxPooling | AveragePooling) -> None:
        node = self._take(layer, MaxPool if isinstance(layer, MaxPooling) else SumPool)
        verify_window(layer, node, self._value, self._tables)
        if isinstance(layer, MaxPooling):
            if self._value.kind == "sum" and any(line.slope < 0 for line in self._lines):
                raise CompileError(f"verify: layer {shown(layer.name)}: pools sums of flipped channels")
            self._value = node.infer(self._value)
            return
        covered = set(counts(layer, self._value.shape[1:]).ravel().tolist())
        if self._value.kind == "code":
            top, channels = self._value.high, self._value.shape[0]
            # v = 2*q - top
            lines = [Line((table[-1] - table[0]) / (2 * top), (table[-1] + table[0]) / 2) for table in self._tables]
            self._lines = [lines[channel % len(lines)] for channel in range(channels)]
        area = layer.window.area
        if len(covered) > 1 and any(line.shift for line in self._lines):
            raise CompileError(f"verify: layer {shown(layer.name)}: pads are not 0")
        count = covered.pop()
        self._lines = [Line(line.slope / area, line.shift * count / area) for line in self._lines]
        self._value = node.infer(self._value)
