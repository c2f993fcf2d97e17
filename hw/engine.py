"""Engine of a dense layer or a convolution: a systolic array with its weights."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.array import ArrayParameters
from signfold.hw.check import check_identifier, check_integer, frozen_array
from signfold.hw.engine_core import EngineCore
from signfold.hw.fabric import FABRICS, Fabric
from signfold.hw.feeder import FeederParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.parity import weight_parities
from signfold.hw.planes import PlaneParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.rom import RomParameters

__all__ = ["EngineParameters"]


@dataclass(frozen=True, eq=False)
class EngineParameters(EngineCore):
    """A dense layer or a convolution, and the array that computes it.

    Parameters
    ----------
    name : str
        Prefix of the layer's ROM names, such as `l0`.
    weights : array of int
        Weight codes, channels x fan-in, or channels x taps x input channels: the taps of a window, or the positions of
        an image that a dense layer reads, row by row.
    thresholds : array of int or None
        Channels x levels (2**k - 1 levels for codes of k bits): the code is the number of thresholds that the bipolar
        sum reaches. None: the sums go out.
    cols : int
        Columns of the array: channels worked on at once. Need not divide the channels.
    simd : int
        Codes of a word. Need not divide the input channels.
    hop : int
        Columns that a word passes in a cycle, and codes of an output beat; divides `cols`, at least
        cols / words of a pass.
    stages : int
        Pipeline registers between XNOR and accumulator, or before it in cells that multiply.
    planes : PlaneParameters
        Widths of activations and weights, and whether cells count planes or multiply whole codes.
    image : ImageGeometry or None
        Windows over an image; None for a dense layer.
    rows : int
        Rows of the array: positions worked on at once; divides the output's width.
    slack : int
        Positions stored beyond what windows need by themselves; see `signfold.hw.slack`.
    memory : str
        Where the weights lie: a style of `RomParameters`.
    fabric : Fabric
        What the array is made of.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or parameters do not fit; the message names it.
    """

    name: str
    weights: np.ndarray
    thresholds: np.ndarray | None
    cols: int
    simd: int
    hop: int = 1
    stages: int = 1
    planes: PlaneParameters = PlaneParameters()
    image: ImageGeometry | None = None
    rows: int = 1
    slack: int = 0
    memory: str = "auto"
    fabric: Fabric = FABRICS["plain"]

    def __post_init__(self):
        check_identifier("engine name", self.name)
        weights = np.asarray(self.weights)
        weights = frozen_array("weights", weights[:, None] if weights.ndim == 2 else weights, shape=(None, None, None))
        most = self.planes.weight_levels - 1
        if ((weights < 0) | (weights > most)).any():
            allowed = "only 0 and 1" if most == 1 else f"codes from 0 to {most}"
            bad = weights[(weights < 0) | (weights > most)][0]
            raise ValueError(f"weights must hold {allowed}, not {int(bad)!r}")
        object.__setattr__(self, "weights", weights)
        check_integer("simd", self.simd, minimum=1)
        if self.image is not None and weights.shape[1] != self.image.kernel[0] * self.image.kernel[1]:
            raise ValueError(f"weights must hold the taps of kernel {self.image.kernel}, not {weights.shape[1]}")
        # These check cols, hop, stages and rows, which depend on the layer.
        _ = self.array, self.feeder
        if self.thresholds is not None:
            object.__setattr__(
                self, "thresholds", frozen_array("thresholds", self.thresholds, shape=(self.channels, None))
            )

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
    def input_elements(self) -> int:
        """Codes of a frame at the input."""
        return self.inputs * (self.taps if self.image is None else self.image.height * self.image.width)

    @property
    def lanes(self) -> int:
        """Codes or sums of an output beat."""
        return self.hop

    @property
    def words(self) -> int:
        """Words of a play: those of each tap, the last one of each padded."""
        return self.taps * -(-self.inputs // self.simd)

    @property
    def passes(self) -> int:
        """Channel groups: passes that a window takes."""
        return -(-self.channels // self.cols)

    @property
    def padding(self) -> int:
        """Count that the lanes past the input channels add: they are 0 in words and weights, so they agree."""
        if self.planes.multiplies:
            return 0
        return (self.words * self.simd - self.fan_in) * self.planes.top

    @property
    def largest(self) -> int:
        """Largest count."""
        offset = self.array.cell.offset if self.planes.multiplies else 0
        return offset + self.fan_in * self.planes.top + self.padding

    @property
    def sum_width(self) -> int:
        """Width of a count."""
        return self.array.cell.sum_width

    @cached_property
    def array(self) -> ArrayParameters:
        """Parameters of the array."""
        size = (self.rows, self.cols, self.simd, self.words, self.hop)
        return ArrayParameters(*size, self.stages, self.planes, self.fabric)

    @cached_property
    def feeder(self) -> FeederParameters:
        """Parameters of the feeder."""
        bits = self.planes.activation_bits
        if self.image is None:
            storage = ReplayParameters(self.simd, self.words, 1, bits)
        else:
            storage = self.image.window(self.simd, self.inputs, bits, ahead=self.slack)
        return FeederParameters(storage, self.passes, self.planes, self.rows)

    @property
    def bordered(self) -> bool:
        """Whether windows at the edge have fewer products."""
        return self.image is not None and self.image.bordered

    def origins(self, inside: np.ndarray) -> np.ndarray:
        """Return the origins, classes x channels: see `EngineCore`.

        Positions around the image are sent as code 0, which stands for the lowest value; what they add is taken back.
        """
        lowest, weights = self.planes.bipolar(0, self.weights)
        if self.planes.multiplies:
            # They add nothing, and of the others what the lowest value stands for is taken back.
            within = np.broadcast_to(inside, (len(inside), self.taps)).astype(np.int64) @ weights.sum(axis=2).T
            return self.step * self.array.cell.offset - int(lowest) * within
        around = np.broadcast_to(~inside, (len(inside), self.taps)).astype(np.int64) @ weights.sum(axis=2).T
        return self.fan_in * self.planes.top + 2 * self.padding + int(lowest) * around

    @cached_property
    def weight_roms(self) -> tuple[RomParameters, ...]:
        """One table a column group, addressed as `SequencerParameters` says.

        Column b * hop + lane of pass p works on channel p * cols + b * hop + lane; its word lies in bits
        lane * cell.weight_width on. Bits past the input channels and columns past the channels hold 0. Where the array
        is `encoded`, the words are then turned into prefix parities.
        """
        per_tap = self.words // self.taps
        padded = np.zeros((self.passes * self.cols, self.taps, per_tap * self.simd), np.int64)
        padded[: self.channels, :, : self.inputs] = self.weights
        planes = self.planes.weight_bits(padded)
        if self.array.encoded:
            planes = weight_parities(planes.reshape(*planes.shape[:2], self.words, self.simd))
        grid = planes.reshape(len(planes), self.passes, self.array.groups, self.hop, self.words, self.simd)
        # To group, then address (pass, plane in time, word), then bit (lane, plane in space, bit of the word).
        order = (2, 1, 4, 3, 0, 5) if self.planes.space else (2, 1, 0, 4, 3, 5)
        grid = grid.transpose(order).reshape(self.array.groups, self.feeder.sequencer.addresses, -1)
        packed = np.packbits(grid, axis=2, bitorder="little")
        return tuple(
            RomParameters(
                f"{self.name}_w{group}",
                self.hop * self.array.cell.weight_width,
                tuple(int.from_bytes(word.tobytes(), "little") for word in packed[group]),
                self.memory,
            )
            for group in range(self.array.groups)
        )

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return codes, or sums as they go out, for input codes (frames x ..., positions in raster order).

        The shape is frames x positions x channels; frames x channels where there is one position.
        """
        codes = np.asarray(codes, np.int64)
        codes = codes.reshape(len(codes), -1, self.inputs)
        values, weights = self.planes.bipolar(codes, self.weights)
        if self.image is None:
            values = values.reshape(len(codes), 1, self.taps, self.inputs)
        else:
            values = self.image.values(values, self.planes.activation_bits)
        sums = np.einsum("fptc,otc->fpo", values, weights)
        if self.thresholds is not None:
            sums = (sums[..., None] >= self.thresholds).sum(axis=-1)
        else:
            sums = (sums + self.origin) // self.output_step
        return sums[:, 0] if self.positions == 1 else sums
