"""Geometry of a convolution's input: what a window stores and plays, and when."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_integer
from signfold.hw.timing import Timing
from signfold.hw.window_timing import WindowTiming

__all__ = ["WindowParameters"]


@dataclass(frozen=True)
class WindowParameters:
    """Geometry of a convolution's input, as a raster of positions of `channels` codes each.

    Parameters
    ----------
    simd : int
        Codes of a word. The channels of a position fill ceil(channels / simd) words.
    channels : int
        Channels of the image.
    height, width : int
        Size of the image.
    kernel : tuple of int
        Height and width of the kernel.
    stride : tuple of int
        Steps down and to the right.
    padding : tuple of int
        Positions around the image: top, bottom, left, right; each smaller than the kernel. Negative on the left:
        columns of the image before the first window.
    bits : int
        Width of a code.
    pad_code : int
        Code of the positions around the image.
    plays : int
        Times that each window is played.
    by_channel : bool
        False: a play is all words of all taps. True: a play is one word of all taps, played `plays` times before the
        next word's.
    ahead : int
        Positions stored beyond that, for windows further right that play in step with this one, or for a producer with
        another rhythm.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or the kernel is larger than the padded image.
    """

    simd: int
    channels: int
    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    bits: int = 1
    pad_code: int = 0
    plays: int = 1
    by_channel: bool = False
    ahead: int = 0

    #: Cycles from the issue of a word to its appearance.
    DELAY = 2

    def __post_init__(self):
        for name in ("simd", "channels", "height", "width", "bits", "plays"):
            check_integer(name, getattr(self, name), minimum=1)
        for name, count, least in (("kernel", 2, 1), ("stride", 2, 1), ("padding", 4, None)):
            values = getattr(self, name)
            if not isinstance(values, tuple) or len(values) != count:
                raise TypeError(f"{name} must be a tuple of {count} integers, not {values!r}")
            for index, value in enumerate(values):
                # Only the left edge may cut into the image.
                check_integer(name, value, minimum=(-self.width if index == 2 else 0) if least is None else least)
        check_integer("pad_code", self.pad_code, minimum=0, maximum=(1 << self.bits) - 1)
        for name, size, steps, around in (
            ("height", self.kernel[0], self.height, self.padding[:2]),
            ("width", self.kernel[1], self.width, self.padding[2:]),
        ):
            if max(around) >= size:
                raise ValueError(f"padding must be smaller than the kernel's {name} {size}, not {max(around)!r}")
            padded = steps + sum(around)
            if size > padded:
                raise ValueError(f"kernel {name} must be at most {padded}, the padded {name}, not {size!r}")

    @property
    def words(self) -> int:
        """Words of a position."""
        return -(-self.channels // self.simd)

    @property
    def taps(self) -> int:
        """Positions of a window."""
        return self.kernel[0] * self.kernel[1]

    @cached_property
    def output_size(self) -> tuple[int, int]:
        """Output positions down and across."""
        top, bottom, left, right = self.padding
        return (
            (self.height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (self.width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )

    @property
    def positions(self) -> int:
        """Output positions of a frame."""
        return self.output_size[0] * self.output_size[1]

    @property
    def play_words(self) -> int:
        """Words of a play."""
        return self.taps if self.by_channel else self.taps * self.words

    @cached_property
    def capacity(self) -> int:
        """Positions of storage: kernel height - 1 image rows and kernel width positions, and a few more in some cases.

        Small kernels: the cycles that pass from freeing a place to reading its next position must be hidden behind the
        window's other words. Kernels no higher than the stride, whose rows of windows share nothing, and columns that
        no window holds: so must the positions that pass by. By channel: a window's places become free only with its
        last words.
        """
        columns = sum(self.last_user(1, column) is not None for column in range(self.width))
        exact = (self.kernel[0] - 1) * columns + self.kernel[1] + self.ahead
        hidden = 8 - (self.taps - 2) * self.words
        # Positions that no window holds, among those of the first window.
        passing = (self.kernel[0] - 1) * (self.width - columns)
        hidden += passing * self.words
        if self.kernel[0] <= self.stride[0]:
            held = [n for n in range(self.height * self.width) if self.used(n // self.width, n % self.width)]
            ends = [*held[1:], self.height * self.width]
            rest = max(after - n - 1 for n, after in zip(held, ends, strict=True)) * self.words
            hidden = max(hidden, 8 + rest - self.plays * self.taps * self.words)
        if self.by_channel:
            exact += self.kernel[0] * self.stride[1] + 2 * self.kernel[1]
        return exact + max(0, -(-hidden // self.words))

    @cached_property
    def rows(self) -> int:
        """Image rows that may be told apart at once, a power of two: those stored and those that pass by unused."""
        stored = -(-self.capacity // self.width)
        return 1 << (stored + self.kernel[0] + self.stride[0]).bit_length()

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next while words are issued every cycle: words played, or words taken."""
        return max(self.positions * self.plays * self.taps * self.words, self.height * self.width * self.words)

    def used(self, row: int, column: int) -> bool:
        """Return whether any window holds the position."""
        return bool(self.last_user(0, row) is not None and self.last_user(1, column) is not None)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.height, self.width

    def last_user(self, axis: int, index: int) -> int | None:
        """Return the last output row or column whose windows hold image row or column `index`; None if none does."""
        return self._last_users[axis][index]

    @cached_property
    def _last_users(self):
        tables = []
        for axis, size in enumerate(self.size):
            last = []
            for offset in range(self.padding[2 * axis], size + self.padding[2 * axis]):
                user = min(max(offset, 0) // self.stride[axis], self.output_size[axis] - 1)
                holds = offset >= 0 and offset - user * self.stride[axis] < self.kernel[axis]
                last.append(user if holds else None)
            tables.append(last)
        return tables

    def compute(self, image: np.ndarray) -> np.ndarray:
        """Return the windows of an image.

        Parameters
        ----------
        image : numpy.ndarray
            Codes, height x width x channels.

        Returns
        -------
        numpy.ndarray
            positions x taps x (words * simd) codes: windows in raster order, taps in raster order; lanes past the
            channels hold 0.
        """
        top, bottom, left, right = self.padding
        spread = np.zeros((self.height, self.width, self.words * self.simd), np.int64)
        spread[:, :, : self.channels] = image
        spread = spread[:, max(0, -left) :]
        padded = np.pad(spread, ((top, bottom), (max(0, left), right), (0, 0)), constant_values=self.pad_code)
        padded[:, :, self.channels :] = 0
        rows, columns = self.output_size
        down, across = self.stride
        windows = [
            padded[y * down : y * down + self.kernel[0], x * across : x * across + self.kernel[1]]
            for y in range(rows)
            for x in range(columns)
        ]
        return np.array(windows).reshape(self.positions, self.taps, self.words * self.simd)

    def playing(self, source: Timing) -> WindowTiming:
        """Return the cycles of plays for words offered by `source`."""
        return WindowTiming([self], source)

    def create(self):
        """Return the gateware, a `Window`."""
        # The gateware's file imports this one.
        from signfold.hw.window import Window

        return Window(self)
