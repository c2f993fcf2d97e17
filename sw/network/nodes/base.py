"""What all nodes share: names, owned arrays, limits."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.types import ValueType, shown

__all__ = ["MAX_SUM", "Node", "own"]

#: Sums and scores must stay below this in magnitude, so that 64-bit arithmetic is exact with a bit to spare.
MAX_SUM = 1 << 62


def own(name: str, what: str, array: object, dtype: str, dimensions: int) -> np.ndarray:
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
