"""Geometry of windows over an image, as a layer's parameters state it."""

from dataclasses import dataclass

import numpy as np

from signfold.hw.border import BorderClasses
from signfold.hw.window_parameters import WindowParameters

__all__ = ["ImageGeometry", "border_classes"]


@dataclass(frozen=True)
class ImageGeometry:
    """An image and the windows over it; what is allowed: see `WindowParameters`.

    Parameters
    ----------
    height, width : int
        Size of the image.
    kernel, stride : tuple of int
        Height and width; steps down and to the right.
    padding : tuple of int
        Positions around the image: top, bottom, left, right.
    pad : int or None
        Code of the positions around the image; None: they add nothing.
    """

    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad: int | None = None

    @property
    def bordered(self) -> bool:
        """Whether windows differ in how many of their taps count."""
        return self.pad is None and any(self.padding)

    def window(
        self, simd: int, channels: int, bits: int, *, by_channel: bool = False, ahead: int = 0
    ) -> WindowParameters:
        """Return the parameters of a window; what adds nothing is sent as code 0."""
        return WindowParameters(
            simd,
            channels,
            self.height,
            self.width,
            self.kernel,
            self.stride,
            self.padding,
            bits,
            self.pad or 0,
            by_channel=by_channel,
            ahead=ahead,
        )

    def values(self, values: np.ndarray, bits: int) -> np.ndarray:
        """Return the windows of bipolar values.

        Parameters
        ----------
        values : numpy.ndarray
            Frames x positions x channels.
        bits : int
            Width of a code.

        Returns
        -------
        numpy.ndarray
            Frames x output positions x taps x channels; positions around the image hold the pad's value, or 0.
        """
        frames, _, channels = values.shape
        top, bottom, left, right = self.padding
        around = 0 if self.pad is None else 2 * self.pad - ((1 << bits) - 1)
        image = values.reshape(frames, self.height, self.width, channels)
        image = np.pad(image, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=around)
        windows = np.lib.stride_tricks.sliding_window_view(image, self.kernel, axis=(1, 2))
        windows = windows[:, :: self.stride[0], :: self.stride[1]].transpose(0, 1, 2, 4, 5, 3)
        return windows.reshape(frames, -1, self.kernel[0] * self.kernel[1], channels)


def border_classes(window: WindowParameters) -> tuple[BorderClasses, np.ndarray]:
    """Return the classes of a window's positions, and which taps lie inside the image.

    Returns
    -------
    BorderClasses
        Positions of one class have the same taps inside.
    numpy.ndarray
        bool, classes x taps.
    """
    numbers, inside = [], []
    for axis, size in enumerate(window.size):
        starts = np.arange(window.output_size[axis]) * window.stride[axis] - window.padding[2 * axis]
        taps = starts[:, None] + np.arange(window.kernel[axis])
        patterns, classes = np.unique((taps >= 0) & (taps < size), axis=0, return_inverse=True)
        numbers.append(tuple(int(number) for number in classes.reshape(-1)))
        inside.append(patterns)
    both = inside[0][:, None, :, None] & inside[1][None, :, None, :]
    return BorderClasses(*numbers), both.reshape(-1, window.taps)
