"""Threshold stage: a threshold unit as a stage of a stream."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stage import Stage
from signfold.hw.stream import QueueParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.timing import Beats, Timing

__all__ = ["ThresholdStage", "ThresholdStageParameters"]


@dataclass(frozen=True, eq=False)
class ThresholdStageParameters(Stage):
    """Thresholds between two streams.

    Parameters
    ----------
    unit : ThresholdParameters
        Thresholds and widths.
    positions : int
        Positions of a frame.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    unit: ThresholdParameters
    positions: int = 1

    kind = "thresholds"

    def __post_init__(self):
        if not isinstance(self.unit, ThresholdParameters):
            raise TypeError(f"threshold unit must be ThresholdParameters, not {self.unit!r}")
        check_integer("positions", self.positions, minimum=1)
        border = self.unit.border
        if border is not None and border.positions != self.positions:
            raise ValueError(f"positions must be {border.positions}, those of the border, not {self.positions!r}")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.unit.channels

    @property
    def thresholds(self) -> np.ndarray:
        """Thresholds of the unit."""
        return self.unit.thresholds

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
    def queue(self) -> QueueParameters:
        """Parameters of the output queue: room for all beats under way while the consumer takes one a cycle."""
        return QueueParameters(
            beat_layout(self.unit.lanes, self.unit.bits), self.unit.latency + QueueParameters.LATENCY + 1
        )

    @property
    def output_bits(self) -> int:
        """Bits of a code."""
        return self.unit.bits

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure: its beats."""
        return self.positions * self.unit.beats

    @property
    def latency(self) -> int:
        """Cycles from a beat of sums to its codes at the output."""
        return self.unit.latency + QueueParameters.LATENCY

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables."""
        return self.unit.roms

    def compute(self, sums: np.ndarray) -> np.ndarray:
        """Return the codes of the sums (frames x ... of positions x channels), frames x positions x channels."""
        sums = np.asarray(sums)
        return self.unit.compute(sums.reshape(len(sums), -1, self.channels))

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        beats, left = Beats(source), deque([-1] * self.queue.depth, maxlen=self.queue.depth)
        while True:
            # A beat enters when one of those before it, as many as the queue holds, has left.
            entered = beats.take(left[0] + 1)
            left.append((yield max(entered + self.unit.latency + 1, left[-1]) + 1))

    def create(self) -> "ThresholdStage":
        """Return the gateware."""
        return ThresholdStage(self)


class ThresholdStage(wiring.Component):
    """Turn positions of sums into positions of codes.

    Latency `parameters.latency`, throughput one beat a cycle. Beats are counted, `last` travels along.

    Parameters
    ----------
    parameters : ThresholdStageParameters
        Thresholds and widths.

    Members
    -------
    i : In(stream of beat_layout(lanes, sum_width))
        Sums, unsigned, in channel order.
    o : Out(stream of beat_layout(lanes, bits))
        Codes; lanes past the last channel hold 0.
    """

    def __init__(self, parameters: ThresholdStageParameters):
        self.parameters = parameters
        unit = parameters.unit
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(unit.lanes, unit.sum_width))),
                "o": Out(stream.Signature(beat_layout(unit.lanes, unit.bits))),
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
        ends = Signal(p.unit.latency)
        m.d.comb += [
            self.i.ready.eq((room != 0) & primed),
            put.eq(self.i.valid & self.i.ready),
            unit.sums.eq(self.i.payload.codes),
            unit.valid.eq(put),
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
