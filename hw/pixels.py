"""Pixel stage: makes whole frames of whatever comes in, and compares the input codes with thresholds."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer, frozen_array
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.timing import Scheduled, Timing, register

__all__ = ["PixelParameters", "PixelStage"]


@dataclass(frozen=True, eq=False)
class PixelParameters(Scheduled):
    """The input of a network: its size, and integer thresholds on it.

    Parameters
    ----------
    elements : int
        Codes of a frame.
    bits : int
        Width of an input code, unsigned.
    thresholds : array of int or None
        One for all elements or one each, in the order of the stream (shape (1, 1) or (elements, 1)), in 0 .. 2**bits;
        the output bit is 1 where the code is at least the threshold. None: the codes pass as they are.
    lanes : int
        Codes of a beat, at input and output. Divides the codes of a position where there are several.
    positions : int
        Positions of a frame, a packet each at the output; divides `elements`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    elements: int
    bits: int
    thresholds: np.ndarray | None
    lanes: int = 1
    positions: int = 1

    #: Cycles from a beat at the input to its bits at the output.
    LATENCY = 1

    def __post_init__(self):
        check_integer("elements", self.elements, minimum=1)
        check_integer("input bits", self.bits, minimum=1, maximum=16)
        check_integer("input lanes", self.lanes, minimum=1)
        check_integer("positions", self.positions, minimum=1)
        if self.elements % self.positions:
            raise ValueError(f"positions must divide elements = {self.elements}, not {self.positions!r}")
        if self.positions > 1 and self.channels % self.lanes:
            raise ValueError(f"input lanes must divide {self.channels}, the codes of a position, not {self.lanes!r}")
        if self.thresholds is None:
            return
        thresholds = frozen_array("pixel thresholds", self.thresholds, shape=(None, 1))
        if len(thresholds) not in (1, self.elements):
            raise ValueError(f"pixel thresholds must be 1 or elements = {self.elements}, not {len(thresholds)!r}")
        most = 1 << self.bits
        if (thresholds < 0).any() or (thresholds > most).any():
            bad = thresholds[(thresholds < 0) | (thresholds > most)][0]
            raise ValueError(f"pixel thresholds must be integers from 0 to {most}, not {int(bad)!r}")
        object.__setattr__(self, "thresholds", thresholds)

    @property
    def channels(self) -> int:
        """Codes of a position."""
        return self.elements // self.positions

    @property
    def output_bits(self) -> int:
        """Width of an output code."""
        return self.bits if self.thresholds is None else 1

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        return -(-self.elements // self.lanes)

    @property
    def final_lanes(self) -> int:
        """Lanes of the final beat that hold codes of the frame."""
        return self.elements - (self.beats - 1) * self.lanes

    @cached_property
    def rom(self) -> RomParameters | None:
        """Table of the thresholds, a word a beat, lane 0 in the low bits; None unless each element has its own."""
        if self.thresholds is None or len(self.thresholds) == 1:
            return None
        words = []
        for beat in range(self.beats):
            values = self.thresholds[beat * self.lanes : (beat + 1) * self.lanes, 0]
            words.append(sum(int(value) << (lane * (self.bits + 1)) for lane, value in enumerate(values)))
        return RomParameters("pixels_t", self.lanes * (self.bits + 1), tuple(words))

    def compute(self, frames: np.ndarray) -> np.ndarray:
        """Return the output codes (frames x elements) of the input codes (frames x elements)."""
        if self.thresholds is None:
            return np.asarray(frames, np.int64)
        return (np.asarray(frames)[..., None] >= self.thresholds).sum(axis=-1)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available, for whole frames; see `signfold.hw.timing`."""
        return register(source)

    def create(self) -> "PixelStage":
        """Return the gateware."""
        return PixelStage(self)


class _State(enum.Enum):
    FRAME = 0
    FILL = 1
    DROP = 2


class PixelStage(wiring.Component):
    """Turn packets of codes into whole frames, of bits where there are thresholds.

    Latency 1 cycle, throughput one beat a cycle. Every packet makes exactly one frame: one that ends early (`last`
    before the frame's final beat) is filled up with codes 0, of one that is too long the surplus is dropped. At the
    output `last` ends each position.

    Parameters
    ----------
    parameters : PixelParameters
        Frame size and thresholds.

    Members
    -------
    i : In(stream of beat_layout(lanes, bits))
        Packets of codes.
    o : Out(stream of beat_layout(lanes, output_bits))
        Positions of codes; lanes past the end of a frame hold 0.
    """

    def __init__(self, parameters: PixelParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.lanes, p.bits))),
                "o": Out(stream.Signature(beat_layout(p.lanes, p.output_bits))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        beat, following = Signal(range(p.beats)), Signal(range(p.beats))
        state = Signal(_State)
        final, room, put = Signal(), Signal(), Signal()
        # In the first cycle after reset the table has not been read yet.
        primed = Signal(init=p.rom is None)
        m.d.sync += primed.eq(1)
        m.d.comb += [
            final.eq(beat == p.beats - 1),
            room.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq((state == _State.DROP) | ((state == _State.FRAME) & room & primed)),
            put.eq(room & ((state == _State.FILL) | ((state == _State.FRAME) & self.i.valid & primed))),
            following.eq(Mux(put, Mux(final, 0, beat + 1), beat)),
        ]
        m.d.sync += beat.eq(following)

        ends = final
        if p.positions > 1:
            part = Signal(range(p.beats // p.positions))
            ends = part == p.beats // p.positions - 1
            with m.If(put):
                m.d.sync += part.eq(Mux(ends, 0, part + 1))

        thresholds = Signal(data.ArrayLayout(unsigned(p.bits + 1), p.lanes))
        if p.rom is None and p.thresholds is not None:
            m.d.comb += [threshold.eq(int(p.thresholds[0, 0])) for threshold in thresholds]
        elif p.rom is not None:
            m.submodules[p.rom.name] = rom = p.rom.create()
            # Read one beat ahead, which hides the table's latency.
            m.d.comb += [rom.address.eq(following), thresholds.as_value().eq(rom.data)]

        with m.If(room):
            m.d.sync += [self.o.valid.eq(put), self.o.payload.last.eq(ends)]
            for lane in range(p.lanes):
                code = Mux(state == _State.FILL, 0, self.i.payload.codes[lane])
                if p.thresholds is not None:
                    code = code >= thresholds[lane]
                if lane >= p.final_lanes:
                    code = Mux(final, 0, code)
                m.d.sync += self.o.payload.codes[lane].eq(code)

        with m.Switch(state):
            with m.Case(_State.FRAME):
                with m.If(put & ~final & self.i.payload.last):
                    m.d.sync += state.eq(_State.FILL)
                with m.If(put & final & ~self.i.payload.last):
                    m.d.sync += state.eq(_State.DROP)
            with m.Case(_State.FILL):
                with m.If(put & final):
                    m.d.sync += state.eq(_State.FRAME)
            with m.Case(_State.DROP):
                with m.If(self.i.valid & self.i.payload.last):
                    m.d.sync += state.eq(_State.FRAME)
        return m
