"""Frames on the line: packets with checksum, stuffed and delimited, out of and into bytes."""

from signfold.hw.cobs import CobsDecoderParameters, CobsEncoderParameters
from signfold.hw.packet import CRC_BYTES, DELIMITER
from signfold.hw.packet_crc import CrcAppenderParameters, CrcCheckerParameters

__all__ = ["FrameReader", "encode_frame"]


def encode_frame(packet: bytes) -> bytes:
    """Return the frame of a packet of at least one byte, with checksum and a delimiter at either end."""
    return CobsEncoderParameters().compute(CrcAppenderParameters().compute(packet))


class FrameReader:
    """Finds packets in bytes as they arrive; what is damaged is left out.

    Parameters
    ----------
    limit : int
        Longest frame to expect in bytes; longer ones are given up before their end, so that memory stays bounded.

    Attributes
    ----------
    damaged : int
        Frames left out so far.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.damaged = 0
        self._frame = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the line and return the packets that they complete, without checksums."""
        packets = []
        *complete, rest = data.split(bytes([DELIMITER]))
        for piece in complete:
            self._extend(piece)
            packets += self._finish()
        self._extend(rest)
        return packets

    def _extend(self, piece: bytes) -> None:
        self._too_long = self._too_long or len(self._frame) + len(piece) > self.limit
        if self._too_long:
            self._frame.clear()
        else:
            self._frame += piece

    def _finish(self) -> list[bytes]:
        frame, too_long = bytes(self._frame), self._too_long
        self._frame.clear()
        self._too_long = False
        if too_long:
            self.damaged += 1
            return []
        packets = []
        for packet, bad in CobsDecoderParameters().compute([*frame, DELIMITER]):
            if bad or CrcCheckerParameters().compute(packet):
                self.damaged += 1
            else:
                packets.append(packet[:-CRC_BYTES])
        return packets
