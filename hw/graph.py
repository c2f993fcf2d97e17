"""The accelerator of a network that branches: layers that read one another's streams, forks and queues between them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring

from signfold.hw.accelerator import Accelerator, AcceleratorConfig
from signfold.hw.check import check_integer
from signfold.hw.fork import ForkParameters
from signfold.hw.gearbox import gearboxes
from signfold.hw.graph_timing import graph_schedule
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.join import Join
from signfold.hw.shapes import beat_layout
from signfold.hw.stream import QueueParameters

__all__ = ["GraphAccelerator", "GraphConfig", "Piece"]

#: Frames after which accelerators have found their rhythm.
_FRAMES = 6


@dataclass(frozen=True)
class Piece:
    """A component of a graph and where its input comes from.

    Attributes
    ----------
    name : str
        Of its instance.
    parameters : Scheduled or ForkParameters
        What it is.
    sources : tuple of (int, int or None)
        For each input the piece before, by number, and which way of a fork; empty for the first piece.
    packets : int
        Packets of a frame that it gives.
    """

    name: str
    parameters: Any
    sources: tuple[tuple[int, int | None], ...]
    packets: int


@dataclass(frozen=True, eq=False)
class GraphConfig(AcceleratorConfig):
    """A network that branches as gateware: layers as in a chain, joins among them, and what each of them reads.

    Parameters
    ----------
    pixels : PixelParameters
        Input stage.
    layers : tuple of Stage or Join
        Layers, each after those it reads; the last one's sums are the scores.
    scores : ScoreParameters
        Output stage.
    inputs : tuple of tuples of int
        What each layer reads, one number an input: of a layer before it, or -1, the input stage. Whatever is read by
        several gets a fork.
    queues : tuple of tuples of int
        Places of the queue in front of each input; 0: there is none. Empty: there are no queues.

    Raises
    ------
    ValueError
        If layers do not fit one another; the message names them.
    """

    inputs: tuple[tuple[int, ...], ...] = ()
    queues: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "inputs", tuple(tuple(read) for read in self.inputs))
        queues = self.queues or tuple((0,) * len(read) for read in self.inputs)
        object.__setattr__(self, "queues", tuple(tuple(depths) for depths in queues))
        if not self.layers or len(self.inputs) != len(self.layers):
            raise ValueError(f"inputs must be given for each of {len(self.layers)} layers, not {len(self.inputs)}")
        if [len(depths) for depths in self.queues] != [len(read) for read in self.inputs]:
            raise ValueError("queues must be given for each input of each layer, as many as inputs")
        for k, layer in enumerate(self.layers):
            self._check_layer(k, layer)
        for k in range(-1, len(self.layers) - 1):
            if not self.readers(k):
                raise ValueError(f"{_called(k)} must be read by a layer")
        self._check_scores(self.layers[-1].positions * self.layers[-1].channels)

    def _check_layer(self, k, layer):
        """Check a layer against what it reads."""
        if layer.serial or layer.loads:
            raise ValueError(f"layer {k} must not share an array: layers of a graph run at the same time")
        if isinstance(layer, HardwiredParameters):
            raise ValueError(f"layer {k} must be no hardwired layer: the schedule of graphs does not know them")
        read = self.inputs[k]
        ways = len(layer.formats) if isinstance(layer, Join) else 1
        if len(read) != ways:
            raise ValueError(f"layer {k} must read {ways} layers, not {read!r}")
        for way, (number, depth) in enumerate(zip(read, self.queues[k], strict=True)):
            check_integer(f"input {way} of layer {k}", number, minimum=-1, maximum=k - 1)
            if depth != 0:
                check_integer(f"queue at input {way} of layer {k}", depth, minimum=2)
            source, what = self._source(number), _called(number)
            if isinstance(layer, Join):
                have = (source.positions, source.channels, source.output_bits)
                expected = (layer.positions, layer.source_channels[way], layer.formats[way].bits)
                if have != expected:
                    raise ValueError(
                        f"input {way} of layer {k} must have positions, channels, bits = {expected}, not {have}, "
                        f"those of {what}"
                    )
                continue
            elements = source.positions * source.channels
            if layer.input_elements != elements:
                raise ValueError(
                    f"layer {k} must have a fan-in of {elements}, the elements of {what}, not {layer.input_elements!r}"
                )
            if layer.input_bits != source.output_bits:
                raise ValueError(
                    f"layer {k} must read codes of {source.output_bits} bits, those of {what}, not {layer.input_bits!r}"
                )

    def _source(self, number):
        return self.pixels if number < 0 else self.layers[number]

    def readers(self, number: int) -> list[tuple[int, int]]:
        """Return the inputs, as layer and way, that read a layer; -1: the input stage."""
        return [(k, way) for k, read in enumerate(self.inputs) for way, each in enumerate(read) if each == number]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All components, each after those it reads: layers, and forks, queues and gearboxes between them."""
        pieces = [Piece("pixels", self.pixels, (), self.pixels.positions)]
        ends: dict[tuple[int, int, int], tuple[int, int | None]] = {}

        def leave(number):
            """Note where each reader finds what a layer gives: at the newest piece, or at a way of a fork behind it."""
            readers, source = self.readers(number), self._source(number)
            at = len(pieces) - 1
            if len(readers) > 1:
                fork = ForkParameters(beat_layout(source.lanes, source.output_bits), len(readers))
                pieces.append(Piece("fork_input" if number < 0 else f"fork_{number}", fork, ((at, None),), 0))
                at += 1
            for fork_way, (k, way) in enumerate(readers):
                ends[number, k, way] = (at, fork_way if len(readers) > 1 else None)

        leave(-1)
        for k, layer in enumerate(self.layers):
            sources = []
            for way, number in enumerate(self.inputs[k]):
                place = f"{k}_{way}" if isinstance(layer, Join) else f"{k}"
                source, end = self._source(number), ends[number, k, way]
                gears = gearboxes(source.channels, source.output_bits, source.lanes, layer.input_lanes)
                between = [(f"gearbox_{place}_{g}", gear) for g, gear in enumerate(gears)]
                if self.queues[k][way]:
                    # Last, so that nothing else has to wait where a join does.
                    payload = beat_layout(layer.input_lanes, source.output_bits)
                    between.append((f"queue_{place}", QueueParameters(payload, self.queues[k][way])))
                for name, parameters in between:
                    pieces.append(Piece(name, parameters, (end,), source.positions))
                    end = (len(pieces) - 1, None)
                sources.append(end)
            pieces.append(Piece(f"{layer.kind}_{k}", layer, tuple(sources), layer.positions))
            leave(k)
        last = self.layers[-1]
        for g, gear in enumerate(gearboxes(last.channels, self.scores.sum_width, last.lanes, 1)):
            source = ((len(pieces) - 1, None),)
            pieces.append(Piece(f"gearbox_{len(self.layers)}_{g}", gear, source, last.positions))
        pieces.append(Piece("scores", self.scores, ((len(pieces) - 1, None),), 1))
        return tuple(pieces)

    @property
    def stages(self) -> tuple[tuple[str, object], ...]:
        """Name and parameters of each component, in an order in which each comes after what it reads."""
        return tuple((piece.name, piece.parameters) for piece in self.pieces)

    def schedule(self, offers, *, ready=()) -> list[int]:
        """Return the cycles in which results transfer, for input beats offered in the given cycles.

        Exactly, back-pressure of queues and forks included. `ready` as for `signfold.hw.timing.scheduled`.
        """
        return graph_schedule(self.pieces, offers, ready=ready)

    @property
    def moved(self) -> int:
        """Beats that all layers give in a frame."""
        return sum(layer.positions * -(-layer.channels // layer.lanes) for layer in self.layers)

    @cached_property
    def bound(self) -> int:
        """Initiation interval that no queue can better: the largest of the components' own."""
        intervals = [self.pixels.beats, self.scores.classes]
        for piece in self.pieces:
            if isinstance(piece.parameters, ForkParameters | QueueParameters):
                continue
            if piece.name.startswith("gearbox_"):
                intervals.append(piece.parameters.interval * piece.packets)
            elif piece.name not in ("pixels", "scores"):
                intervals.append(piece.parameters.interval)
        return max(intervals)

    @cached_property
    def interval(self) -> int:
        """Initiation interval: cycles from one frame to the next in steady state, without stalls at either end.

        `bound`, where queues have the depths of `signfold.hw.depths`; else found from the schedule of some frames,
        which takes minutes where a frame is millions of beats.
        """
        # That file imports this one.
        from signfold.hw.depths import never_waits

        if never_waits(self):
            return self.bound
        beats, classes = self.pixels.beats, self.scores.classes
        ends = self.schedule([self.settling] * (_FRAMES * beats))[classes - 1 :: classes]
        return ends[-1] - ends[-2]

    def trace(self, frames: np.ndarray) -> list[np.ndarray]:
        """Return the output of the pixel stage and of each layer, in order: see `AcceleratorConfig.trace`."""
        values = [self.pixels.compute(frames)]
        for layer, read in zip(self.layers, self.inputs, strict=True):
            values.append(layer.compute(*(self._seen(values[number + 1], number) for number in read)))
        return values

    def _seen(self, value, number):
        """Return what a layer gives as positions of channels."""
        source = self._source(number)
        return value.reshape(len(value), source.positions, source.channels) if source.positions > 1 else value

    def create(self) -> "GraphAccelerator":
        """Return the gateware."""
        return GraphAccelerator(self)


class GraphAccelerator(Accelerator):
    """Classify frames with a network that branches; see `Accelerator`.

    Forks are eager and no `valid` waits for a `ready`; branches give as many packets, in order. So whether all move on
    depends on the queues' depths alone, not on when anything stalls: an accelerator that has finished frames once
    finishes them under all stalls.

    Parameters
    ----------
    config : GraphConfig
        The network as gateware parameters.

    Members
    -------
    i, o
        As of `Accelerator`.
    """

    def elaborate(self, platform):
        m = Module()
        made = []
        for piece in self.config.pieces:
            m.submodules[piece.name] = component = piece.parameters.create()
            made.append(component)
            if not piece.sources:
                wiring.connect(m, wiring.flipped(self.i), component.i)
            for k, (number, way) in enumerate(piece.sources):
                source = made[number].o if way is None else made[number].outputs[way]
                sink = component.inputs[k] if isinstance(piece.parameters, Join) else component.i
                self.link(m, f"{piece.name}_{k}", source, sink)
        wiring.connect(m, made[-1].o, wiring.flipped(self.o))
        return m

    def link(self, m: Module, name: str, source: Any, sink: Any) -> None:
        """Connect two components; what tests put stalls into."""
        wiring.connect(m, source, sink)


def _called(number):
    return "the input" if number < 0 else f"layer {number}"
