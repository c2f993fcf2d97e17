"""Invert unit: complements the codes of some channels."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring

from signfold.hw.beat_address import BeatAddressParameters
from signfold.hw.check import check_bits, check_integer, frozen_array
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import unit_members

__all__ = ["InvertParameters", "InvertUnit"]


@dataclass(frozen=True, eq=False)
class InvertParameters:
    """Channels whose codes q of k bits become 2**k - 1 - q.

    Parameters
    ----------
    name : str
        Name of the table.
    lanes : int
        Channels side by side.
    bits : int
        Width of a code.
    inverted : array of int
        1 for each channel to complement, else 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    name: str
    lanes: int
    bits: int
    inverted: np.ndarray

    #: Cycles from a beat to its complement.
    latency = 1

    def __post_init__(self):
        check_integer("lanes", self.lanes, minimum=1)
        check_integer("bits", self.bits, minimum=1)
        inverted = frozen_array("inverted", self.inverted, shape=(None,))
        check_bits("inverted", inverted)
        object.__setattr__(self, "inverted", inverted)

    @property
    def beats(self) -> int:
        """Beats of a position."""
        return -(-len(self.inverted) // self.lanes)

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """The table: a word a beat, a bit a lane."""
        padded = np.zeros(self.beats * self.lanes, np.int64)
        padded[: len(self.inverted)] = self.inverted
        words = [sum(bit << lane for lane, bit in enumerate(beat)) for beat in padded.reshape(-1, self.lanes).tolist()]
        return (RomParameters(self.name, self.lanes, tuple(words)),)

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return the codes (... x channels), complemented where the channel is inverted."""
        codes = np.asarray(codes)
        return np.where(self.inverted, (1 << self.bits) - 1 - codes, codes)

    def create(self) -> "InvertUnit":
        """Return the gateware."""
        return InvertUnit(self)


class InvertUnit(wiring.Component):
    """Complement codes, beat by beat in channel order.

    Latency 1 cycle, throughput one beat a cycle, no flow control. Beats are counted from reset. The first beat may come
    no sooner than the second cycle after reset.

    Parameters
    ----------
    parameters : InvertParameters
        Channels and widths.

    Members
    -------
    sums : In(array of lanes codes)
        Codes of a beat.
    valid : In(1)
        A beat is there.
    codes : Out(array of lanes codes)
        Codes of the beat of the cycle before.
    known : Out(1)
        A beat was there in the cycle before.
    """

    def __init__(self, parameters: InvertParameters):
        self.parameters = p = parameters
        super().__init__(unit_members(p.lanes, p.bits, p.bits))

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        (table,) = p.roms
        m.submodules[table.name] = rom = table.create()
        m.submodules.beat_address = address = BeatAddressParameters(p.beats, None).create()
        # The table is read one beat ahead, which hides its latency.
        m.d.comb += [address.step.eq(self.valid), rom.address.eq(address.following)]
        m.d.sync += self.known.eq(self.valid)
        for lane in range(p.lanes):
            m.d.sync += self.codes[lane].eq(self.sums[lane] ^ rom.data[lane].replicate(p.bits))
        return m
