"""Real values that integers of a network carry, and what is still to be done to them."""

from dataclasses import dataclass, replace
from fractions import Fraction

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.meaning import Meaning

__all__ = ["Carried"]


@dataclass(frozen=True, eq=False)
class Carried:
    """A real value carried by integers: those of a node, what they stand for, and what is still to be done to that.

    Parameters
    ----------
    source : str
        Node that gives the integers, or ``"input"``.
    meaning : Meaning
        What they (of codes, the v) stand for.
    norm : BatchNorm or None
        Normalization of that.
    low, high : Fraction or None
        Clips after it.
    """

    source: str
    meaning: Meaning
    norm: BatchNorm | None = None
    low: Fraction | None = None
    high: Fraction | None = None

    @property
    def clipped(self) -> bool:
        """Whether a clip is still to be done."""
        return self.low is not None or self.high is not None

    @property
    def plain(self) -> bool:
        """Whether nothing is left to be done."""
        return self.norm is None and not self.clipped

    def cut(self, low: Fraction | None, high: Fraction | None) -> "Carried":
        """Return the value with one more clip: a second one lies within the first, or cuts on."""
        lowest, highest = self.low, self.high
        if low is not None:
            lowest = low if lowest is None else max(lowest, low)
            highest = None if highest is None else max(highest, low)
        if high is not None:
            highest = high if highest is None else min(highest, high)
            lowest = None if lowest is None else min(lowest, high)
        return replace(self, low=lowest, high=highest)
