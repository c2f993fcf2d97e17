"""What a shared engine shows of itself as a stage: layers that follow one another on one array."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from signfold.hw.array import ArrayParameters
from signfold.hw.check import check_identifier
from signfold.hw.engine import EngineParameters
from signfold.hw.shared_layer import SharedLayer
from signfold.hw.stage import Stage

__all__ = ["SharedStage"]


@dataclass(frozen=True, eq=False)
class SharedStage(Stage):
    """Base of `signfold.hw.shared_engine.SharedEngineParameters`, which tells what its parameters are.

    It checks that the layers fit one another, and gives what the accelerator reads of a stage.
    """

    name: str
    layers: tuple[SharedLayer, ...]
    loaded: int | None = None

    kind = "shared"
    serial = True

    def __post_init__(self):
        check_identifier("engine name", self.name)
        if not self.layers:
            raise ValueError("layers of a shared engine must hold at least one layer")
        for key in ("cols", "simd", "hop", "stages", "fabric"):
            for k, layer in enumerate(self.layers):
                have, want = getattr(layer.engine, key), getattr(self.first, key)
                if have != want:
                    raise ValueError(
                        f"{key} must be {want!r} in all layers of a shared engine, not {have!r} in layer {k}"
                    )
        for k, (before, after) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if before.engine.thresholds is None:
                raise ValueError(f"layer {k} of a shared engine must have thresholds, because another follows")
            bits = before.engine.thresholds.shape[1].bit_length()
            if bits != after.engine.planes.activation_bits:
                raise ValueError(f"layer {k + 1} of a shared engine must read codes of {bits} bits")
            elements = before.output_size[0] * before.output_size[1] * before.engine.channels
            if elements != after.engine.input_elements or before.engine.channels != after.engine.inputs:
                raise ValueError(f"layer {k + 1} of a shared engine must read what layer {k} gives")
        if len(self.layers) > 1 and self.simd % self.lanes:
            raise ValueError(f"hop must divide simd = {self.simd} on a shared engine, not {self.lanes!r}")
        if self.layers[-1].pool is not None:
            raise ValueError("the last layer of a shared engine must have no pooling")
        if self.thresholds is None and not (self.last.border()[1] == self.last.origin).all():
            raise ValueError("the last layer of a shared engine must have thresholds where it has zero padding")

    @property
    def first(self) -> EngineParameters:
        """The first layer."""
        return self.layers[0].engine

    @property
    def last(self) -> EngineParameters:
        """The last layer."""
        return self.layers[-1].engine

    @property
    def simd(self) -> int:
        """Codes of a word."""
        return self.first.simd

    @property
    def lanes(self) -> int:
        """Codes or sums of an output beat."""
        return self.first.hop

    @property
    def channels(self) -> int:
        """Output channels of the last layer."""
        return self.last.channels

    @property
    def thresholds(self) -> np.ndarray | None:
        """Thresholds of the last layer."""
        return self.last.thresholds

    @property
    def input_elements(self) -> int:
        """Codes of a frame at the input."""
        return self.first.input_elements

    @property
    def input_lanes(self) -> int:
        """Codes of an input beat: a word, or a position where that is less."""
        return min(self.simd, self.first.inputs)

    @property
    def input_bits(self) -> int:
        """Width of an input code."""
        return self.first.planes.activation_bits

    @property
    def input_beats(self) -> int:
        """Beats of a frame at the input."""
        return self.layers[0].plane_words

    @property
    def positions(self) -> int:
        """Output positions of a frame, a packet each."""
        return self.last.positions

    @property
    def output_size(self) -> tuple[int, int]:
        """Output positions down and across."""
        return self.layers[-1].size

    @property
    def output_bits(self) -> int:
        """Bits of a code, or of an unsigned sum, of an output beat."""
        return self.sum_width if self.thresholds is None else self.thresholds.shape[1].bit_length()

    @property
    def output_step(self) -> int:
        """Step of the sums that go out."""
        return self.last.step

    @property
    def origin(self) -> int:
        """Origin of the sums that go out."""
        return self.last.origin

    @property
    def largest_output(self) -> int:
        """Largest code or sum that goes out."""
        return self.last.largest if self.thresholds is None else super().largest_output

    @cached_property
    def array(self) -> ArrayParameters:
        """Parameters of the array: its sums hold those of every layer."""
        tops = [(layer.engine.words * layer.engine.planes.top, layer.engine.planes) for layer in self.layers]
        planes = max((planes for _, planes in tops), key=lambda planes: planes.top)
        words = max(-(-top // planes.top) for top, _ in tops)
        return replace(self.first.array, words=max(words, self.first.array.groups), planes=planes)

    @property
    def sum_width(self) -> int:
        """Width of a count."""
        return self.array.cell.sum_width

    @property
    def span(self) -> int:
        """Layers of the network that the stage computes, poolings included."""
        return sum(1 if layer.pool is None else 2 for layer in self.layers)

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return codes, or sums as they go out, of the last layer; see `Stage`."""
        for layer in self.layers:
            codes = layer.compute(codes)
        return codes
