"""What the integers of a network stand for: at every point an exact affine function gives the trained network's reals.

A code q of levels n is the odd integer ``v = 2*q - n``, a weight the integer w; sums of products v*w stay integers. The
reals that they stand for are ``scale*(x + offset)/divisor``, x a v or a sum: the divisor is common, offset and scale
may differ from channel to channel; only sums have scales. All are rational, and nothing is rounded.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from signfold.sw.compile.activation import Activation
from signfold.sw.compile.float_layers import AveragePooling, PixelCodes
from signfold.sw.compile.linear_layers import FloatConv, FloatDense, LinearLayer
from signfold.sw.errors import CompileError
from signfold.sw.network import InputType, ValueType
from signfold.sw.network.types import shown

__all__ = ["Meaning", "average", "code_for_pads", "of_activation", "of_pixels", "recoded", "weighted"]


@dataclass(frozen=True)
class Meaning:
    """``real = scale*(x + offset)/divisor``.

    Parameters
    ----------
    offsets : tuple of Fraction
        One for all channels, or one a channel.
    divisor : Fraction
        Positive.
    scales : tuple of Fraction
        One for all channels, or one a channel; not negative: weights are flipped for that. 0: the channel is 0.
    """

    offsets: tuple[Fraction, ...] = (Fraction(0),)
    divisor: Fraction = Fraction(1)
    scales: tuple[Fraction, ...] = (Fraction(1),)

    def __post_init__(self) -> None:
        """Keep one offset and one scale where all are equal."""
        for what in ("offsets", "scales"):
            values = getattr(self, what)
            if len(set(values)) == 1:
                object.__setattr__(self, what, values[:1])

    def offset(self, channel: int) -> Fraction:
        """Offset of a channel."""
        return self.offsets[channel if len(self.offsets) > 1 else 0]

    def scale(self, channel: int) -> Fraction:
        """Scale of a channel."""
        return self.scales[channel if len(self.scales) > 1 else 0]


def of_activation(activation: Activation) -> Meaning:
    """Return the meaning of an activation's codes."""
    return Meaning((Fraction(activation.offset),), Fraction(activation.divisor))


def of_pixels(layer: PixelCodes, input_type: InputType) -> Meaning:
    """Return the meaning of pixels: ``(q/n - mean)/std`` with ``q = (v + n)/2`` is ``(v + n - 2*n*mean)/(2*n*std)``.

    Raises
    ------
    CompileError
        The scale differs from channel to channel: then sums over channels are no function of integer sums.
    """
    if len(set(layer.std.tolist())) > 1:
        raise CompileError(
            f"layer {shown(layer.name)}: std is {shown(layer.std.tolist())}, must be one number common to all channels "
            f"(means may differ); a scale a channel cannot fold into the integers"
        )
    if layer.divisor is not None:
        return Meaning(divisor=Fraction(layer.divisor))
    top = input_type.value.high
    offsets = tuple(top - 2 * top * Fraction(float(mean)) for mean in layer.mean)
    return Meaning(offsets, 2 * top * Fraction(float(layer.std[0])))


def weighted(layer: LinearLayer, meaning: Meaning, shape: tuple[int, ...]) -> Meaning:
    """Return the meaning of a layer's sums: each channel's offset is the sum of ``weight * offset of what it reads``.

    Channels of a negative scale have their weights flipped. A bias, which goes with no scale, is one more offset.

    Parameters
    ----------
    layer : FloatDense or FloatConv
        The layer.
    meaning : Meaning
        What it reads stands for.
    shape : tuple of int
        Shape of what it reads.
    """
    found = _products(layer, meaning, shape)
    if layer.bias is None:
        return found
    biases = enumerate(layer.biases.tolist())
    return Meaning(tuple(found.offset(channel) + bias * found.divisor for channel, bias in biases), found.divisor)


def _products(layer: LinearLayer, meaning: Meaning, shape: tuple[int, ...]) -> Meaning:
    """Return the meaning of a layer's sums without biases."""
    weights = layer.integers * np.where(layer.negative, -1, 1).reshape(-1, *(1,) * (layer.weights.ndim - 1))
    divisor, scales = meaning.divisor * layer.divisor, tuple(abs(scale) for scale in layer.factors)
    if len(meaning.offsets) == 1:
        totals = weights.reshape(len(weights), -1).sum(axis=1)
        return Meaning(tuple(meaning.offsets[0] * total for total in totals.tolist()), divisor, scales)
    if isinstance(layer, FloatDense):
        totals = weights.reshape(len(weights), shape[0], -1).sum(axis=2).tolist()
    else:
        totals = weights.sum(axis=(2, 3)).tolist()
    if isinstance(layer, FloatConv) and layer.groups > 1:
        return Meaning(tuple(meaning.offset(channel) * row[0] for channel, row in enumerate(totals)), divisor, scales)
    rows = (sum((offset * w for offset, w in zip(meaning.offsets, row, strict=True)), Fraction(0)) for row in totals)
    return Meaning(tuple(rows), divisor, scales)


def code_for_pads(
    layer: FloatConv, meaning: Meaning, value: ValueType, *, recoded: bool, complemented: bool = False
) -> int | None:
    """Return the code that pads of a convolution are; None: v = 0.

    Parameters
    ----------
    layer : FloatConv
        The convolution, which reads pads.
    meaning : Meaning
        What its input's v stand for.
    value : ValueType
        Type of its input.
    recoded : bool
        The codes are the compiler's, made of means: the checkpoint cannot name one.
    complemented : bool
        The integer network has the complement of each of the checkpoint's codes.

    Raises
    ------
    CompileError
        The real number 0 is neither v = 0 nor the same code in all channels, or the code asked for does not exist.
    """
    if layer.pad is not None:
        if recoded or not 0 <= layer.pad <= value.high:
            what = "means, which have no codes: pad with zero" if recoded else f"codes from 0 to {value.high}"
            raise CompileError(f"layer {shown(layer.name)}: pad is code {layer.pad}, but its input is {what}")
        return value.high - layer.pad if complemented else layer.pad
    if not any(meaning.offsets):
        return None
    # v = -offset stands for 0.
    codes = {(value.high - offset) / 2 for offset in meaning.offsets}
    code = codes.pop()
    if not codes and code.denominator == 1 and 0 <= code <= value.high:
        return int(code)
    nearest = min(max(round(code), 0), value.high)
    where = f"lies at code {float(code):g}" if not codes else "differs from channel to channel in code"
    remedy = (
        "no padding"
        if recoded
        else f"pad with a code, such as {{'code': {nearest}}}, or, for pixels, normalize by mean 0.5, which makes 0 "
        f"the middle of the codes"
    )
    raise CompileError(
        f"layer {shown(layer.name)}: pads are the real number 0, which {where} of 0 to {value.high}; allowed: {remedy}"
    )


def average(layer: AveragePooling, meaning: Meaning, shape: tuple[int, ...]) -> Meaning:
    """Return the meaning of sums over windows that stand for means.

    Raises
    ------
    CompileError
        Some windows hold pads, which count as 0, and 0 is not x = 0.
    """
    if any(meaning.offsets) and layer.window.reaches_padding(shape[1:]):
        raise CompileError(
            f"layer {shown(layer.name)}: padding {list(layer.window.padding)} averages zeros in, but the real number 0 "
            f"is not the integer 0 of its input; allowed: no padding, or an input whose middle is 0 (such as bits)"
        )
    area = layer.window.area
    return Meaning(tuple(offset * area for offset in meaning.offsets), meaning.divisor * area, meaning.scales)


def recoded(meaning: Meaning, value: ValueType, levels: int) -> Meaning:
    """Return the meaning of codes u that number sums: ``x = low + step*u`` with ``u = (v + levels)/2``."""
    half = Fraction(value.step, 2)
    offsets = tuple((value.low + offset) / half + levels for offset in meaning.offsets)
    return Meaning(offsets, meaning.divisor / half)
