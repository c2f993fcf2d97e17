"""Operators that sum products, and pools: matrix products, convolutions, maxima and means of windows."""

from collections.abc import Callable
from fractions import Fraction
from math import prod

import numpy as np

from signfold.sw.compile.window import Window
from signfold.sw.network.types import MAX_ELEMENTS
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.table import Table, elementwise
from signfold.sw.qonnx.tensor import Tensor, joined, like, per_channel
from signfold.sw.qonnx.windows import check_work, read_window

__all__ = ["PRODUCTS"]

#: Elements of windows laid out at a time.
_BLOCK = 1 << 22


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
    return like(data, Table.of_integers(_whole(a @ b), unit))


def _whole(sums: np.ndarray) -> np.ndarray:
    return sums if sums.dtype == object else np.rint(sums).astype(np.int64)


def _xnor_matmul(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data, weights = [like(t, t.table.map(lambda x: 2 * x - 1)) for t in inputs]
    sums = _matmul(operation, [data, weights])
    fan_in = weights.shape[0]
    return like(sums, sums.table.map(lambda x: (x + fan_in) / 2))


def _gemm(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    if operation.integer("transA", 0):
        raise refuse(operation, "transA must be 0")
    data, weights, *bias = inputs
    if operation.integer("transB", 0):
        weights = Tensor(weights.table.at(weights.table.index.T))
    alpha, beta = (Fraction(operation.number(name, 1.0)) for name in ("alpha", "beta"))
    sums = _matmul(operation, [data, weights])
    if bias and bias[0] is not None:
        return joined(operation, lambda x, c: alpha * x + beta * c, sums, bias[0])
    return like(sums, sums.table.map(lambda x: alpha * x))


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
    result = like(data, Table.of_integers(sums, unit))
    if bias and bias[0] is not None:
        return joined(operation, lambda x, c: x + c, result, per_channel(operation, bias[0], result))
    return result


def _windows(array: np.ndarray, window: Window, fill: int) -> np.ndarray:
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
    return like(data, Table(ordered, _windows(ranks, window, -1).max(axis=(4, 5))))


def _average_pool(operation: Operation, inputs: list[Tensor]) -> Tensor:
    data = inputs[0]
    if not data.batched or len(data.shape) != 4:
        raise refuse(operation, "it must read pictures of channels, rows and columns")
    window = read_window(operation, data.shape[2:])
    check_work(operation, window, data.shape[2:], data.shape[1])
    sums = data.table.sums(lambda values: _windows(values, window, 0).sum(axis=(4, 5)))
    if operation.integer("count_include_pad", 0):
        return like(data, sums.map(lambda x: x * Fraction(1, window.area)))
    inside = _windows(np.ones((1, 1, *data.shape[2:]), np.int64), window, 0).sum(axis=(4, 5))
    return like(data, elementwise(lambda x, count: x * (1 / count), sums, Table.of(inside)))


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
    return like(data, sums.map(lambda x: x * Fraction(1, data.shape[2] * data.shape[3])))


#: Operators by name.
PRODUCTS: dict[str, Callable[[Operation, list], Tensor]] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _mean,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "ReduceMean": _mean,
    "XnorPopcountMatMul": _xnor_matmul,
}
