"""Fixed-point numbers of a compilation: how many fraction bits, and which integers multiply and shift.

A value of F fraction bits is an integer y that stands for ``y/2**F``. It comes from sums x by
``y = floor((m*x + o)/2**S + 1/2)``, m and o integers a channel: ``round(slope * 2**(F + S))``, and the same of the
offset, each rounded once and correctly. Where slopes and offsets are multiples of ``2**-F``, S is 0: all is exact.
"""

from fractions import Fraction
from math import ceil, log2
from statistics import median

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_graph import FloatGraph
from signfold.sw.compile.head import round_affine
from signfold.sw.compile.linear_layers import LinearLayer
from signfold.sw.compile.meaning import Meaning
from signfold.sw.errors import CompileError
from signfold.sw.network import Scale
from signfold.sw.network.nodes.scale import MAX_SHIFT
from signfold.sw.network.types import shown

__all__ = ["FRACTIONS", "MULTIPLIER_BITS", "exact_fraction", "identity", "lines", "scale_node", "suitable_fraction"]

#: Fraction bits that may be asked for.
FRACTIONS = range(25)
#: Bits of a multiplier: sums of binary layers have about as many, so that it adds no error of its own.
MULTIPLIER_BITS = 12
#: Fraction bits below the effect of one product, so that values of many layers add up to less than that.
_GUARD = 5


def identity(name: str, channels: int) -> BatchNorm:
    """Return a batch normalization that changes nothing."""
    ones, zeros = np.ones(channels), np.zeros(channels)
    return BatchNorm(name, ones, zeros, zeros, ones, 0.0, None)


def lines(norm: BatchNorm, meaning: Meaning) -> list[tuple[float, float]]:
    """Return slope and offset of each channel's reals over its integers, in double precision."""
    found = []
    for channel in range(norm.channels):
        gamma, beta, mean, spread = norm.exact(channel)
        factor = meaning.scale(channel) / meaning.divisor
        root = float(spread) ** 0.5
        found.append(
            (
                float(gamma * factor) / root,
                float(beta) + float(gamma * (factor * meaning.offset(channel) - mean)) / root,
            )
        )
    return found


def exact_fraction(norm: BatchNorm, meaning: Meaning) -> int | None:
    """Return the least number of fraction bits that hold every slope and offset exactly; None: none does."""
    numbers = []
    for channel in range(norm.channels):
        gamma, beta, mean, spread = norm.exact(channel)
        if spread != 1:
            return None
        factor = gamma * meaning.scale(channel) / meaning.divisor
        numbers += [factor, beta + factor * meaning.offset(channel) - gamma * mean]
    denominators = {number.denominator for number in numbers}
    if any(denominator & (denominator - 1) for denominator in denominators):
        return None
    return max(denominators).bit_length() - 1


def suitable_fraction(graph: FloatGraph) -> int:
    """Return the fraction bits of a network's values.

    That many hold what shift-based normalizations give exactly, if they all say so (`norms` with fraction bits). Else
    they are `_GUARD` bits finer than what one product of a binary layer, normalized, changes in half of all channels:
    finer numbers tell nothing apart that the sums do.
    """
    layers = {step.layer.name: step for step in graph.steps}
    effects, fractions = [], []
    for step in graph.body:
        norm = step.layer
        if not isinstance(norm, BatchNorm) or norm.activation is not None:
            continue
        fractions.append(norm.fraction)
        linear = layers[step.inputs[0]].layer if step.inputs[0] in layers else None
        if isinstance(linear, LinearLayer) and linear.levels <= 3:
            slopes = np.abs(norm.slopes) * np.resize([abs(float(factor)) for factor in linear.factors], norm.channels)
            effects += [2 * slope for slope in slopes.tolist() if slope > 0]
    if fractions and None not in fractions:
        return max(fractions)
    if not effects:
        return 8
    return min(max(ceil(-log2(median(effects))) + _GUARD, 4), FRACTIONS[-1] - 8)


def scale_node(
    name: str,
    source: str,
    norm: BatchNorm,
    meaning: Meaning,
    fraction: int,
    limits: tuple[Fraction | None, Fraction | None] = (None, None),
) -> Scale:
    """Return the node that gives the reals of a normalization over sums, in so many fraction bits.

    Parameters
    ----------
    name, source : str
        Of the node and of what it reads.
    norm : BatchNorm
        What is done to the reals.
    meaning : Meaning
        What the integers stand for.
    fraction : int
        Fraction bits.
    limits : tuple of Fraction or None
        Where the reals are clipped.

    Raises
    ------
    CompileError
        The numbers need more than 62 bits.
    """
    exact = exact_fraction(norm, meaning)
    if exact is not None and exact <= fraction:
        shift = 0
    else:
        largest = max(abs(slope) for slope, _ in lines(norm, meaning))
        shift = MULTIPLIER_BITS - fraction - (ceil(log2(largest)) if largest else 0)
        if exact is not None:
            # What is rounded on purpose has to be exact before.
            shift = exact - fraction if norm.fraction is not None else min(shift, exact - fraction)
        shift = max(shift, 0)
    if shift > MAX_SHIFT:
        raise CompileError(f"layer {shown(name)}: its scales are too small for numbers of {fraction} fraction bits")
    multiplier, offset = (
        np.array(values, object) for values in round_affine(norm, Fraction(1 << (fraction + shift)), meaning)
    )
    offset += (1 << shift) >> 1
    low, high = (None if limit is None else _whole(name, limit, fraction) for limit in limits)
    if low is not None or high is not None:
        # Beyond anything that is reached, where only the other side is cut.
        low, high = (-(1 << 40) if low is None else low), ((1 << 40) if high is None else high)
    try:
        numbers = [np.array(values.tolist(), np.int64) for values in (multiplier, offset)]
    except OverflowError:
        raise CompileError(f"layer {shown(name)}: its offsets need more than 62 bits") from None
    return Scale(name, source, *numbers, shift, low, high, fraction)


def _whole(name: str, limit: Fraction, fraction: int) -> int:
    scaled = limit * (1 << fraction)
    if scaled.denominator != 1:
        raise CompileError(f"layer {shown(name)}: a clip at {float(limit)} is no multiple of 2**-{fraction}")
    return int(scaled)
