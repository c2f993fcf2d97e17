"""Shared engine: several layers, one after another, on one array."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from signfold.hw.ram import RamParameters
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.shared_drain import drain
from signfold.hw.shared_gateware import SharedEngine
from signfold.hw.shared_loader import LoaderParameters
from signfold.hw.shared_loops import issue_loops, result_loops, write_loops
from signfold.hw.shared_stage import SharedStage
from signfold.hw.shared_thresholds import SharedThresholdParameters
from signfold.hw.shared_timing import shared_timing
from signfold.hw.stream import QueueParameters
from signfold.hw.timing import Timing
from signfold.hw.walk import WalkParameters

__all__ = ["SharedEngineParameters"]


@dataclass(frozen=True, eq=False)
class SharedEngineParameters(SharedStage):
    """Layers that follow one another, and the array that computes them in turn.

    The layer at work reads one of two memories and fills the other; then they swap roles. While the last layer works,
    whose results go out, the next frame comes in. The array is idle only while the last results of a layer are on their
    way into memory, and while it waits for input.

    Parameters
    ----------
    name : str
        Prefix of the ROM names, such as `l0`.
    layers : tuple of SharedLayer
        Layers, of the same `cols`, `simd`, `hop`, `stages` and fabric. All but the last have thresholds; the last one
        has no pooling.
    loaded : int or None
        Weights lie in memories that are filled before the first frame, with chunks from this number on; None: in ROMs.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or layers do not fit one another; the message names it.
    """

    #: Cycles from the issue of a word to the word at the array.
    DELAY = 2

    def __post_init__(self):
        super().__post_init__()
        # They refuse what cannot be written in time, and words that are too wide to be loaded.
        _ = self.drains, self.loader

    @cached_property
    def units(self) -> SharedThresholdParameters | None:
        """The thresholds of all layers, layer after layer, border class after class, beat after beat; None without."""
        levels = max(
            (layer.engine.thresholds.shape[1] for layer in self.layers if layer.engine.thresholds is not None),
            default=0,
        )
        if levels == 0:
            return None
        never, entries = 1 << self.sum_width, []
        for layer in self.layers:
            engine = layer.engine
            if engine.thresholds is not None:
                counts = np.where(layer.counts > engine.largest, never, layer.counts)
                stored = np.full((len(counts), engine.beats * self.lanes, levels), never)
                stored[:, : engine.channels, : counts.shape[2]] = counts
                entries.append(stored.reshape(-1, self.lanes, levels))
        return SharedThresholdParameters(f"{self.name}_t", self.sum_width, np.concatenate(entries))

    @cached_property
    def threshold_bases(self) -> tuple[int, ...]:
        """Entry of each layer's first thresholds."""
        sizes = [
            0 if layer.engine.thresholds is None else len(layer.border[1]) * layer.engine.beats for layer in self.layers
        ]
        return tuple(accumulate(sizes[:-1], initial=0))

    @property
    def unit_latency(self) -> int:
        """Cycles from a beat of sums to its codes."""
        return 0 if self.units is None else self.units.latency

    @cached_property
    def weight_bases(self) -> tuple[int, ...]:
        """Address of each layer's first weight word."""
        sizes = [layer.engine.feeder.sequencer.addresses for layer in self.layers]
        return tuple(accumulate(sizes[:-1], initial=0))

    @cached_property
    def weight_tables(self) -> tuple[RomParameters, ...]:
        """One table a column group: those of the layers one after another, whether in a ROM or to be loaded."""
        tables = []
        for group, parts in enumerate(zip(*(layer.engine.weight_roms for layer in self.layers), strict=True)):
            words = tuple(word for part in parts for word in part.words)
            tables.append(RomParameters(f"{self.name}_w{group}", parts[0].width, words, parts[0].style))
        return tuple(tables)

    @property
    def weight_memories(self) -> tuple[RamParameters, ...]:
        """The memories of loaded weights, one a column group."""
        fabric = self.first.fabric
        return tuple(RamParameters(table.width, table.depth, fabric) for table in self.weight_tables)

    @property
    def loader(self) -> LoaderParameters | None:
        """Parameters of the loader of weights."""
        return None if self.loaded is None else LoaderParameters(self.weight_memories, self.loaded)

    @property
    def chunks(self) -> list[bytes]:
        """What fills the memories of weights."""
        return [] if self.loaded is None else self.loader.compute([table.words for table in self.weight_tables])

    @property
    def loads(self) -> tuple[RomParameters, ...]:
        """Contents of the memories of weights that are loaded."""
        return () if self.loaded is None else self.weight_tables

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables of the engine."""
        return (*(self.weight_tables if self.loaded is None else ()), *(() if self.units is None else self.units.roms))

    @cached_property
    def memories(self) -> tuple[RamParameters, ...]:
        """The two memories of activations. With an odd number of layers frames begin in either."""
        words = [layer.input_words for layer in self.layers]
        alike = len(words) % 2
        return tuple(
            RamParameters(self.simd, max(words if alike else words[start::2]), self.first.fabric) for start in (0, 1)
        )

    @cached_property
    def issue(self) -> WalkParameters:
        """Loops that issue words."""
        return issue_loops(self)

    @property
    def bordered(self) -> bool:
        """Whether thresholds, or what counts, depend on the position."""
        return any(
            layer.outside or (layer.engine.thresholds is not None and len(layer.border[1]) > 1) for layer in self.layers
        )

    @cached_property
    def results(self) -> WalkParameters:
        """Loops that take results."""
        return result_loops(self)

    @cached_property
    def writes(self) -> WalkParameters:
        """Loops that write each layer's input."""
        return write_loops(self)

    @cached_property
    def drains(self) -> tuple[tuple[int, int], ...]:
        """For each layer but the last: cycles from its last word to the next layer's first, and words that wait."""
        return tuple(drain(self, k) for k in range(len(self.layers) - 1))

    @property
    def waiting(self) -> int:
        """Most words that wait to be written; 0 where each is written at once."""
        return max((words for _, words in self.drains), default=0)

    @property
    def pipeline(self) -> int:
        """Cycles from a pass's last word at the array to its first beat at the output queue."""
        return self.array.latency + (0 if self.thresholds is None else self.unit_latency)

    @property
    def queue(self) -> QueueParameters:
        """Parameters of the output queue: room for all passes in flight while the consumer takes its time."""
        groups, words = self.array.groups, self.last.array.pass_words
        lifetime = words + self.pipeline + groups + QueueParameters.LATENCY + self.DELAY + 1
        return QueueParameters(beat_layout(self.lanes, self.output_bits), groups * (-(-lifetime // words) + 2))

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure, where input comes as fast as it is taken."""
        inner = sum(layer.cycles + cycles - 1 for layer, (cycles, _) in zip(self.layers, self.drains, strict=False))
        return inner + max(self.layers[-1].cycles, self.input_beats * self.input_bits)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        return shared_timing(self, source)

    def create(self) -> SharedEngine:
        """Return the gateware."""
        return SharedEngine(self)
