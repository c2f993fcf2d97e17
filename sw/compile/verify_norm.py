"""Verifier of batch normalizations: every threshold, and every number of the scores, against the trained parameters.

Everything rests on one exact predicate, the sign of ``p + q*sqrt(v)`` for rational numbers: x*abs(x) is increasing, so
it is the sign of ``p*abs(p) + q*abs(q)*v``. Whether a code reaches a level is monotone in the sum, hence two
evaluations, just below the threshold and at it, prove the whole level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Node, Threshold, ValueType
from signfold.sw.network.types import shown

__all__ = ["Line", "reaches", "sign_with_root", "verify_affine", "verify_shift", "verify_thresholds"]


@dataclass(frozen=True)
class Line:
    """What the sums x of a channel stand for in the trained network: ``slope*x + shift``."""

    slope: Fraction
    shift: Fraction


def sign_with_root(p: Fraction, q: Fraction, v: Fraction) -> int:
    """Return the sign, -1, 0 or 1, of ``p + q*sqrt(v)`` for ``v >= 0``."""
    value = p * abs(p) + q * abs(q) * v
    return (value > 0) - (value < 0)


def _parameters(norm: BatchNorm, channel: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Return gamma, beta and shift, mean and variance + eps of a channel as rationals."""
    gamma, beta, mean, variance = (
        Fraction(float(values[channel])) for values in (norm.gamma, norm.beta, norm.mean, norm.variance)
    )
    if norm.shift is not None:
        beta += Fraction(float(norm.shift[channel]))
    if norm.powers is not None:
        gamma = Fraction(1)
        for values in norm.powers:
            gamma *= _nearest_power(Fraction(float(values[channel])))
        return gamma, beta, mean, Fraction(1)
    return gamma, beta, mean, variance + Fraction(norm.eps)


def _nearest_power(number: Fraction) -> Fraction:
    """Return the power of two whose logarithm is nearest to that of a number, with its sign; 0 of 0."""
    if number == 0:
        return number
    power = Fraction(1)
    # 2**(k - 1/2) <= x < 2**(k + 1/2), squared.
    while 2 * number * number < power * power:
        power /= 2
    while number * number >= 2 * power * power:
        power *= 2
    return power if number > 0 else -power


def reaches(norm: BatchNorm, channel: int, level: int, real: Fraction) -> bool:
    """Say whether the trained layer gives at least the code `level` for the exact sum `real`.

    The rounded activations give round_half_even(n*y), or of n*(y + 1)/2, n their levels: at least `level` where twice
    that exceeds 2*level - 1, or equals it and `level` is even.
    """
    gamma, beta, mean, spread = _parameters(norm, channel)
    product, levels = gamma * (real - mean), norm.activation.levels
    if level > levels:
        return False
    if norm.activation.kind == "sign":
        return sign_with_root(product, beta, spread) >= 0
    if norm.activation.kind == "coupled":
        # Above 1/4, above 3/4.
        return sign_with_root(4 * product, 4 * beta - (2 * level - 1), spread) > 0
    if norm.activation.kind == "unsigned":
        sign = sign_with_root(2 * levels * product, 2 * levels * beta - (2 * level - 1), spread)
    else:
        sign = sign_with_root(levels * product, levels * (beta + 1) - (2 * level - 1), spread)
    return sign > 0 or (sign == 0 and level % 2 == 0)


def verify_thresholds(
    norm: BatchNorm, node: Node, value: ValueType, lines: Sequence[Line], *, invertible: bool
) -> None:
    """Prove that `node` gives the codes of `norm` for every attainable sum.

    Parameters
    ----------
    norm : BatchNorm
        Layer with an activation.
    node : Node
        What it became.
    value : ValueType
        Type of the sums.
    lines : sequence of Line
        What they stand for, a channel.
    invertible : bool
        Channels of negative gamma must be inverted; otherwise none may be. An activation of negative scale turns that
        round: its bits must be the opposite ones.

    Raises
    ------
    CompileError
        Naming layer, channel and level, and the sum at which the code differs.
    """
    where = f"verify: layer {shown(norm.name)}"
    levels = (1 << norm.activation.levels.bit_length()) - 1
    if not isinstance(node, Threshold) or node.thresholds.shape != (norm.channels, levels):
        raise CompileError(f"{where} must become {norm.channels} x {levels} thresholds")
    beyond = value.high + value.step
    opposite = norm.activation.scale < 0
    for channel in range(norm.channels):
        inverted = node.inverted is not None and bool(node.inverted[channel])
        if inverted != ((invertible and bool(norm.gamma[channel] < 0)) != opposite):
            raise CompileError(f"{where} channel {channel}: inverted is {inverted}, gamma {float(norm.gamma[channel])}")
        # Whether the trained code is the complement of the number of thresholds met.
        inverted = inverted != opposite
        for level in range(1, levels + 1):
            # Inverted, the code reaches a level as long as no more than levels - level thresholds are met.
            threshold = int(node.thresholds[channel, levels - level if inverted else level - 1])
            if not value.low <= threshold <= beyond or (threshold - value.low) % value.step:
                raise CompileError(
                    f"{where} channel {channel}: threshold {threshold} must be one of {value.low}, "
                    f"{value.low + value.step}, ..., {beyond}"
                )
            # Attainable sums around the threshold and, to settle constant channels too, the ends.
            sums = {threshold - value.step, threshold}
            if level in (1, levels):
                sums |= {value.low, value.high}
            for total in sorted(sums):
                if not value.low <= total <= value.high:
                    continue
                trained = reaches(norm, channel, level, lines[channel].slope * total + lines[channel].shift)
                if trained != ((total >= threshold) != inverted):
                    what = f"bit {int(not trained)}" if levels == 1 else f"{_side(not trained)} code {level}"
                    wanted = f"{int(trained)}" if levels == 1 else _side(trained)
                    raise CompileError(
                        f"{where} channel {channel}: threshold {threshold} gives {what} at sum {total}, the trained "
                        f"parameters give {wanted}"
                    )


def _side(reached: bool) -> str:
    return "at least" if reached else "less than"


def verify_affine(norm: BatchNorm, node: Node, lines: Sequence[Line]) -> None:
    """Prove that `node` is the batch normalization of the sums, rounded correctly in each class.

    Raises
    ------
    CompileError
        Naming layer, class and number.
    """
    if not isinstance(node, Affine) or len(node.scale) != norm.channels:
        raise CompileError(f"verify: layer {shown(norm.name)} must become an affine of {norm.channels} classes")
    half = Fraction(1, 2)
    unit = 1 << node.fraction
    for channel, line in enumerate(lines):
        gamma, beta, mean, spread = _parameters(norm, channel)
        # Both roundings after multiplying by sqrt(spread): c - 1/2 <= value*2**fraction < c + 1/2.
        for what, stored, rational, rooted in (
            ("scale", node.scale, gamma * line.slope, Fraction(0)),
            ("offset", node.offset, gamma * (line.shift - mean), beta),
        ):
            number = int(stored[channel])
            low = sign_with_root(rational * unit, rooted * unit - (number - half), spread)
            high = sign_with_root(rational * unit, rooted * unit - (number + half), spread)
            if low < 0 or high >= 0:
                raise CompileError(
                    f"verify: layer {shown(norm.name)}: {what} {number} of class {channel} is not the rounded value"
                )


def verify_shift(node: Node, lines: Sequence[Line]) -> None:
    """Prove that the scores of `node` are the trained ones times one positive number, offsets rounded correctly.

    Raises
    ------
    CompileError
        Naming node, class and number.
    """
    if not isinstance(node, Affine) or len(node.scale) != len(lines):
        raise CompileError(f"verify: node {shown(node.name)} must be an affine of {len(lines)} classes")
    unit = 1 << node.fraction
    for channel, line in enumerate(lines):
        number, offset = int(node.offset[channel]), line.shift / line.slope * unit
        if int(node.scale[channel]) != unit:
            raise CompileError(f"verify: node {shown(node.name)}: scale of class {channel} must be {unit}")
        if not -1 < 2 * (number - offset) <= 1:
            raise CompileError(
                f"verify: node {shown(node.name)}: offset {number} of class {channel} is not the rounded value"
            )
