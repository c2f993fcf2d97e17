"""Operators that move elements or make constants: shapes, orders, joins."""

from collections.abc import Callable
from fractions import Fraction
from math import prod

import numpy as np

from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.table import Table
from signfold.sw.qonnx.tensor import Tensor, like

__all__ = ["ROUTES", "permutation", "reshaped"]


def reshaped(operation: Operation, shape: tuple[int, ...], inputs: list[Tensor | None]) -> tuple[int, ...]:
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
        return like(data, data.table.at(data.table.index.reshape(len(data.table.index), *wanted[1:])))
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
    return like(data, data.table.at(data.table.index.transpose(order)))


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


#: Operators by name.
ROUTES: dict[str, Callable[[Operation, list], Tensor]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "Dropout": _same,
    "Flatten": _reshape,
    "Gather": _gather,
    "Identity": _same,
    "Reshape": _reshape,
    "Shape": _shape,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
