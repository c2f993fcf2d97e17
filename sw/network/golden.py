"""The golden model: exact evaluation of an integer network on packed bits.

A bipolar sum of n products is ``n - 2 * popcount(a XOR w)``, 64 products a machine word. Frames go through the whole
network in blocks small enough for the cache; nothing is rounded anywhere.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from signfold.sw.network.nodes import Affine, Dense, Node, Threshold
from signfold.sw.network.types import ValueType

__all__ = ["GoldenModel", "pack_words"]

#: Sums of one layer held at a time: XOR words, counts and sums of a block then stay within a megabyte of cache.
BLOCK_SUMS = 1 << 16
#: Frames a block, so that a narrow network does not unpack too many input codes at once.
BLOCK_FRAMES = 256


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


class GoldenModel:
    """An integer network prepared for evaluation.

    Parameters
    ----------
    nodes : sequence of Node
        Checked nodes, producers before consumers.
    types : mapping of str to ValueType
        Type of every value by node name, and of ``"input"``.
    """

    def __init__(self, nodes: Sequence[Node], types: dict[str, ValueType]) -> None:
        self._nodes = tuple(nodes)
        self._types = types
        # Words outermost: one word of all channels is contiguous, which is the inner loop of `_dense`.
        self._words = {
            node.name: np.ascontiguousarray(pack_words(node.weights).T)
            for node in self._nodes
            if isinstance(node, Dense)
        }
        widest = max(types[node.name].elements for node in self._nodes)
        self._block = max(1, min(BLOCK_FRAMES, BLOCK_SUMS // widest))

    def run(self, frames: np.ndarray) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Evaluate block by block.

        Parameters
        ----------
        frames : numpy.ndarray
            Codes ``[n, *shape]``, within the range of the input.

        Yields
        ------
        slice
            Frames of this block.
        dict of str to numpy.ndarray
            int64 or uint8 result of every node for these frames, by node name.
        """
        for start in range(0, len(frames), self._block):
            block = slice(start, min(start + self._block, len(frames)))
            values = {"input": frames[block]}
            for node in self._nodes:
                values[node.name] = self._evaluate(node, values[node.input])
            del values["input"]
            yield block, values

    def _evaluate(self, node: Node, value: np.ndarray) -> np.ndarray:
        match node:
            case Threshold():
                return self._threshold(node, value)
            case Dense():
                return self._dense(node, value)
            case Affine():
                return value * node.scale + node.offset
        raise TypeError(f"no evaluation for {type(node).__name__}")

    def _threshold(self, node: Threshold, value: np.ndarray) -> np.ndarray:
        codes = np.zeros(value.shape, np.uint8)
        trailing = (1,) * (value.ndim - 2)
        for level in range(node.levels):
            codes += value >= node.thresholds[:, level].reshape(-1, *trailing)
        if node.inverted is not None:
            codes = np.where(node.inverted.reshape(-1, *trailing), np.uint8(node.levels) - codes, codes)
        return codes

    def _dense(self, node: Dense, value: np.ndarray) -> np.ndarray:
        codes = value.reshape(len(value), -1)
        words = self._words[node.name]
        sums = np.zeros((len(codes), node.channels), np.int64)
        differing = np.empty(sums.shape, np.uint64)
        counts = np.empty(sums.shape, np.uint8)
        for plane in range(self._types[node.input].bits):
            packed = pack_words((codes >> plane) & 1)
            # A sum of popcounts is at most the fan-in.
            total = np.zeros(sums.shape, np.uint16 if node.fan_in < 1 << 16 else np.uint32)
            for index, word in enumerate(words):
                np.bitwise_xor(packed[:, index, None], word, out=differing)
                np.bitwise_count(differing, out=counts)
                total += counts
            sums += (node.fan_in - 2 * total.astype(np.int64)) << plane
        return sums
