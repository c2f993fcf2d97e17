"""The golden model: exact evaluation of an integer network, fast enough for whole test sets.

Dense layers of bits on bits run on packed words, other sums of products as matrix products of integers held in floats,
which are exact within the bounds that the types of the values give. Frames go through the whole network in blocks of
bounded memory; nothing is rounded anywhere.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import numpy as np

from signfold.sw.network.branches import add, concat, pad_channels, scaled
from signfold.sw.network.nodes import Add, Affine, Concat, Conv, Dense, Node, PadChannels, Pool, Scaled, Threshold
from signfold.sw.network.products import BitDense, MatrixDense, one_thread, sum_type
from signfold.sw.network.types import ValueType
from signfold.sw.network.windows import DepthwiseConv, MatrixConv, pool

__all__ = ["GoldenModel", "evaluation"]

#: Sums of one layer held at a time. Of dense layers: XOR words, counts and sums of a block then stay within a megabyte
#: of cache; images need more frames at a time, so that their last layers make matrices worth multiplying.
BLOCK_SUMS = 1 << 16
BLOCK_PIXELS = 1 << 21
#: Frames a block, so that a narrow network does not unpack too many input codes at once.
BLOCK_FRAMES = 256
#: Levels above which thresholds are searched instead of compared one by one.
COMPARED = 16


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
        self._evaluate = {
            node.name: evaluation(node, [types[name] for name in node.inputs], types[node.name]) for node in self._nodes
        }
        # The last reader of a value, after which it can go.
        self._last = {name: node.name for node in self._nodes for name in node.inputs}
        widest = max(types[node.name].elements for node in self._nodes)
        images = any(isinstance(node, (Conv, Pool)) for node in self._nodes)
        self._block = max(1, min(BLOCK_FRAMES, (BLOCK_PIXELS if images else BLOCK_SUMS) // widest))

    def run(
        self, frames: np.ndarray, keep: Collection[str] | None = None
    ) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Evaluate block by block.

        Parameters
        ----------
        frames : numpy.ndarray
            Codes ``[n, *shape]``, within the range of the input.
        keep : collection of str, optional
            Names of the nodes whose results are wanted; all by default.

        Yields
        ------
        slice
            Frames of this block.
        dict of str to numpy.ndarray
            Results of these frames by node name, in the order of the nodes: integers ``[n, *shape]`` of any width.
        """
        for start in range(0, len(frames), self._block):
            block = slice(start, min(start + self._block, len(frames)))
            with one_thread():
                values = self._block_values(frames[block], keep)
            yield block, values

    def _block_values(self, frames: np.ndarray, keep: Collection[str] | None) -> dict[str, np.ndarray]:
        values = {"input": frames}
        for node in self._nodes:
            values[node.name] = self._evaluate[node.name](*(values[name] for name in node.inputs))
            for name in set(node.inputs):
                if self._last[name] == node.name and (name == "input" or (keep is not None and name not in keep)):
                    del values[name]
        return values


def evaluation(node: Node, values: Sequence[ValueType], result: ValueType) -> Callable[..., np.ndarray]:
    """Return the evaluation of a node: a function of the arrays ``[n, *shape]`` that it reads.

    Parameters
    ----------
    node : Node
        A checked node.
    values : sequence of ValueType
        Types of what it reads.
    result : ValueType
        Type of its result.
    """
    match node:
        case Threshold():
            return partial(_threshold, node, _thresholds(node, *values))
        case Dense() if node.levels == 2 and values[0].bits == 1:
            return BitDense(node)
        case Dense():
            return MatrixDense(node, *values, result)
        case Conv() if node.depthwise:
            return DepthwiseConv(node, *values, result)
        case Conv():
            return MatrixConv(node, *values, result)
        case Pool():
            return partial(pool, node, source=values[0], result=result)
        case Affine():
            return partial(_affine, node)
        case Scaled():
            return partial(scaled, node, result=result)
        case Add():
            return partial(add, result=result)
        case Concat():
            return partial(concat, result=result)
        case PadChannels():
            return partial(pad_channels, node, result=result)
    raise TypeError(f"no evaluation for {type(node).__name__}")


def _thresholds(node: Threshold, value: ValueType) -> np.ndarray:
    """Return the thresholds ``[channels, levels]`` in the type they are compared in, no wider than what is read."""
    return node.thresholds.astype(np.int16 if value.kind == "code" else sum_type(value))


def _threshold(node: Threshold, thresholds: np.ndarray, value: np.ndarray) -> np.ndarray:
    last = np.moveaxis(value, 1, -1)
    if node.levels <= COMPARED:
        codes = np.zeros(last.shape, np.uint8)
        for level in range(node.levels):
            codes += last >= thresholds[:, level]
    else:
        codes = np.empty(last.shape, np.uint8)
        for channel in range(last.shape[-1]):
            row = thresholds[channel % len(thresholds)]
            codes[..., channel] = np.searchsorted(row, last[..., channel], side="right")
    if node.inverted is not None:
        codes = np.where(node.inverted, np.uint8(node.levels) - codes, codes)
    return np.moveaxis(codes, -1, 1)


def _affine(node: Affine, value: np.ndarray) -> np.ndarray:
    return value.reshape(len(value), -1).astype(np.int64) * node.scale + node.offset
