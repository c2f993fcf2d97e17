"""Operators that work number by number: arithmetic, normalization, clips and quantizers."""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np

from signfold.sw.network.types import shown
from signfold.sw.qonnx import quantizers
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.number import Number, inverse, root
from signfold.sw.qonnx.table import Table, elementwise, stepwise
from signfold.sw.qonnx.tensor import Tensor, joined, like, per_channel

__all__ = ["NUMBERS", "channel_axis"]


def _divide(above: Number, below: Number) -> Number:
    factor = inverse(below)
    if factor is None:
        raise ValueError("division by 0 or by a sum of roots")
    return above * factor


def _power(base: Number, exponent: Number) -> Number:
    if exponent == Fraction(1, 2):
        return _square_root(base)
    if exponent == Fraction(-1, 2):
        return _divide(Fraction(1), _square_root(base))
    if exponent in (1, 2, -1):
        return {1: lambda: base, 2: lambda: base * base, -1: lambda: _divide(Fraction(1), base)}[int(exponent)]()
    raise ValueError(f"exponent {float(exponent):g} must be -1, -0.5, 0.5, 1 or 2")


def _square_root(number: Number) -> Number:
    if not isinstance(number, Fraction) or number < 0:
        raise ValueError("the root of a negative number or of a root")
    return root(number)


@lru_cache(maxsize=1 << 12)
def _slope(gamma: Fraction, spread: Fraction) -> Number:
    return gamma * inverse(root(spread))


def _binary(function: Callable[[Number, Number], Number]) -> Callable[[Operation, list], Tensor]:
    return lambda operation, inputs: joined(operation, function, inputs[0], inputs[1])


def _unary(function: Callable[[Number], Number]) -> Callable[[Operation, list], Tensor]:
    return lambda operation, inputs: like(inputs[0], inputs[0].table.map(function))


def _batch_norm(operation: Operation, inputs: list[Tensor]) -> Tensor:
    if operation.integer("training_mode", 0) or not operation.integer("spatial", 1):
        raise refuse(operation, "training_mode must be 0 and spatial 1")
    data, *vectors = inputs[:5]
    eps = Fraction(operation.number("epsilon", float(np.float32(1e-5))))

    def norm(x: Number, gamma: Number, beta: Number, mean: Number, variance: Number) -> Number:
        if variance < 0 or variance + eps <= 0:
            raise ValueError(f"variance {float(variance):g} and epsilon {float(eps):g} must have a positive sum")
        return (x - mean) * _slope(gamma, variance + eps) + beta

    return joined(operation, norm, data, *(per_channel(operation, vector, data) for vector in vectors))


def _clip(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    data, tables = inputs[0], [inputs[0]]
    bounds: list[int | None] = []
    for place, name in ((1, "min"), (2, "max")):
        bound = inputs[place] if len(inputs) > place else None
        if bound is None and name in operation.attributes:
            bound = Tensor(Table.of(np.array(operation.number(name, 0.0))))
        bounds.append(None if bound is None else len(tables))
        if bound is not None:
            tables.append(bound)

    def clip(*numbers: Number) -> Number:
        value = numbers[0] if bounds[0] is None else max(numbers[0], numbers[bounds[0]])
        return value if bounds[1] is None else min(value, numbers[bounds[1]])

    return like(data, joined(operation, clip, *tables).table)


def _quant(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data, scale, zero, bits = inputs
    allowed, rounding = quantizers.code_range(operation, bits.table.item()), quantizers.Rounding(operation)

    def quantize(x: Number, s: Number, z: Number) -> Number:
        if s <= 0:
            raise ValueError("a scale must be positive")
        scaled = _divide(x, s) + z
        if allowed is None:
            code = 1 if scaled >= 0 else -1
        else:
            code = rounding.round(min(max(scaled, Fraction(allowed[0])), Fraction(allowed[1])))
        return s * (code - z)

    return joined(operation, quantize, data, scale, zero, each=stepwise)


def _multi_threshold(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data, thresholds = inputs
    axis = channel_axis(operation, len(data.shape))
    if thresholds.batched or len(thresholds.shape) != 2 or thresholds.shape[0] not in (1, data.shape[axis]):
        raise refuse(operation, f"thresholds of shape {thresholds.shape} must be one row, or one a channel")
    rows = [sorted(thresholds.table.at(row).to_list()) for row in thresholds.table.index]
    scale, bias = (Fraction(operation.number(f"out_{what}", default)) for what, default in (("scale", 1), ("bias", 0)))
    results = [scale * count + bias for count in range(thresholds.shape[1] + 1)]
    which = np.arange(len(rows)).reshape(-1, *(1,) * (len(data.shape) - 1 - axis))
    table = elementwise(
        lambda x, row: results[quantizers.count_thresholds(x, rows[int(row)])],
        data.table,
        Table([Fraction(row) for row in range(len(rows))], which),
    )
    return like(data, table)


def channel_axis(operation: Operation, rank: int) -> int:
    """Return the axis of the channels of a MultiThreshold's input of this rank."""
    layout = operation.text("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank, "NC")
    if len(layout) != rank or layout.count("C") != 1 or layout.index("C") == 0:
        raise refuse(operation, f"data_layout {shown(layout)} must name {rank} dimensions, N first, C once")
    return layout.index("C")


#: Operators by name.
NUMBERS: dict[str, Callable[[Operation, list], Tensor]] = {
    "Abs": _unary(abs),
    "Add": _binary(lambda a, b: a + b),
    "BatchNormalization": _batch_norm,
    "BipolarQuant": lambda operation, inputs: joined(operation, quantizers.bipolar, *inputs, each=stepwise),
    "Clip": _clip,
    "Div": _binary(_divide),
    "IntQuant": _quant,
    "Mul": _binary(lambda a, b: a * b),
    "MultiThreshold": _multi_threshold,
    "Neg": _unary(lambda x: -x),
    "Pow": _binary(_power),
    "Quant": _quant,
    "Reciprocal": _unary(lambda x: _divide(Fraction(1), x)),
    "Relu": _unary(lambda x: max(x, Fraction(0))),
    "Sqrt": _unary(_square_root),
    "Sub": _binary(lambda a, b: a - b),
}
