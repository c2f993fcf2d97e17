"""Activations: the step functions that turn real numbers into codes, and what a code stands for.

``sign`` gives a bit, 1 where ``y >= 0``, that stands for +1 or -1, times a trained scale if there is one. The others
are those of DoReFa (arXiv:1606.06160): clip, then round to one of ``levels + 1`` equally spaced values, halves to the
even code as frameworks do. Codes of ``unsigned`` stand for 0 to 1, codes of ``signed`` for -1 to 1. ``coupled`` is that
of BinaryDuo (arXiv:2002.06517) to 0, 1/2 and 1, halves down: codes of two bits, of which 3 never occurs.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from signfold.sw.errors import CompileError
from signfold.sw.network.types import is_int, shown

__all__ = ["SIGN", "Activation", "rounding", "scaled_sign"]


@dataclass(frozen=True)
class Activation:
    """A step function of ``levels`` steps.

    Parameters
    ----------
    kind : {"sign", "unsigned", "signed", "coupled"}
        See the module; ``sign`` has one level, ``coupled`` two.
    levels : int
        Codes are 0 to `levels`, 1 to 255.
    scale : float, default: 1.0
        What signs are multiplied by, not 0. Where it is negative the integer network has the opposite bits.
    """

    kind: str
    levels: int
    scale: float = 1.0

    @property
    def bits(self) -> int:
        """Width of a code."""
        return self.levels.bit_length()

    @property
    def top(self) -> int:
        """Highest code of so many bits: v is the odd integer ``2*code - top``."""
        return (1 << self.bits) - 1

    @property
    def complemented(self) -> bool:
        """Whether the integer network has the code ``top - code``."""
        return self.scale < 0

    def step(self, level: int) -> tuple[Fraction, bool]:
        """Return where the code becomes at least `level`, 1 to `levels`, and whether it does so at that very number.

        A half rounds to the even code: a step into an even code includes its number, a step into an odd one does not.
        """
        match self.kind:
            case "sign":
                return Fraction(0), True
            case "coupled":
                return Fraction(2 * level - 1, 4), False
            case "unsigned":
                return Fraction(2 * level - 1, 2 * self.levels), level % 2 == 0
        return Fraction(2 * level - 1 - self.levels, self.levels), level % 2 == 0

    @property
    def offset(self) -> int:
        """The c of ``real = (v + c)/d``, v the odd integer ``2*code - top`` of the integer network's code."""
        return {"sign": 0, "signed": self.top - self.levels}.get(self.kind, self.top)

    @property
    def divisor(self) -> Fraction:
        """The d of ``real = (v + c)/d``, positive."""
        return {"sign": 1, "signed": self.levels}.get(self.kind, 2 * self.levels) / abs(Fraction(self.scale))


#: One bit by the sign, sign(0) = +1.
SIGN = Activation("sign", 1)


def rounding(name: str, bits: object, signed: object, levels: object = None) -> Activation:
    """Return the rounding activation of `bits` bits, or of `levels` values; `name` is the layer's, for the error."""
    if levels is not None:
        if levels != 3 or signed is not False or bits is not None or not is_int(levels):
            raise CompileError(
                f"layer {shown(name)}: levels must be 3 without bits and with signed false, not {shown(levels)} with "
                f"bits {shown(bits)} and signed {shown(signed)}"
            )
        return Activation("coupled", 2)
    if not is_int(bits) or not 1 <= bits <= 8 or not isinstance(signed, bool):
        raise CompileError(
            f"layer {shown(name)}: bits must be from 1 to 8 and signed true or false, not {shown(bits)} and "
            f"{shown(signed)}"
        )
    return Activation("signed" if signed else "unsigned", (1 << bits) - 1)


def scaled_sign(name: str, scale: float) -> Activation:
    """Return the sign times a trained number; `name` is the layer's, for the error."""
    if scale == 0 or not isfinite(scale):
        raise CompileError(
            f"layer {shown(name)}: scale is {scale!r}, must be finite and not 0: all its values would be the same; "
            f"allowed: training with less weight on scales, or from another seed"
        )
    return Activation("sign", 1, scale)
