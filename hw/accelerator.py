"""The accelerator: pixel stage, one engine a layer, score unit, and gearboxes between them."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.engine import EngineParameters
from signfold.hw.gearbox import gearboxes
from signfold.hw.pixels import PixelParameters
from signfold.hw.rom import RomParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.shapes import beat_layout, result_layout

__all__ = ["Accelerator", "AcceleratorConfig"]


@dataclass(frozen=True, eq=False)
class AcceleratorConfig:
    """A network's geometry and integers, as gateware: what `sw.lower` makes of an integer network and a plan.

    Parameters
    ----------
    pixels : PixelParameters
        Input stage.
    engines : tuple of EngineParameters
        Layers in order; all but the last have thresholds. ROM names must differ.
    scores : ScoreParameters
        Output stage.

    Raises
    ------
    ValueError
        If stages do not fit one another; the message names them.
    """

    pixels: PixelParameters
    engines: tuple[EngineParameters, ...]
    scores: ScoreParameters

    def __post_init__(self):
        if not self.engines:
            raise ValueError("engines must hold at least one engine")
        if self.engines[0].fan_in != self.pixels.elements:
            raise ValueError(
                f"engine 0 must have a fan-in of elements = {self.pixels.elements}, not {self.engines[0].fan_in!r}"
            )
        for k, (engine, following) in enumerate(pairwise(self.engines)):
            if engine.thresholds is None:
                raise ValueError(f"engine {k} must have thresholds: only the last engine may go without")
            if following.fan_in != engine.channels:
                raise ValueError(
                    f"engine {k + 1} must have a fan-in of {engine.channels}, the channels of engine {k}, "
                    f"not {following.fan_in!r}"
                )
        final = self.engines[-1]
        if final.thresholds is not None:
            raise ValueError(f"engine {len(self.engines) - 1} must not have thresholds: its sums are the scores")
        expected = (final.channels, final.output_bits, 2, final.fan_in + 2 * final.padding)
        have = (self.scores.classes, self.scores.sum_width, self.scores.step, self.scores.origin)
        if have != expected:
            raise ValueError(
                f"scores must have classes, sum_width, step, origin = {expected}, those of the last engine, not {have}"
            )
        names = [rom.name for rom in self.roms]
        if len(set(names)) != len(names):
            raise ValueError("engines must have different names, because their ROMs are named after them")

    @cached_property
    def stages(self) -> tuple[tuple[str, object], ...]:
        """Name and parameters of each stage of the stream, in order, gearboxes included."""
        stages = [("pixels", self.pixels)]
        bits, lanes = 1, self.pixels.lanes
        for k, engine in enumerate(self.engines):
            gears = gearboxes(engine.fan_in, bits, lanes, engine.simd)
            stages += [(f"gearbox_{k}_{g}", gear) for g, gear in enumerate(gears)]
            stages.append((f"engine_{k}", engine))
            bits, lanes = engine.output_bits, engine.hop
        gears = gearboxes(self.scores.classes, bits, lanes, 1)
        stages += [(f"gearbox_{len(self.engines)}_{g}", gear) for g, gear in enumerate(gears)]
        return (*stages, ("scores", self.scores))

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables, in stream order."""
        tables = [self.pixels.rom, *(rom for engine in self.engines for rom in engine.roms), self.scores.rom]
        return tuple(table for table in tables if table is not None)

    @cached_property
    def latency(self) -> int:
        """Cycles from the first transfer of a frame's input to the last transfer of its results.

        For a frame that meets an idle accelerator, with an input beat offered and a result taken every cycle. (A first
        transfer in cycle t and the last in cycle t + latency.)
        """
        times = list(range(self.pixels.beats))
        for _, parameters in self.stages:
            times = parameters.schedule(times)
        return times[-1]

    @cached_property
    def interval(self) -> int:
        """Initiation interval: cycles from one frame to the next in steady state, without stalls at either end.

        The largest of the stages' intervals: input beats, passes x words of an engine, beats of a gearbox, classes.
        """
        middle = [parameters.interval for name, parameters in self.stages if name not in ("pixels", "scores")]
        return max(self.pixels.beats, self.scores.classes, *middle)

    def compute(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (frames x classes) and classes (frames) of input codes (frames x elements)."""
        return self.scores.compute(self.trace(frames)[-1])

    def trace(self, frames: np.ndarray) -> list[np.ndarray]:
        """Return the output of the pixel stage and of each engine (frames x elements or channels), in order."""
        values = [self.pixels.compute(frames)]
        for engine in self.engines:
            values.append(engine.compute(values[-1]))
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
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(config.pixels.lanes, config.pixels.bits))),
                "o": Out(stream.Signature(result_layout(config.scores.score_width, config.scores.classes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        upstream = wiring.flipped(self.i)
        for name, parameters in self.config.stages:
            m.submodules[name] = stage = parameters.create()
            wiring.connect(m, upstream, stage.i)
            upstream = stage.o
        wiring.connect(m, upstream, wiring.flipped(self.o))
        return m
