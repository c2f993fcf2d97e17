"""Bitstreams of the ECP5 LFE5U-85F, as far as block RAM goes: read and replace initial contents.

After Project Trellis's description of the format ("ECP5 Bitstream Format") and Lattice FPGA-TN-02039, "ECP5 and ECP5-5G
sysCONFIG Usage Guide": commands of a byte with parameters; each block RAM has an address command with its number and a
write command with 256 frames of 72 bits and a CRC-16. `yowasp-ecpunpack` is the tests' second opinion.
"""

import numpy as np

from signfold.sw.errors import ImageError

__all__ = ["Ecp5Bitstream"]

_PREAMBLE = b"\xff\xff\xbd\xb3"
#: Device identifier of the LFE5U-85F, and bytes of its configuration frames.
_DEVICE, _FRAME_BYTES = 0x41113043, 142
_BLOCK_BYTES = 2304

_RESET_CRC, _INIT_ADDRESS, _VERIFY_ID, _CONTROL = 0x3B, 0x46, 0xE2, 0x22
_FRAMES, _USERCODE, _BLOCK_ADDRESS, _BLOCK_WRITE, _DONE = 0x82, 0xC2, 0xF6, 0xB2, 0x5E
#: Bytes of the commands that this reader passes over.
_SIZES = {0xFF: 1, _RESET_CRC: 4, _INIT_ADDRESS: 4, _CONTROL: 8, _USERCODE: 10}


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
        table.append(crc)
    return table


_CRC = _crc_table()


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC[crc >> 8 ^ byte]
    return crc


class Ecp5Bitstream:
    """A bitstream.

    Parameters
    ----------
    data : bytes
        The file, not compressed.

    Raises
    ------
    ImageError
        If it is not a whole bitstream of an LFE5U-85F, is compressed, or the CRC of a block RAM is wrong; the message
        names the byte.
    """

    def __init__(self, data: bytes):
        self._data = bytearray(data)
        #: Of each block that has contents, where its address command and its data begin.
        self._blocks: dict[int, tuple[int, int]] = {}
        start = data.find(_PREAMBLE)
        if start < 0:
            raise ImageError("bitstream: must hold the ECP5's preamble ff ff bd b3")
        self._parse(start + len(_PREAMBLE))

    def _parse(self, place: int) -> None:
        data, address = self._data, -1
        while True:
            # Every command that follows is at least as long as what is looked at here, or refused.
            if place + 1 > len(data):
                raise ImageError(f"bitstream: ends at byte {place} without a command that starts the FPGA")
            at, command, flags = place, data[place], data[place + 1 : place + 2]
            number = int.from_bytes(data[place + 4 : place + 8], "big")
            if command == _DONE:
                return
            if command == _VERIFY_ID:
                if number != _DEVICE:
                    raise ImageError(f"bitstream: device {number:#010x} must be {_DEVICE:#010x}, an LFE5U-85F")
                place += 8
            elif command == _FRAMES:
                if flags != b"\x91":
                    raise ImageError(f"bitstream: frames at byte {at} must each have a CRC and one byte after it")
                place += 4 + int.from_bytes(data[at + 2 : at + 4], "big") * (_FRAME_BYTES + 3)
            elif command == _BLOCK_ADDRESS:
                address = place
                place += 8
            elif command == _BLOCK_WRITE:
                block = int.from_bytes(data[address + 4 : address + 8], "big")
                if address != at - 8 or block & 0x7FF or data[at + 1 : at + 4] != b"\xd0\x01\x00":
                    raise ImageError(f"bitstream: the block RAM at byte {at} must be written as a whole")
                place += 4 + _BLOCK_BYTES
                if _crc16(bytes(data[address:place])) != int.from_bytes(data[place : place + 2], "big"):
                    raise ImageError(f"bitstream: the CRC at byte {place} is not that of block RAM {block >> 11}")
                self._blocks[block >> 11] = (address, at + 4)
                place += 2
            elif command in _SIZES:
                place += _SIZES[command]
            else:
                what = "compressed" if command == 0xB8 else f"{command:02x}"
                raise ImageError(f"bitstream: command at byte {at}, {what}, is not one that Signfold's builds use")

    def _place(self, location: tuple[int, ...]) -> tuple[int, int]:
        (number,) = location
        if number not in self._blocks:
            raise ImageError(f"bitstream: must hold the contents of block RAM {number}")
        return self._blocks[number]

    def read(self, location: tuple[int, ...]) -> np.ndarray:
        """Return a block's contents, 18,432 bits as in `signfold.hw.block_rom`; `location` is its number alone."""
        _, start = self._place(location)
        stored = np.frombuffer(bytes(self._data[start : start + _BLOCK_BYTES]), np.uint8)
        # Bytes of 9 bits, the highest bit first.
        return np.unpackbits(stored).reshape(-1, 9)[:, ::-1].reshape(-1)

    def write(self, location: tuple[int, ...], contents: np.ndarray) -> None:
        """Replace a block's contents."""
        address, start = self._place(location)
        bits = np.asarray(contents, np.uint8).reshape(-1, 9)[:, ::-1]
        end = start + _BLOCK_BYTES
        self._data[start:end] = np.packbits(bits).tobytes()
        self._data[end : end + 2] = _crc16(bytes(self._data[address:end])).to_bytes(2, "big")

    @property
    def data(self) -> bytes:
        """The file, with the CRCs that belong to it."""
        return bytes(self._data)
