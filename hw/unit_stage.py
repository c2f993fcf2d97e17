"""Units that beats go through without flow control, as a stage of a stream."""

from abc import abstractmethod
from collections import deque
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stage import Stage
from signfold.hw.stream import QueueParameters
from signfold.hw.timing import Beats, Timing

__all__ = ["UnitStage", "UnitStageParameters"]


class UnitStageParameters(Stage):
    """Base of stages that are a unit, such as `signfold.hw.threshold`, between two streams.

    A unit has the ports of `signfold.hw.shapes.unit_members`, and `last` (In) where it asks for that. `unit` and
    `positions` are the first two parameters; further units may follow the first.
    """

    unit: Any
    positions: int

    def __post_init__(self):
        check_integer("positions", self.positions, minimum=1)

    @property
    def further(self) -> tuple[Any, ...]:
        """Units behind the first, by order."""
        return ()

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.unit.channels

    @property
    def input_elements(self) -> int:
        """Sums of a frame."""
        return self.positions * self.channels

    @property
    def input_bits(self) -> int:
        """Bits of a sum."""
        return self.unit.sum_width

    @property
    def lanes(self) -> int:
        """Codes of an output beat."""
        return self.unit.lanes

    @property
    def input_lanes(self) -> int:
        """Sums of an input beat."""
        return self.unit.lanes

    @property
    @abstractmethod
    def output_bits(self) -> int:
        """Bits of what goes out."""

    @property
    def unit_latency(self) -> int:
        """Cycles that a beat takes through all units."""
        return self.unit.latency + sum(unit.latency for unit in self.further)

    @property
    def queue(self) -> QueueParameters:
        """Parameters of the output queue: room for all beats under way while the consumer takes one a cycle."""
        return QueueParameters(
            beat_layout(self.lanes, self.output_bits), self.unit_latency + QueueParameters.LATENCY + 1
        )

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure: its beats."""
        return self.positions * self.unit.beats

    @property
    def latency(self) -> int:
        """Cycles from a beat of sums to what it becomes at the output."""
        return self.unit_latency + QueueParameters.LATENCY

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""
        return (*self.unit.roms, *(rom for unit in self.further for rom in unit.roms))

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return what becomes of the sums (frames x ... of positions x channels), frames x positions x channels."""
        sums = np.asarray(sums)
        values = self.unit.compute(sums.reshape(len(sums), -1, self.channels))
        for unit in self.further:
            values = unit.compute(values)
        return values

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        beats, left = Beats(source), deque([-1] * self.queue.depth, maxlen=self.queue.depth)
        while True:
            # A beat enters when one of those before it, as many as the queue holds, has left.
            entered = beats.take(left[0] + 1)
            left.append((yield max(entered + self.unit_latency + 1, left[-1]) + 1))

    def create(self) -> "UnitStage":
        """Return the gateware."""
        return UnitStage(self)


class UnitStage(wiring.Component):
    """Turn positions of sums into positions of codes or of other sums.

    Latency `parameters.latency`, throughput one beat a cycle; `last` travels along.

    Parameters
    ----------
    parameters : UnitStageParameters
        The unit.

    Members
    -------
    i : In(stream of beat_layout(lanes, input_bits))
        Sums, unsigned, in channel order.
    o : Out(stream of beat_layout(lanes, output_bits))
        What they become; lanes past the last channel hold 0.
    """

    def __init__(self, parameters: UnitStageParameters):
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
        m.submodules.unit = unit = p.unit.create()
        m.submodules.queue = queue = p.queue.create()
        # The unit does not stall: a beat enters when there is room in the queue that none has claimed. In the first
        # cycle after reset the unit takes none.
        room, primed = Signal(range(p.queue.depth + 1), init=p.queue.depth), Signal()
        put = Signal()
        ends = Signal(p.unit_latency)
        m.d.comb += [
            self.i.ready.eq((room != 0) & primed),
            put.eq(self.i.valid & self.i.ready),
            unit.sums.eq(self.i.payload.codes),
            unit.valid.eq(put),
        ]
        if "last" in unit.signature.members:
            m.d.comb += unit.last.eq(self.i.payload.last)
        for k, parameters in enumerate(p.further):
            before, unit = unit, parameters.create()
            m.submodules[f"unit_{k + 1}"] = unit
            m.d.comb += [unit.sums.eq(before.codes), unit.valid.eq(before.known)]
        m.d.comb += [
            queue.i.payload.codes.eq(unit.codes),
            queue.i.payload.last.eq(ends[-1]),
            queue.i.valid.eq(unit.known),
        ]
        m.d.sync += [
            primed.eq(1),
            room.eq(room - put + (self.o.valid & self.o.ready)),
            ends.eq(Cat(self.i.payload.last, ends)),
        ]
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        return m
