"""Host side of the link to a device: an abstract line, its serial port, and the driver."""

from signfold.sw.link.abstract import Link
from signfold.sw.link.compare import compare_with_golden
from signfold.sw.link.device import Device, Results
from signfold.sw.link.serial import SerialLink

__all__ = ["Device", "Link", "Results", "SerialLink", "compare_with_golden"]
