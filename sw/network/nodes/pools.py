"""Pools: the largest of a window, and the sum over one."""

from dataclasses import dataclass
from typing import ClassVar

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import MAX_SUM, Unary
from signfold.sw.network.nodes.window import Placement, own_padding, own_pair, place
from signfold.sw.network.types import MAX_ELEMENTS, ValueType, shown

__all__ = ["MaxPool", "Pool", "SumPool"]


@dataclass(frozen=True, eq=False)
class Pool(Unary):
    """What pools share: each channel by itself, windows that do not fit whole are left out (floor).

    Parameters
    ----------
    kernel : tuple of int
        Size of a window, down and across.
    stride : tuple of int
        Positions from one window to the next, down and across.
    padding : tuple of int
        Positions added at the top, bottom, left and right, each fewer than the kernel has.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def _check(self) -> None:
        object.__setattr__(self, "kernel", own_pair(self.name, "kernel", self.kernel))
        object.__setattr__(self, "stride", own_pair(self.name, "stride", self.stride))
        object.__setattr__(self, "padding", own_padding(self.name, self.padding, self.kernel))

    def _place(self, value: ValueType) -> tuple[Placement, tuple[int, int, int]]:
        """Return where the windows lie, and the shape of the result."""
        placement = place(self.name, self.input, value, self.kernel, self.stride, self.padding)
        shape = (value.shape[0], placement.rows, placement.columns)
        if shape[0] * shape[1] * shape[2] > MAX_ELEMENTS:
            raise NetworkError(f"node {shown(self.name)}: shape {shape} is more than {MAX_ELEMENTS} elements")
        return placement, shape


@dataclass(frozen=True, eq=False)
class MaxPool(Pool):
    """The largest code or sum of each window. Padded positions never win; the result has the range of what is read."""

    op: ClassVar[str] = "maxpool"

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        _, shape = self._place(value)
        return ValueType(value.kind, shape, value.low, value.high, value.step)


@dataclass(frozen=True, eq=False)
class SumPool(Pool):
    """The sum over each window: of codes q from 0 to h the values ``v = 2*q - h``, of sums the sums themselves.

    Padded positions add 0, so that the sums of windows with and without them differ in parity: the step is 1 where
    there is padding, else that of what is summed.
    """

    op: ClassVar[str] = "sumpool"

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        placement, shape = self._place(value)
        low, step = (-value.high, 2) if value.kind == "code" else (value.low, value.step)
        # Sums of an image range from -bound to bound, so that the window with most positions inside has both ends.
        low, high = placement.inside * low, placement.inside * value.high
        if max(-low, high) >= MAX_SUM:
            raise NetworkError(
                f"node {shown(self.name)}: sums over kernel {self.kernel} of values up to {value.high} exceed 62 bits"
            )
        return ValueType("sum", shape, low, high, 1 if any(self.padding) else step)
