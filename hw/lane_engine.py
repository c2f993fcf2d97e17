"""Engine of a pooling or a depthwise convolution: lanes that work on a channel each."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_bits, check_identifier, check_integer, frozen_array
from signfold.hw.engine_core import EngineCore
from signfold.hw.feeder import FeederParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.invert import InvertParameters
from signfold.hw.lane_array import LaneArrayParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.rom import RomParameters

__all__ = ["LaneEngineParameters"]


@dataclass(frozen=True, eq=False)
class LaneEngineParameters(EngineCore):
    """A pooling or a depthwise convolution, as many output channels as input channels.

    Parameters
    ----------
    name : str
        Prefix of the layer's ROM names, such as `l0`.
    operation : str
        "multiply": depthwise convolution; "max", "sum": pooling of codes or of sums.
    channels : int
        Channels.
    lanes : int
        Channels worked on at once, and codes of a beat at input and output.
    image : ImageGeometry
        Windows. `pad` is None for pooling: around the image there is nothing to win, and nothing to add.
    thresholds : array of int or None
        As for `EngineParameters`, on the sums; not for "max".
    bits : int
        Width of an input code or unsigned sum.
    weights : array of int or None
        "multiply": weight codes, channels x taps.
    planes : PlaneParameters or None
        "multiply": widths and plays.
    largest_input : int or None
        Largest input code; by default that of the width.
    input_step, input_origin : int or None
        An input code u stands for input_step * u - input_origin; by default 2 u - (2**bits - 1).
    inverted : array of int or None
        "max": 1 for each channel whose code is complemented after the pooling.
    slack : int
        Positions stored beyond what windows need by themselves; see `signfold.hw.slack`.
    memory : str
        Where the weights lie: a style of `RomParameters`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or parameters do not fit; the message names it.
    """

    name: str
    operation: str
    channels: int
    lanes: int
    image: ImageGeometry
    thresholds: np.ndarray | None = None
    bits: int = 1
    weights: np.ndarray | None = None
    planes: PlaneParameters | None = None
    largest_input: int | None = None
    input_step: int = 2
    input_origin: int | None = None
    inverted: np.ndarray | None = None
    slack: int = 0
    memory: str = "auto"

    def __post_init__(self):
        check_identifier("engine name", self.name)
        for name in ("channels", "lanes", "bits"):
            check_integer(name, getattr(self, name), minimum=1)
        whole = (1 << self.bits) - 1
        defaults = {"largest_input": whole, "input_origin": whole, "planes": PlaneParameters(self.bits, 2, True)}
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        check_integer("largest_input", self.largest_input, minimum=1, maximum=whole)
        if (self.weights is None) == (self.operation == "multiply"):
            raise ValueError(f"weights must be given for operation 'multiply' alone, not for {self.operation!r}")
        # Its parameters check the operation.
        _ = self.array
        if self.weights is not None:
            weights = frozen_array("weights", self.weights, shape=(self.channels, self.taps))
            if ((weights < 0) | (weights >= self.planes.weight_levels)).any():
                raise ValueError(f"weights must hold codes from 0 to {self.planes.weight_levels - 1}")
            object.__setattr__(self, "weights", weights)
        elif self.image.pad is not None:
            raise ValueError(f"pad must be None for pooling, not {self.image.pad!r}")
        if self.thresholds is not None:
            if self.operation == "max":
                raise ValueError("thresholds must be None for operation 'max': compare before pooling")
            thresholds = frozen_array("thresholds", self.thresholds, shape=(self.channels, None))
            object.__setattr__(self, "thresholds", thresholds)
        if self.inverted is not None:
            if self.operation != "max":
                raise ValueError(f"inverted must be None for operation {self.operation!r}")
            inverted = frozen_array("inverted", self.inverted, shape=(self.channels,))
            check_bits("inverted", inverted)
            object.__setattr__(self, "inverted", inverted if inverted.any() else None)

    @property
    def input_elements(self) -> int:
        """Codes of a frame at the input."""
        return self.channels * self.image.height * self.image.width

    @property
    def taps(self) -> int:
        """Positions of a window."""
        return self.image.kernel[0] * self.image.kernel[1]

    @property
    def step(self) -> int:
        """The network's sum grows by this much with each count."""
        return 2 if self.operation == "multiply" else self.input_step

    @cached_property
    def array(self) -> LaneArrayParameters:
        """Parameters of the array."""
        return LaneArrayParameters(self.operation, self.lanes, self.taps, self.planes, self.largest_input)

    @cached_property
    def feeder(self) -> FeederParameters:
        """Parameters of the feeder."""
        window = self.image.window(self.lanes, self.channels, self.bits, by_channel=True, ahead=self.slack)
        return FeederParameters(window, window.words, self.planes)

    @property
    def largest(self) -> int:
        """Largest count."""
        return self.array.top

    @property
    def sum_width(self) -> int:
        """Width of a count."""
        return self.array.sum_width

    @property
    def bordered(self) -> bool:
        """Whether windows at the edge have fewer products or codes to sum."""
        return self.operation != "max" and self.image.bordered

    def origins(self, inside: np.ndarray) -> np.ndarray:
        """Return the origins, classes x channels: see `EngineCore`."""
        inside = np.broadcast_to(inside, (len(inside), self.taps)).astype(np.int64)
        if self.operation == "multiply":
            lowest, weights = self.planes.bipolar(0, self.weights)
            return self.taps * self.planes.top + int(lowest) * ((1 - inside) @ weights.T)
        counted = inside.sum(axis=1) if self.operation == "sum" else np.ones(len(inside), np.int64)
        return np.repeat(counted[:, None] * self.input_origin, self.channels, axis=1)

    def _unit(self, row):
        if self.inverted is not None:
            return InvertParameters(f"{self.name}_i", self.lanes, self.bits, self.inverted)
        return super()._unit(row)

    @cached_property
    def weight_roms(self) -> tuple[RomParameters, ...]:
        """One table, addressed as `SequencerParameters` says; lane l in bits l * cell.weight_width on."""
        if self.weights is None:
            return ()
        padded = np.zeros((self.feeder.passes * self.lanes, self.taps), np.int64)
        padded[: self.channels] = self.weights
        planes = self.planes.weight_bits(padded)
        grid = planes.reshape(len(planes), self.feeder.passes, self.lanes, self.taps)
        # To address (pass, plane in time, tap), then bit (lane, plane in space).
        grid = grid.transpose((1, 3, 2, 0) if self.planes.space else (1, 0, 3, 2))
        packed = np.packbits(grid.reshape(self.feeder.sequencer.addresses, -1), axis=1, bitorder="little")
        width = self.lanes * self.array.cell.weight_width
        words = tuple(int.from_bytes(word.tobytes(), "little") for word in packed)
        return (RomParameters(f"{self.name}_w0", width, words, self.memory),)

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return codes, or sums as they go out, for input codes (frames x positions in raster order x channels).

        The shape is frames x positions x channels; frames x channels where there is one position.
        """
        codes = np.asarray(codes, np.int64)
        codes = codes.reshape(len(codes), -1, self.channels)
        if self.operation == "max":
            # Codes are not negative, so that the zeros around the image never win.
            values = self.image.values(codes, self.bits).max(axis=2)
            values = values if self.inverted is None else np.where(self.inverted, (1 << self.bits) - 1 - values, values)
        elif self.operation == "sum":
            values = self.image.values(self.input_step * codes - self.input_origin, self.bits).sum(axis=2)
        else:
            bipolar, weights = self.planes.bipolar(codes, self.weights.T)
            values = (self.image.values(bipolar, self.bits) * weights).sum(axis=2)
        if self.operation != "max":
            if self.thresholds is not None:
                values = (values[..., None] >= self.thresholds).sum(axis=-1)
            else:
                values = (values + self.origin) // self.output_step
        return values[:, 0] if self.positions == 1 else values
