"""The serial port of a board."""

import time
from typing import Any

from signfold.sw.errors import LinkError, ToolError
from signfold.sw.link.abstract import Link

__all__ = ["SerialLink"]


class SerialLink(Link):
    """Serial port, 8 data bits, no parity, 1 stop bit, no flow control.

    Parameters
    ----------
    port : str
        Name of the port, such as /dev/ttyUSB0 or COM3.
    baud : int
        Bits a second, those that the device was built for.

    Raises
    ------
    ToolError
        If pyserial is missing.
    LinkError
        If the port cannot be opened.
    """

    def __init__(self, port: str, baud: int):
        try:
            import serial
        except ModuleNotFoundError:
            raise ToolError("serial ports need pyserial: install signfold[boards]") from None
        self._error = (serial.SerialException, OSError)
        self._baud = baud
        self._name = port
        try:
            # Exclusive: a second program on the port would take answers away from this one.
            self._port: Any = serial.Serial(port, baud, exclusive=True)
            self._port.reset_input_buffer()
        except ValueError as error:
            raise LinkError(f"serial port {port!r}: baud must be a rate that the port has, not {baud!r}") from error
        except self._error as error:
            raise LinkError(f"serial port {port!r}: {error}") from None

    @property
    def byte_time(self) -> float:
        """Seconds that one byte takes: ten bits."""
        return 10 / self._baud

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._port.write(data)
        except self._error as error:
            raise LinkError(f"serial port {self._name!r}: {error}") from None

    def read(self, timeout: float) -> bytes:
        """Return what has arrived, waiting for the first byte at most `timeout` seconds."""
        try:
            self._port.timeout = max(0.0, timeout)
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else first
        except self._error as error:
            raise LinkError(f"serial port {self._name!r}: {error}") from None

    def clock(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()

    def close(self) -> None:
        """Close the port."""
        self._port.close()
