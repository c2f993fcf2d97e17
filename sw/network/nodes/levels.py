"""Weights of dense and convolutional layers: codes of whole bit planes, or ternary."""

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import own
from signfold.sw.network.types import MAX_ELEMENTS, ValueType, is_int, shown

__all__ = ["LEVELS", "check_bit_planes", "code_type", "own_weights"]

#: Levels that weights may have: whole bit planes, or three for ternary (two planes of equal scale).
LEVELS = (2, 3, *(1 << bits for bits in range(2, 17)))


def code_type(levels: int) -> np.dtype:
    """Return the type of weight codes of so many levels: uint8, of more than 256 levels uint16."""
    return np.dtype(np.uint8 if levels <= 256 else np.uint16)


def own_weights(name: str, weights: object, levels: object, dimensions: int) -> np.ndarray:
    """Return a read-only copy of weight codes ``[channels, ...]``, each of them 0 to ``levels - 1``."""
    if not is_int(levels) or levels not in LEVELS:
        raise NetworkError(
            f"node {shown(name)}: levels must be 3 (ternary) or a power of two from 2 to 65536, not {shown(levels)}"
        )
    weights = own(name, "weights", weights, code_type(levels).name, dimensions)
    if int(weights.max()) >= levels:
        channel, *place = (int(index) for index in np.argwhere(weights >= levels)[0])
        allowed = "0 or 1" if levels == 2 else f"a code from 0 to {levels - 1}"
        raise NetworkError(
            f"node {shown(name)}: weight {int(weights[(channel, *place)])} of channel {channel} at "
            f"{place[0] if len(place) == 1 else tuple(place)} must be {allowed}"
        )
    if max(len(weights), weights[0].size) > MAX_ELEMENTS:
        raise NetworkError(f"node {shown(name)}: weights of shape {weights.shape} exceed {MAX_ELEMENTS}")
    return weights


def check_bit_planes(name: str, source: str, value: ValueType, layer: str) -> None:
    """Refuse to sum products of anything but codes of whole bit planes."""
    if value.kind != "code":
        raise NetworkError(
            f"node {shown(name)}: a {layer} layer reads codes, but {shown(source)} gives sums; "
            f"put a threshold node between them"
        )
    if value.high & (value.high + 1):
        raise NetworkError(
            f"node {shown(name)}: codes 0 to {value.high} of {shown(source)} are not whole bit planes "
            f"(levels must be 2**bits - 1)"
        )
