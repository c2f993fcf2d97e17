"""The accelerator: pixel stage, engines and threshold stages, score unit, and gearboxes between them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.gearbox import gearboxes
from signfold.hw.packet import packet_layout
from signfold.hw.pixels import PixelParameters
from signfold.hw.rom import RomParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.shapes import beat_layout, result_layout
from signfold.hw.stage import Stage
from signfold.hw.timing import scheduled

__all__ = ["Accelerator", "AcceleratorConfig"]

#: Frames after which accelerators with a serial stage have found their rhythm.
_FRAMES = 8


@dataclass(frozen=True, eq=False)
class AcceleratorConfig:
    """A network's geometry and integers, as gateware: what `sw.lower` makes of an integer network and a plan.

    Parameters
    ----------
    pixels : PixelParameters
        Input stage.
    layers : tuple of Stage
        Engines, hardwired layers and thresholds that stand alone, in order; the last one's sums are the scores. ROM
        names must differ.
    scores : ScoreParameters
        Output stage.

    Raises
    ------
    ValueError
        If stages do not fit one another; the message names them.
    """

    pixels: PixelParameters
    layers: tuple[Stage, ...]
    scores: ScoreParameters

    def __post_init__(self):
        if not self.layers:
            raise ValueError("layers must hold at least one engine")
        elements, bits, what = self.pixels.elements, self.pixels.output_bits, "the input"
        for k, layer in enumerate(self.layers):
            if layer.input_elements != elements:
                raise ValueError(
                    f"layer {k} must have a fan-in of {elements}, the elements of {what}, not {layer.input_elements!r}"
                )
            if layer.input_bits != bits:
                raise ValueError(f"layer {k} must read codes of {bits} bits, those of {what}, not {layer.input_bits!r}")
            elements, bits, what = layer.positions * layer.channels, layer.output_bits, f"layer {k}"
        self._check_scores(elements)

    def _check_scores(self, elements):
        """Check what the output stage reads, and the names of tables."""
        final = self.layers[-1]
        if final.thresholds is not None:
            raise ValueError(f"layer {len(self.layers) - 1} must not have thresholds: its sums are the scores")
        expected = (elements, final.output_bits, final.output_step, final.origin)
        have = (self.scores.classes, self.scores.sum_width, self.scores.step, self.scores.origin)
        if have != expected:
            raise ValueError(
                f"scores must have classes, sum_width, step, origin = {expected}, those of the last layer, not {have!r}"
            )
        names = [rom.name for rom in (*self.roms, *self.loads)]
        if len(set(names)) != len(names):
            raise ValueError("layers must have different names, because their ROMs are named after them")

    @cached_property
    def _chain(self) -> tuple[tuple[str, object, int], ...]:
        """Name, parameters and packets a frame of each stage, in order."""
        chain = [("pixels", self.pixels, self.pixels.positions)]
        lanes = self.pixels.lanes
        for k, layer in enumerate(self.layers):
            packets = chain[-1][2]
            gears = gearboxes(layer.input_elements // packets, layer.input_bits, lanes, layer.input_lanes)
            chain += [(f"gearbox_{k}_{g}", gear, packets) for g, gear in enumerate(gears)]
            chain.append((f"{layer.kind}_{k}", layer, layer.positions))
            lanes = layer.lanes
        gears = gearboxes(self.layers[-1].channels, self.scores.sum_width, lanes, 1)
        chain += [(f"gearbox_{len(self.layers)}_{g}", gear, chain[-1][2]) for g, gear in enumerate(gears)]
        return (*chain, ("scores", self.scores, 1))

    @property
    def stages(self) -> tuple[tuple[str, object], ...]:
        """Name and parameters of each stage of the stream, in order, gearboxes included."""
        return tuple((name, parameters) for name, parameters, _ in self._chain)

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables, in stream order."""
        tables = [self.pixels.rom, *(rom for layer in self.layers for rom in layer.roms), self.scores.rom]
        return tuple(table for table in tables if table is not None)

    @property
    def loads(self) -> tuple[RomParameters, ...]:
        """Contents of the memories that are loaded before the first frame."""
        return tuple(table for layer in self.layers for table in layer.loads)

    @property
    def chunks(self) -> list[bytes]:
        """Packets that fill those memories, each with its number."""
        return [chunk for layer in self.layers for chunk in layer.chunks]

    @property
    def settling(self) -> int:
        """Cycles after reset until every stage waits for input: windows first read what lies around the image."""
        return 4 + max(layer.settling for layer in self.layers)

    @cached_property
    def latency(self) -> int:
        """Cycles from the first transfer of a frame's input to the last transfer of its results.

        For a frame that meets an idle accelerator, with an input beat offered and a result taken every cycle. (A first
        transfer in cycle t and the last in cycle t + latency.)
        """
        start = self.settling
        return self.schedule(range(start, start + self.pixels.beats))[-1] - start

    def schedule(self, offers, *, ready=()) -> list[int]:
        """Return the cycles in which results transfer; see `signfold.hw.timing.scheduled`."""
        return scheduled((parameters for _, parameters in self.stages), offers, ready=ready)

    @cached_property
    def interval(self) -> int:
        """Initiation interval: cycles from one frame to the next in steady state, without stalls at either end.

        The largest of the stages' intervals: input beats, words played by an engine, beats of a gearbox, classes. It is
        reached where windows have the slack that `signfold.hw.slack` gives them.
        """
        if any(layer.serial for layer in self.layers):
            beats, classes = self.pixels.beats, self.scores.classes
            # A serial stage takes input in only a part of the time, so that intervals depend on one another.
            ends = self.schedule([self.settling] * (_FRAMES * beats))[classes - 1 :: classes]
            return ends[-1] - ends[-2]
        intervals = [self.pixels.beats, self.scores.classes]
        for name, parameters, packets in self._chain:
            if name not in ("pixels", "scores"):
                intervals.append(parameters.interval * (1 if isinstance(parameters, Stage) else packets))
        return max(intervals)

    def compute(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (frames x classes) and classes (frames) of input codes (frames x elements)."""
        return self.scores.compute(self.trace(frames)[-1])

    def trace(self, frames: np.ndarray) -> list[np.ndarray]:
        """Return the output of the pixel stage and of each layer, in order.

        Each is frames x positions x channels, or frames x elements where there is one position.
        """
        values = [self.pixels.compute(frames)]
        for layer in self.layers:
            values.append(layer.compute(values[-1]))
        return values

    def create(self) -> "Accelerator":
        """Return the gateware."""
        return Accelerator(self)


class Accelerator(wiring.Component):
    """Classify frames.

    Every packet of codes gives one packet of results, in order. Throughput and latency are `config.interval` and
    `config.latency`. A packet that ends early is filled up with codes 0, one that is too long is cut.

    Parameters
    ----------
    config : AcceleratorConfig
        The network as gateware parameters.

    Members
    -------
    i : In(stream of beat_layout(pixels.lanes, pixels.bits))
        Input codes, `last` on the final beat of a frame.
    o : Out(stream of result_layout(scores.score_width, classes))
        Scores in class order, with the best class.
    w : In(stream of packet_layout()), where there are memories to load
        Chunks of weights, `config.chunks`. Taken while nobody reads those memories.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        members = {
            "i": In(stream.Signature(beat_layout(config.pixels.lanes, config.pixels.bits))),
            "o": Out(stream.Signature(result_layout(config.scores.score_width, config.scores.classes))),
        }
        if config.loads:
            members["w"] = In(stream.Signature(packet_layout()))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        upstream, loading = wiring.flipped(self.i), []
        for name, parameters in self.config.stages:
            m.submodules[name] = stage = parameters.create()
            wiring.connect(m, upstream, stage.i)
            upstream = stage.o
            if isinstance(parameters, Stage) and parameters.loads:
                loading.append(stage.w)
        # Every stage sees all chunks and knows its own.
        for one in loading:
            others = Cat(other.ready for other in loading if other is not one).all() if len(loading) > 1 else 1
            m.d.comb += [one.payload.eq(self.w.payload), one.valid.eq(self.w.valid & others)]
        if loading:
            m.d.comb += self.w.ready.eq(Cat(one.ready for one in loading).all())
        wiring.connect(m, upstream, wiring.flipped(self.o))
        return m
