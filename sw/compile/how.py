"""How each layer of a trained network went into the integer network, in words, for reports and the terminal."""

from collections.abc import Sequence

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import (
    AveragePooling,
    CommonScale,
    FloatLayer,
    MaxPooling,
    PixelCodes,
    PixelThresholds,
)
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import LinearLayer
from signfold.sw.network import Affine, Network, Threshold

__all__ = ["describe_folds"]


def describe_folds(network: FloatNetwork, compiled: Network) -> list[str]:
    """Say of each layer what it became.

    Returns
    -------
    list of str
        One a layer, as in ``weights are signs; scale a channel goes into the thresholds of 'norm0'``.
    """
    return [
        "; ".join(_words(layer, network.layers[index + 1 :], compiled)) for index, layer in enumerate(network.layers)
    ]


def _words(layer: FloatLayer, later: Sequence[FloatLayer], compiled: Network) -> list[str]:
    match layer:
        case PixelThresholds():
            return ["thresholds"]
        case PixelCodes():
            return ["integers; mean and std go into what reads the sums"]
        case LinearLayer():
            return _weights(layer, later, compiled)
        case MaxPooling():
            return ["maximum of integers"]
        case AveragePooling():
            return ["sum of integers; the count goes into what reads it"]
        case BatchNorm(activation=None):
            return [f"scale and offset a class, {_fraction(compiled)}"]
        case BatchNorm():
            return _activation(layer, compiled)
        case CommonScale():
            return ["dropped: it changes no comparison of classes"]
    raise TypeError(f"no words for {type(layer).__name__}")


def _weights(layer: LinearLayer, later: Sequence[FloatLayer], compiled: Network) -> list[str]:
    words = ["weights are stored codes" if layer.stored else "weights are the signs of the latents"]
    if layer.scale is not None:
        norm = next((other for other in later if isinstance(other, BatchNorm)), None)
        where = "drops out: it changes no comparison of classes"
        if norm is not None and norm.activation is not None:
            where = f"goes into the thresholds of {norm.name!r}"
        elif norm is not None or len(set(np.abs(layer.scale).tolist())) > 1:
            where = f"goes into the scores, {_fraction(compiled)}"
        words.append(f"scale {'a channel' if layer.scale.size > 1 else 'of the layer'} {where}")
        negative, zero = int(layer.negative.sum()), int(np.count_nonzero(np.resize(layer.scale == 0, layer.channels)))
        if negative:
            words.append(f"{negative} of {layer.channels} channels negative, weights flipped")
        if zero:
            words.append(f"{zero} of {layer.channels} channels 0, constant")
    if layer.bias is not None:
        words.append("biases go into what reads the sums")
    if layer.copies > 1:
        words.append(f"each sum computed {layer.copies} times")
    return words


def _activation(norm: BatchNorm, compiled: Network) -> list[str]:
    words = ["powers of two and bias become thresholds" if norm.powers is not None else "thresholds"]
    if norm.shift is not None:
        words.append("static shift added to the bias")
    activation = norm.activation
    if activation.top > activation.levels:
        words.append(f"codes of {activation.bits} bits, above {activation.levels} never")
    if activation.kind in ("unsigned", "coupled"):
        words.append("codes are odd integers and a constant, which goes into what reads them")
    if activation.scale != 1:
        words.append(f"scale {activation.scale:g} goes into what reads it")
    node = compiled.node(norm.name)
    if activation.complemented:
        words.append("negative: the bits are the opposite ones")
    elif isinstance(node, Threshold) and node.inverted is not None:
        words.append(f"{int(node.inverted.sum())} of {norm.channels} channels inverted")
    return words


def _fraction(compiled: Network) -> str:
    node = compiled.node(compiled.output)
    return f"rounded to {node.fraction} fraction bits" if isinstance(node, Affine) else "exactly"
