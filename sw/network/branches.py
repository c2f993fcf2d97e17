"""Evaluation of fixed-point scales and of nodes where branches meet, for the golden model."""

import numpy as np

from signfold.sw.network.nodes import PadChannels, Scaled
from signfold.sw.network.products import sum_type
from signfold.sw.network.types import ValueType

__all__ = ["add", "concat", "pad_channels", "scaled"]


def scaled(node: Scaled, value: np.ndarray, result: ValueType) -> np.ndarray:
    """Return a scale's sums, or a quantizer's codes, in the type that holds them."""
    # 62 bits are enough for all that happens here: the node has checked that.
    last = np.moveaxis(value, 1, -1).astype(np.int64)
    last *= node.multiplier
    last += node.offset
    last >>= node.shift
    np.clip(last, result.low, result.high, out=last)
    return np.moveaxis(last.astype(np.uint8 if result.kind == "code" else sum_type(result)), -1, 1)


def add(*values: np.ndarray, result: ValueType) -> np.ndarray:
    """Return the sum of all values."""
    total = values[0].astype(sum_type(result))
    for value in values[1:]:
        total += value
    return total


def concat(*values: np.ndarray, result: ValueType) -> np.ndarray:
    """Return the channels of all values."""
    kind = np.uint8 if result.kind == "code" else sum_type(result)
    # Channels are innermost in memory wherever images are.
    return np.moveaxis(np.concatenate([np.moveaxis(value, 1, -1) for value in values], -1, dtype=kind), -1, 1)


def pad_channels(node: PadChannels, value: np.ndarray, result: ValueType) -> np.ndarray:
    """Return the value with channels of zeros around its own."""
    last = np.moveaxis(value, 1, -1).astype(sum_type(result))
    return np.moveaxis(np.pad(last, [*[(0, 0)] * (last.ndim - 1), (node.before, node.after)]), -1, 1)
