"""Pass: what the last sums stand for becomes integer scores, and how these map to the graph's real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm

import numpy as np

from signfold.sw.compile.head import longest_fraction
from signfold.sw.network import Affine, ValueType
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.number import Number, floor, inverse, sign

__all__ = ["Scores", "make_scores"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Integer scores.

    Parameters
    ----------
    kind : {"sums", "exact", "rounded"}
        Raw sums; an integer affine of them a class, exact; or one rounded.
    node : Affine or None
        What makes them of the sums.
    scale, offset : Number
        The graph's score is ``scale*score + offset`` (exactly, unless rounded); scale is positive.
    """

    kind: str
    node: Affine | None
    scale: Number
    offset: Number


def make_scores(operation: Operation, lines: Sequence[Line], value: ValueType, source: str, score_bits: int) -> Scores:
    """Choose the scores: raw sums, else integers that are exact, else the longest fractions that fit.

    Parameters
    ----------
    operation : Operation
        The last one, for errors and the name of the node.
    lines : sequence of Line
        What the sums stand for, one for all classes or one a class, without clips.
    value : ValueType
        Type of the sums.
    source : str
        Node that gives them.
    score_bits : int
        Width of signed scores that are no raw sums.

    Raises
    ------
    CompileError
        All scores are the same, or none of this width fits.
    """
    classes = value.shape[0]
    lines = [lines[channel % len(lines)] for channel in range(classes)]
    slopes, shifts = [line.slope for line in lines], [line.shift for line in lines]
    if not any(sign(slope) for slope in slopes):
        raise refuse(operation, "the scores do not depend on the picture: all scales are 0")
    if (
        all(slope == slopes[0] for slope in slopes)
        and all(shift == shifts[0] for shift in shifts)
        and sign(slopes[0]) > 0
    ):
        return Scores("sums", None, slopes[0], shifts[0])
    name = f"{operation.name}.scores"
    exact = _exact(slopes, shifts)
    if exact is not None:
        scale, offset, unit = exact
        bound = max(abs(s) * max(-value.low, value.high) + abs(o) for s, o in zip(scale, offset, strict=True))
        if bound.bit_length() < score_bits:
            return Scores("exact", _affine(name, source, scale, offset, 0), unit, shifts[0])

    def quantize(fraction: int) -> tuple[list[int], list[int]]:
        unit = Fraction(1 << fraction)
        return tuple([floor(number * unit + Fraction(1, 2)) for number in numbers] for numbers in (slopes, shifts))

    fraction = longest_fraction(quantize, value, score_bits, operation.name)
    return Scores(
        "rounded", _affine(name, source, *quantize(fraction), fraction), Fraction(1, 1 << fraction), Fraction(0)
    )


def _affine(name: str, source: str, scale: Sequence[int], offset: Sequence[int], fraction: int) -> Affine:
    return Affine(name, source, np.array(scale, np.int64), np.array(offset, np.int64), fraction)


def _exact(slopes: Sequence[Number], shifts: Sequence[Number]) -> tuple[list[int], list[int], Number] | None:
    """Return integers in a common unit for slopes and for shifts less the first one's, if there is one."""
    first = next(slope for slope in slopes if sign(slope))
    unit = first if sign(first) > 0 else -first
    factor = inverse(unit)
    if factor is None:
        return None
    ratios = [factor * slope for slope in slopes] + [factor * (shift - shifts[0]) for shift in shifts]
    if not all(isinstance(ratio, Fraction) for ratio in ratios):
        return None
    below = reduce(lcm, (ratio.denominator for ratio in ratios), 1)
    integers = [int(ratio * below) for ratio in ratios]
    common = reduce(gcd, integers, 0)
    integers = [integer // common for integer in integers]
    return integers[: len(slopes)], integers[len(slopes) :], unit * Fraction(common, below)
