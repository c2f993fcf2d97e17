"""Checks of parameters: each names the parameter, the value and what is allowed."""

import operator
import re

import numpy as np

__all__ = ["check_bits", "check_identifier", "check_integer", "frozen_array"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


def check_integer(name: str, value: int, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse `value` unless it is an integer in `minimum` .. `maximum`.

    Raises
    ------
    TypeError
        If `value` is not an integer.
    ValueError
        If it is out of range.
    """
    allowed = f"an integer of at least {minimum}" if maximum is None else f"an integer from {minimum} to {maximum}"
    try:
        operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {allowed}, not {value!r}") from None
    if value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{name} must be {allowed}, not {value!r}")


def check_identifier(name: str, value: str) -> None:
    """Refuse `value` unless it is safe as an identifier in Verilog, RTLIL and file names.

    Raises
    ------
    TypeError
        If `value` is not a string.
    ValueError
        If it holds anything but letters, digits and underscores, or does not start with a letter.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {value!r}")
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{name} must be a letter and up to 62 letters, digits and underscores, not {value!r}")


def frozen_array(name: str, value, *, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return `value` as a read-only int64 array of the given shape; None stands for any length of at least 1.

    Raises
    ------
    TypeError
        If `value` does not hold integers.
    ValueError
        If its shape differs.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iub":
        raise TypeError(f"{name} must hold integers, not {array.dtype}")
    expected = "x".join("any" if n is None else str(n) for n in shape)
    if array.ndim != len(shape) or any(
        have < 1 or (want is not None and have != want) for have, want in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(f"{name} must have shape {expected}, not {'x'.join(map(str, array.shape))}")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array


def check_bits(name: str, array: np.ndarray) -> None:
    """Refuse an array that holds anything but 0 and 1.

    Raises
    ------
    ValueError
        If an element is neither 0 nor 1.
    """
    if ((array != 0) & (array != 1)).any():
        bad = array[(array != 0) & (array != 1)].flat[0]
        raise ValueError(f"{name} must hold only 0 and 1, not {int(bad)!r}")
