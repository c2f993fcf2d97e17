"""Verifier of layers with weights or windows: weight codes one by one, kernels, strides, padding and pads."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from signfold.sw.compile.float_layers import AveragePooling, MaxPooling
from signfold.sw.compile.linear_layers import FloatConv, LinearLayer
from signfold.sw.errors import CompileError
from signfold.sw.network import Conv, Dense, MaxPool, SumPool, ValueType
from signfold.sw.network.types import shown

__all__ = ["counts", "verify_weights", "verify_window"]


def verify_window(
    layer: FloatConv | MaxPooling | AveragePooling,
    node: Conv | MaxPool | SumPool,
    value: ValueType,
    tables: Sequence[Sequence[Fraction]],
    *,
    opposite: bool = False,
) -> None:
    """Check kernel, stride, padding and pads of a layer that reads `value`, whose codes stand for `tables`.

    `opposite`: the codes are the complement of the checkpoint's.
    """
    window, where = layer.window, f"verify: layer {shown(layer.name)}"
    covered = counts(layer, value.shape[1:])
    padding = window.padding if int(covered.min()) < window.area else (0, 0, 0, 0)
    for what, mine, theirs in (
        ("kernel", tuple(node.kernel), window.kernel),
        ("stride", node.stride, window.stride),
        ("padding", node.padding, padding),
    ):
        if tuple(mine) != tuple(theirs):
            raise CompileError(f"{where}: {what} {tuple(mine)}, not {tuple(theirs)}")
    if not isinstance(layer, FloatConv) or not any(padding):
        return
    if layer.pad is not None:
        good = node.pad == (value.high - layer.pad if opposite else layer.pad)
    elif node.pad is None:
        good = all(table[0] + table[-1] == 0 for table in tables)
    else:
        good = all(table[node.pad] == 0 for table in tables)
    if not good:
        raise CompileError(f"{where}: pad {node.pad} is not what pads stand for")


def counts(layer: FloatConv | MaxPooling | AveragePooling, picture: tuple[int, ...]) -> np.ndarray:
    """Return how many positions of the picture each window holds."""
    window = layer.window
    rows, columns = window.positions(layer.name, picture)
    inside = []
    for axis, count in enumerate((rows, columns)):
        starts = np.arange(count) * window.stride[axis] - window.padding[2 * axis]
        ends = np.minimum(starts + window.kernel[axis], picture[axis])
        inside.append(ends - np.maximum(starts, 0))
    return np.outer(*inside)


def verify_weights(layer: LinearLayer, node: Dense | Conv, flipped: np.ndarray) -> None:
    """Check weight codes against the signs of the latent weights, or the codes that training stored."""
    where = f"verify: layer {shown(layer.name)}"
    if node.weights.shape != layer.weights.shape or node.levels != layer.levels:
        raise CompileError(
            f"{where}: weights {node.weights.shape} of {node.levels} levels, not {layer.weights.shape} of "
            f"{layer.levels}"
        )
    # -0.0 is not less than 0: it is +1.
    wanted = layer.codes.astype(np.int64) if layer.stored else np.where(layer.weights < 0, 0, 1)
    wanted = np.where(flipped.reshape(-1, *(1,) * (wanted.ndim - 1)), layer.levels - 1 - wanted, wanted)
    wrong = np.argwhere(node.weights != wanted)
    if len(wrong):
        channel, *place = (int(index) for index in wrong[0])
        raise CompileError(
            f"{where} channel {channel}: weight {place[0] if len(place) == 1 else place} is "
            f"{int(node.weights[channel, *place])}, not {int(wanted[channel, *place])}, flipped "
            f"{bool(flipped[channel])}"
        )
