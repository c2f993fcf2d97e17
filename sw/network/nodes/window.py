"""Kernel windows on a padded image: the geometry that convolutions and pools share."""

from dataclasses import dataclass

from signfold.sw.errors import NetworkError
from signfold.sw.network.types import MAX_ELEMENTS, ValueType, is_int, shown

__all__ = ["Placement", "own_padding", "own_pair", "place"]


@dataclass(frozen=True)
class Placement:
    """Where the windows of a node lie on its input.

    Attributes
    ----------
    rows, columns : int
        Windows down and across.
    taps : int
        Positions in a window, ``kh * kw``.
    inside : int
        Most positions that any window has inside the image; the others are padded.
    """

    rows: int
    columns: int
    taps: int
    inside: int


def _own_integers(name: str, what: str, values: object, count: int, low: int, high: tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) != count or not all(is_int(value) for value in values):
        raise NetworkError(f"node {shown(name)}: {what} must be {count} integers, not {shown(values)}")
    for value, most in zip(values, high, strict=True):
        if not low <= value <= most:
            raise NetworkError(f"node {shown(name)}: {what} {shown(values)}: {value} must be from {low} to {most}")
    return tuple(values)


def own_pair(name: str, what: str, values: object) -> tuple[int, int]:
    """Return sizes down and across as a tuple, each from 1 to `MAX_ELEMENTS`."""
    return _own_integers(name, what, values, 2, 1, (MAX_ELEMENTS,) * 2)


def own_padding(name: str, padding: object, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the padding as top, bottom, left, right, each smaller than the kernel: no window lies outside."""
    down, across = (size - 1 for size in kernel)
    return _own_integers(name, "padding", padding, 4, 0, (down, down, across, across))


def place(
    name: str,
    source: str,
    value: ValueType,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Placement:
    """Lay windows on the image `value` that `source` gives; a last window that does not fit is left out (floor).

    Raises
    ------
    NetworkError
        The value is no image, the kernel exceeds the padded image, or the padded image is too large.
    """
    if len(value.shape) != 3:
        raise NetworkError(
            f"node {shown(name)}: reads images of channels, rows and columns, but {shown(source)} gives shape "
            f"{value.shape}"
        )
    channels, *image = value.shape
    padded = [size + padding[2 * axis] + padding[2 * axis + 1] for axis, size in enumerate(image)]
    for axis, what in enumerate(("rows", "columns")):
        if kernel[axis] > padded[axis]:
            raise NetworkError(
                f"node {shown(name)}: kernel {kernel} has more {what} than the padded image of {shown(source)}, which "
                f"has {padded[axis]}"
            )
    if channels * padded[0] * padded[1] > MAX_ELEMENTS:
        raise NetworkError(
            f"node {shown(name)}: padding {padding} makes {padded[0]}x{padded[1]} positions of {channels} channels out "
            f"of {shown(source)}, more than {MAX_ELEMENTS} elements"
        )
    counts = [(padded[axis] - kernel[axis]) // stride[axis] + 1 for axis in range(2)]
    inside = [_inside(image[axis], kernel[axis], stride[axis], padding[2 * axis], counts[axis]) for axis in range(2)]
    return Placement(counts[0], counts[1], kernel[0] * kernel[1], inside[0] * inside[1])


def _inside(size: int, kernel: int, stride: int, before: int, count: int) -> int:
    """Return how much of an axis of `size` the window that sees most of it sees.

    A window that starts at `start` sees more the closer that is to the interval between 0 and ``size - kernel``; so
    the best is next to the interval's lower end.
    """
    lowest = (min(0, size - kernel) + before) // stride
    starts = [min(index, count - 1) * stride - before for index in (lowest, lowest + 1)]
    return max(min(start + kernel, size) - max(start, 0) for start in starts)
