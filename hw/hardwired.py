"""Hardwired layer: a dense layer or a convolution whose weights are logic."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.adder_graph import AdderGraph
from signfold.hw.adder_logic import AdderLogicParameters
from signfold.hw.border import BorderClasses
from signfold.hw.check import check_identifier, check_integer, frozen_array
from signfold.hw.constant_sum import ConstantSumParameters
from signfold.hw.constant_threshold import ConstantThresholdParameters
from signfold.hw.gather import GatherParameters
from signfold.hw.gearbox import NarrowerParameters
from signfold.hw.hardwired_gateware import Hardwired
from signfold.hw.hardwired_timing import hardwired_timing
from signfold.hw.image import ImageGeometry, border_classes
from signfold.hw.line_window import LineWindowParameters
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stage import Stage
from signfold.hw.stream import QueueParameters
from signfold.hw.timing import Timing

__all__ = ["HardwiredParameters"]


@dataclass(frozen=True, eq=False)
class HardwiredParameters(Stage):
    """A dense layer or a convolution as constant logic: every channel of a position in one go.

    Parameters
    ----------
    name : str
        Name of the layer, such as `l0`.
    weights : array of int
        Weights, channels x fan-in, or channels x taps x input channels: the taps of a window, or the positions of an
        image that a dense layer reads, row by row. Any integers, for example -1 and 1.
    graph : AdderGraph
        Additions that multiply with the weights, divided by their greatest common divisor.
    thresholds : array of int or None
        Channels x levels (2**k - 1 levels for codes of k bits): the code is the number of thresholds that the bipolar
        sum reaches. None: the sums go out.
    simd : int
        Codes of an input beat; need not divide the input channels. A convolution takes a position a beat: all of them.
    hop : int
        Codes of an output beat, at most the channels.
    stages : int
        Pipeline registers between the inputs and the comparisons.
    bits : int
        Width of an input code: q stands for 2 q - (2**bits - 1).
    image : ImageGeometry or None
        Windows over an image; None for a dense layer.
    slack : int
        Positions that a queue before a convolution holds; 0: there is none. See `signfold.hw.slack`.
    room : int
        Positions that the queue at the output holds at least; it always holds those under way.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or parameters do not fit; the message names it.
    """

    name: str
    weights: np.ndarray
    graph: AdderGraph
    thresholds: np.ndarray | None
    simd: int
    hop: int = 1
    stages: int = 1
    bits: int = 1
    image: ImageGeometry | None = None
    slack: int = 0
    room: int = 0

    kind = "hardwired"
    roms: tuple[RomParameters, ...] = ()

    def __post_init__(self):
        check_identifier("layer name", self.name)
        weights = np.asarray(self.weights)
        weights = frozen_array("weights", weights[:, None] if weights.ndim == 2 else weights, shape=(None, None, None))
        object.__setattr__(self, "weights", weights)
        check_integer("hop", self.hop, minimum=1, maximum=self.channels)
        check_integer("slack", self.slack, minimum=0)
        check_integer("room", self.room, minimum=0)
        if self.image is not None:
            if weights.shape[1] != self.image.kernel[0] * self.image.kernel[1]:
                raise ValueError(f"weights must hold the taps of kernel {self.image.kernel}, not {weights.shape[1]}")
            if self.simd != self.inputs:
                raise ValueError(
                    f"simd must be {self.inputs}, the input channels: a hardwired convolution takes a position a beat, "
                    f"not {self.simd!r}"
                )
        if not np.array_equal(self.graph.matrix * self.divisor, weights.reshape(self.channels, -1)):
            raise ValueError("graph must multiply with the weights divided by their greatest common divisor")
        if self.thresholds is not None:
            shape = (self.channels, None)
            object.__setattr__(self, "thresholds", frozen_array("thresholds", self.thresholds, shape=shape))
        # These check simd, bits, stages and thresholds.
        _ = self.source, self.unit

    @property
    def channels(self) -> int:
        """Output channels of the layer."""
        return self.weights.shape[0]

    @property
    def taps(self) -> int:
        """Positions that a sum reads."""
        return self.weights.shape[1]

    @property
    def inputs(self) -> int:
        """Input channels."""
        return self.weights.shape[2]

    @property
    def fan_in(self) -> int:
        """Products of a sum."""
        return self.taps * self.inputs

    @property
    def top(self) -> int:
        """Largest input code."""
        return (1 << self.bits) - 1

    @property
    def divisor(self) -> int:
        """Greatest common divisor of the weights."""
        return int(np.gcd.reduce(self.weights, axis=None)) or 1

    @property
    def input_elements(self) -> int:
        """Codes of a frame at the input."""
        return self.inputs * (self.taps if self.image is None else self.image.height * self.image.width)

    @property
    def input_lanes(self) -> int:
        """Codes of an input beat."""
        return self.simd

    @property
    def input_bits(self) -> int:
        """Width of an input code."""
        return self.bits

    @property
    def lanes(self) -> int:
        """Codes or sums of an output beat."""
        return self.hop

    @property
    def beats(self) -> int:
        """Output beats of a position."""
        return -(-self.channels // self.hop)

    @property
    def positions(self) -> int:
        """Output positions of a frame."""
        return self.source.positions

    @property
    def output_size(self) -> tuple[int, int]:
        """Output positions down and across."""
        return (1, 1) if self.image is None else self.source.output_size

    @cached_property
    def source(self) -> GatherParameters | LineWindowParameters:
        """Parameters of what holds all inputs of a position."""
        if self.image is None:
            return GatherParameters(self.simd, self.inputs, self.taps, self.bits)
        return LineWindowParameters(self.image, self.inputs, self.bits)

    @cached_property
    def logic(self) -> AdderLogicParameters:
        """Parameters of the adders."""
        return AdderLogicParameters(self.graph, self.bits, self.stages)

    @cached_property
    def border(self) -> tuple[BorderClasses | None, np.ndarray]:
        """Classes of the positions, and what bipolar sums lack, classes x channels: 2 divisor output - sum.

        Positions around the image are sent as code 0, which adds nothing to an output.
        """
        if self.image is None or not self.image.bordered:
            classes, inside = None, np.ones((1, self.taps), bool)
        else:
            classes, inside = border_classes(self.image.window(self.inputs, self.inputs, self.bits))
        return classes, self.top * (inside.astype(np.int64) @ self.weights.sum(axis=2).T)

    @property
    def output_step(self) -> int:
        """Step of the sums that go out: all that sums can differ by."""
        return math.gcd(2 * self.divisor, *(self.origin - self.border[1]).reshape(-1).tolist())

    @property
    def origin(self) -> int:
        """Origin of the sums that go out: network's sum = output_step * u - origin."""
        return self.top * int(np.abs(self.weights).sum(axis=(1, 2)).max())

    @property
    def largest_output(self) -> int:
        """Largest sum that goes out."""
        return 2 * self.origin // self.output_step

    @cached_property
    def unit(self) -> ConstantThresholdParameters | ConstantSumParameters:
        """Parameters of what the terms go through."""
        classes, origins = self.border
        if self.thresholds is None:
            constants = (self.origin - origins) // self.output_step
            factor = 2 * self.divisor // self.output_step
            return ConstantSumParameters(self.logic, factor, constants, self.largest_output, classes)
        # s >= t  <=>  output >= ceil((t + origin) / (2 divisor))
        least = -((-origins[..., None] - self.thresholds) // (2 * self.divisor))
        return ConstantThresholdParameters(self.logic, least, classes)

    @property
    def output_bits(self) -> int:
        """Bits of a code, or of an unsigned sum, of an output beat."""
        return self.unit.output_width

    @property
    def pipeline(self) -> int:
        """Cycles from a vector's claim to its codes at the queue."""
        return self.source.DELAY + self.logic.latency + self.unit.latency

    @property
    def waiting(self) -> QueueParameters | None:
        """Parameters of the queue at the input; None: there is none."""
        if self.slack == 0:
            return None
        # At depth 2 a queue takes a beat every other cycle.
        return QueueParameters(beat_layout(self.simd, self.bits), max(3, self.slack))

    @property
    def queue(self) -> QueueParameters:
        """Parameters of the queue of positions: room for those under way, so that none waits for room alone."""
        pace = max(self.source.pace, self.beats)
        depth = -(-(self.pipeline + QueueParameters.LATENCY + 1) // pace)
        # At depth 2 a queue takes no positions in cycles that follow one another.
        least = 2 if self.source.pace > 1 else 3
        return QueueParameters(beat_layout(self.beats * self.hop, self.output_bits), max(least, depth, self.room))

    @property
    def narrower(self) -> NarrowerParameters | None:
        """Parameters of the gearbox that makes beats of a position; None where it is one."""
        if self.beats == 1:
            return None
        return NarrowerParameters(self.channels, self.output_bits, self.beats * self.hop, self.hop)

    @property
    def settling(self) -> int:
        """Cycles after reset until the stage waits for input."""
        return self.source.settling

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure, where `room` is enough for its positions.

        (Positions come row by row, perhaps faster than their beats leave.)
        """
        return max(self.source.interval, self.positions * self.beats)

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return codes, or sums as they go out, for input codes (frames x ..., positions in raster order).

        The shape is frames x positions x channels; frames x channels where there is one position.
        """
        codes = np.asarray(codes, np.int64)
        values = 2 * codes.reshape(len(codes), -1, self.inputs) - self.top
        if self.image is None:
            values = values.reshape(len(codes), 1, self.taps, self.inputs)
        else:
            values = self.image.values(values, self.bits)
        sums = np.einsum("fptc,otc->fpo", values, self.weights)
        if self.thresholds is not None:
            sums = (sums[..., None] >= self.thresholds).sum(axis=-1)
        else:
            sums = (sums + self.origin) // self.output_step
        return sums[:, 0] if self.positions == 1 else sums

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        return hardwired_timing(self, source)

    def create(self) -> Hardwired:
        """Return the gateware."""
        return Hardwired(self)
