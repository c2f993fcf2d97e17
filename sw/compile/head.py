"""Pass: what follows the last dense layer becomes integer scores.

One positive scale common to all classes changes no comparison: it drops out and the raw sums are the scores. Batch
normalization a class, ``y = a*s + b``, is the one place of a dense network that rounds: a and b become the integers
``round(a * 2**fraction)`` and ``round(b * 2**fraction)``, each rounded once and correctly, halves up.
"""

from bisect import bisect_right
from fractions import Fraction
from math import isqrt

import numpy as np

from signfold.sw.compile.float_network import BatchNorm, FloatNetwork
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Dense, Node
from signfold.sw.network.types import shown

__all__ = ["add_head", "fixed_point", "quantize_affine"]

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


def quantize_affine(norm: BatchNorm, fraction: int) -> tuple[list[int], list[int]]:
    """Round the slopes and offsets of `norm` to multiples of ``2**-fraction``.

    Returns
    -------
    list of int
        ``round(gamma/sqrt(v) * 2**fraction)`` a channel.
    list of int
        ``round((beta - gamma*mean/sqrt(v)) * 2**fraction)`` a channel.
    """
    scales, offsets = [], []
    unit = Fraction(1 << fraction)
    for channel in range(norm.channels):
        gamma, beta, mean = (Fraction(float(values[channel])) for values in (norm.gamma, norm.beta, norm.mean))
        spread = Fraction(float(norm.variance[channel])) + Fraction(norm.eps)
        slope = gamma * unit
        shift = -slope * mean
        scales.append(fixed_point(Fraction(0), _sign(slope), slope * slope / spread))
        offsets.append(fixed_point(beta * unit, _sign(shift), shift * shift / spread))
    return scales, offsets


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


def add_head(network: FloatNetwork, body: tuple[Node, ...], score_bits: int) -> tuple[Node, ...]:
    """Append the node that makes scores of the last sums, where one is needed.

    Parameters
    ----------
    network : FloatNetwork
        The trained network.
    body : tuple of Node
        Nodes up to the last dense layer.
    score_bits : int
        Width of signed scores, 8 to 62: the fraction is the longest with which every attainable score fits.

    Raises
    ------
    CompileError
        Not even whole numbers fit; names the layer and the width that would do.
    """
    if not 8 <= score_bits <= 62:
        raise ValueError(f"score_bits must be from 8 to 62, not {score_bits!r}")
    norm = network.head
    if not isinstance(norm, BatchNorm):
        return body
    dense = body[-1]
    if not isinstance(dense, Dense):
        raise TypeError(f"body must end with a dense node, not {dense.op}")
    limit = (1 << (score_bits - 1)) - 1
    # Bounds grow with the fraction, so the number of fractions that fit is found by bisection.
    fitting = bisect_right(range(MAX_FRACTION + 1), limit, key=lambda fraction: _bound(norm, fraction, dense.fan_in))
    if not fitting:
        bound = _bound(norm, 0, dense.fan_in)
        raise CompileError(
            f"layer {shown(norm.name)}: scores up to {shown(bound)} need {bound.bit_length() + 1} bits, but score_bits "
            f"is {score_bits}"
        )
    fraction = fitting - 1
    scale, offset = (np.array(values, np.int64) for values in quantize_affine(norm, fraction))
    return (*body, Affine(norm.name, dense.name, scale, offset, fraction))


def _bound(norm: BatchNorm, fraction: int, fan_in: int) -> int:
    """Return a number that no score exceeds in magnitude, whatever the sums."""
    scales, offsets = quantize_affine(norm, fraction)
    return max(abs(scale) * fan_in + abs(offset) for scale, offset in zip(scales, offsets, strict=True))
