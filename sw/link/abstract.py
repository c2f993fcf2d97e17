"""What a host needs of a line to a device, whether it is a serial port or a simulation."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["Link"]


class Link(ABC):
    """Two-way line of bytes, open from construction to `close`; also a context manager that closes it.

    Bytes may be lost or damaged on the way, and bytes that nobody sent may arrive.
    """

    @property
    @abstractmethod
    def byte_time(self) -> float:
        """Seconds that one byte takes in either direction."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send bytes; they may still be under way on return.

        Raises
        ------
        LinkError
            If the line is gone.
        """

    @abstractmethod
    def read(self, timeout: float) -> bytes:
        """Return what has arrived since the last call, as soon as that is at least one byte.

        Parameters
        ----------
        timeout : float
            Seconds to wait for a byte; nothing is returned if none arrives.

        Raises
        ------
        LinkError
            If the line is gone.
        """

    @abstractmethod
    def clock(self) -> float:
        """Return the time in seconds, from an arbitrary start, against which timeouts are measured."""

    @abstractmethod
    def close(self) -> None:
        """Give the line back; harmless when closed already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
