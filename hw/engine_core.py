"""What the parameters of all engines share: a feeder, an array, units at its edge, and queues."""

from abc import abstractmethod
from functools import cached_property

import numpy as np

from signfold.hw.array import ArrayParameters
from signfold.hw.border import BorderClasses
from signfold.hw.collector import CollectorParameters
from signfold.hw.correction import CorrectionParameters
from signfold.hw.engine_gateware import Engine
from signfold.hw.engine_timing import engine_timing
from signfold.hw.feeder import FeederParameters
from signfold.hw.image import border_classes
from signfold.hw.lane_array import LaneArrayParameters
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stage import Stage
from signfold.hw.stream import QueueParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.timing import Timing

__all__ = ["EngineCore"]


class EngineCore(Stage):
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
    def rows(self) -> int:
        """Positions worked on at once."""
        return self.feeder.rows

    @property
    def positions(self) -> int:
        """Output positions of a frame."""
        return self.feeder.positions

    @property
    def output_size(self) -> tuple[int, int]:
        """Output positions down and across."""
        return getattr(self.feeder.storage, "output_size", (1, 1))

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
    def largest_output(self) -> int:
        """Largest code or sum that goes out."""
        if self.thresholds is None and self.output_step == self.step:
            return self.largest
        return (1 << self.output_bits) - 1

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
        lifetime = words + self.pipeline + groups + QueueParameters.LATENCY + self.feeder.storage.DELAY + 2
        depth = groups * (-(-lifetime // words) + 2) + (self.beats if self.rows > 1 else 0)
        return QueueParameters(beat_layout(self.lanes, self.output_bits), depth)

    @property
    def settling(self) -> int:
        """Most cycles after reset until the engine waits for input: windows read what lies around the image."""
        return self.feeder.play_words

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
        return engine_timing(self, self.feeder.playing(source))

    def create(self) -> "Engine":
        """Return the gateware."""
        return Engine(self)
