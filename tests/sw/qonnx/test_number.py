"""Exact numbers beside 60 decimal places, and where decimals cannot tell."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from signfold.sw.errors import CompileError
from signfold.sw.qonnx.graph import Operation
from signfold.sw.qonnx.number import Radical, floor, inverse, root, sign
from signfold.sw.qonnx.quantizers import MODES, Rounding


def decimal(number):
    with localcontext() as context:
        context.prec = 60
        if isinstance(number, Radical):
            total = Decimal(number.rational.numerator) / number.rational.denominator
            for term in number.terms:
                part = (Decimal(abs(term.numerator)) / term.denominator).sqrt()
                total += part if term > 0 else -part
            return total
        return Decimal(number.numerator) / number.denominator


def random_number(rng, depth=3):
    if depth == 0 or rng.random() < 0.3:
        rational = Fraction(int(rng.integers(-50, 50)), int(rng.integers(1, 9)))
        return rational if rng.random() < 0.5 else root(abs(rational)) * int(rng.integers(-3, 4))
    left, right = random_number(rng, depth - 1), random_number(rng, depth - 1)
    return [lambda: left + right, lambda: left - right, lambda: left * right][int(rng.integers(3))]()


@pytest.mark.parametrize("seed", range(5))
def test_arithmetic(seed):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        left, right = random_number(rng), random_number(rng)
        a, b = decimal(left), decimal(right)
        with localcontext() as context:
            context.prec = 60
            for exact, near in ((left + right, a + b), (left - right, a - b), (left * right, a * b)):
                assert abs(decimal(exact) - near) < Decimal("1e-45"), f"seed {seed}: {left} {right}"
            difference = a - b
        assert sign(left - right) == (0 if abs(difference) < Decimal("1e-40") else (1 if difference > 0 else -1))
        assert (left < right) == (sign(left - right) < 0) and (left == right) == (sign(left - right) == 0)
        assert floor(left) == int(a.to_integral_value("ROUND_FLOOR")) or abs(a - a.to_integral_value()) < Decimal(
            "1e-40"
        )
        assert abs(float(left) - float(a)) <= 1e-12 * (1 + abs(float(a)))


def test_roots_that_cancel():
    # sqrt(8) = 2*sqrt(2); (sqrt(2) + sqrt(3))**2 = 5 + 2*sqrt(6).
    two, three = root(Fraction(2)), root(Fraction(3))
    assert root(Fraction(8)) - 2 * two == 0 and isinstance(root(Fraction(8)) - 2 * two, Fraction)
    assert (two + three) * (two + three) == 5 + 2 * root(Fraction(6))
    assert root(Fraction(9, 4)) == Fraction(3, 2)
    assert hash(root(Fraction(8))) == hash(2 * two)
    # Nearer to each other than doubles can tell.
    assert root(Fraction(10**40 + 1)) > 10**20 and root(Fraction(10**40 - 1)) < 10**20
    assert inverse(two) * two == 1 and inverse(two + 1) is None and inverse(Fraction(0)) is None
    with pytest.raises(CompileError, match="bits"):
        number = Fraction(3, 2)
        for _ in range(20):
            number = root(number * number * 2) + 0
            number = number * number


@pytest.mark.parametrize("mode", MODES)
def test_steps_are_where_rounding_changes(mode):
    rounding = Rounding(Operation("q", "Quant", (), (), {"rounding_mode": mode}))
    for eighth in range(-40, 41):
        number = Fraction(eighth, 8)
        for integer in range(-5, 6):
            step, inclusive = rounding.step(integer)
            assert (rounding.round(number) >= integer) == (number >= step if inclusive else number > step), (
                mode,
                number,
            )
