"""Tensors of the reference evaluation, and functions of numbers applied to them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.number import Number
from signfold.sw.qonnx.table import Table, elementwise

__all__ = ["Tensor", "joined", "like", "per_channel"]


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


def like(tensor: Tensor, table: Table) -> Tensor:
    """Return a tensor of other numbers that counts pictures as `tensor` does."""
    return Tensor(table, tensor.batched, tensor.batch)


def joined(
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


def per_channel(operation: Operation, tensor: Tensor, data: Tensor) -> Tensor:
    """Lay a vector along the second dimension of `data`."""
    if tensor.batched or len(tensor.shape) != 1 or len(data.shape) < 2 or tensor.shape[0] != data.shape[1]:
        raise refuse(operation, f"a vector a channel must have {shown(data.shape)}'s channels, not {tensor.shape}")
    return Tensor(tensor.table.at(tensor.table.index.reshape(1, -1, *(1,) * (len(data.shape) - 2))))
