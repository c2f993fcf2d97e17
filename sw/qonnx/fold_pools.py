"""Folds of pools: maxima of integers, and means as sums of them."""

from fractions import Fraction

import numpy as np

from signfold.sw.compile.window import Window
from signfold.sw.network import MaxPool, SumPool
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.layout import Layout
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.number import sign
from signfold.sw.qonnx.signal import Signal
from signfold.sw.qonnx.walk import Walk
from signfold.sw.qonnx.windows import check_work, read_window

__all__ = ["average", "max_pool"]


def max_pool(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """MaxPool: of integers, where these rise with what they stand for."""
    picture = walk.image(operation, signal)
    window = read_window(operation, picture)
    check_work(operation, window, picture, signal.channels)
    negative = np.array([sign(line.slope) < 0 for line in signal.lines])
    if negative.any():
        signal = (
            walk.complement(operation, signal, negative) if signal.linear is None else walk.negate(signal, negative)
        )
    padding = window.padding if window.reaches_padding(picture) else (0, 0, 0, 0)
    node = MaxPool(walk.name(operation.name), signal.source, window.kernel, window.stride, padding)
    value = walk.append(node, signal)
    walk.words = "maximum of integers"
    return Signal(node.name, value, Layout.plain(value.shape), signal.lines)


def average(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """AveragePool, GlobalAveragePool, ReduceMean: sums over windows."""
    picture = walk.image(operation, signal)
    keep = True
    if operation.op == "AveragePool":
        window = read_window(operation, picture)
        check_work(operation, window, picture, signal.channels)
    else:
        window = Window(tuple(picture), (1, 1))
        if operation.op == "ReduceMean":
            axes, given = operation.integers("axes", None), walk.given(operation, 1)
            if axes is None and given is not None:
                axes = tuple(int(axis) for axis in given.table.to_list())
            if sorted(axis % 4 for axis in axes or ()) != [2, 3]:
                raise refuse(operation, "means must be over rows and columns")
            keep = bool(operation.integer("keepdims", 1))
    lines = walk.plain_lines(operation, signal)
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
    node = SumPool(walk.name(operation.name), signal.source, window.kernel, window.stride, padding)
    value = walk.append(node, signal)
    walk.words = "sum of integers; the count goes into what reads it"
    layout = Layout.plain(value.shape)
    return Signal(node.name, value, layout if keep else layout.reshaped(value.shape[:1]), lines, signal.linear)
