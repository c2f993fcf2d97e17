"""Add join: sums of several streams, added element by element."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.join import Join
from signfold.hw.shapes import beat_layout
from signfold.hw.sums import SumFormat, added_format
from signfold.hw.timing import Timing, register, together

__all__ = ["AddJoin", "AddJoinParameters"]


@dataclass(frozen=True)
class AddJoinParameters(Join):
    """Sums of streams of equal geometry, added.

    Parameters
    ----------
    lanes : int
        Sums of a beat, at every input and at the output.
    channels : int
        Channels of a position; need not be a multiple of the lanes.
    formats : tuple of SumFormat
        How the sums of each source travel, at least two; steps, origins and widths may differ.
    positions : int
        Positions of a frame.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    lanes: int
    channels: int
    formats: tuple[SumFormat, ...]
    positions: int = 1

    kind = "add"
    #: Cycles from the last source's beat to the sum.
    LATENCY = 1

    def __post_init__(self):
        for name in ("lanes", "channels", "positions"):
            check_integer(name, getattr(self, name), minimum=1)
        if len(self.formats) < 2:
            raise ValueError(f"formats must be those of at least 2 sources, not of {len(self.formats)}")
        _ = self.output

    @cached_property
    def output(self) -> SumFormat:
        """Format of the sums that go out: what it counts from is what all count from together."""
        return added_format(self.formats)

    @property
    def factors(self) -> list[int]:
        """What each source's u is worth in the u that goes out."""
        return [source.step // self.output.step for source in self.formats]

    @property
    def source_channels(self) -> tuple[int, ...]:
        """Channels of a position of each source: those of the output."""
        return (self.channels,) * len(self.formats)

    @property
    def beats(self) -> int:
        """Beats of a position."""
        return -(-self.channels // self.lanes)

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure: its beats."""
        return self.positions * self.beats

    def compute(self, *sums: np.ndarray) -> np.ndarray:
        """Return the sums as they go out, of those of all sources as they come in (arrays of one shape)."""
        return sum(factor * np.asarray(u, np.int64) for factor, u in zip(self.factors, sums, strict=True))

    def timing(self, *sources: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        return register(together(sources))

    def create(self) -> "AddJoin":
        """Return the gateware."""
        return AddJoin(self)


class AddJoin(wiring.Component):
    """Add beats as they come, one of each source.

    Latency 1 cycle, throughput one beat a cycle. Beats are taken together, so each source's `ready` waits for the other
    sources' `valid`; nothing is counted: `last` is that of the first source, and of all others the same.

    Parameters
    ----------
    parameters : AddJoinParameters
        Widths.

    Members
    -------
    i0, i1, ... : In(stream of beat_layout(lanes, bits of the source's format))
        Sums, unsigned, in channel order; lanes past the last channel of any value.
    o : Out(stream of beat_layout(lanes, output_bits))
        Their sum, unsigned; lanes past the last channel hold 0.
    """

    def __init__(self, parameters: AddJoinParameters):
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
        inputs = self.inputs
        move = Signal()
        m.d.comb += move.eq(~self.o.valid | self.o.ready)
        there = Signal(len(inputs))
        for k, source in enumerate(inputs):
            others = Signal(name=f"others_{k}")
            m.d.comb += [
                there[k].eq(source.valid),
                others.eq((there | (1 << k)).all()),
                source.ready.eq(move & others),
            ]
        with m.If(move):
            m.d.sync += [self.o.valid.eq(there.all()), self.o.payload.last.eq(inputs[0].payload.last)]
            for lane in range(p.lanes):
                total = Signal(p.output_bits, name=f"total_{lane}")
                terms = zip(p.factors, inputs, strict=True)
                m.d.comb += total.eq(sum(factor * source.payload.codes[lane] for factor, source in terms))
                m.d.sync += self.o.payload.codes[lane].eq(total)
                if lane > (p.channels - 1) % p.lanes:
                    with m.If(inputs[0].payload.last):
                        m.d.sync += self.o.payload.codes[lane].eq(0)
        return m
