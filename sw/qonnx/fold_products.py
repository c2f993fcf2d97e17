"""Folds of products with constant weights: dense layers and convolutions."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from signfold.sw.compile.fold import number_values
from signfold.sw.compile.meaning import Meaning, code_for_pads
from signfold.sw.network import Conv, Dense, Node
from signfold.sw.network.types import shown
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.layout import Layout
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.number import Number, sign
from signfold.sw.qonnx.signal import Signal
from signfold.sw.qonnx.walk import REAL, Walk
from signfold.sw.qonnx.weights import integer_weights
from signfold.sw.qonnx.windows import check_work, read_window

__all__ = ["conv", "dense"]


def dense(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """MatMul and Gemm with constant weights, and XnorPopcountMatMul."""
    if operation.inputs[0] not in walk.signals:
        raise refuse(operation, "the pictures must be on the left of the weights")
    *ones, width = signal.layout.shape
    table = walk.given(operation, 1).table
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
    signal, unit, signs, offsets, _ = _codes(walk, operation, signal)
    placed = np.empty_like(index)
    placed[:, signal.layout.order.ravel()] = index
    weights = integer_weights(operation, table.at(placed))
    each = weights.integers.reshape(len(index), signal.channels, -1)
    totals = each.sum(axis=2) * signs
    weights = _signed(weights, signs.repeat(signal.value.elements // len(signs)))
    node = Dense(walk.name(operation.name), signal.source, weights.codes, weights.levels)
    lines = _sum_lines(unit, weights.units, totals, offsets)
    result = _linear(walk, node, signal, lines, Layout.plain((*ones, len(index))))
    if popcount:
        result = result.each(lambda line, _: line.affine(Fraction(1, 2), Fraction(width, 2)), [1])
    if operation.op == "Gemm":
        alpha, beta = (Fraction(operation.number(name, 1.0)) for name in ("alpha", "beta"))
        result = result.each(lambda line, _: line.affine(alpha, Fraction(0)), [1])
        if walk.given(operation, 2) is not None:
            bias = [beta * number for number in walk.numbers(operation, 2, result)]
            result = result.each(lambda line, c: line.affine(Fraction(1), bias[c % len(bias)]), [len(bias)])
    return result


def conv(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Conv with constant weights."""
    picture = walk.image(operation, signal)
    table, groups = walk.given(operation, 1).table, operation.integer("group", 1)
    if len(table.shape) != 4 or table.shape[1] * groups != signal.channels:
        raise refuse(operation, f"weights {table.shape} in {groups} group(s) must read {signal.channels} channels")
    if groups != 1 and not groups == signal.channels == table.shape[0]:
        raise refuse(operation, f"group is {groups}, must be 1, or as many as channels in and out (depthwise)")
    window = read_window(operation, picture, table.shape[2:])
    check_work(operation, window, picture, table.shape[0] * table.shape[1])
    negative = np.array([sign(line.slope) < 0 for line in signal.lines])
    if negative.any() and window.reaches_padding(picture) and len({_zero(line) for line in signal.lines}) > 1:
        # Pads are one code: the same one in inverted channels, once the codes are those that fall.
        signal = walk.complement(operation, signal, negative)
    signal, unit, signs, offsets, recoded = _codes(walk, operation, signal)
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
        walk.name(operation.name),
        signal.source,
        weights.codes,
        window.stride,
        padding,
        pad,
        groups,
        weights.levels,
    )
    result = _linear(walk, node, signal, lines, None)
    if walk.given(operation, 2) is not None:
        bias = walk.vector(operation, 2, result)
        result = result.each(lambda line, c: line.affine(Fraction(1), bias[c % len(bias)]), [len(bias)])
    return result


def _codes(
    walk: Walk, operation: Operation, signal: Signal
) -> tuple[Signal, Fraction, np.ndarray, list[Fraction], bool]:
    """Return what a layer of products reads: codes; the unit of v; each channel's sign and offset of v.

    A channel's real number is ``unit*sign*(v + offset)``, v the odd integer of its code. The last result says that
    the codes number sums.
    """
    recoded = signal.value.kind == "sum"
    lines = walk.plain_lines(operation, signal)
    if not all(line.rational for line in lines):
        raise refuse(operation, f"it reads real numbers that no quantizer made: {REAL}")
    if recoded:
        name = walk.name(f"{signal.source}.codes")
        node = number_values(name, signal.source, signal.value, operation.name)
        value, step, low = walk.append(node, signal), signal.value.step, signal.value.low
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


def _linear(walk: Walk, node: Node, signal: Signal, lines: tuple[Line, ...], layout: Layout | None) -> Signal:
    value = walk.append(node, signal)
    walk.words = f"{node.op} of {1 if node.levels == 2 else node.levels} {'bit' if node.levels == 2 else 'levels'}"
    layout = Layout.plain(value.shape) if layout is None else layout
    return Signal(node.name, value, layout, lines, len(walk.nodes) - 1)


@dataclass(frozen=True)
class _Pads:
    """A convolution whose pads are the real number 0, as `code_for_pads` reads it."""

    name: str
    pad: None = None


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
