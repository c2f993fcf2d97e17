"""Scores with a scale and an offset a class."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import MAX_SUM, Unary, own
from signfold.sw.network.types import ValueType, is_int, shown

__all__ = ["Affine"]


@dataclass(frozen=True, eq=False)
class Affine(Unary):
    """Scores with a scale and an offset a class: ``score[c] = scale[c]*s[c] + offset[c]``, integers ``[channels]``.

    Parameters
    ----------
    scale, offset : numpy.ndarray
        int64 ``[channels]``.
    fraction : int
        Fraction bits, 0 to 62: a score stands for ``score / 2**fraction``. It does not enter the arithmetic.
    """

    op: ClassVar[str] = "affine"

    scale: np.ndarray
    offset: np.ndarray
    fraction: int

    def _check(self) -> None:
        for what in ("scale", "offset"):
            object.__setattr__(self, what, own(self.name, what, getattr(self, what), "int64", 1))
        if self.scale.shape != self.offset.shape:
            raise NetworkError(
                f"node {shown(self.name)}: scale has {len(self.scale)} channels and offset {len(self.offset)}"
            )
        if not is_int(self.fraction) or not 0 <= self.fraction <= 62:
            raise NetworkError(
                f"node {shown(self.name)}: fraction must be an integer from 0 to 62, not {shown(self.fraction)}"
            )

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        if value.kind != "sum" or value.shape not in ((len(self.scale),), (len(self.scale), 1, 1)):
            raise NetworkError(
                f"node {shown(self.name)}: {len(self.scale)} channels must read as many sums, a vector or one "
                f"position of an image, but {shown(self.input)} gives {value.kind}s of shape {value.shape}"
            )
        low = high = None
        for channel, (scale, offset) in enumerate(zip(self.scale.tolist(), self.offset.tolist(), strict=True)):
            ends = sorted((scale * value.low + offset, scale * value.high + offset))
            if ends[0] <= -MAX_SUM or ends[1] >= MAX_SUM:
                raise NetworkError(
                    f"node {shown(self.name)}: scale {scale} and offset {offset} of channel {channel} exceed 62 bits"
                )
            low = ends[0] if low is None else min(low, ends[0])
            high = ends[1] if high is None else max(high, ends[1])
        return ValueType("sum", (len(self.scale),), low, high, 1)
