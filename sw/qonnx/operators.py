"""Operators of ONNX on arrays of exact numbers, for the reference evaluation and for constants.

Each follows the operator's specification. The first dimension of a tensor that depends on the pictures is their number,
whatever the file says; constants broadcast against it by 1 only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod

import numpy as np

from signfold.sw.errors import CompileError
from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx import quantizers
from signfold.sw.qonnx.graph import FAULTS, Operation, check_inputs, refuse
from signfold.sw.qonnx.number import Number, inverse, root
from signfold.sw.qonnx.table import Table, elementwise, stepwise
from signfold.sw.qonnx.windows import check_work, read_window

__all__ = ["Tensor", "apply", "channel_axis", "permutation", "reshaped"]

#: Elements of windows laid out at a time.
_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array, and whether its first dimension counts pictures.

    Parameters
    ----------
    table : Table
        Its numbers.
    batched : bool
        It depends on the pictures.
    batch : int
        First dimension as the file states it, where `batched`.
    """

    table: Table
    batched: bool = False
    batch: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as the file states it."""
        return (self.batch, *self.table.shape[1:]) if self.batched else self.table.shape


def apply(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    """Return the (first) result of an operation.

    Raises
    ------
    CompileError
        The operator is not known, its inputs do not fit, or the result is too large.
    """
    function = _OPERATORS.get(operation.op)
    if function is None:
        raise refuse(operation, "this operator has no exact evaluation here")
    check_inputs(operation)
    try:
        result = function(operation, inputs)
    except FAULTS as cause:
        raise refuse(operation, f"its inputs do not fit: {shown(str(cause))}") from None
    if prod(result.shape) > MAX_ELEMENTS:
        raise refuse(operation, f"shape {shown(result.shape)} has more than {MAX_ELEMENTS} elements")
    return result


def _like(tensor: Tensor, table: Table) -> Tensor:
    return Tensor(table, tensor.batched, tensor.batch)


def _joined(
    operation: Operation, function: Callable[..., Number], *tensors: Tensor, each: Callable[..., Table] = elementwise
) -> Tensor:
    """Apply a function of numbers to tensors that broadcast, by `elementwise` or `stepwise`."""
    rank = max(len(tensor.shape) for tensor in tensors)
    batched = [tensor for tensor in tensors if tensor.batched]
    shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    if prod(shape) > MAX_ELEMENTS:
        raise refuse(operation, f"shape {shown(shape)} has more than {MAX_ELEMENTS} elements")
    if batched:
        if any(len(tensor.shape) != rank for tensor in batched) or len({tensor.batch for tensor in batched}) > 1:
            raise refuse(operation, "a constant has more dimensions than the pictures' tensor")
        if any(not tensor.batched and len(tensor.shape) == rank and tensor.shape[0] != 1 for tensor in tensors):
            raise refuse(operation, "a constant differs from picture to picture")
    return Tensor(each(function, *(t.table for t in tensors)), bool(batched), batched[0].batch if batched else 1)


def _divide(above: Number, below: Number) -> Number:
    factor = inverse(below)
    if factor is None:
        raise ValueError("division by 0 or by a sum of roots")
    return above * factor


def _power(base: Number, exponent: Number) -> Number:
    if exponent == Fraction(1, 2):
        return _root(base)
    if exponent == Fraction(-1, 2):
        return _divide(Fraction(1), _root(base))
    if exponent in (1, 2, -1):
        return {1: lambda: base, 2: lambda: base * base, -1: lambda: _divide(Fraction(1), base)}[int(exponent)]()
    raise ValueError(f"exponent {float(exponent):g} must be -1, -0.5, 0.5, 1 or 2")


def _root(number: Number) -> Number:
    if not isinstance(number, Fraction) or number < 0:
        raise ValueError("the root of a negative number or of a root")
    return root(number)


@lru_cache(maxsize=1 << 12)
def _slope(gamma: Fraction, spread: Fraction) -> Number:
    return gamma * inverse(root(spread))


def _binary(function: Callable[[Number, Number], Number]) -> Callable[[Operation, list], Tensor]:
    return lambda operation, inputs: _joined(operation, function, inputs[0], inputs[1])


def _unary(function: Callable[[Number], Number]) -> Callable[[Operation, list], Tensor]:
    return lambda operation, inputs: _like(inputs[0], inputs[0].table.map(function))


def _per_channel(operation: Operation, tensor: Tensor, data: Tensor) -> Tensor:
    """Lay a vector along the second dimension of `data`."""
    if tensor.batched or len(tensor.shape) != 1 or len(data.shape) < 2 or tensor.shape[0] != data.shape[1]:
        raise refuse(operation, f"a vector a channel must have {shown(data.shape)}'s channels, not {tensor.shape}")
    return Tensor(tensor.table.at(tensor.table.index.reshape(1, -1, *(1,) * (len(data.shape) - 2))))


def _batch_norm(operation: Operation, inputs: list[Tensor]) -> Tensor:
    if operation.integer("training_mode", 0) or not operation.integer("spatial", 1):
        raise refuse(operation, "training_mode must be 0 and spatial 1")
    data, *vectors = inputs[:5]
    eps = Fraction(operation.number("epsilon", float(np.float32(1e-5))))

    def norm(x: Number, gamma: Number, beta: Number, mean: Number, variance: Number) -> Number:
        if variance < 0 or variance + eps <= 0:
            raise ValueError(f"variance {float(variance):g} and epsilon {float(eps):g} must have a positive sum")
        return (x - mean) * _slope(gamma, variance + eps) + beta

    return _joined(operation, norm, data, *(_per_channel(operation, vector, data) for vector in vectors))


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

    return _like(data, _joined(operation, clip, *tables).table)


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

    return _joined(operation, quantize, data, scale, zero, each=stepwise)


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
    return _like(data, table)


def channel_axis(operation: Operation, rank: int) -> int:
    """Return the axis of the channels of a MultiThreshold's input of this rank."""
    layout = operation.text("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank, "NC")
    if len(layout) != rank or layout.count("C") != 1 or layout.index("C") == 0:
        raise refuse(operation, f"data_layout {shown(layout)} must name {rank} dimensions, N first, C once")
    return layout.index("C")


def _products(operation: Operation, data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray, Fraction, int]:
    """Return both factors as integers of a type in which sums of products are exact, and the unit of products."""
    pair = [tensor.table.integers() for tensor in (data, weights)]
    if None in pair:
        raise refuse(operation, "real numbers with roots are multiplied; a quantizer must come before")
    (a, unit_a), (b, unit_b) = pair
    largest = (int(abs(array).max(initial=0)) for array in (a, b))
    bound = prod(largest) * (weights.table.index.size // max(1, weights.shape[-1]) + 1)
    dtype = np.float64 if bound < 1 << 52 else object
    return a.astype(dtype), b.astype(dtype), unit_a * unit_b, bound


def _matmul(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data, weights = inputs[:2]
    if not data.batched or weights.batched or len(weights.shape) != 2:
        raise refuse(operation, "the pictures' tensor must be multiplied by a constant matrix on its right")
    a, b, unit, _ = _products(operation, data, weights)
    return _like(data, Table.of_integers(_whole(a @ b), unit))


def _whole(sums: np.ndarray) -> np.ndarray:
    return sums if sums.dtype == object else np.rint(sums).astype(np.int64)


def _xnor_matmul(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data, weights = [_like(t, t.table.map(lambda x: 2 * x - 1)) for t in inputs]
    sums = _matmul(operation, [data, weights])
    fan_in = weights.shape[0]
    return _like(sums, sums.table.map(lambda x: (x + fan_in) / 2))


def _gemm(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    if operation.integer("transA", 0):
        raise refuse(operation, "transA must be 0")
    data, weights, *bias = inputs
    if operation.integer("transB", 0):
        weights = Tensor(weights.table.at(weights.table.index.T))
    alpha, beta = (Fraction(operation.number(name, 1.0)) for name in ("alpha", "beta"))
    sums = _matmul(operation, [data, weights])
    if bias and bias[0] is not None:
        return _joined(operation, lambda x, c: alpha * x + beta * c, sums, bias[0])
    return _like(sums, sums.table.map(lambda x: alpha * x))


def _conv(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    data, weights, *bias = inputs
    if not data.batched or weights.batched or len(weights.shape) != 4 or len(data.shape) != 4:
        raise refuse(operation, "a picture of channels, rows and columns must meet constant weights")
    groups = operation.integer("group", 1)
    outputs, depth, *kernel = weights.shape
    if groups < 1 or outputs % groups or data.shape[1] != depth * groups:
        raise refuse(operation, f"group {groups} does not fit {data.shape[1]} channels and weights {weights.shape}")
    window = read_window(operation, data.shape[2:], tuple(kernel))
    check_work(operation, window, data.shape[2:], outputs * depth)
    a, b, unit, _ = _products(operation, data, weights)
    windows = _windows(a, window, 0)
    rows, columns = windows.shape[2:4]
    if outputs * rows * columns > MAX_ELEMENTS:
        raise refuse(operation, f"{outputs} channels of {rows}x{columns} sums are more than {MAX_ELEMENTS}")
    sums = np.empty((len(a), outputs, rows, columns), np.int64 if a.dtype != object else object)
    # As many rows of windows of as many frames as, laid out, are of bounded size; a whole row in any case.
    row = max(1, columns * depth * window.area)
    if row > _BLOCK << 4:
        raise refuse(operation, f"a row of its windows holds more than {_BLOCK << 4} numbers")
    down = max(1, min(rows, _BLOCK // row))
    step = max(1, _BLOCK // (row * down))
    each = outputs // groups
    for start in range(0, len(a), step):
        for top in range(0, rows, down):
            for group in range(groups):
                channels = slice(group * each, (group + 1) * each)
                laid = windows[start : start + step, group * depth : (group + 1) * depth, top : top + down]
                count, _, height = laid.shape[:3]
                laid = laid.transpose(0, 2, 3, 1, 4, 5).reshape(-1, depth * window.area)
                part = _whole(laid @ b[channels].reshape(each, -1).T).reshape(count, height, columns, each)
                sums[start : start + step, channels, top : top + down] = part.transpose(0, 3, 1, 2)
    result = _like(data, Table.of_integers(sums, unit))
    if bias and bias[0] is not None:
        return _joined(operation, lambda x, c: x + c, result, _per_channel(operation, bias[0], result))
    return result


def _windows(array: np.ndarray, window, fill: int) -> np.ndarray:
    """Return views ``[n, channels, rows, columns, kh, kw]`` of a padded image."""
    top, bottom, left, right = window.padding
    padded = np.pad(array, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    window.positions("", array.shape[2:])
    views = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=(2, 3))
    return views[:, :, :: window.stride[0], :: window.stride[1]]


def _max_pool(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data = inputs[0]
    if not data.batched or len(data.shape) != 4:
        raise refuse(operation, "it must read pictures of channels, rows and columns")
    window = read_window(operation, data.shape[2:])
    check_work(operation, window, data.shape[2:], data.shape[1])
    ranks, ordered = data.table.ranks()
    return _like(data, Table(ordered, _windows(ranks, window, -1).max(axis=(4, 5))))


def _average_pool(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data = inputs[0]
    if not data.batched or len(data.shape) != 4:
        raise refuse(operation, "it must read pictures of channels, rows and columns")
    window = read_window(operation, data.shape[2:])
    check_work(operation, window, data.shape[2:], data.shape[1])
    sums = data.table.sums(lambda values: _windows(values, window, 0).sum(axis=(4, 5)))
    if operation.integer("count_include_pad", 0):
        return _like(data, sums.map(lambda x: x * Fraction(1, window.area)))
    inside = _windows(np.ones((1, 1, *data.shape[2:]), np.int64), window, 0).sum(axis=(4, 5))
    return _like(data, elementwise(lambda x, count: x * (1 / count), sums, Table.of(inside)))


def _mean(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    data = inputs[0]
    rank = len(data.shape)
    axes, keep = tuple(range(2, rank)), 1
    if operation.op == "ReduceMean":
        keep = operation.integer("keepdims", 1)
        axes = operation.integers("axes", None)
        if axes is None and len(inputs) > 1 and inputs[1] is not None:
            axes = tuple(int(axis) for axis in inputs[1].table.to_list())
        axes = tuple(sorted(axis % rank for axis in axes or ()))
    if axes != (2, 3) or rank != 4 or not data.batched:
        raise refuse(operation, "means must be over rows and columns, the last two of four dimensions")
    sums = data.table.sums(lambda values: values.sum(axis=axes, keepdims=bool(keep)))
    return _like(data, sums.map(lambda x: x * Fraction(1, data.shape[2] * data.shape[3])))


def reshaped(operation: Operation, shape: tuple[int, ...], inputs: Mapping[int, Tensor] | list) -> tuple[int, ...]:
    """Return the shape that Reshape, Flatten, Squeeze or Unsqueeze make of `shape`, both as the file states them."""

    def listed(name: str) -> tuple[int, ...] | None:
        values = operation.integers(name, None)
        tensor = inputs[1] if len(inputs) > 1 else None
        if values is None and tensor is not None:
            if tensor.batched or len(tensor.table.index.ravel()) > 16:
                raise refuse(operation, "its shape must be a constant of at most 16 numbers")
            values = tuple(int(value) for value in tensor.table.to_list())
        return values

    match operation.op:
        case "Reshape":
            wanted = list(listed("shape") or ())
            if not operation.integer("allowzero", 0):
                wanted = [shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
            if wanted.count(-1) == 1:
                rest = -prod(wanted)
                wanted[wanted.index(-1)] = prod(shape) // rest if rest > 0 else 0
        case "Flatten":
            axis = operation.integer("axis", 1)
            axis = axis + len(shape) if axis < 0 else axis
            wanted = [prod(shape[:axis]), prod(shape[axis:])]
        case "Squeeze":
            axes = listed("axes")
            axes = [a for a, size in enumerate(shape) if size == 1] if axes is None else [a % len(shape) for a in axes]
            if any(shape[axis] != 1 for axis in axes):
                raise refuse(operation, f"axes {axes} of {shape} must be of size 1")
            wanted = [size for axis, size in enumerate(shape) if axis not in axes]
        case _:
            axes = listed("axes") or ()
            rank = len(shape) + len(axes)
            places = {axis % rank for axis in axes}
            sizes = iter(shape)
            wanted = [1 if axis in places else next(sizes) for axis in range(rank)]
    if not wanted and len(inputs) < 2 or any(size < 1 for size in wanted) or prod(wanted) != prod(shape):
        raise refuse(operation, f"shape {shown(wanted)} does not hold the elements of {shown(shape)}")
    return tuple(wanted)


def _reshape(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    data = inputs[0]
    wanted = reshaped(operation, data.shape, inputs)
    if data.batched:
        if not wanted or wanted[0] != data.batch:
            raise refuse(operation, f"shape {shown(wanted)} must keep the number of pictures first")
        return _like(data, data.table.at(data.table.index.reshape(len(data.table.index), *wanted[1:])))
    return Tensor(data.table.at(data.table.index.reshape(wanted)))


def permutation(operation: Operation, rank: int, *, batched: bool) -> tuple[int, ...]:
    """Return the order of dimensions that a Transpose makes."""
    order = operation.integers("perm", tuple(range(rank))[::-1])
    if sorted(order) != list(range(rank)) or (batched and order[0] != 0):
        raise refuse(operation, f"perm {shown(order)} must be an order of {rank} dimensions, pictures first")
    return order


def _transpose(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data = inputs[0]
    order = permutation(operation, len(data.shape), batched=data.batched)
    return _like(data, data.table.at(data.table.index.transpose(order)))


def _same(operation: Operation, inputs: list[Tensor]) -> Tensor:
    return inputs[0]


def _cast(operation: Operation, inputs: list[Tensor]) -> Tensor:
    # 1, 10, 11 are floats of 32, 16 and 64 bits; integers are cut towards zero.
    if operation.integer("to", 1) in (1, 11):
        return inputs[0]
    if not all(isinstance(number, Fraction) and number.denominator == 1 for number in inputs[0].table.used().values()):
        raise refuse(operation, "fractions are cut off")
    return inputs[0]


def _constant(operation: Operation, inputs: list[Tensor]) -> Tensor:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in operation.attributes:
            array = np.asarray(operation.attributes[name])
            if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
                raise refuse(operation, f"{name} must hold finite numbers")
            return Tensor(Table.of(array))
    raise refuse(operation, "it has no value that is known here")


def _shape(operation: Operation, inputs: list[Tensor]) -> Tensor:
    if "start" in operation.attributes or "end" in operation.attributes:
        raise refuse(operation, "start and end are not known here")
    return Tensor(Table.of(np.array(inputs[0].shape, np.int64)))


def _gather(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data, places = inputs
    if data.batched or places.batched:
        raise refuse(operation, "only constants are gathered")
    index = np.vectorize(int, otypes=[np.int64])(np.array(places.table.to_list(), object).reshape(places.shape))
    if index.size > MAX_ELEMENTS >> 8:
        raise refuse(operation, "it gathers too much")
    return Tensor(data.table.at(np.take(data.table.index, index, axis=operation.integer("axis", 0))))


def _concat(operation: Operation, inputs: list[Tensor]) -> Tensor:
    if any(tensor.batched for tensor in inputs):
        raise refuse(operation, "only constants are joined")
    axis = operation.integer("axis", 0)
    numbers = [number for tensor in inputs for number in tensor.table.numbers]
    starts = np.cumsum([0, *(len(tensor.table.numbers) for tensor in inputs)])
    index = [tensor.table.index + start for tensor, start in zip(inputs, starts.tolist(), strict=False)]
    return Tensor(Table(numbers, np.concatenate(index, axis=axis)))


_OPERATORS: dict[str, Callable[[Operation, list], Tensor]] = {
    "Abs": _unary(abs),
    "Add": _binary(lambda a, b: a + b),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "BipolarQuant": lambda operation, inputs: _joined(operation, quantizers.bipolar, *inputs, each=stepwise),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Conv": _conv,
    "Div": _binary(_divide),
    "Dropout": _same,
    "Flatten": _reshape,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _mean,
    "Identity": _same,
    "IntQuant": _quant,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _binary(lambda a, b: a * b),
    "MultiThreshold": _multi_threshold,
    "Neg": _unary(lambda x: -x),
    "Pow": _binary(_power),
    "Quant": _quant,
    "Reciprocal": _unary(lambda x: _divide(Fraction(1), x)),
    "ReduceMean": _mean,
    "Relu": _unary(lambda x: max(x, Fraction(0))),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sqrt": _unary(_root),
    "Squeeze": _reshape,
    "Sub": _binary(lambda a, b: a - b),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
    "XnorPopcountMatMul": _xnor_matmul,
}

# CompileError comes out of the functions as it is.
assert not issubclass(CompileError, ValueError)
