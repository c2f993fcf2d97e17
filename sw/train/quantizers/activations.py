"""Activations of several levels."""

from dataclasses import dataclass

import torch

from signfold.sw.train.estimators import replace_through, round_through

__all__ = ["CodeActivation", "CoupledTernary"]


@dataclass(frozen=True)
class CodeActivation:
    """k bits (DoReFa, arXiv:1606.06160), halves to the even code; the gradient passes inside the clip, edges included.

    Unsigned: clip to [0, 1], code round(x * (2**k - 1)), value code/(2**k - 1). Signed: clip to [-1, 1], code
    round((x + 1)/2 * (2**k - 1)), value (2 * code - (2**k - 1))/(2**k - 1). One unsigned bit is 1 where x > 1/2.

    Parameters
    ----------
    bits : int
        Width of a code, k.
    signed : bool
        Whether codes stand for -1..1 instead of 0..1.
    """

    bits: int
    signed: bool = False

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Round float32 values of any shape."""
        top = float((1 << self.bits) - 1)
        if self.signed:
            unit = (x.clamp(-1.0, 1.0) + 1) / 2
            return (2 * round_through(unit * top) - top) / top
        return round_through(x.clamp(0.0, 1.0) * top) / top

    def relaxed(self, x: torch.Tensor) -> torch.Tensor:
        """Clip without rounding."""
        return x.clamp(-1.0 if self.signed else 0.0, 1.0)


@dataclass(frozen=True)
class CoupledTernary:
    """0, 1/2 or 1: clip to [0, 1] and round to halves (BinaryDuo's coupled activation, arXiv:2002.06517).

    x of exactly 1/4 and 3/4 become 0 and 1/2: down, as one bit does at 1/2. So the value is the mean of one bit of
    x + 1/4 and one bit of x - 1/4, the decoupled pair, for every real x. The gradient passes inside the clip, edges
    included.
    """

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Round float32 values of any shape."""
        clipped = x.clamp(0.0, 1.0)
        known = x.detach()
        return replace_through(clipped, ((known > 0.25).to(x.dtype) + (known > 0.75).to(x.dtype)) / 2)

    def relaxed(self, x: torch.Tensor) -> torch.Tensor:
        """Clip without rounding."""
        return x.clamp(0.0, 1.0)
