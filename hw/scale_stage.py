"""Scale stage: a scale unit as a stage of a stream."""

from dataclasses import dataclass

import numpy as np

from signfold.hw.scale import ScaleParameters
from signfold.hw.sums import GivesSums, SumFormat
from signfold.hw.unit_stage import UnitStageParameters

__all__ = ["ScaleStageParameters"]


@dataclass(frozen=True, eq=False)
class ScaleStageParameters(GivesSums, UnitStageParameters):
    """Scales between two streams.

    Parameters
    ----------
    unit : ScaleParameters
        Scales and widths.
    positions : int
        Positions of a frame.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    unit: ScaleParameters
    positions: int = 1

    kind = "scale"

    def __post_init__(self):
        if not isinstance(self.unit, ScaleParameters):
            raise TypeError(f"scale unit must be ScaleParameters, not {self.unit!r}")
        super().__post_init__()

    @property
    def output(self) -> SumFormat:
        """Format of what goes out."""
        return self.unit.output

    @property
    def thresholds(self) -> np.ndarray | None:
        """What codes come of, the multipliers; None where sums go out."""
        return None if self.unit.code_bits is None else self.unit.multiplier
