"""Evaluation of convolutions and pools for the golden model.

Images are held with their channels innermost, so that what lies side by side in a window lies side by side in memory.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from signfold.sw.network.nodes import Conv, MaxPool, SumPool
from signfold.sw.network.products import Matrix, sum_type
from signfold.sw.network.types import ValueType

__all__ = ["DepthwiseConv", "MatrixConv", "pool"]

#: Numbers that the rows of a convolution's matrix hold at a time.
WINDOWS = 1 << 18


class MatrixConv:
    """Sums of a convolution whose groups are 1: windows become the rows of a matrix, a bounded number at a time."""

    def __init__(self, node: Conv, value: ValueType, result: ValueType) -> None:
        self._node, self._top, self._shape = node, value.high, result.shape
        # Window rows, columns, then channels: neighbours in a window are neighbours in the image.
        codes = np.ascontiguousarray(np.moveaxis(node.weights, 1, -1)).reshape(node.channels, -1)
        bound = node.fan_in * value.high * (node.levels - 1)
        self._matrix = Matrix(codes, node.levels, bound, result)
        self._sums = sum_type(result)

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Return integers ``[n, channels, rows, columns]``, channels innermost in memory."""
        node, top = self._node, self._top
        # Real zero is the code top/2, which a float holds exactly.
        fill = top / 2 if node.pad is None else node.pad
        image = _padded(np.moveaxis(value, 1, -1), node.padding, fill, self._matrix.dtype)
        image *= 2
        image -= top
        windows = sliding_window_view(image, node.kernel, axis=(1, 2))[:, :: node.stride[0], :: node.stride[1]]
        windows = np.moveaxis(windows, 3, -1)
        channels, rows, columns = self._shape
        sums = np.empty((len(image), rows, columns, channels), self._sums)
        for part in _blocks((len(image), rows, columns), WINDOWS // node.fan_in):
            chosen = windows[part]
            sums[part] = self._matrix.sums(chosen.reshape(-1, node.fan_in)).reshape(*chosen.shape[:3], channels)
        return np.moveaxis(sums, -1, 1)


class DepthwiseConv:
    """Sums of a depthwise convolution, one tap after the other."""

    def __init__(self, node: Conv, value: ValueType, result: ValueType) -> None:
        self._node, self._top, self._shape = node, value.high, result.shape
        self._sums = sum_type(result)
        self._weights = np.moveaxis(2 * node.weights[:, 0].astype(self._sums) - (node.levels - 1), 0, -1)

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Return integers ``[n, channels, rows, columns]``, channels innermost in memory."""
        node, top = self._node, self._top
        fill = 0 if node.pad is None else 2 * node.pad - top
        image = _padded(2 * np.moveaxis(value, 1, -1).astype(self._sums) - top, node.padding, fill, self._sums)
        channels, rows, columns = self._shape
        down, across = node.stride
        sums = np.zeros((len(image), rows, columns, channels), self._sums)
        for y, x in np.ndindex(*node.kernel):
            seen = image[:, y : y + (rows - 1) * down + 1 : down, x : x + (columns - 1) * across + 1 : across]
            sums += seen * self._weights[y, x]
        return np.moveaxis(sums, -1, 1)


def _axis(ufunc: np.ufunc, image: np.ndarray, axis: int, kernel: int, stride: int, count: int) -> np.ndarray:
    """Reduce windows of `kernel` along one axis."""

    def shifted(tap: int) -> np.ndarray:
        return image[(slice(None),) * axis + (slice(tap, tap + (count - 1) * stride + 1, stride),)]

    result = shifted(0).copy()
    for tap in range(1, kernel):
        ufunc(result, shifted(tap), out=result)
    return result


def pool(node: MaxPool | SumPool, value: np.ndarray, source: ValueType, result: ValueType) -> np.ndarray:
    """Evaluate a pool: down first, then across.

    Parameters
    ----------
    node : MaxPool or SumPool
        The pool.
    value : numpy.ndarray
        Integers ``[n, channels, rows, columns]``.
    source, result : ValueType
        Types of what is read and of the result.

    Returns
    -------
    numpy.ndarray
        Integers ``[n, channels, rows, columns]``, channels innermost in memory.
    """
    image = np.moveaxis(value, 1, -1)
    if isinstance(node, MaxPool):
        ufunc = np.maximum
        # Nothing is below the lowest, so that it never wins over what is inside.
        image = _padded(image, node.padding, source.low, image.dtype)
    else:
        ufunc, dtype = np.add, sum_type(result)
        summands = image.astype(dtype)
        if source.kind == "code":
            summands = 2 * summands - source.high
        image = _padded(summands, node.padding, 0, dtype)
    for axis in (0, 1):
        image = _axis(ufunc, image, axis + 1, node.kernel[axis], node.stride[axis], result.shape[axis + 1])
    return np.moveaxis(image, -1, 1)


def _padded(image: np.ndarray, padding: tuple[int, int, int, int], fill: float, dtype: np.dtype) -> np.ndarray:
    """Return a copy of `image` ``[n, rows, columns, channels]`` as `dtype`, with `fill` around it."""
    above, below, left, right = padding
    count, rows, columns, channels = image.shape
    result = np.empty((count, above + rows + below, left + columns + right, channels), dtype)
    if any(padding):
        result[...] = fill
    result[:, above : above + rows, left : left + columns] = image
    return result


def _blocks(counts: tuple[int, int, int], most: int) -> Iterator[tuple[slice, slice, slice]]:
    """Cut frames, rows and columns into blocks of about `most` positions and at least one."""
    frames, rows, columns = counts
    across = min(columns, max(1, most))
    down = min(rows, max(1, most // columns))
    deep = min(frames, max(1, most // (rows * columns)))
    for frame in range(0, frames, deep):
        for row in range(0, rows, down):
            for column in range(0, columns, across):
                yield slice(frame, frame + deep), slice(row, row + down), slice(column, column + across)
