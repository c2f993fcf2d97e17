"""Convolutional layers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import Unary
from signfold.sw.network.nodes.levels import check_bit_planes, own_weights
from signfold.sw.network.nodes.window import own_padding, own_pair, place
from signfold.sw.network.types import MAX_ELEMENTS, ValueType, is_int, shown

__all__ = ["Conv"]


@dataclass(frozen=True, eq=False)
class Conv(Unary):
    """Sums of a convolutional layer: cross-correlation, as torch's `conv2d`, of the values v with the weights w.

    Values and weights stand for the same integers as in a dense layer: ``v = 2*q - (2**k - 1)`` and
    ``w = 2*weights - (levels - 1)``. Windows that do not fit whole are left out (floor).

    Parameters
    ----------
    weights : numpy.ndarray
        uint8 ``[channels, in_channels / groups, rows, columns]`` of codes 0 to ``levels - 1``, of more than 256 levels
        uint16.
    stride : tuple of int
        Positions from one window to the next, down and across.
    padding : tuple of int
        Positions added at the top, bottom, left and right, each fewer than the kernel has.
    pad : int or None
        What is read there. None: real zero, v = 0, so that a padded product adds 0. An integer: this code, for which v
        follows as for any other. Without padding it means nothing and becomes None.
    groups : int
        1, or as many as there are input channels and output channels alike (depthwise).
    levels : int
        Levels of the weights, as in `Dense`.

    Notes
    -----
    The type of the sums is that of all weights of so many levels: low and high are what the window can sum that has
    most of its positions inside the image. The step is 2, but 1 where padding is real zero (the number of products,
    and with it the parity, differs from window to window; ternary sums are even all the same).
    """

    op: ClassVar[str] = "conv"

    weights: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad: int | None = None
    groups: int = 1
    levels: int = 2

    def _check(self) -> None:
        object.__setattr__(self, "weights", own_weights(self.name, self.weights, self.levels, 4))
        object.__setattr__(self, "stride", own_pair(self.name, "stride", self.stride))
        object.__setattr__(self, "padding", own_padding(self.name, self.padding, self.kernel))
        if self.pad is not None and (not is_int(self.pad) or not 0 <= self.pad <= 255):
            raise NetworkError(
                f"node {shown(self.name)}: pad must be None (real zero) or a code from 0 to 255, not {shown(self.pad)}"
            )
        if not any(self.padding):
            object.__setattr__(self, "pad", None)
        if not is_int(self.groups) or self.groups not in (1, self.channels):
            raise NetworkError(
                f"node {shown(self.name)}: groups must be 1 or, for a depthwise convolution, the {self.channels} "
                f"channels of the weights, not {shown(self.groups)}"
            )
        if self.depthwise and self.weights.shape[1] != 1:
            raise NetworkError(
                f"node {shown(self.name)}: weights of shape {self.weights.shape} must have 1 input channel a group "
                f"where groups are {self.groups}"
            )

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.weights.shape[0]

    @property
    def kernel(self) -> tuple[int, int]:
        """Size of the window, down and across."""
        return self.weights.shape[2:]

    @property
    def fan_in(self) -> int:
        """Products in a sum whose window lies inside the image."""
        return self.weights[0].size

    @property
    def depthwise(self) -> bool:
        """Whether each channel reads one input channel, its own (a single channel counts as ordinary)."""
        return self.groups > 1

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        check_bit_planes(self.name, self.input, value, "convolutional")
        placement = place(self.name, self.input, value, self.kernel, self.stride, self.padding)
        if value.shape[0] != self.weights.shape[1] * self.groups:
            raise NetworkError(
                f"node {shown(self.name)}: weights of shape {self.weights.shape} in {self.groups} group(s) read "
                f"{self.weights.shape[1] * self.groups} channels, but {shown(self.input)} gives {value.shape[0]}"
            )
        if self.pad is not None and self.pad > value.high:
            raise NetworkError(
                f"node {shown(self.name)}: pad {self.pad} must be a code of {shown(self.input)}, 0 to {value.high}"
            )
        shape = (self.channels, placement.rows, placement.columns)
        if self.channels * placement.rows * placement.columns > MAX_ELEMENTS:
            raise NetworkError(f"node {shown(self.name)}: sums of shape {shape} are more than {MAX_ELEMENTS} elements")
        padded = 0 if self.pad is None else abs(2 * self.pad - value.high)
        window = placement.inside * value.high + (placement.taps - placement.inside) * padded
        bound = self.weights.shape[1] * window * (self.levels - 1)
        gated = self.pad is None and any(self.padding) and self.levels != 3
        return ValueType("sum", shape, -bound, bound, 1 if gated else 2)
