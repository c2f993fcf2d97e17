"""What QONNX's quantizers do to one exact number, as their specification and executor have it."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.number import Number, floor

__all__ = ["MODES", "Rounding", "bipolar", "code_range", "count_thresholds"]

#: Rounding modes, by the halves and directions they take.
MODES = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
_HALF = Fraction(1, 2)


def bipolar(number: Number, scale: Number) -> Number:
    """BipolarQuant: the scale, or its negative below zero."""
    return scale if number >= 0 else -scale


def count_thresholds(number: Number, thresholds: Sequence[Number]) -> int:
    """Return how many sorted thresholds the number reaches."""
    return bisect_right(thresholds, number)


def code_range(operation: Operation, bits: Number) -> tuple[int, int] | None:
    """Return the lowest and highest integer of a Quant; None: one signed bit, the integers -1 and 1.

    Raises
    ------
    CompileError
        The width is no integer from 1 to 8, or all integers are the same.
    """
    if not isinstance(bits, Fraction) or bits.denominator != 1 or not 1 <= bits <= 32:
        raise refuse(operation, f"bit width {float(bits):g} must be an integer from 1 to 32")
    width, signed, narrow = int(bits), operation.integer("signed", 1), operation.integer("narrow", 1)
    if signed and width == 1:
        return None
    low = (-(1 << (width - 1)) + (1 if narrow else 0)) if signed else 0
    high = (1 << (width - 1)) - 1 if signed else (1 << width) - (2 if narrow else 1)
    if low >= high:
        raise refuse(operation, f"{width} bit(s), narrow: all values would be the same")
    return low, high


class Rounding:
    """The rounding of a Quant.

    Parameters
    ----------
    operation : Operation
        The Quant, IntQuant or anything with its attributes.
    """

    def __init__(self, operation: Operation) -> None:
        self.mode = operation.text("rounding_mode", "ROUND").upper()
        if self.mode not in MODES:
            raise refuse(operation, f"rounding mode {self.mode!r} must be one of {', '.join(MODES)}")

    def round(self, number: Number) -> int:
        """Round to an integer."""
        negative = number < 0
        match self.mode:
            case "ROUND" | "HALF_EVEN":
                down = floor(number)
                rest = number - down
                return down + (rest > _HALF or (rest == _HALF and down % 2 == 1))
            case "CEIL":
                return -floor(-number)
            case "FLOOR":
                return floor(number)
            case "UP":
                return floor(number) if negative else -floor(-number)
            case "DOWN":
                return -floor(-number) if negative else floor(number)
            case "HALF_UP":
                return -floor(_HALF - number) if negative else floor(number + _HALF)
        return floor(number + _HALF) if negative else -floor(_HALF - number)

    def step(self, integer: int) -> tuple[Fraction, bool]:
        """Return where the rounded number becomes at least `integer`, and whether it does so at that very number."""
        match self.mode:
            case "ROUND" | "HALF_EVEN":
                return integer - _HALF, integer % 2 == 0
            case "CEIL":
                return Fraction(integer - 1), False
            case "FLOOR":
                return Fraction(integer), True
            case "UP":
                return (Fraction(integer - 1), False) if integer > 0 else (Fraction(integer), True)
            case "DOWN":
                return (Fraction(integer), True) if integer > 0 else (Fraction(integer - 1), False)
            case "HALF_UP":
                return integer - _HALF, integer > 0
        return integer - _HALF, integer <= 0
