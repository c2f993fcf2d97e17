"""Intel HEX: the bytes of `signfold.sw.image_formats.raw` in records of text, each with its address and checksum.

After Intel, "Hexadecimal Object File Format Specification", revision A, 1988: records 00 (data), 01 (end), 04 (upper
half of 32-bit addresses); 02 (segment) and the start addresses 03 and 05 have no meaning for a memory.
"""

import re

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError
from signfold.sw.image_formats.raw import format_raw, parse_raw

__all__ = ["format_hex", "parse_hex"]

_DATA, _END, _UPPER = 0, 1, 4
_RECORD_BYTES = 16
_RECORD = re.compile(r":((?:[0-9a-fA-F]{2})+)")


def _record(address: int, kind: int, data: bytes) -> str:
    body = bytes([len(data), *address.to_bytes(2, "big"), kind]) + data
    return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}\n"


def format_hex(rom: RomParameters) -> str:
    """Return a ROM's contents as Intel HEX, 16 bytes a record; byte addresses, the low byte of a word first."""
    data, lines, upper = format_raw(rom), [], 0
    for start in range(0, len(data), _RECORD_BYTES):
        if start >> 16 != upper:
            upper = start >> 16
            lines.append(_record(0, _UPPER, upper.to_bytes(2, "big")))
        lines.append(_record(start & 0xFFFF, _DATA, data[start : start + _RECORD_BYTES]))
    return "".join([*lines, _record(0, _END, b"")])


def parse_hex(text: str, *, name: str, width: int, depth: int) -> tuple[int, ...]:
    """Read Intel HEX, records in any order and of any length.

    Parameters
    ----------
    text : str
        Contents of the file.
    name : str
        File name for messages.
    width, depth : int
        Size of the memory; every byte of every word must be given, once.

    Raises
    ------
    ImageError
        If a record is damaged or of a kind that memories do not have, a byte is outside the memory, given twice or
        missing, or anything comes after the end; the message names the line.
    """
    size = -(-width // 8) * depth
    data, given = bytearray(size), bytearray(size)
    upper, ended = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        where, line = f"{name}, line {number}", line.strip()
        if not line:
            continue
        if ended:
            raise ImageError(f"{where}: nothing may come after the end record")
        match = _RECORD.fullmatch(line)
        if match is None:
            raise ImageError(f"{where}: {line[:40]!r} is not a colon and pairs of hexadecimal digits")
        record = bytes.fromhex(match[1])
        if len(record) < 5 or len(record) != record[0] + 5:
            raise ImageError(f"{where}: record of {len(record)} bytes must have 5 more than its length byte says")
        if sum(record) & 0xFF:
            want = -sum(record[:-1]) & 0xFF
            raise ImageError(f"{where}: checksum is {record[-1]:02X}, but the record's bytes give {want:02X}")
        address, kind, content = int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        if kind == _END and not content:
            ended = True
        elif kind == _UPPER and len(content) == 2:
            upper = int.from_bytes(content, "big")
        elif kind == _DATA:
            start = (upper << 16) + address
            if start + len(content) > size:
                raise ImageError(f"{where}: byte {max(start, size)} is past the end, {size} bytes")
            if any(given[start : start + len(content)]):
                twice = given.index(1, start, start + len(content))
                raise ImageError(f"{where}: byte {twice} is given twice")
            data[start : start + len(content)] = content
            given[start : start + len(content)] = b"\1" * len(content)
        else:
            raise ImageError(f"{where}: record of type {kind:02X} with {len(content)} bytes has no place in an image")
    if not ended:
        raise ImageError(f"{name}: must end with the record :00000001FF")
    if 0 in given:
        raise ImageError(f"{name}: must give {size} bytes, but byte {given.index(0)} is missing")
    return parse_raw(bytes(data), name=name, width=width, depth=depth)
