"""Thresholds: codes from sums or pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import Unary, own
from signfold.sw.network.types import ValueType, shown

__all__ = ["Threshold"]


@dataclass(frozen=True, eq=False)
class Threshold(Unary):
    """Codes from sums, pixels or codes: ``code = number of thresholds <= value``.

    Parameters
    ----------
    thresholds : numpy.ndarray
        int64 ``[channels, levels]``, or ``[1, levels]`` for all channels alike; non-decreasing along the levels, 1 to
        255 levels. One level gives a bit. Canonical: each threshold is an attainable value of what the node reads
        (``low`` fires always) or one step past the highest (never fires); after a dense layer of fan-in n on bits that
        is ``2*t - n`` with t from 0 to n + 1, on pixels 0 to ``2**bits``.
    inverted : numpy.ndarray or None
        bool, one a row of `thresholds`; where true, ``code = levels - number of thresholds <= value``. It serves sums
        that were pooled before a negative scale; elsewhere the weights of such a channel are flipped. All false
        becomes None.
    """

    op: ClassVar[str] = "threshold"

    thresholds: np.ndarray
    inverted: np.ndarray | None = None

    def _check(self) -> None:
        thresholds = own(self.name, "thresholds", self.thresholds, "int64", 2)
        if thresholds.shape[1] > 255:
            raise NetworkError(f"node {shown(self.name)}: {thresholds.shape[1]} levels, at most 255 are possible")
        falling = np.argwhere(thresholds[:, 1:] < thresholds[:, :-1])
        if len(falling):
            channel = int(falling[0, 0])
            raise NetworkError(
                f"node {shown(self.name)}: thresholds of channel {channel} must not decrease: "
                f"{shown(thresholds[channel].tolist())}"
            )
        object.__setattr__(self, "thresholds", thresholds)
        if self.inverted is not None:
            inverted = own(self.name, "inverted", self.inverted, "bool", 1)
            if len(inverted) != len(thresholds):
                raise NetworkError(
                    f"node {shown(self.name)}: inverted for {len(inverted)} channels must have as many as thresholds, "
                    f"{len(thresholds)}"
                )
            object.__setattr__(self, "inverted", inverted if inverted.any() else None)

    @property
    def levels(self) -> int:
        """Thresholds a channel; codes are 0 to `levels`."""
        return self.thresholds.shape[1]

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        channels = len(self.thresholds)
        if channels not in (1, value.shape[0]):
            raise NetworkError(
                f"node {shown(self.name)}: thresholds for {channels} channels, but its input "
                f"{shown(self.input)} has {value.shape[0]}"
            )
        beyond = value.high + value.step
        # A step divides 2**64, so the wrap-around of the subtraction cannot hide a remainder or make one.
        wrong = (self.thresholds < value.low) | (self.thresholds > beyond)
        wrong |= (self.thresholds - value.low) % value.step != 0
        if wrong.any():
            channel, level = (int(index) for index in np.argwhere(wrong)[0])
            raise NetworkError(
                f"node {shown(self.name)}: threshold {int(self.thresholds[channel, level])} of channel {channel} must "
                f"be one of {value.low}, {value.low + value.step}, ..., {beyond}"
            )
        return ValueType("code", value.shape, 0, self.levels, 1)
