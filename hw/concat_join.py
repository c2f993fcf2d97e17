"""Concat join: the channels of several streams one after another, position by position."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.join import Join
from signfold.hw.shapes import beat_layout
from signfold.hw.sums import SumFormat, common_format
from signfold.hw.timing import Beats, Timing

__all__ = ["ConcatJoin", "ConcatJoinParameters"]


@dataclass(frozen=True)
class ConcatJoinParameters(Join):
    """Channels of streams of as many positions, put side by side.

    Sums leave in one format: a factor and a constant a source. Codes of as many bits are formats of step 1 and origin 0
    and leave as they came.

    Parameters
    ----------
    lanes : int
        Sums of a beat, at every input and at the output.
    source_channels : tuple of int
        Channels of each source, at least two; all but the last source's are multiples of the lanes. (Where they are
        not, `signfold.hw.gearbox.gearboxes` takes each source to lanes that divide them.)
    formats : tuple of SumFormat
        How the sums of each source travel.
    positions : int
        Positions of a frame.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    lanes: int
    source_channels: tuple[int, ...]
    formats: tuple[SumFormat, ...]
    positions: int = 1

    kind = "concat"
    #: Cycles from a beat at the input to the same at the output.
    LATENCY = 1

    def __post_init__(self):
        for name in ("lanes", "positions"):
            check_integer(name, getattr(self, name), minimum=1)
        if len(self.formats) < 2:
            raise ValueError(f"formats must be those of at least 2 sources, not of {len(self.formats)}")
        if len(self.source_channels) != len(self.formats):
            raise ValueError(
                f"source_channels must be given for {len(self.formats)} sources, not {len(self.source_channels)}"
            )
        for k, channels in enumerate(self.source_channels):
            check_integer(f"channels of source {k}", channels, minimum=1)
            if channels % self.lanes and k < len(self.formats) - 1:
                raise ValueError(
                    f"channels of source {k} must be a multiple of lanes = {self.lanes}, as of all but the last, "
                    f"not {channels}"
                )
        _ = self.output

    @cached_property
    def output(self) -> SumFormat:
        """Format of the sums that go out."""
        return common_format(self.formats)

    @property
    def channels(self) -> int:
        """Channels of a position."""
        return sum(self.source_channels)

    @property
    def source_beats(self) -> list[int]:
        """Beats of a position of each source."""
        return [-(-channels // self.lanes) for channels in self.source_channels]

    @property
    def beats(self) -> int:
        """Beats of a position."""
        return sum(self.source_beats)

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure: its beats."""
        return self.positions * self.beats

    def compute(self, *sums: np.ndarray) -> np.ndarray:
        """Return the sums as they go out, of those of all sources as they come in (... x channels of the source)."""
        brought = []
        for source, u in zip(self.formats, sums, strict=True):
            factor, constant = source.brought_to(self.output)
            brought.append(factor * np.asarray(u, np.int64) + constant)
        return np.concatenate(brought, axis=-1)

    def timing(self, *sources: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        inputs = [Beats(source) for source in sources]
        emptied = 0
        while True:
            for beats, count in zip(inputs, self.source_beats, strict=True):
                for _ in range(count):
                    emptied = yield beats.take(emptied) + 1

    def create(self) -> "ConcatJoin":
        """Return the gateware."""
        return ConcatJoin(self)


class ConcatJoin(wiring.Component):
    """Pass on a packet of each source in turn, as one packet.

    Latency 1 cycle, throughput one beat a cycle. Nothing is counted: a source's turn ends with its `last`, so that a
    packet that is too short makes one packet shorter and no other.

    Parameters
    ----------
    parameters : ConcatJoinParameters
        Channels and formats.

    Members
    -------
    i0, i1, ... : In(stream of beat_layout(lanes, bits of the source's format))
        Sums, unsigned, a packet a position; lanes past the last source's channels of any value.
    o : Out(stream of beat_layout(lanes, output_bits))
        Sums, unsigned, of all channels; lanes past the last one hold 0.
    """

    def __init__(self, parameters: ConcatJoinParameters):
        self.parameters = p = parameters
        inputs = {f"i{k}": In(stream.Signature(beat_layout(p.lanes, f.bits))) for k, f in enumerate(p.formats)}
        super().__init__(inputs | {"o": Out(stream.Signature(beat_layout(p.lanes, p.output_bits)))})

    @property
    def inputs(self) -> list[Any]:
        """The streams `i0`, `i1`, ..., in order."""
        return [getattr(self, f"i{k}") for k in range(len(self.parameters.formats))]

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        move, valid, last = Signal(), Signal(), Signal()
        final = len(p.formats) - 1
        turn = Signal(range(final + 1))
        codes = [Signal(p.output_bits, name=f"code_{lane}") for lane in range(p.lanes)]
        m.d.comb += move.eq(~self.o.valid | self.o.ready)
        with m.Switch(turn):
            for k, (source, each) in enumerate(zip(self.inputs, p.formats, strict=True)):
                factor, constant = each.brought_to(p.output)
                # A turn of no source, which never comes, goes on like the last one's.
                with m.Case(k) if k < final else m.Default():
                    m.d.comb += [source.ready.eq(move), valid.eq(source.valid), last.eq(source.payload.last)]
                    for lane in range(p.lanes):
                        m.d.comb += codes[lane].eq(factor * source.payload.codes[lane] + constant)
                        if k == final and lane > (p.source_channels[k] - 1) % p.lanes:
                            with m.If(source.payload.last):
                                m.d.comb += codes[lane].eq(0)
        with m.If(move):
            m.d.sync += [
                self.o.valid.eq(valid),
                self.o.payload.last.eq(last & (turn >= final)),
                *(self.o.payload.codes[lane].eq(code) for lane, code in enumerate(codes)),
            ]
            with m.If(valid & last):
                m.d.sync += turn.eq(Mux(turn >= final, 0, turn + 1))
        return m
