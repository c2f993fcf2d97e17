"""Pass: a chain of float layers becomes integer nodes; batch normalization and activation become thresholds, exactly.

Sums x of a channel stand for ``scale*(x + offset)/divisor`` (see `meaning`), so a level of its code is reached where

    gamma*(scale*(x + offset)/divisor - mean)/sqrt(v) + beta >= b        with v = variance + eps

b the level's step (or ``> b``, where a half rounds down). All parameters are rational, so the smallest such x is the
ceiling of ``p + q*sqrt(v)`` with rational p and q, found by an integer root: nothing is rounded.

A negative gamma reverses the comparison. The channel's own weights are negated, which negates x, and ">=" stays; where
a maximum was taken of the sums, or there are no weights, the thresholds are those of the complement and the channel is
inverted. A negative scale of weights negates them before anything else reads their sums. An activation of negative
scale gives inverted channels: the opposite bits, times a positive scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import AveragePooling, FloatLayer, MaxPooling, PixelCodes, PixelThresholds
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import FloatConv, FloatDense
from signfold.sw.compile.meaning import Meaning, average, code_for_pads, of_activation, of_pixels, recoded, weighted
from signfold.sw.errors import CompileError
from signfold.sw.network import Conv, Dense, MaxPool, Node, SumPool, Threshold, ValueType
from signfold.sw.network.types import shown

__all__ = ["Folded", "ceiling", "flipped", "fold_body", "fold_norm", "number_values"]

#: Bits that the compiler's own codes of means may have.
MAX_BITS = 8


@dataclass(frozen=True, eq=False)
class Folded:
    """Nodes up to the last sums, and what these stand for.

    `sums` says of each batch normalization by name what the sums that it reads stand for, before any flip for a
    negative gamma; `flips` which of its channels are flipped for that.
    """

    nodes: tuple[Node, ...]
    meaning: Meaning
    sums: Mapping[str, Meaning]
    flips: Mapping[str, np.ndarray]


def ceiling(rational: Fraction, factor: Fraction, square: Fraction, *, inclusive: bool = True) -> int:
    """Return the smallest integer that is at least ``rational + factor*sqrt(square)``, or above it."""
    under = factor * factor * square
    numerator, denominator = rational.numerator, rational.denominator
    # With t = p/q + f*sqrt(r): floor(t) = floor((p + floor(q*f*sqrt(r)))/q), for integers p and q.
    under *= denominator * denominator
    root = isqrt(under.numerator // under.denominator)
    exact = root * root * under.denominator == under.numerator
    if factor < 0:
        root = -root if exact else -root - 1
    floor = (numerator + root) // denominator
    whole = exact and (numerator + root) % denominator == 0
    return floor if whole and inclusive else floor + 1


def fold_norm(
    norm: BatchNorm, meaning: Meaning, value: ValueType, *, pooled: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Fold a layer's batch normalization and activation.

    Parameters
    ----------
    norm : BatchNorm
        The layer, with an activation.
    meaning : Meaning
        What the sums stand for, before any flip.
    value : ValueType
        Their type.
    pooled : bool
        Weights cannot be flipped: channels of negative gamma are inverted.

    Returns
    -------
    numpy.ndarray
        bool ``[channels]``: gamma is negative: flip the channel's weights or, when `pooled`, invert it.
    numpy.ndarray
        int64 ``[channels, levels]``: canonical thresholds, of the flipped sums; as many levels as codes of that width
        have.
    """
    activation = norm.activation
    steps = [activation.step(level) for level in range(1, activation.levels + 1)]
    beyond = value.high + value.step
    # Codes above the highest that occurs are never reached.
    thresholds = np.full((norm.channels, activation.top), beyond, np.int64)
    for channel in range(norm.channels):
        gamma, beta, mean, spread = norm.exact(channel)
        scale = meaning.scale(channel)
        if pooled and gamma < 0:
            thresholds[channel, : activation.top - len(steps)] = value.low
        if gamma == 0 or scale == 0:
            # beta - gamma*mean/sqrt(spread) reaches a step, whatever the sum.
            met = sum(ceiling(gamma * mean, step - beta, spread, inclusive=inclusive) <= 0 for step, inclusive in steps)
            met = activation.top - met if pooled and gamma < 0 else met
            thresholds[channel] = [value.low] * met + [beyond] * (activation.top - met)
            continue
        divisor = meaning.divisor / scale
        center = divisor * mean - meaning.offset(channel)
        slope = divisor / abs(gamma)
        for level, (step, inclusive) in enumerate(steps):
            reach = slope * (step - beta)
            if gamma > 0:
                first = ceiling(center, reach, spread, inclusive=inclusive)
            elif not pooled:
                first = ceiling(-center, reach, spread, inclusive=inclusive)
            else:
                # Reached up to center - reach*sqrt(spread); the complement begins just above, or there.
                first = ceiling(center, -reach, spread, inclusive=not inclusive)
                level = activation.top - 1 - level
            # The first value of the type that is at least as large.
            first = value.low + -(-(first - value.low) // value.step) * value.step
            thresholds[channel, level] = min(max(first, value.low), beyond)
    return norm.gamma < 0, thresholds


def number_values(name: str, source: str, value: ValueType, reader: str) -> Threshold:
    """Return a node whose codes number the values of sums and lose nothing.

    Parameters
    ----------
    name, source : str
        Of the node, and of the one whose sums it reads.
    value : ValueType
        Type of these.
    reader : str
        Layer that is to read the codes, for the error.

    Raises
    ------
    CompileError
        The values need codes of more than `MAX_BITS` bits.
    """
    count = (value.high - value.low) // value.step
    bits = count.bit_length()
    if bits > MAX_BITS:
        raise CompileError(
            f"layer {shown(source)}: its means take {count + 1} values, which need {bits} bits, but "
            f"{shown(reader)} can read codes of at most {MAX_BITS}; allowed: a smaller window, fewer bits "
            f"before it, or a 'batchnorm_quant' between"
        )
    levels = (1 << bits) - 1
    thresholds = np.full((1, levels), value.high + value.step, np.int64)
    thresholds[0, :count] = value.low + value.step * np.arange(1, count + 1)
    return Threshold(name, source, thresholds)


def fold_body(network: FloatNetwork) -> Folded:
    """Fold everything up to the sums of the last dense layer or convolution, or the pool after it.

    Pixel thresholds keep their meaning and become canonical: 0 (always) to ``2**bits`` (never).

    Raises
    ------
    CompileError
        A layer does not fold, saying what would.
    """
    folder = _Folder(network)
    for layer in network.body:
        folder.add(layer)
    return Folded(tuple(folder.nodes), folder.meaning, folder.sums, folder.flips)


class _Folder:
    """Nodes so far, and what is known of the last one's result."""

    def __init__(self, network: FloatNetwork) -> None:
        self._input = network.input
        self._names = {layer.name for layer in network.layers}
        self._source = "input"
        self._value = network.input.value
        self._linear: int | None = None  # node whose weights negate the sums
        self._recoded = False
        self._complemented = False  # the codes are the complement of the checkpoint's
        self.nodes: list[Node] = []
        self.meaning = Meaning()
        self.sums: dict[str, Meaning] = {}
        self.flips: dict[str, np.ndarray] = {}

    def add(self, layer: FloatLayer) -> None:
        """Append what `layer` becomes."""
        match layer:
            case PixelThresholds():
                thresholds = np.clip(layer.thresholds, 0, 1 << self._input.bits)
                # One threshold for all channels, or one a channel: an element, where frames are flat.
                self._append(Threshold(layer.name, self._source, thresholds[:, None]), Meaning())
            case PixelCodes():
                self.meaning = of_pixels(layer, self._input)
            case FloatDense() | FloatConv():
                self._weigh(layer)
            case MaxPooling() | AveragePooling():
                self._pool(layer)
            case BatchNorm():
                self._activate(layer)
            case _:
                raise TypeError(f"no fold for {type(layer).__name__}")

    def _append(self, node: Node, meaning: Meaning) -> None:
        self._value = node.infer(self._value)
        self._source = node.name
        self.nodes.append(node)
        self.meaning = meaning

    def _weigh(self, layer: FloatDense | FloatConv) -> None:
        self._recoded = self._value.kind == "sum"
        if self._recoded:
            self._recode(layer)
        meaning = weighted(layer, self.meaning, self._value.shape)
        weights = flipped(layer.codes, layer.levels, layer.negative)
        if isinstance(layer, FloatDense):
            node: Node = Dense(layer.name, self._source, weights, layer.levels)
        else:
            padding, pad = (0, 0, 0, 0), None
            if layer.window.reaches_padding(self._value.shape[1:]):
                padding = layer.window.padding
                pad = code_for_pads(
                    layer, self.meaning, self._value, recoded=self._recoded, complemented=self._complemented
                )
            node = Conv(
                layer.name, self._source, weights, layer.window.stride, padding, pad, layer.groups, layer.levels
            )
        self._append(node, meaning)
        self._linear = len(self.nodes) - 1

    def _pool(self, layer: MaxPooling | AveragePooling) -> None:
        window = layer.window
        padding = window.padding if window.reaches_padding(self._value.shape[1:]) else (0, 0, 0, 0)
        if isinstance(layer, AveragePooling):
            meaning = average(layer, self.meaning, self._value.shape)
            self._append(SumPool(layer.name, self._source, window.kernel, window.stride, padding), meaning)
        else:
            self._append(MaxPool(layer.name, self._source, window.kernel, window.stride, padding), self.meaning)
            # The largest of negated sums is not the negated largest.
            self._linear = None

    def _activate(self, layer: BatchNorm) -> None:
        self.sums[layer.name] = self.meaning
        pooled = self._linear is None
        negative, thresholds = fold_norm(layer, self.meaning, self._value, pooled=pooled)
        self._complemented = layer.activation.complemented
        inverted = (negative if pooled else np.zeros_like(negative)) ^ self._complemented
        if not pooled:
            linear = self.nodes[self._linear]
            self.nodes[self._linear] = replace(linear, weights=flipped(linear.weights, linear.levels, negative))
        self.flips[layer.name] = np.zeros_like(negative) if pooled else negative
        node = Threshold(layer.name, self._source, thresholds, inverted if inverted.any() else None)
        self._append(node, of_activation(layer.activation))
        self._linear = None

    def _recode(self, reader: FloatLayer) -> None:
        """Append codes that number the values of sums and lose nothing, for a layer to read."""
        value, name = self._value, self._source
        codes = f"{name}.codes"
        while codes in self._names:
            codes += "'"
        self._names.add(codes)
        node = number_values(codes, name, value, reader.name)
        self._append(node, recoded(self.meaning, value, node.levels))


def flipped(codes: np.ndarray, levels: int, channels: np.ndarray) -> np.ndarray:
    """Return weight codes with those of some channels negated."""
    codes = codes.copy()
    codes[channels] = (levels - 1) - codes[channels]
    return codes
