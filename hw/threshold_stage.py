"""Threshold stage: a threshold unit as a stage of a stream."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_bits, frozen_array
from signfold.hw.invert import InvertParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.unit_stage import UnitStageParameters

__all__ = ["ThresholdStageParameters"]


@dataclass(frozen=True, eq=False)
class ThresholdStageParameters(UnitStageParameters):
    """Thresholds between two streams.

    Parameters
    ----------
    unit : ThresholdParameters
        Thresholds and widths.
    positions : int
        Positions of a frame.
    inverted : array of int or None
        1 for each channel whose code is complemented, at the cost of a cycle; None: no channel is. Its table is called
        after the unit's, with `_i`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    unit: ThresholdParameters
    positions: int = 1
    inverted: np.ndarray | None = None

    kind = "thresholds"

    def __post_init__(self):
        if not isinstance(self.unit, ThresholdParameters):
            raise TypeError(f"threshold unit must be ThresholdParameters, not {self.unit!r}")
        super().__post_init__()
        border = self.unit.border
        if border is not None and border.positions != self.positions:
            raise ValueError(f"positions must be {border.positions}, those of the border, not {self.positions!r}")
        if self.inverted is not None:
            inverted = frozen_array("inverted", self.inverted, shape=(self.channels,))
            check_bits("inverted", inverted)
            object.__setattr__(self, "inverted", inverted if inverted.any() else None)

    @property
    def thresholds(self) -> np.ndarray:
        """Thresholds of the unit."""
        return self.unit.thresholds

    @property
    def output_bits(self) -> int:
        """Bits of a code."""
        return self.unit.bits

    @cached_property
    def further(self) -> tuple[InvertParameters, ...]:
        """What complements codes."""
        if self.inverted is None:
            return ()
        return (InvertParameters(f"{self.unit.name}_i", self.lanes, self.unit.bits, self.inverted),)
