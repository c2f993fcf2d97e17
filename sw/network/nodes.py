"""The operations of an integer network: thresholds, dense layers, affine scores.

Each node is a frozen object with read-only arrays. Its constructor checks what the node alone can know; `infer` checks
it against the value it reads and gives the exact type of its result.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.types import MAX_ELEMENTS, ValueType, is_int, shown

__all__ = ["NODES", "Affine", "Dense", "Node", "Threshold"]

#: Scores must stay below this in magnitude, so that 64-bit arithmetic is exact with a bit to spare.
MAX_SCORE = 1 << 62


def _own(name: str, what: str, array: object, dtype: str, dimensions: int) -> np.ndarray:
    """Return a read-only C-ordered copy of `array`, refused unless it has exactly this dtype and rank."""
    where = f"node {shown(name)}: {what}"
    if not isinstance(array, np.ndarray):
        raise NetworkError(f"{where} must be a NumPy array of {dtype}, not {type(array).__name__}")
    if array.dtype != np.dtype(dtype):
        raise NetworkError(f"{where} must be {dtype}, not {array.dtype}")
    if array.ndim != dimensions or array.size == 0:
        raise NetworkError(f"{where} must have {dimensions} non-empty dimension(s), not shape {array.shape}")
    array = np.array(array, order="C")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Node:
    """What all nodes share.

    Parameters
    ----------
    name : str
        Any non-empty text but ``"input"``, unique in its network. Free text: it is shown to people, never used as a
        file name or identifier.
    input : str
        Name of the node that is read, or ``"input"`` for the network's input.
    """

    op: ClassVar[str]

    name: str
    input: str

    def __post_init__(self) -> None:
        """Check the node."""
        for what, text in (("name", self.name), ("input", self.input)):
            if not isinstance(text, str) or not text:
                raise NetworkError(f"node {shown(self.name)}: {what} must be non-empty text, not {shown(text)}")
            try:
                text.encode()
            except UnicodeEncodeError:
                raise NetworkError(f"node {shown(self.name)}: {what} {shown(text)} is not valid Unicode") from None
        if self.name == "input":
            raise NetworkError("node 'input': the name 'input' stands for the network's input")
        self._check()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all values read, in order."""
        return (self.input,)

    def _check(self) -> None:
        raise NotImplementedError

    def infer(self, value: ValueType) -> ValueType:
        """Check the node against the value it reads and return the type of its result.

        Raises
        ------
        NetworkError
            The value has the wrong kind or shape, or a parameter is impossible on it.
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Threshold(Node):
    """Codes from sums or pixels: ``code = number of thresholds <= value``.

    Parameters
    ----------
    thresholds : numpy.ndarray
        int64 ``[channels, levels]``, or ``[1, levels]`` for all channels alike; non-decreasing along the levels, 1 to
        255 levels. One level gives a bit. Canonical: each threshold is an attainable value of what the node reads
        (``low`` fires always) or one step past the highest (never fires); after a dense layer of fan-in n on bits that
        is ``2*t - n`` with t from 0 to n + 1, on pixels 0 to ``2**bits``.
    """

    op: ClassVar[str] = "threshold"

    thresholds: np.ndarray

    def _check(self) -> None:
        thresholds = _own(self.name, "thresholds", self.thresholds, "int64", 2)
        if thresholds.shape[1] > 255:
            raise NetworkError(f"node {shown(self.name)}: {thresholds.shape[1]} levels, at most 255 are possible")
        falling = np.argwhere(thresholds[:, 1:] < thresholds[:, :-1])
        if len(falling):
            channel = int(falling[0, 0])
            raise NetworkError(
                f"node {shown(self.name)}: thresholds of channel {channel} must not decrease: "
                f"{shown(thresholds[channel].tolist())}"
            )
        object.__setattr__(self, "thresholds", thresholds)

    @property
    def levels(self) -> int:
        """Thresholds a channel; codes are 0 to `levels`."""
        return self.thresholds.shape[1]

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        channels = len(self.thresholds)
        if channels not in (1, value.shape[0]):
            raise NetworkError(
                f"node {shown(self.name)}: thresholds for {channels} channels, but its input "
                f"{shown(self.input)} has {value.shape[0]}"
            )
        beyond = value.high + value.step
        # A step divides 2**64, so the wrap-around of the subtraction cannot hide a remainder or make one.
        wrong = (self.thresholds < value.low) | (self.thresholds > beyond)
        wrong |= (self.thresholds - value.low) % value.step != 0
        if wrong.any():
            channel, level = (int(index) for index in np.argwhere(wrong)[0])
            raise NetworkError(
                f"node {shown(self.name)}: threshold {int(self.thresholds[channel, level])} of channel {channel} must "
                f"be one of {value.low}, {value.low + value.step}, ..., {beyond}"
            )
        return ValueType("code", value.shape, 0, self.levels, 1)


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """Bipolar sums of a dense layer: ``s[c] = sum over i of (2*weights[c, i] - 1) * v[i]``.

    The value read is flattened. Its codes q of k bits are ``v = 2*q - (2**k - 1)``: for bits +1 and -1, so that s lies
    in [-n, n] and has the parity of the fan-in n.

    Parameters
    ----------
    weights : numpy.ndarray
        uint8 ``[channels, fan_in]`` of bits: 1 is +1, 0 is -1.
    """

    op: ClassVar[str] = "dense"

    weights: np.ndarray

    def _check(self) -> None:
        weights = _own(self.name, "weights", self.weights, "uint8", 2)
        if int(weights.max()) > 1:
            channel, position = (int(index) for index in np.argwhere(weights > 1)[0])
            raise NetworkError(
                f"node {shown(self.name)}: weight {int(weights[channel, position])} of channel {channel} at {position} "
                f"must be 0 or 1"
            )
        if max(weights.shape) > MAX_ELEMENTS:
            raise NetworkError(f"node {shown(self.name)}: weights of shape {weights.shape} exceed {MAX_ELEMENTS}")
        object.__setattr__(self, "weights", weights)

    @property
    def channels(self) -> int:
        """Sums computed a frame."""
        return self.weights.shape[0]

    @property
    def fan_in(self) -> int:
        """Products in each sum."""
        return self.weights.shape[1]

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        if value.kind != "code":
            raise NetworkError(
                f"node {shown(self.name)}: a dense layer reads codes, but {shown(self.input)} gives sums; "
                f"put a threshold node between them"
            )
        if value.high & (value.high + 1):
            raise NetworkError(
                f"node {shown(self.name)}: codes 0 to {value.high} of {shown(self.input)} are not whole bit planes "
                f"(levels must be 2**bits - 1)"
            )
        if value.elements != self.fan_in:
            raise NetworkError(
                f"node {shown(self.name)}: weights have fan-in {self.fan_in}, but {shown(self.input)} gives "
                f"{value.elements} elements"
            )
        bound = self.fan_in * value.high
        return ValueType("sum", (self.channels,), -bound, bound, 2)


@dataclass(frozen=True, eq=False)
class Affine(Node):
    """Scores with a scale and an offset a class: ``score[c] = scale[c]*s[c] + offset[c]``, integers.

    Parameters
    ----------
    scale, offset : numpy.ndarray
        int64 ``[channels]``.
    fraction : int
        Fraction bits, 0 to 62: a score stands for ``score / 2**fraction``. It does not enter the arithmetic.
    """

    op: ClassVar[str] = "affine"

    scale: np.ndarray
    offset: np.ndarray
    fraction: int

    def _check(self) -> None:
        for what in ("scale", "offset"):
            object.__setattr__(self, what, _own(self.name, what, getattr(self, what), "int64", 1))
        if self.scale.shape != self.offset.shape:
            raise NetworkError(
                f"node {shown(self.name)}: scale has {len(self.scale)} channels and offset {len(self.offset)}"
            )
        if not is_int(self.fraction) or not 0 <= self.fraction <= 62:
            raise NetworkError(
                f"node {shown(self.name)}: fraction must be an integer from 0 to 62, not {shown(self.fraction)}"
            )

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        if value.kind != "sum" or value.shape != (len(self.scale),):
            raise NetworkError(
                f"node {shown(self.name)}: {len(self.scale)} channels must read as many sums, but {shown(self.input)} "
                f"gives {value.kind}s of shape {value.shape}"
            )
        low = high = None
        for channel, (scale, offset) in enumerate(zip(self.scale.tolist(), self.offset.tolist(), strict=True)):
            ends = sorted((scale * value.low + offset, scale * value.high + offset))
            if ends[0] <= -MAX_SCORE or ends[1] >= MAX_SCORE:
                raise NetworkError(
                    f"node {shown(self.name)}: scale {scale} and offset {offset} of channel {channel} exceed 62 bits"
                )
            low = ends[0] if low is None else min(low, ends[0])
            high = ends[1] if high is None else max(high, ends[1])
        return ValueType("sum", value.shape, low, high, 1)


#: Node classes by the name that files use.
NODES: dict[str, type[Node]] = {node.op: node for node in (Threshold, Dense, Affine)}
