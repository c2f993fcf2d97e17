"""Exact sums of products for the golden model: packed bits, and matrix products of integers held in floats.

Every product and every partial sum of a layer is an integer no larger than its bound, whatever the order of summation;
floats hold integers up to 2**24 (single) and 2**53 (double) exactly. A fan-in is at most 2**24, codes are at most 255
and weights 65,535 in magnitude, so bounds stay below 2**48: double precision always suffices.
"""

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from signfold.sw.network.nodes import Dense
from signfold.sw.network.types import ValueType

__all__ = ["BitDense", "Matrix", "MatrixDense", "one_thread", "pack_words", "sum_type"]

#: Weights that are held as floats; of larger layers they are converted as they are used.
HELD = 1 << 24


def pack_words(bits: np.ndarray) -> np.ndarray:
    """Pack bits into 64-bit words.

    Parameters
    ----------
    bits : numpy.ndarray
        uint8 ``[rows, n]`` of 0 and 1.

    Returns
    -------
    numpy.ndarray
        uint64 ``[rows, ceil(n / 64)]``; bit i of a row is bit ``i % 64`` of word ``i // 64``, unused bits are 0.
    """
    rows, count = bits.shape
    octets = np.zeros((rows, -(-count // 64) * 8), np.uint8)
    octets[:, : -(-count // 8)] = np.packbits(bits, axis=1, bitorder="little")
    return octets.view("<u8").astype(np.uint64, copy=False)


def sum_type(value: ValueType) -> np.dtype:
    """Return the narrower of int32 and int64 that holds every sum and one step past the highest."""
    return np.dtype(np.int32 if max(-value.low, value.high) + value.step < 1 << 31 else np.int64)


class BitDense:
    """Bipolar sums of bits with bits: ``n - 2 * popcount(a XOR w)``, 64 products a machine word."""

    def __init__(self, node: Dense) -> None:
        self._fan_in, self._channels = node.fan_in, node.channels
        # Words outermost: one word of all channels is contiguous, which is the inner loop.
        self._words = np.ascontiguousarray(pack_words(node.weights).T)

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Return int32 ``[n, channels]``."""
        packed = pack_words(value.reshape(len(value), -1))
        differing = np.empty((len(packed), self._channels), np.uint64)
        counts = np.empty(differing.shape, np.uint8)
        # A sum of popcounts is at most the fan-in.
        total = np.zeros(differing.shape, np.uint16 if self._fan_in < 1 << 16 else np.uint32)
        for index, word in enumerate(self._words):
            np.bitwise_xor(packed[:, index, None], word, out=differing)
            np.bitwise_count(differing, out=counts)
            total += counts
        return self._fan_in - 2 * total.astype(np.int32)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager:
    """Return a context in which NumPy's matrix products use one thread.

    The products of a block are small: on a busy machine the threads of such a product wait for one another many times
    longer than they compute.
    """
    return _libraries().limit(limits=1, user_api="blas")


class Matrix:
    """Weights as a matrix ``[fan_in, channels]`` of floats in which sums up to `bound` are exact.

    Parameters
    ----------
    codes : numpy.ndarray
        uint8 or uint16 ``[channels, fan_in]`` of weight codes.
    levels : int
        Levels of the weights.
    bound : int
        Largest magnitude of a sum and of every part of it.
    result : ValueType
        Type of the sums.
    """

    def __init__(self, codes: np.ndarray, levels: int, bound: int, result: ValueType) -> None:
        self.dtype = np.dtype(np.float32 if bound < 1 << 24 else np.float64)
        self._codes, self._levels, self._sums = codes, levels, sum_type(result)
        self._step = max(1, HELD // codes.shape[1])
        self._held = self._floats(0) if codes.size <= HELD else None

    def _floats(self, first: int) -> np.ndarray:
        weights = self._codes[first : first + self._step].T.astype(self.dtype)
        weights *= 2
        weights -= self._levels - 1
        return weights

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Return integers ``[n, channels]`` for values ``[n, fan_in]`` of this matrix's type."""
        if self._held is not None:
            return (rows @ self._held).astype(self._sums)
        sums = np.empty((len(rows), len(self._codes)), self._sums)
        for first in range(0, len(self._codes), self._step):
            sums[:, first : first + self._step] = rows @ self._floats(first)
        return sums


class MatrixDense:
    """Sums of a dense layer of any number of levels."""

    def __init__(self, node: Dense, value: ValueType, result: ValueType) -> None:
        self._top = value.high
        self._matrix = Matrix(node.weights, node.levels, result.high, result)

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Return integers ``[n, channels]``."""
        rows = value.reshape(len(value), -1).astype(self._matrix.dtype)
        rows *= 2
        rows -= self._top
        return self._matrix.sums(rows)
