"""Activations: the step functions that turn real numbers into codes, and what a code stands for.

``sign`` gives a bit, 1 where ``y >= 0``, that stands for +1 or -1. The others are those of DoReFa (arXiv:1606.06160):
clip, then round to one of ``levels + 1`` equally spaced values, halves to the even code as frameworks do. Codes of
``unsigned`` stand for 0 to 1, codes of ``signed`` for -1 to 1.
"""

from dataclasses import dataclass
from fractions import Fraction

from signfold.sw.errors import CompileError
from signfold.sw.network.types import is_int, shown

__all__ = ["SIGN", "Activation", "rounding"]


@dataclass(frozen=True)
class Activation:
    """A step function of ``levels`` steps.

    Parameters
    ----------
    kind : {"sign", "unsigned", "signed"}
        See the module; ``sign`` has one level.
    levels : int
        Codes are 0 to `levels`, 1 to 255, one less than a power of two.
    """

    kind: str
    levels: int

    @property
    def bits(self) -> int:
        """Width of a code."""
        return self.levels.bit_length()

    def step(self, level: int) -> tuple[Fraction, bool]:
        """Return where the code becomes at least `level`, 1 to `levels`, and whether it does so at that very number.

        A half rounds to the even code: a step into an even code includes its number, a step into an odd one does not.
        """
        match self.kind:
            case "sign":
                return Fraction(0), True
            case "unsigned":
                return Fraction(2 * level - 1, 2 * self.levels), level % 2 == 0
        return Fraction(2 * level - 1 - self.levels, self.levels), level % 2 == 0

    @property
    def offset(self) -> int:
        """The c of ``real = (v + c)/d``, v the odd integer ``2*code - levels``."""
        return self.levels if self.kind == "unsigned" else 0

    @property
    def divisor(self) -> int:
        """The d of ``real = (v + c)/d``."""
        return {"sign": 1, "unsigned": 2 * self.levels, "signed": self.levels}[self.kind]


#: One bit by the sign, sign(0) = +1.
SIGN = Activation("sign", 1)


def rounding(name: str, bits: object, signed: object) -> Activation:
    """Return the rounding activation of `bits` bits; `name` is that of the layer, for the error."""
    if not is_int(bits) or not 1 <= bits <= 8 or not isinstance(signed, bool):
        raise CompileError(
            f"layer {shown(name)}: bits must be from 1 to 8 and signed true or false, not {shown(bits)} and "
            f"{shown(signed)}"
        )
    return Activation("signed" if signed else "unsigned", (1 << bits) - 1)
