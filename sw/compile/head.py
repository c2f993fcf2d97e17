"""Pass: what follows the last sums becomes integer scores.

One positive scale common to all classes changes no comparison: it drops out and the raw sums are the scores. Where the
sums stand for ``(x + offset)/divisor`` with an offset a class (unsigned codes, normalized pixels), the scores are
``x + offset``, exact where the offsets are multiples of a power of two that fits, else rounded. Batch normalization a
class, or weights with a scale a class, ``y = a*x + b``, rounds: a and b become the integers ``round(a * 2**fraction)``
and ``round(b * 2**fraction)``, each rounded once and correctly, halves up.
"""

from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from math import isqrt

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import FloatLayer
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import Folded
from signfold.sw.compile.meaning import Meaning
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Network, Node, ValueType
from signfold.sw.network.types import shown

__all__ = [
    "add_head",
    "class_norm",
    "fixed_point",
    "longest_fraction",
    "quantize_affine",
    "round_affine",
    "score_node",
    "shift_sums",
]

#: Largest number of fraction bits that an affine node states.
MAX_FRACTION = 62


def fixed_point(rational: Fraction, sign: int, square: Fraction) -> int:
    """Return ``floor(rational + sign*sqrt(square) + 1/2)``, exactly.

    Parameters
    ----------
    rational : Fraction
        Rational part.
    sign : {-1, 0, 1}
        Sign of the root.
    square : Fraction
        Non-negative number under the root.
    """
    rational += Fraction(1, 2)
    numerator, denominator = rational.numerator, rational.denominator
    # floor((p + x)/q) = floor((p + floor(x))/q) for integers p, q; the root goes under the common denominator.
    under = square * denominator * denominator
    root = isqrt(under.numerator // under.denominator)
    if sign < 0:
        exact = root * root * under.denominator == under.numerator
        return (numerator - (root if exact else root + 1)) // denominator
    return (numerator + sign * root) // denominator


def quantize_affine(norm: BatchNorm, fraction: int, meaning: Meaning) -> tuple[list[int], list[int]]:
    """Round the slopes and offsets of `norm` over sums x to multiples of ``2**-fraction``; see `round_affine`."""
    return round_affine(norm, Fraction(1 << fraction), meaning)


def round_affine(
    norm: BatchNorm, unit: Fraction, meaning: Meaning, origin: Fraction = Fraction(0)
) -> tuple[list[int], list[int]]:
    """Round the slopes and offsets of `norm` over sums x, each once and correctly, halves up.

    Returns
    -------
    list of int
        ``round(gamma*scale/(divisor*sqrt(v)) * unit)`` a channel.
    list of int
        ``round((beta - origin + gamma*(scale*offset/divisor - mean)/sqrt(v)) * unit)`` a channel.
    """
    scales, offsets = [], []
    for channel in range(norm.channels):
        gamma, beta, mean, spread = norm.exact(channel)
        factor = meaning.scale(channel) / meaning.divisor
        slope = gamma * unit * factor
        shift = gamma * unit * (factor * meaning.offset(channel) - mean)
        scales.append(fixed_point(Fraction(0), _sign(slope), slope * slope / spread))
        offsets.append(fixed_point((beta - origin) * unit, _sign(shift), shift * shift / spread))
    return scales, offsets


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


def shift_sums(meaning: Meaning, classes: int, fraction: int) -> tuple[list[int], list[int]]:
    """Return slope and offsets of ``x + offset`` in units of ``2**-fraction``, offsets rounded, halves up."""
    unit = Fraction(1 << fraction)
    offsets = [fixed_point(meaning.offset(channel) * unit, 0, Fraction(0)) for channel in range(classes)]
    return [1 << fraction] * classes, offsets


def class_norm(head: FloatLayer | None, meaning: Meaning, classes: int, name: str) -> BatchNorm | None:
    """Return the batch normalization that makes scores of sums, if it takes one.

    That of the head; or, where weights have a scale a class, the identity: ``y`` is what the sums stand for.

    Raises
    ------
    CompileError
        The scale is 0 for all classes, and nothing else tells them apart.
    """
    if isinstance(head, BatchNorm):
        return head
    if not any(meaning.scales):
        raise CompileError(
            f"layer {shown(name)}: the weights of all classes are multiplied by 0, so all scores are 0; allowed: a "
            f"scale that training did not bring to 0"
        )
    if len(meaning.scales) == 1:
        return None
    ones, zeros = np.ones(classes), np.zeros(classes)
    return BatchNorm(name, ones, zeros, zeros, ones, 0.0, None)


def longest_fraction(
    quantize: Callable[[int], tuple[list[int], list[int]]], value: ValueType, score_bits: int, name: str
) -> int:
    """Return the most fraction bits with which every attainable score fits.

    Parameters
    ----------
    quantize : callable
        Returns slopes and offsets a class, rounded to so many fraction bits.
    value : ValueType
        Type of the sums.
    score_bits : int
        Width of signed scores.
    name : str
        Of the layer, for the error.

    Raises
    ------
    CompileError
        Not even whole numbers fit.
    """
    limit = (1 << (score_bits - 1)) - 1
    largest = max(-value.low, value.high)

    def bound(fraction: int) -> int:
        """Return a number that no score exceeds in magnitude, whatever the sums."""
        return max(abs(scale) * largest + abs(offset) for scale, offset in zip(*quantize(fraction), strict=True))

    # Bounds grow with the fraction, so the number of fractions that fit is found by bisection.
    fitting = bisect_right(range(MAX_FRACTION + 1), limit, key=bound)
    if not fitting:
        raise CompileError(
            f"layer {shown(name)}: scores up to {shown(bound(0))} need {bound(0).bit_length() + 1} bits, but "
            f"score_bits is {score_bits}"
        )
    return fitting - 1


def add_head(network: FloatNetwork, folded: Folded, score_bits: int) -> tuple[Node, ...]:
    """Append the node that makes scores of the last sums, where one is needed.

    Parameters
    ----------
    network : FloatNetwork
        The trained network.
    folded : Folded
        Nodes up to the last sums, and what these stand for.
    score_bits : int
        Width of signed scores, 8 to 62: the fraction is the longest with which every attainable score fits.

    Raises
    ------
    CompileError
        Not even whole numbers fit; names the layer and the width that would do.
    """
    if not 8 <= score_bits <= 62:
        raise ValueError(f"score_bits must be from 8 to 62, not {score_bits!r}")
    nodes = folded.nodes
    value = Network(network.input, nodes, nodes[-1].name).types[nodes[-1].name]
    affine = score_node(network.head, folded.meaning, value, nodes[-1].name, score_bits)
    return nodes if affine is None else (*nodes, affine)


def score_node(
    head: FloatLayer | None, meaning: Meaning, value: ValueType, source: str, score_bits: int
) -> Affine | None:
    """Return the node that makes scores of sums, or None where these are scores already.

    Parameters
    ----------
    head : FloatLayer or None
        What the trained network has after the sums.
    meaning : Meaning
        What the sums stand for.
    value : ValueType
        Their type.
    source : str
        Node that gives them.
    score_bits : int
        See `add_head`.

    Raises
    ------
    CompileError
        See `add_head`.
    """
    classes = value.shape[0]
    name = head.name if head is not None else f"{source}.scores"
    affine = class_norm(head, meaning, classes, name)
    if affine is None and len(meaning.offsets) == 1:
        return None

    def quantize(fraction: int) -> tuple[list[int], list[int]]:
        if affine is None:
            return shift_sums(meaning, classes, fraction)
        return quantize_affine(affine, fraction, meaning)

    fraction = longest_fraction(quantize, value, score_bits, name)
    if affine is None:
        # No longer than it takes to be exact.
        denominators = {offset.denominator for offset in meaning.offsets}
        exact = next((bits for bits in range(fraction) if all((1 << bits) % d == 0 for d in denominators)), fraction)
        fraction = min(fraction, exact)
    scale, offset = (np.array(values, np.int64) for values in quantize(fraction))
    return Affine(name, source, scale, offset, fraction)
