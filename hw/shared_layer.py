"""One layer of a shared engine: how its input lies in memory, and the loops that play it and take its results."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.border import BorderClasses
from signfold.hw.engine import EngineParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.walk import Program

__all__ = ["ISSUE_LEVELS", "RESULT_LEVELS", "SharedLayer"]

#: Levels of the loops that issue words, the innermost first.
ISSUE_LEVELS = ("word", "column", "row", "play", "tap_x", "tap_y", "pass", "x", "y")
#: Levels of the loops that take results.
RESULT_LEVELS = ("beat", "tap_x", "tap_y", "pass", "x", "y")


@dataclass(frozen=True, eq=False)
class SharedLayer:
    """A layer, and the max pooling of its codes if one follows.

    The input lies in memory from address 0 on: plane by plane, the positions of a plane row by row, the words of a
    position one after another. With a pooling, the positions of a pooling window are computed one after another, group
    by group of channels, so that nothing is kept but the largest codes of one group.

    Parameters
    ----------
    engine : EngineParameters
        The layer on an array of one row, planes in time.
    pool : ImageGeometry or None
        Windows of the pooling over the layer's output.

    Raises
    ------
    ValueError
        If the layer cannot share an array; the message says why.
    """

    engine: EngineParameters
    pool: ImageGeometry | None = None

    def __post_init__(self):
        engine = self.engine
        if engine.rows != 1:
            raise ValueError(f"rows must be 1 on a shared engine, not {engine.rows!r}")
        if engine.planes.space and len(engine.planes.pairs) > 1:
            raise ValueError("space must be false on a shared engine: its planes follow one another in time")
        if self.pool is not None and (self.pool.height, self.pool.width) != self.size:
            raise ValueError(f"pooling must read {self.size} positions, not {self.pool.height} x {self.pool.width}")
        if self.pool is not None and engine.thresholds is None:
            raise ValueError("pooling must read codes on a shared engine")

    @property
    def input_size(self) -> tuple[int, int]:
        """Positions of the input down and across."""
        image = self.engine.image
        return (1, self.engine.taps) if image is None else (image.height, image.width)

    @property
    def words(self) -> int:
        """Words of an input position."""
        return self.engine.words // self.engine.taps

    @property
    def plane_words(self) -> int:
        """Words of a plane of the input."""
        return self.input_size[0] * self.input_size[1] * self.words

    @property
    def input_words(self) -> int:
        """Words of the input."""
        return self.plane_words * self.engine.planes.activation_bits

    @property
    def size(self) -> tuple[int, int]:
        """Positions of the layer's sums down and across."""
        return getattr(self.engine.feeder.storage, "output_size", (1, 1))

    @cached_property
    def output_size(self) -> tuple[int, int]:
        """Positions of the output down and across."""
        return self.size if self.pool is None else self.pool.window(1, 1, 1).output_size

    @property
    def taps(self) -> tuple[int, int]:
        """Positions that an output position is the largest of."""
        return (1, 1) if self.pool is None else self.pool.kernel

    @property
    def output_words(self) -> int:
        """Words of a plane of the output."""
        return self.output_size[0] * self.output_size[1] * -(-self.engine.channels // self.engine.simd)

    @property
    def padded(self) -> bool:
        """Whether windows reach beyond the input."""
        image = self.engine.image
        return image is not None and (any(image.padding) or self.outside)

    @property
    def outside(self) -> bool:
        """Whether pooling windows reach beyond the sums."""
        return self.pool is not None and any(self.pool.padding)

    @cached_property
    def final_beats(self) -> int:
        """Beats of a position's last pass that hold channels."""
        return self.engine.collector.final_beats

    @property
    def cycles(self) -> int:
        """Words issued for a frame."""
        return self.issue(0, 0).steps

    def issue(self, weights: int, origin: int) -> Program:
        """Return the loops that issue words.

        Values are the address of the activations, that of the weights, and the row and column of the input, which begin
        at 0 for the position furthest up and left that a window holds.

        Parameters
        ----------
        weights : int
            Address of the layer's first weight word.
        origin : int
            Address of the layer's input.
        """
        engine, plays = self.engine, self.engine.planes.plays
        planes = tuple(play.activation * self.plane_words for play in plays)
        blocks = tuple(play.weight * engine.words for play in plays)
        block = engine.feeder.sequencer.block
        size, (up, left) = self.output_size, self.first
        if engine.image is None:
            counts = (engine.words, 1, 1, len(plays), 1, 1, engine.passes, 1, 1)
            activations = (1, 0, 0, planes, 0, 0, 0, 0, 0)
            addresses = (1, 0, 0, blocks, 0, 0, block, 0, 0)
            rows = columns = (0,) * len(counts)
        else:
            (down, across), words, (height, width) = engine.image.stride, self.words, engine.image.kernel
            line = self.input_size[1] * words
            taps, (pool_down, pool_across) = self.taps, (1, 1) if self.pool is None else self.pool.stride
            counts = (words, width, height, len(plays), taps[1], taps[0], engine.passes, size[1], size[0])
            columns = (0, 1, 0, 0, across, 0, 0, pool_across * across, 0)
            rows = (0, 0, 1, 0, 0, down, 0, 0, pool_down * down)
            activations = tuple(
                planes if level == "play" else int(level == "word") + row * line + column * words
                for level, row, column in zip(ISSUE_LEVELS, rows, columns, strict=True)
            )
            addresses = (1, words, width * words, blocks, 0, 0, block, 0, 0)
        start = origin + (up * self.input_size[1] + left) * self.words
        return Program(counts, (start, weights, 0, 0), (activations, addresses, rows, columns))

    @property
    def first(self) -> tuple[int, int]:
        """Row and column, at most 0, of the position furthest up and left that a window holds."""
        image = self.engine.image
        if image is None:
            return 0, 0
        top, left = (0, 0) if self.pool is None else (self.pool.padding[0], self.pool.padding[2])
        return -image.padding[0] - top * image.stride[0], -image.padding[2] - left * image.stride[1]

    def result(self, thresholds: int) -> Program:
        """Return the loops that take results.

        Values are the address of the thresholds of the first border class, and row and column of the sums, which begin
        at 0 for the sum furthest up and left that a pooling window holds.

        Parameters
        ----------
        thresholds : int
            Address of the layer's first thresholds.
        """
        groups, passes = self.engine.array.groups, self.engine.passes
        (height, width), (down, across) = self.taps, (1, 1) if self.pool is None else self.pool.stride
        counts = (groups, width, height, passes, self.output_size[1], self.output_size[0])
        strides = (1, 0, 0, groups, 0, 0)
        if self.engine.thresholds is None:
            thresholds, strides = 0, (0,) * len(counts)
        return Program(counts, (thresholds, 0, 0), (strides, (0, 0, 1, 0, 0, down), (0, 1, 0, 0, across, 0)))

    @cached_property
    def border(self) -> tuple[BorderClasses | None, np.ndarray]:
        """Classes of the positions of the sums, and their origins, classes x channels."""
        return self.engine.border()

    @cached_property
    def counts(self) -> np.ndarray:
        """Thresholds on counts, classes x channels x levels; one more than the largest count where none reaches it."""
        engine = self.engine
        # s >= t  <=>  u >= ceil((t + origin) / step)
        counts = -((-self.border[1][..., None] - engine.thresholds) // engine.step)
        return np.clip(counts, 0, engine.largest + 1)

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return codes, or sums as they go out, frames x positions x channels; frames x channels for one position."""
        values = self.engine.compute(codes)
        if self.pool is None:
            return values
        values = self.pool.values(values.reshape(len(values), -1, self.engine.channels), 1).max(axis=2)
        return values[:, 0] if values.shape[1] == 1 else values
