"""What all nodes share: names, owned arrays, limits."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.types import ValueType, shown

__all__ = ["MAX_SOURCES", "MAX_SUM", "Join", "Node", "Unary", "check_sums", "own"]

#: Sums and scores must stay below this in magnitude, so that 64-bit arithmetic is exact with a bit to spare.
MAX_SUM = 1 << 62
#: Values that a node may read.
MAX_SOURCES = 1 << 10


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
    """

    op: ClassVar[str]

    name: str

    def __post_init__(self) -> None:
        """Check the node."""
        self._check_text("name", self.name)
        if self.name == "input":
            raise NetworkError("node 'input': the name 'input' stands for the network's input")
        self._check_inputs()
        self._check()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all values read, in order."""
        raise NotImplementedError

    def _check_text(self, what: str, text: object) -> None:
        if not isinstance(text, str) or not text:
            raise NetworkError(f"node {shown(self.name)}: {what} must be non-empty text, not {shown(text)}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NetworkError(f"node {shown(self.name)}: {what} {shown(text)} is not valid Unicode") from None

    def _check_inputs(self) -> None:
        raise NotImplementedError

    def _check(self) -> None:
        """Check, and copy, what a kind of node adds."""

    def infer(self, *values: ValueType) -> ValueType:
        """Check the node against the values it reads, in the order of `inputs`, and return the type of its result.

        Raises
        ------
        NetworkError
            A value has the wrong kind or shape, or a parameter is impossible on it.
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Unary(Node):
    """A node that reads one value.

    Parameters
    ----------
    input : str
        Name of the node that is read, or ``"input"`` for the network's input.
    """

    input: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The one name."""
        return (self.input,)

    def _check_inputs(self) -> None:
        self._check_text("input", self.input)


@dataclass(frozen=True, eq=False)
class Join(Node):
    """A node that reads several values.

    Parameters
    ----------
    sources : tuple of str
        Names of the nodes that are read, or ``"input"``, 2 to 1,024; the same one may occur again.
    """

    sources: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all values read, in order."""
        return self.sources

    def _check_inputs(self) -> None:
        if not isinstance(self.sources, (tuple, list)) or not 2 <= len(self.sources) <= MAX_SOURCES:
            raise NetworkError(
                f"node {shown(self.name)}: sources must be the names of 2 to {MAX_SOURCES} nodes, not "
                f"{shown(self.sources)}"
            )
        object.__setattr__(self, "sources", tuple(self.sources))
        for source in self.sources:
            self._check_text("a source", source)


def check_sums(name: str, source: str, value: ValueType) -> None:
    """Refuse a value that is not sums."""
    if value.kind != "sum":
        raise NetworkError(f"node {shown(name)}: must read sums, but {shown(source)} gives {value.kind}s")
