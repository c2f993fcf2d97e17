"""What flows on the edges of an integer network: shapes and exact integer ranges."""

import reprlib
from dataclasses import dataclass
from math import prod

from signfold.sw.errors import NetworkError

__all__ = ["MAX_ELEMENTS", "InputType", "ValueType", "is_int", "shown"]

#: Elements that one value may hold: bounds what a hostile file can make the reader allocate.
MAX_ELEMENTS = 1 << 24

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlist = _REPR.maxtuple = 8


def shown(value: object) -> str:
    """Return `repr(value)` cut to a length that fits an error message (names from files may be 64 kB long)."""
    return _REPR.repr(value)


def is_int(value: object) -> bool:
    """Say whether `value` is a Python integer (`True` and `False` are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class InputType:
    """The frames that a network takes: unsigned codes.

    Parameters
    ----------
    shape : tuple of int
        Shape of one frame, channels first; 1 to 2**24 elements.
    bits : int
        Width of a code, 1 to 8; codes are 0 to ``2**bits - 1``.

    Raises
    ------
    NetworkError
        A dimension or the width is out of range.
    """

    shape: tuple[int, ...]
    bits: int

    def __post_init__(self) -> None:
        """Check the type."""
        if not isinstance(self.shape, (tuple, list)) or not self.shape or len(self.shape) > 4:
            raise NetworkError(f"input: shape must be a tuple of 1 to 4 dimensions, not {shown(self.shape)}")
        object.__setattr__(self, "shape", tuple(self.shape))
        if not all(is_int(size) and 0 < size <= MAX_ELEMENTS for size in self.shape):
            raise NetworkError(f"input: shape must hold integers from 1 to {MAX_ELEMENTS}, not {shown(self.shape)}")
        if prod(self.shape) > MAX_ELEMENTS:
            raise NetworkError(f"input: shape {shown(self.shape)} holds more than {MAX_ELEMENTS} elements")
        if not is_int(self.bits) or not 1 <= self.bits <= 8:
            raise NetworkError(f"input: bits must be an integer from 1 to 8, not {shown(self.bits)}")

    @property
    def elements(self) -> int:
        """Codes in one frame."""
        return prod(self.shape)

    @property
    def value(self) -> "ValueType":
        """The frames as the value that the first nodes read."""
        return ValueType("code", self.shape, 0, (1 << self.bits) - 1, 1)


@dataclass(frozen=True)
class ValueType:
    """The exact type of a node's result.

    Parameters
    ----------
    kind : str
        ``"code"``: unsigned codes, which a dense layer reads as bipolar planes; ``"sum"``: signed sums or scores.
    shape : tuple of int
        Shape of one frame's value, channels first.
    low, high : int
        Smallest and largest attainable integer.
    step : int
        Attainable integers are ``low, low + step, ..., high``.
    """

    kind: str
    shape: tuple[int, ...]
    low: int
    high: int
    step: int

    @property
    def elements(self) -> int:
        """Integers in one frame's value."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Width that holds every value: unsigned for codes, two's complement for sums."""
        if self.kind == "code":
            return self.high.bit_length()
        return max((-self.low - 1).bit_length() if self.low < 0 else 0, self.high.bit_length()) + 1
