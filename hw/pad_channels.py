"""Channel padding: channels of zeros before and after a position's own."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stage import Stage
from signfold.hw.sums import GivesSums, SumFormat, common_format
from signfold.hw.timing import Beats, Timing

__all__ = ["PadChannels", "PadChannelsParameters"]


@dataclass(frozen=True)
class PadChannelsParameters(GivesSums, Stage):
    """Sums with channels of 0 around them.

    Parameters
    ----------
    lanes : int
        Sums of a beat.
    input_channels : int
        A position's own channels; a multiple of the lanes if any come after them.
    before, after : int
        Channels of 0, not both 0; `before` is a multiple of the lanes.
    source : SumFormat
        How its sums travel.
    positions : int
        Positions of a frame.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    lanes: int
    input_channels: int
    before: int
    after: int
    source: SumFormat
    positions: int = 1

    kind = "padding"
    thresholds = None
    #: Cycles from a beat at the input to the same at the output, once the channels before it are out.
    LATENCY = 1

    def __post_init__(self):
        for name in ("lanes", "input_channels", "positions"):
            check_integer(name, getattr(self, name), minimum=1)
        for name in ("before", "after"):
            check_integer(name, getattr(self, name), minimum=0)
        if not self.before + self.after:
            raise ValueError("before and after must not both be 0")
        for name, applies in (("before", True), ("input_channels", self.after > 0)):
            if applies and getattr(self, name) % self.lanes:
                raise ValueError(f"{name} must be a multiple of lanes = {self.lanes}, not {getattr(self, name)!r}")
        _ = self.output

    @cached_property
    def output(self) -> SumFormat:
        """Format of the sums that go out: that of the source, wider only where it does not hold 0."""
        return common_format((self.source, SumFormat(1, self.source.step, 0, 0)))

    @property
    def zero(self) -> int:
        """The u that stands for 0."""
        return self.origin // self.output_step

    @property
    def channels(self) -> int:
        """Channels of a position that goes out."""
        return self.before + self.input_channels + self.after

    @property
    def input_elements(self) -> int:
        """Sums of a frame at the input."""
        return self.positions * self.input_channels

    @property
    def input_lanes(self) -> int:
        """Sums of an input beat."""
        return self.lanes

    @property
    def input_bits(self) -> int:
        """Bits of an incoming sum."""
        return self.source.bits

    @property
    def beats(self) -> tuple[int, int, int]:
        """Beats of a position: before its own, its own, after them."""
        return tuple(-(-count // self.lanes) for count in (self.before, self.input_channels, self.after))

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure: its beats."""
        return self.positions * sum(self.beats)

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables: none."""
        return ()

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return the sums as they go out, frames x positions x channels: see `Stage`."""
        factor, constant = self.source.brought_to(self.output)
        sums = np.asarray(sums, np.int64)
        own = factor * sums.reshape(len(sums), -1, self.input_channels) + constant
        return np.pad(own, [(0, 0), (0, 0), (self.before, self.after)], constant_values=self.zero)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        beats, emptied = Beats(source), 0
        before, own, after = self.beats
        while True:
            emptied = max(beats.available(), emptied)
            for _ in range(before):
                emptied = yield emptied + 1
            for _ in range(own):
                emptied = yield beats.take(emptied) + 1
            for _ in range(after):
                emptied = yield emptied + 1

    def create(self) -> "PadChannels":
        """Return the gateware."""
        return PadChannels(self)


class PadChannels(wiring.Component):
    """Put beats of zeros around the packets of a stream.

    Those before a packet go out when its first beat is offered, so that nothing stands at the output for a position
    that does not come. Latency 1 cycle, throughput one output beat a cycle. A packet's own beats are not counted: they
    end with `last`, so that one that is too short makes one packet shorter and no other.

    Parameters
    ----------
    parameters : PadChannelsParameters
        Channels and format.

    Members
    -------
    i : In(stream of beat_layout(lanes, input_bits))
        Sums, unsigned, a packet a position; lanes past the last channel of any value.
    o : Out(stream of beat_layout(lanes, output_bits))
        Sums, unsigned, with zeros around them; lanes past the last channel hold 0, the number.
    """

    def __init__(self, parameters: PadChannelsParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.lanes, p.input_bits))),
                "o": Out(stream.Signature(beat_layout(p.lanes, p.output_bits))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        before, _, after = p.beats
        factor, constant = p.source.brought_to(p.output)
        # Place in a packet; all beats of the source's own are one place.
        place = Signal(range(before + 1 + after))
        move, own, put, done = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            move.eq(~self.o.valid | self.o.ready),
            own.eq(place == before),
            self.i.ready.eq(move & own),
            put.eq(self.i.valid | (place > before)),
            # A place past the last, which never comes, would end the packet as well.
            done.eq(place >= before + after),
        ]
        with m.If(move):
            m.d.sync += [
                self.o.valid.eq(put),
                self.o.payload.last.eq(done & (self.i.payload.last | ~own)),
            ]
            with m.If(put & (self.i.payload.last | ~own)):
                m.d.sync += place.eq(Mux(done, 0, place + 1))
            for lane in range(p.lanes):
                code = Signal(p.output_bits, name=f"code_{lane}")
                m.d.comb += code.eq(Mux(own, factor * self.i.payload.codes[lane] + constant, p.zero))
                if lane > (p.channels - 1) % p.lanes:
                    with m.If(done & (self.i.payload.last | ~own)):
                        m.d.comb += code.eq(0)
                m.d.sync += self.o.payload.codes[lane].eq(code)
        return m
