"""Where the elements of an ONNX tensor lie in the integer network's value: reshapes and transposes without a node."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from signfold.sw.network.types import shown
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.tensor import Tensor

__all__ = ["MAX_CHANNELS", "Layout"]

#: Channels with parameters of their own.
MAX_CHANNELS = 1 << 16


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of one frame.

    Parameters
    ----------
    shape : tuple of int
        Shape of the ONNX tensor without the dimension of frames.
    order : numpy.ndarray
        int64 of that shape: the place, in C order, of each element in the network's value.
    """

    shape: tuple[int, ...]
    order: np.ndarray

    @classmethod
    def plain(cls, shape: Sequence[int]) -> "Layout":
        """Return the layout of a value of this shape as it is."""
        return cls(tuple(shape), np.arange(int(np.prod(shape))).reshape(shape))

    def reshaped(self, shape: Sequence[int]) -> "Layout":
        """Return the same elements in another shape."""
        return Layout(tuple(shape), self.order.reshape(shape))

    def transposed(self, order: Sequence[int]) -> "Layout":
        """Return the layout with its axes in another order."""
        moved = self.order.transpose(order)
        return Layout(moved.shape, moved)

    @property
    def is_plain(self) -> bool:
        """Whether the elements follow each other as in the network's value."""
        flat = self.order.ravel()
        return bool((flat == np.arange(len(flat))).all())

    def per_channel(self, operation: Operation, tensor: Tensor, channels: int) -> list[int]:
        """Return which number of a constant, broadcast to the tensor, belongs to each channel of the network's value.

        Returns
        -------
        list of int
            Indices of the constant's numbers: one for all channels, or one a channel.

        Raises
        ------
        CompileError
            The constant does not broadcast, or differs within a channel.
        """
        index = tensor.table.index
        if index.size == 1:
            return [int(index.ravel()[0])]
        if index.ndim > len(self.shape):
            if index.ndim > len(self.shape) + 1 or index.shape[0] != 1:
                raise refuse(operation, f"its constant of shape {index.shape} differs from picture to picture")
            index = index[0]
        try:
            index = np.broadcast_to(index, self.shape)
        except ValueError:
            raise refuse(
                operation, f"its constant of shape {tensor.shape} does not fit pictures of shape {shown(self.shape)}"
            ) from None
        return self.channels_of(operation, index, channels)

    def channels_of(self, operation: Operation, index: np.ndarray, channels: int) -> list[int]:
        """Return one number a channel out of one an element of the ONNX tensor; see `per_channel`."""
        placed = np.empty(index.size, np.int64)
        placed[self.order.ravel()] = index.ravel()
        placed = placed.reshape(channels, -1)
        if (placed != placed[:, :1]).any():
            raise refuse(
                operation, "its constant differs from position to position of a channel; allowed: one a channel"
            )
        row = placed[:, 0]
        if (row == row[0]).all():
            return [int(row[0])]
        if channels > MAX_CHANNELS:
            raise refuse(operation, f"{channels} channels with constants of their own; at most {MAX_CHANNELS}")
        return row.tolist()
