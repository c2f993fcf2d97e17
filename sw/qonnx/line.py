"""What an integer of the network stands for on its way to a quantizer: a clipped line of a channel."""

from dataclasses import dataclass, replace
from fractions import Fraction

from signfold.sw.network import ValueType
from signfold.sw.qonnx.number import Number, Radical, bounded, sign

__all__ = ["Line", "single_root"]


@dataclass(frozen=True)
class Line:
    """``real = min(max(slope*x + shift, low), high)``, exactly.

    Parameters
    ----------
    slope, shift : Number
        Of x, the network's integer: a sum, or a code from 0.
    low, high : Number or None
        Clips; None: there is none.
    """

    slope: Number = Fraction(1)
    shift: Number = Fraction(0)
    low: Number | None = None
    high: Number | None = None

    def affine(self, factor: Number, constant: Number) -> "Line":
        """Return the line of ``factor*real + constant``."""
        clips = [None if clip is None else clip * factor + constant for clip in (self.low, self.high)]
        if sign(factor) < 0:
            clips.reverse()
        return Line(*map(bounded, (self.slope * factor, self.shift * factor + constant, *clips)))

    def clipped(self, low: Number | None, high: Number | None) -> "Line":
        """Return the line of ``min(max(real, low), high)``."""
        line = self
        for bound, inner, name in ((low, max, "low"), (high, min, "high")):
            if bound is None:
                continue
            moved = {
                what: bound if getattr(line, what) is None and what == name else getattr(line, what)
                for what in ("low", "high")
            }
            moved = {what: None if clip is None else inner(clip, bound) for what, clip in moved.items()}
            line = replace(line, **moved)
        return line

    def settled(self, value: ValueType) -> "Line":
        """Return the line without clips that no x of this type reaches."""
        ends = sorted((self.at(value.low), self.at(value.high)))
        low = None if self.low is None or self.low <= ends[0] else self.low
        high = None if self.high is None or self.high >= ends[1] else self.high
        return Line(self.slope, self.shift, low, high)

    def at(self, x: int) -> Number:
        """Return what x stands for before clips."""
        return self.slope * x + self.shift

    @property
    def rational(self) -> bool:
        """Whether there are neither roots nor clips."""
        plain = isinstance(self.slope, Fraction) and isinstance(self.shift, Fraction)
        return plain and self.low is None and self.high is None


def single_root(line: Line) -> tuple[Fraction, Fraction, Fraction, Fraction] | None:
    """Return gamma, beta, mean and v of ``gamma*(x - mean)/sqrt(v) + beta``; None where several roots are in it.

    The slope must not be 0.
    """
    slope, shift = line.slope, line.shift
    if isinstance(slope, Fraction):
        return (slope, shift, Fraction(0), Fraction(1)) if isinstance(shift, Fraction) else None
    if slope.rational or len(slope.terms) > 1:
        return None
    square = abs(slope.terms[0])
    gamma = Fraction(sign(slope))
    rational, part = shift, Fraction(0)
    if isinstance(shift, Radical):
        # shift = rational + part*sqrt(square)
        rational = shift.rational
        ratio = (shift - rational) * Radical(Fraction(0), (1 / square,))
        if not isinstance(ratio, Fraction):
            return None
        part = ratio
    return gamma, rational, -part / gamma, 1 / square
