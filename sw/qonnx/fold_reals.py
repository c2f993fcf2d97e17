"""Folds that change what integers stand for, or where they lie, and make no node."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from signfold.sw.network import InputType
from signfold.sw.network.types import shown
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.layout import Layout
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.number import Number, inverse, root
from signfold.sw.qonnx.operators_routes import permutation, reshaped
from signfold.sw.qonnx.signal import Signal
from signfold.sw.qonnx.walk import Walk

__all__ = ["affine", "clip", "norm", "route", "same"]


def same(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Identity, Dropout, Cast to floats."""
    if operation.op == "Cast" and operation.integer("to", 1) not in (1, 10, 11):
        raise refuse(operation, "real numbers become integers; allowed: a Quant")
    walk.words = "nothing"
    return signal


def route(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Reshape, Flatten, Squeeze, Unsqueeze, Transpose."""
    shape = (walk.graph.shape[0], *signal.layout.shape)
    if operation.op == "Transpose":
        layout = signal.layout.transposed(tuple(a - 1 for a in permutation(operation, len(shape), batched=True)[1:]))
    else:
        wanted = reshaped(operation, shape, [None, walk.given(operation, 1)])
        if wanted[0] != shape[0]:
            raise refuse(operation, f"shape {shown(wanted)} must keep the number of pictures first")
        layout = signal.layout.reshaped(wanted[1:])
    walk.words = "order of elements"
    if signal.source != "input" or len(signal.lines) > 1 or not 1 <= len(layout.shape) <= 4:
        return replace(signal, layout=layout)
    # Frames are handed over in this order.
    walk.order = walk.order[layout.order.ravel()]
    walk.pixels = InputType(layout.shape, walk.pixels.bits)
    return replace(signal, value=walk.pixels.value, layout=Layout.plain(layout.shape))


def affine(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Mul, Add, Sub, Div, Neg with a constant."""
    first = operation.inputs[0] in walk.signals
    if operation.op == "Neg":
        return signal.each(lambda line, _: line.affine(Fraction(-1), Fraction(0)), [1])
    numbers = walk.numbers(operation, 1 if first else 0, signal)
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


def norm(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Batch normalization."""
    if operation.integer("training_mode", 0) or not operation.integer("spatial", 1):
        raise refuse(operation, "training_mode must be 0 and spatial 1")
    vectors = [walk.vector(operation, place, signal) for place in range(1, 5)]
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


def clip(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Relu and Clip."""
    if operation.op == "Relu":
        return signal.each(lambda line, _: line.clipped(Fraction(0), None), [1])
    bounds: list[Number | None] = []
    for place, name in ((1, "min"), (2, "max")):
        tensor = walk.given(operation, place)
        if tensor is not None:
            bounds.append(tensor.table.item())
        else:
            stated = name in operation.attributes
            bounds.append(Fraction(operation.number(name, 0.0)) if stated else None)
    return signal.each(lambda line, _: line.clipped(*bounds), [1])
