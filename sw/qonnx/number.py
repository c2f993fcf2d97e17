"""Exact real numbers of a network's arithmetic: rationals, and sums of their square roots.

Batch normalization divides by the square root of a rational number. Sums of such roots are closed under addition and
multiplication, and they are zero only where they cancel term by term: square roots of rationals whose ratios are no
squares are linearly independent over the rationals. So signs and comparisons are decided, never estimated.
"""

from fractions import Fraction
from functools import lru_cache, total_ordering
from math import isqrt

from signfold.sw.errors import CompileError

__all__ = ["MAX_BITS", "Number", "Radical", "bounded", "floor", "inverse", "root", "sign"]

#: Longest numerator or denominator: float32 products of several layers have a few hundred bits.
MAX_BITS = 1 << 13


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise CompileError(f"constants multiply to a number of more than {MAX_BITS} bits")
    return value


def bounded(number: "Number | None") -> "Number | None":
    """Return the number; refuse one of more than `MAX_BITS` bits (those with roots never have more)."""
    return _bounded(number) if isinstance(number, Fraction) else number


@lru_cache(maxsize=1 << 14)
def _square_root(value: Fraction) -> Fraction | None:
    """Return the root of a rational that is a square, else None."""
    if value < 0:
        return None
    above, below = isqrt(value.numerator), isqrt(value.denominator)
    exact = above * above == value.numerator and below * below == value.denominator
    return Fraction(above, below) if exact else None


@total_ordering
class Radical:
    """``rational + sum of sign(t)*sqrt(|t|)``, with at least one term.

    Parameters
    ----------
    rational : Fraction
        Rational part.
    terms : tuple of Fraction
        Signed squares, not 0, none of them a square of a rational, no two of ratio a square; sorted.
    """

    __slots__ = ("rational", "terms")

    def __init__(self, rational: Fraction, terms: tuple[Fraction, ...]) -> None:
        self.rational = rational
        self.terms = terms

    def __repr__(self) -> str:
        return f"Radical({self.rational}, {self.terms})"

    def __add__(self, other: "Number | int") -> "Number":
        if isinstance(other, Radical):
            return _collect(self.rational + other.rational, (*self.terms, *other.terms))
        return Radical(_bounded(self.rational + other), self.terms)

    __radd__ = __add__

    def __neg__(self) -> "Radical":
        return Radical(-self.rational, tuple(sorted(-term for term in self.terms)))

    def __sub__(self, other: "Number | int") -> "Number":
        return self + -other

    def __rsub__(self, other: "Fraction | int") -> "Number":
        return -self + other

    def __mul__(self, other: "Number | int") -> "Number":
        if not isinstance(other, Radical):
            if other == 0:
                return Fraction(0)
            factor = other * abs(other)
            terms = tuple(sorted(_bounded(term * factor) for term in self.terms))
            return Radical(_bounded(self.rational * other), terms)
        terms = []
        for mine in (self.rational * abs(self.rational), *self.terms):
            terms += [mine * theirs for theirs in (other.rational * abs(other.rational), *other.terms)]
        return _collect(Fraction(0), terms)

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Radical):
            return sign(self - other) == 0
        return False if isinstance(other, (Fraction, int)) else NotImplemented

    def __lt__(self, other: "Number | int") -> bool:
        return sign(self - other) < 0

    def __hash__(self) -> int:
        return hash((self.rational, self.terms))

    def __float__(self) -> float:
        scale = 1 << 160
        total = int(self.rational * scale) + sum(_scaled_root(term, scale) for term in self.terms)
        return total / scale if total else 0.0

    def sign(self) -> int:
        """Return the sign, never 0."""
        signs = {1 if term > 0 else -1 for term in self.terms}
        if self.rational:
            signs.add(1 if self.rational > 0 else -1)
        if len(signs) == 1:
            return signs.pop()
        # Not zero, so enough places decide.
        bits = 64
        while True:
            scale = 1 << bits
            total = self.rational.numerator * scale // self.rational.denominator
            total += sum(_scaled_root(term, scale) for term in self.terms)
            if abs(total) > len(self.terms) + 1:
                return 1 if total > 0 else -1
            bits *= 2


#: A rational number or a sum with roots.
Number = Fraction | Radical


def _scaled_root(term: Fraction, scale: int) -> int:
    """Return ``sign(t)*sqrt(|t|)*scale`` to within one."""
    magnitude = isqrt(abs(term.numerator) * scale * scale // term.denominator)
    return magnitude if term > 0 else -magnitude


def _collect(rational: Fraction, terms: "list[Fraction] | tuple[Fraction, ...]") -> Number:
    """Join terms whose ratio is a square."""
    joined: list[tuple[Fraction, Fraction]] = []  # a square root's square, and its rational factor
    for term in terms:
        if term == 0:
            continue
        whole = _square_root(_bounded(abs(term)))
        if whole is not None:
            rational += whole if term > 0 else -whole
            continue
        unit = Fraction(1) if term > 0 else Fraction(-1)
        for index, (square, factor) in enumerate(joined):
            ratio = _square_root(abs(term) / square)
            if ratio is not None:
                joined[index] = (square, factor + unit * ratio)
                break
        else:
            joined.append((abs(term), unit))
    terms = tuple(sorted(_bounded(square * factor * abs(factor)) for square, factor in joined if factor))
    return Radical(_bounded(rational), terms) if terms else _bounded(rational)


def root(square: Fraction) -> Number:
    """Return the square root of a non-negative rational."""
    return _collect(Fraction(0), (square,))


def inverse(number: Number) -> Number | None:
    """Return ``1/number``; None for 0 and for sums of several roots, or of a root and a rational."""
    if isinstance(number, Fraction):
        return 1 / number if number else None
    if number.rational or len(number.terms) > 1:
        return None
    return Radical(Fraction(0), (1 / number.terms[0],))


def sign(number: "Number | int") -> int:
    """Return -1, 0 or 1."""
    if isinstance(number, Radical):
        return number.sign()
    return (number > 0) - (number < 0)


def floor(number: Number) -> int:
    """Return the largest integer that is not larger."""
    if isinstance(number, Fraction):
        return number.numerator // number.denominator
    near = int(number.rational) + sum(_scaled_root(term, 1) for term in number.terms)
    near -= len(number.terms) + 1
    while number >= near + 1:
        near += 1
    return near
