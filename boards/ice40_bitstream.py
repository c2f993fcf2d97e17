"""Bitstreams of the iCE40 UP5K, as far as block RAM goes: read and replace initial contents.

After Project IceStorm's description of the format (Claire Wolf and others, "iCE40 Bitstream Format Reference" and "RAM
Tile"): commands of an operation and a parameter of some bytes, data of configuration and block RAM after the commands
that begin them, a CRC-16 over all of it. `yowasp-iceunpack` is the tests' second opinion.
"""

from binascii import crc_hqx
from dataclasses import dataclass

import numpy as np

from signfold.sw.errors import ImageError

__all__ = ["Ice40Bitstream"]

_PREAMBLE = b"\x7e\xaa\x99\x7e"
#: Columns of block RAM tiles, and the row from which on the upper banks count.
_COLUMNS, _UPPER, _TOP = (6, 19), 21, 29
_ROWS = 256


@dataclass
class _Region:
    """Part of a bank: `bits` are rows x width from row `first` of its blocks on, at byte `start` of the file."""

    bank: int
    first: int
    start: int
    bits: np.ndarray


class Ice40Bitstream:
    """A bitstream.

    Parameters
    ----------
    data : bytes
        The file, not compressed (the format has no compression).

    Raises
    ------
    ImageError
        If it is not a whole bitstream, or its CRC is wrong; the message names the byte.
    """

    def __init__(self, data: bytes):
        self._data = bytearray(data)
        self._regions: list[_Region] = []
        self._check = self._checked_from = 0
        start = data.find(_PREAMBLE)
        if start < 0:
            raise ImageError("bitstream: must hold the iCE40's preamble 7e aa 99 7e")
        self._parse(start + len(_PREAMBLE))

    def _parse(self, place: int) -> None:
        data, bank, width, height, offset = self._data, 0, 0, 0, 0
        while True:
            if place >= len(data):
                raise ImageError(f"bitstream: ends at byte {place} without a command that starts the FPGA")
            at, operation, size = place, data[place] >> 4, data[place] & 15
            value = int.from_bytes(data[place + 1 : place + 1 + size], "big")
            place += 1 + size
            if operation == 0 and value in (1, 3):
                count = width * height // 8
                if place + count + 2 > len(data):
                    raise ImageError(f"bitstream: ends inside the data of byte {at}")
                if value == 3:
                    stored = np.frombuffer(bytes(data[place : place + count]), np.uint8)
                    bits = np.unpackbits(stored).reshape(height, width)
                    self._regions.append(_Region(bank, offset, place, bits))
                place += count + 2
            elif operation == 0 and value == 5:
                self._checked_from = place
            elif operation == 0 and value == 6:
                break
            elif operation == 1:
                bank = value
            elif operation == 2:
                if size != 2 or crc_hqx(bytes(data[self._checked_from : place]), 0xFFFF):
                    raise ImageError(f"bitstream: the CRC at byte {at} is not that of the bytes before it")
                self._check = at
            elif operation == 6:
                width = value + 1
            elif operation == 7:
                height = value
            elif operation == 8:
                offset = value
            elif operation not in (5, 9):
                raise ImageError(f"bitstream: byte {at}, {data[at]:02x}, is no command of the iCE40")
        if not self._check:
            raise ImageError("bitstream: must hold a CRC")

    def _rows(self, location: tuple[int, ...]) -> list[tuple[int, np.ndarray]]:
        """Return the parts of a block, each the first row and a view of rows x 16 bits."""
        x, y = location
        if x not in _COLUMNS or not 1 <= y <= _TOP or y % 2 == 0:
            raise ImageError(f"bitstream: tile {x} {y} is no block RAM of the UP5K")
        bank = 2 * _COLUMNS.index(x) + (y >= _UPPER)
        left = 16 * ((y - (_UPPER if y >= _UPPER else 1)) // 2)
        # The highest bit of a row comes first.
        parts = [(r.first, r.bits[:, left : left + 16][:, ::-1]) for r in self._regions if r.bank == bank]
        if sorted(k for first, bits in parts for k in range(first, first + len(bits))) != list(range(_ROWS)):
            raise ImageError(f"bitstream: must hold {_ROWS} rows of block RAM {x} {y}")
        return parts

    def read(self, location: tuple[int, ...]) -> np.ndarray:
        """Return a block's contents, 4,096 bits as in `signfold.hw.block_rom`; `location` is the tile's x and y."""
        contents = np.zeros((_ROWS, 16), np.uint8)
        for first, bits in self._rows(location):
            contents[first : first + len(bits)] = bits
        return contents.reshape(-1)

    def write(self, location: tuple[int, ...], contents: np.ndarray) -> None:
        """Replace a block's contents."""
        rows = np.asarray(contents, np.uint8).reshape(_ROWS, 16)
        for first, bits in self._rows(location):
            bits[:] = rows[first : first + len(bits)]

    @property
    def data(self) -> bytes:
        """The file, with the CRC that belongs to it."""
        for region in self._regions:
            packed = np.packbits(region.bits).tobytes()
            self._data[region.start : region.start + len(packed)] = packed
        crc = crc_hqx(bytes(self._data[self._checked_from : self._check + 1]), 0xFFFF)
        self._data[self._check + 1 : self._check + 3] = crc.to_bytes(2, "big")
        return bytes(self._data)
