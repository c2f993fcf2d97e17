"""Scale unit: fixed-point numbers, or evenly spaced codes, from sums."""

import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_identifier, check_integer, frozen_array
from signfold.hw.rom import RomParameters
from signfold.hw.scale_plan import ScalePlan, scale_plan
from signfold.hw.scale_unit import ScaleUnit
from signfold.hw.sums import LIMIT, GivesSums, SumFormat

__all__ = ["ScaleParameters"]


@dataclass(frozen=True, eq=False)
class ScaleParameters(GivesSums):
    """``y = clip((multiplier[c] * s + offset[c]) >> shift)`` of each sum s; `>>` rounds down.

    Everything that is constant is folded, so that the gateware sees unsigned numbers: of u it takes
    ``(a[c] * u' + b[c]) >> k``, saturates it, and that is what goes out. u' is u, or its complement where the
    multiplier is negative; a has no factor of 2 that all channels share, and is no multiplication where all are powers
    of two: see `plan`. No number on the way can wrap, for any u of `source`.

    Parameters
    ----------
    name : str
        Prefix of the tables' names.
    lanes : int
        Channels side by side.
    source : SumFormat
        How the sums travel.
    multiplier, offset : array of int
        One a channel, of any sign.
    shift : int
        0 to 61.
    low, high : int or None
        What lies beyond becomes this; None: nothing is cut. Both or neither.
    code_bits : int or None
        Codes of so many bits (1 to 8) go out: low and high are 0 and the largest code. None: sums.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or a number exceeds 62 bits on the way; the message names
        the parameter, or the channel.
    """

    name: str
    lanes: int
    source: SumFormat
    multiplier: np.ndarray
    offset: np.ndarray
    shift: int
    low: int | None = None
    high: int | None = None
    code_bits: int | None = None

    def __post_init__(self):
        check_identifier("scale name", self.name)
        check_integer("lanes", self.lanes, minimum=1)
        multiplier = frozen_array("multiplier", self.multiplier, shape=(None,))
        object.__setattr__(self, "multiplier", multiplier)
        object.__setattr__(self, "offset", frozen_array("offset", self.offset, shape=(len(multiplier),)))
        check_integer("shift", self.shift, minimum=0, maximum=61)
        if self.code_bits is not None:
            check_integer("code_bits", self.code_bits, minimum=1, maximum=8)
        limits = self.low, self.high
        if (None in limits) != (limits == (None, None)) or (self.code_bits is not None and limits != (None, None)):
            raise ValueError(f"low and high must both be given or both be None, and be None for codes, not {limits!r}")
        if self.low is not None:
            check_integer("low", self.low, minimum=1 - LIMIT, maximum=LIMIT - 1)
            check_integer("high", self.high, minimum=self.low + 1, maximum=LIMIT - 1)
        for name in ("shift", "low", "high"):
            if getattr(self, name) is not None:
                # NumPy's integers would wrap.
                object.__setattr__(self, name, operator.index(getattr(self, name)))
        self._check_ranges()
        _ = self.plan

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.multiplier)

    @property
    def beats(self) -> int:
        """Beats of a position."""
        return -(-self.channels // self.lanes)

    @property
    def sum_width(self) -> int:
        """Width of an incoming sum."""
        return self.source.bits

    @property
    def limits(self) -> tuple[int | None, int | None]:
        """Lowest and highest y that goes out, None where nothing is cut."""
        return (self.low, self.high) if self.code_bits is None else (0, (1 << self.code_bits) - 1)

    def reached(self, channel: int) -> tuple[int, int]:
        """Return the lowest and the highest y of a channel before it is saturated."""
        factor, offset = int(self.multiplier[channel]), int(self.offset[channel])
        ends = sorted((factor * s + offset) >> self.shift for s in (self.source.low, self.source.high))
        return ends[0], ends[1]

    def _check_ranges(self) -> None:
        """Refuse a channel with a number of more than 62 bits on the way, whichever way its constants are folded."""
        largest = self.source.step << self.source.bits
        for channel in range(self.channels):
            factor, offset = int(self.multiplier[channel]), int(self.offset[channel])
            reach = abs(factor) * (largest + abs(self.source.origin)) + abs(offset)
            cut = max(abs(limit or 0) for limit in self.limits) << self.shift
            if max(reach, cut) >= LIMIT // 4:
                raise ValueError(
                    f"multiplier {factor} and offset {offset} of channel {channel} must not take sums of "
                    f"{self.source.bits} bits, step {self.source.step} and origin {self.source.origin} beyond 60 bits"
                )

    @cached_property
    def output(self) -> SumFormat:
        """Format of what goes out: of the y that can come; a code stands for itself."""
        if self.code_bits is not None:
            return SumFormat(self.code_bits)
        ends = [end for channel in range(self.channels) for end in self.reached(channel)]
        if self.low is not None:
            ends = [min(max(end, self.low), self.high) for end in ends]
        # Sums have origins of at least 0 wherever they come from.
        origin = max(0, -min(ends))
        largest = max(ends) + origin
        return SumFormat(max(1, largest.bit_length()), 1, origin, largest)

    @cached_property
    def plan(self) -> ScalePlan:
        """What the gateware computes."""
        # Shifting by an origin before `>>` is shifting by its multiple.
        folded = self.offset.astype(object) - self.multiplier.astype(object) * self.source.origin
        cut = [None if limit is None else limit + self.origin for limit in self.limits]
        return scale_plan(
            [int(factor) * self.source.step for factor in self.multiplier],
            [int(offset) + (self.origin << self.shift) for offset in folded],
            self.shift,
            self.source,
            (cut[0], cut[1]),
        )

    @property
    def latency(self) -> int:
        """Cycles from a beat of sums to what it becomes: 1 to 3, one each for product, addition and saturation."""
        return self.plan.latency

    @cached_property
    def tables(self) -> dict[str, RomParameters]:
        """Tables by what they hold, `m` (what u is multiplied by) and `o` (offsets), if channels differ in that.

        A word a beat, lane 0 in the low bits; of a lane's word the fields of `ScalePlan.fields`, first ones low.
        """
        tables = {}
        for kind in ("m", "o"):
            fields = [field for field in self.plan.fields if field.table == kind]
            if not fields:
                continue
            width = sum(field.width for field in fields)
            words = [0] * self.beats
            for channel in range(self.channels):
                beat, lane = divmod(channel, self.lanes)
                place = lane * width
                for field in fields:
                    words[beat] |= (field.values[channel] & ((1 << field.width) - 1)) << place
                    place += field.width
            tables[kind] = RomParameters(f"{self.name}_{kind}", self.lanes * width, tuple(words))
        return tables

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""
        return tuple(self.tables.values())

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return what goes out for incoming sums (... x channels)."""
        values = self.source.step * np.asarray(sums, np.int64) - self.source.origin
        values = (values * self.multiplier + self.offset) >> self.shift
        low, high = self.limits
        if low is not None:
            values = np.clip(values, low, high)
        return values + self.origin

    def create(self) -> ScaleUnit:
        """Return the gateware."""
        return ScaleUnit(self)
