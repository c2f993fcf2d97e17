"""Pass: sums that several batch normalizations' channels read are computed once for each, so that a chain is left.

BinaryDuo's decoupled activations (arXiv:2002.06517) make two bits of each sum: its layer list joins the sums with
themselves. The layer with weights becomes one of so many times the channels, copy after copy.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from signfold.sw.compile.float_layers import AveragePooling, FloatLayer, MaxPooling
from signfold.sw.compile.linear_layers import FloatConv, LinearLayer
from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = ["copy_sums"]


def copy_sums(layers: Sequence[FloatLayer], count: int, name: str) -> list[FloatLayer]:
    """Return `layers` with the sums at their end `count` times, copy after copy along the channels.

    Parameters
    ----------
    layers : sequence of FloatLayer
        They end with a layer with weights, or with pools of its sums.
    count : int
        Copies, positive.
    name : str
        Layer that asks for them, for the error.

    Raises
    ------
    CompileError
        They end with something else, or the layer is depthwise.
    """
    layers = list(layers)
    place = len(layers) - 1
    while place >= 0 and isinstance(layers[place], (MaxPooling, AveragePooling)):
        place -= 1
    linear = layers[place] if place >= 0 else None
    if not isinstance(linear, LinearLayer) or (isinstance(linear, FloatConv) and linear.groups > 1):
        raise CompileError(
            f"layer {shown(name)}: only sums of a dense layer or of a convolution of groups 1, or of pools of them, "
            f"can be joined with themselves"
        )
    scale = linear.scale if linear.scale is None or linear.scale.size == 1 else np.tile(linear.scale, count)
    tiles = (count, *(1,) * (linear.weights.ndim - 1))
    layers[place] = replace(
        linear,
        weights=np.tile(linear.weights, tiles),
        codes=np.tile(linear.codes, tiles) if linear.stored else None,
        scale=scale,
        copies=linear.copies * count,
        bias=None if linear.bias is None else np.tile(linear.bias, count),
    )
    return layers
