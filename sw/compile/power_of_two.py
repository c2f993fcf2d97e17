"""The nearest power of two of a number, in the logarithm: AP2 of shift-based batch normalization, exactly."""

from fractions import Fraction
from math import frexp

__all__ = ["power_of_two"]


def power_of_two(number: float) -> Fraction:
    """Return ``sign(number) * 2**round(log2|number|)``, 0 of 0 (Hubara et al., arXiv:1602.02830).

    The logarithm of a rational number is never halfway between two integers, as the root of 2 is irrational: comparing
    squares decides.
    """
    if number == 0:
        return Fraction(0)
    mantissa, exponent = frexp(abs(number))
    # The mantissa lies in [1/2, 1); its logarithm rounds to 0 from sqrt(1/2) on.
    if 2 * Fraction(mantissa) ** 2 < 1:
        exponent -= 1
    return (1 if number > 0 else -1) * Fraction(2) ** exponent
