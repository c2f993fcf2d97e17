"""What all engines share: a feeder, an array, units at its edge, queues, and the credits that let passes start."""

from abc import abstractmethod
from collections import deque
from functools import cached_property

import numpy as np
from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.array import ArrayParameters
from signfold.hw.border import BorderClasses
from signfold.hw.collector import CollectorParameters
from signfold.hw.correction import CorrectionParameters
from signfold.hw.feeder import FeederParameters
from signfold.hw.image import border_classes
from signfold.hw.lane_array import LaneArrayParameters
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stream import QueueParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.timing import NoMoreBeats, Scheduled, Timing

__all__ = ["Engine", "EngineCore"]


class EngineCore(Scheduled):
    """Base of the parameters of engines.

    An engine takes positions, one packet each, and gives positions. The array counts u, unsigned, where the network has
    sums s = step * u - origin; `origin` depends on the channel, and on the position where windows meet an edge. With
    thresholds, the output is codes. Without, it is sums that travel unsigned, with one origin for all.
    """

    name: str
    #: Output channels.
    channels: int
    #: Codes or sums of an output beat.
    lanes: int
    thresholds: np.ndarray | None
    #: The network's sum grows by this much with each count.
    step: int = 2

    @property
    @abstractmethod
    def feeder(self) -> FeederParameters:
        """Parameters of the feeder."""

    @property
    @abstractmethod
    def array(self) -> ArrayParameters | LaneArrayParameters:
        """Parameters of the array."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """Largest count."""

    @property
    @abstractmethod
    def sum_width(self) -> int:
        """Width of a count."""

    @property
    @abstractmethod
    def weight_roms(self) -> tuple[RomParameters, ...]:
        """One table a column group; empty where there are no weights."""

    @abstractmethod
    def origins(self, inside: np.ndarray) -> np.ndarray:
        """Return the origins, classes x channels, for classes of positions by their taps inside the image."""

    @property
    def bordered(self) -> bool:
        """Whether origins depend on the position."""
        return False

    @property
    def input_lanes(self) -> int:
        """Codes of an input beat."""
        return self.feeder.storage.simd

    @property
    def input_bits(self) -> int:
        """Width of an input code."""
        return self.feeder.storage.bits

    @property
    @abstractmethod
    def input_elements(self) -> int:
        """Codes of a frame at the input."""

    @property
    def rows(self) -> int:
        """Positions worked on at once."""
        return self.feeder.rows

    @property
    def positions(self) -> int:
        """Output positions of a frame."""
        return self.feeder.positions

    @property
    def beats(self) -> int:
        """Output beats of a position."""
        return -(-self.channels // self.lanes)

    @property
    def collector(self) -> CollectorParameters:
        """Parameters of each row's collector."""
        return CollectorParameters(self.array.groups, self.feeder.passes, self.beats)

    def border(self, row: int = 0) -> tuple[BorderClasses | None, np.ndarray]:
        """Return the classes of the positions of a row of the array, and their origins, classes x channels."""
        if not self.bordered:
            return None, self.origins(np.ones((1, 1), bool))
        classes, inside = border_classes(self.feeder.storages[row])
        return classes, self.origins(inside)

    @cached_property
    def units(self) -> tuple[ThresholdParameters | CorrectionParameters | None, ...]:
        """What each row's sums go through: thresholds, corrections to one origin, or nothing."""
        return tuple(self._unit(row) for row in range(self.rows))

    def _unit(self, row):
        border, origins = self.border(row)
        name = f"{self.name}_t" if row == 0 else f"{self.name}_t_row{row}"
        if self.thresholds is not None:
            # s >= t  <=>  u >= ceil((t + origin) / step)
            counts = -((-origins[..., None] - self.thresholds) // self.step)
            never = 1 << self.sum_width
            stored = np.where(counts > self.largest, never, np.clip(counts, 0, self.largest))
            return ThresholdParameters(name, self.lanes, self.sum_width, stored if border else stored[0], border)
        if all((self.border(other)[1] == self.origin).all() for other in range(self.rows)):
            return None
        return CorrectionParameters(name, self.lanes, self.sum_width, self.origin - origins, self.step, border)

    @cached_property
    def origin(self) -> int:
        """Origin of the sums that go out: network's sum = output_step * u - origin."""
        return int(max(self.border(row)[1].max() for row in range(self.rows)))

    @property
    def output_step(self) -> int:
        """Step of the sums that go out: 1 where they were corrected."""
        return 1 if any(isinstance(unit, CorrectionParameters) for unit in self.units) else self.step

    @property
    def output_bits(self) -> int:
        """Bits of a code, or of an unsigned sum, of an output beat."""
        if self.units[0] is None:
            return self.sum_width
        return max(unit.output_width if isinstance(unit, CorrectionParameters) else unit.bits for unit in self.units)

    @property
    def pipeline(self) -> int:
        """Cycles from a pass's last word at the array to its first beat at the first row's queue."""
        return self.array.latency + max(unit.latency if unit else 0 for unit in self.units)

    @property
    def queue(self) -> QueueParameters:
        """Parameters of a row's queue: room for all passes in flight while the consumer takes its time.

        With several rows also for a position that waits for those before it.
        """
        groups, words = self.array.groups, self.array.pass_words
        lifetime = words + self.pipeline + groups + QueueParameters.LATENCY + self.feeder.storage.DELAY + 1
        depth = groups * (-(-lifetime // words) + 2) + (self.beats if self.rows > 1 else 0)
        return QueueParameters(beat_layout(self.lanes, self.output_bits), depth)

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure."""
        return max(self.feeder.interval, self.positions * self.beats)

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables of the engine."""
        return (*self.weight_roms, *(rom for unit in self.units if unit for rom in unit.roms))

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        return self.timing_of(self.feeder.playing(source))

    def timing_of(self, feeder) -> Timing:
        """Do so for a feeder's cycles; see `FeederParameters.playing`."""
        passes, plays = self.feeder.passes, len(self.feeder.planes.plays)
        by_channel = isinstance(self.array, LaneArrayParameters)
        # For each row: arrivals at its queue, and when its beats were taken.
        arrivals = [deque() for _ in range(self.rows)]
        taken: list[list[int]] = [[] for _ in range(self.rows)]
        claimed, turn, left, last = 0, 0, self.beats, -1
        while True:
            for n in range(passes):
                grant = -1
                for row in range(self.rows):
                    need = claimed + self.array.groups - self.queue.depth
                    while len(taken[row]) < need:
                        last = yield max(arrivals[turn].popleft() + QueueParameters.LATENCY, last + 1)
                        taken[turn].append(last)
                        left -= 1
                        if left == 0:
                            turn, left = (turn + 1) % self.rows, self.beats
                    if need > 0:
                        grant = max(grant, taken[row][need - 1] + 1)
                try:
                    for k in range(plays):
                        advance = k == plays - 1 and (by_channel or n == passes - 1)
                        end = feeder.play(grant if k == 0 else -1, advance)
                except NoMoreBeats:
                    while arrivals[turn]:
                        last = yield max(arrivals[turn].popleft() + QueueParameters.LATENCY, last + 1)
                        left -= 1
                        if left == 0:
                            turn, left = (turn + 1) % self.rows, self.beats
                    return
                kept = self.array.groups if n < passes - 1 else self.collector.final_beats
                first = end + self.feeder.storage.DELAY + self.pipeline
                for row in range(self.rows):
                    arrivals[row].extend(range(first + row, first + row + kept))
                claimed += kept

    def create(self) -> "Engine":
        """Return the gateware."""
        return Engine(self)


class Engine(wiring.Component):
    """Compute a layer, frame after frame.

    Throughput one frame every `parameters.interval` cycles; the latency of each beat is what `parameters.timing` says.
    The array inside never stalls: a pass starts when the queues have room for all of it.

    Parameters
    ----------
    parameters : EngineCore
        Layer and array.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words of the positions, lanes past the channels 0.
    o : Out(stream of beat_layout(lanes, output_bits))
        Codes or sums in channel order, a packet a position.
    """

    def __init__(self, parameters: EngineCore):
        self.parameters = p = parameters
        storage = p.feeder.storage
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(storage.simd, storage.bits))),
                "o": Out(stream.Signature(beat_layout(p.lanes, p.output_bits))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.feeder = feeder = p.feeder.create()
        m.submodules.array = array = p.array.create()
        wiring.connect(m, wiring.flipped(self.i), feeder.i)
        m.d.comb += [
            Cat(array.words).eq(Cat(feeder.words)),
            array.valid.eq(feeder.valid),
            array.first.eq(feeder.first),
            array.last.eq(feeder.last),
            array.double.eq(feeder.double),
        ]
        self._connect_weights(m, feeder.address, array)

        # Positions leave in order: the rows take turns, a position each.
        queues = [self._connect_row(m, r, array) for r in range(p.rows)]
        turn = Signal(range(p.rows))
        if p.rows == 1:
            wiring.connect(m, queues[0].o, wiring.flipped(self.o))
        else:
            m.d.comb += [
                Cat(self.o.payload).eq(Array([Cat(queue.o.payload) for queue in queues])[turn]),
                self.o.valid.eq(Array([queue.o.valid for queue in queues])[turn]),
                *(queue.o.ready.eq(self.o.ready & (turn == r)) for r, queue in enumerate(queues)),
            ]
            with m.If(self.o.valid & self.o.ready & self.o.payload.last):
                m.d.sync += turn.eq(Mux(turn == p.rows - 1, 0, turn + 1))

        # Room in each queue that no pass has claimed yet.
        claim = Mux(feeder.start, Mux(feeder.final, p.collector.final_beats, p.array.groups), 0)
        grants = []
        for r, queue in enumerate(queues):
            room = Signal(range(p.queue.depth + 1), init=p.queue.depth, name=f"room_{r}")
            grants.append(room >= p.array.groups)
            m.d.sync += room.eq(room + (queue.o.valid & queue.o.ready) - claim)
        m.d.comb += feeder.grant.eq(Cat(grants).all())
        return m

    def _connect_row(self, m, r, array):
        """Place what a row's sums go through, and return its queue."""
        p = self.parameters
        suffix = "" if r == 0 else f"_row{r}"
        m.submodules[f"collector{suffix}"] = collector = p.collector.create()
        m.submodules[f"queue{suffix}"] = queue = p.queue.create()
        m.d.comb += collector.done.eq(array.done[r])
        codes, valid, last = array.sums[r], collector.valid, collector.last
        if p.units[r] is not None:
            m.submodules[f"unit{suffix}"] = unit = p.units[r].create()
            m.d.comb += [Cat(unit.sums).eq(Cat(codes)), unit.valid.eq(valid)]
            for k in range(p.units[r].latency):
                held = Signal(name=f"last{suffix}_{k}")
                m.d.sync += held.eq(last)
                last = held
            codes, valid = unit.codes, unit.known
        m.d.comb += [
            *(queue.i.payload.codes[lane].eq(codes[lane]) for lane in range(p.lanes)),
            queue.i.payload.last.eq(last),
            queue.i.valid.eq(valid),
        ]
        return queue

    def _connect_weights(self, m, address, array):
        """Place one ROM a column group; the address travels beside the words."""
        p = self.parameters
        for group, parameters in reversed(list(enumerate(p.weight_roms))):
            m.submodules[parameters.name] = rom = parameters.create()
            m.d.comb += [rom.address.eq(address), array.weights[group].eq(rom.data)]
            travelling = Signal(len(address), name=f"address_{group}")
            m.d.sync += travelling.eq(address)
            address = travelling
