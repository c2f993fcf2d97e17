"""Correction: adds to each sum what the padding of its window left out, where sums go out raw."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from signfold.hw.beat_address import BeatAddressParameters
from signfold.hw.border import BorderClasses
from signfold.hw.check import check_integer, frozen_array
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import unit_members

__all__ = ["CorrectionParameters", "CorrectionUnit"]


@dataclass(frozen=True, eq=False)
class CorrectionParameters:
    """Sums of a convolution whose padding was computed as code 0, made those of its real padding.

    A position's channels make a packet of `beats`. (Thresholds absorb such corrections: this is for layers without.)

    Parameters
    ----------
    name : str
        Name of the table.
    lanes : int
        Channels corrected side by side.
    sum_width : int
        Width of an incoming sum u, unsigned.
    corrections : array of int
        Classes x channels, at least 0: the outgoing sum is factor * u + correction.
    factor : int
        1 or 2.
    border : BorderClasses or None
        Class of each position of a frame; None where there is one class only.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    lanes: int
    sum_width: int
    corrections: np.ndarray
    factor: int = 1
    border: BorderClasses | None = None

    def __post_init__(self):
        check_integer("correction lanes", self.lanes, minimum=1)
        check_integer("sum width", self.sum_width, minimum=1)
        check_integer("correction factor", self.factor, minimum=1, maximum=2)
        address = BeatAddressParameters(1, self.border)
        corrections = frozen_array("corrections", self.corrections, shape=(address.classes, None))
        if (corrections < 0).any():
            raise ValueError(f"corrections must be at least 0, not {int(corrections.min())!r}")
        object.__setattr__(self, "corrections", corrections)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.corrections.shape[1]

    @property
    def beats(self) -> int:
        """Beats of a position."""
        return -(-self.channels // self.lanes)

    @property
    def final_lanes(self) -> int:
        """Lanes of a position's final beat that hold channels."""
        return self.channels - (self.beats - 1) * self.lanes

    @property
    def address(self) -> BeatAddressParameters:
        """Parameters of the table's addresses."""
        return BeatAddressParameters(self.beats, self.border)

    @property
    def latency(self) -> int:
        """Cycles from a beat of sums to the corrected one."""
        return 1

    @property
    def correction_width(self) -> int:
        """Bits of a stored correction."""
        return max(1, int(self.corrections.max()).bit_length())

    @property
    def output_width(self) -> int:
        """Width of an outgoing sum, unsigned: holds the largest one."""
        return (self.factor * ((1 << self.sum_width) - 1) + int(self.corrections.max())).bit_length()

    @cached_property
    def rom(self) -> RomParameters:
        """The corrections as a table: a word a beat, class by class, lane 0 in the low bits."""
        padded = np.pad(self.corrections, [(0, 0), (0, self.beats * self.lanes - self.channels)])
        words = []
        for beat in padded.reshape(-1, self.lanes).tolist():
            words.append(sum(value << (lane * self.correction_width) for lane, value in enumerate(beat)))
        return RomParameters(self.name, self.lanes * self.correction_width, tuple(words))

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""
        return (self.rom,)

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return the corrected sums (... x channels; with classes ... x positions x channels)."""
        sequence = self.address.sequence
        return self.factor * np.asarray(sums, np.int64) + self.corrections[list(sequence) if len(sequence) > 1 else 0]

    def create(self) -> "CorrectionUnit":
        """Return the gateware."""
        return CorrectionUnit(self)


class CorrectionUnit(wiring.Component):
    """Correct the sums of positions, beat by beat in channel order. The ports are those of the threshold unit.

    Latency 1 cycle, throughput one beat a cycle, no flow control. Beats are counted: the first beat after reset is the
    first of a frame. The first beat may come no sooner than the second cycle after reset.

    Parameters
    ----------
    parameters : CorrectionParameters
        Corrections and widths.

    Members
    -------
    sums : In(array of lanes sums)
        Sums of a beat.
    valid : In(1)
        A beat is there.
    codes : Out(array of lanes sums of output_width bits)
        Corrected sums of the beat of the cycle before; 0 in lanes without a channel.
    known : Out(1)
        A beat was there in the cycle before.
    """

    def __init__(self, parameters: CorrectionParameters):
        self.parameters = p = parameters
        super().__init__(unit_members(p.lanes, p.sum_width, p.output_width))

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules[p.rom.name] = rom = p.rom.create()
        m.submodules.beat_address = address = p.address.create()
        # The table is read one beat ahead, which hides its latency.
        m.d.comb += [address.step.eq(self.valid), rom.address.eq(address.following)]
        m.d.sync += self.known.eq(self.valid)
        for lane in range(p.lanes):
            total = Signal(p.output_width, name=f"total_{lane}")
            m.d.comb += total.eq(p.factor * self.sums[lane] + rom.data.word_select(lane, p.correction_width))
            m.d.sync += self.codes[lane].eq(total)
            if lane >= p.final_lanes:
                with m.If(address.final):
                    m.d.sync += self.codes[lane].eq(0)
        return m
