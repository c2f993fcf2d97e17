"""Image of a network: all tables of a reloadable accelerator as bytes, checked, in chunks."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from signfold.hw.check import check_integer
from signfold.hw.rom import RomParameters

__all__ = ["BUILD_BYTES", "DATA_BYTES", "IMAGE_VERSION", "NUMBER_BYTES", "ReloadImage"]

#: First byte of an image.
IMAGE_VERSION = 1
#: Bytes of the hash of a build.
BUILD_BYTES = 16
#: Bytes of a chunk's number, the low one first, and of the image's bytes after it. (Two requests with such chunks, with
#: headers and checksums, lie in the 512 bytes of a block RAM.)
NUMBER_BYTES, DATA_BYTES = 2, 240

_CRC_BYTES = 4


@dataclass(frozen=True)
class ReloadImage:
    """Format of the images that an accelerator takes while it runs; docs/reloading.md is its text.

    Version (1 byte), hash of the build (16), the words of all tables, CRC-32 of all that (4, the low byte first).
    Tables stand in order, words by address, each in as few bytes as hold it, the low byte first.

    Parameters
    ----------
    tables : tuple of RomParameters
        Tables with the contents of one network; at least one.
    build : bytes
        What an image must name to be taken: the hash of all of the design but its tables' contents, 16 bytes.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or there are more chunks than numbers.
    """

    tables: tuple[RomParameters, ...]
    build: bytes

    def __post_init__(self):
        if not isinstance(self.build, bytes) or len(self.build) != BUILD_BYTES:
            raise ValueError(f"build must be {BUILD_BYTES} bytes, not {self.build!r}")
        if not self.tables:
            raise ValueError("tables must be at least one")
        check_integer("number of chunks", self.chunks, minimum=1, maximum=(1 << 8 * NUMBER_BYTES) - 1)

    @staticmethod
    def word_bytes(table: RomParameters) -> int:
        """Return the bytes of a table's word."""
        return -(-table.width // 8)

    @property
    def header(self) -> bytes:
        """First bytes of every image."""
        return bytes([IMAGE_VERSION]) + self.build

    @cached_property
    def size(self) -> int:
        """Bytes of an image."""
        body = sum(self.word_bytes(table) * table.depth for table in self.tables)
        return len(self.header) + body + _CRC_BYTES

    @property
    def chunks(self) -> int:
        """Chunks of an image."""
        return -(-self.size // DATA_BYTES)

    @property
    def contents(self) -> dict[str, tuple[int, ...]]:
        """Words of the tables by name."""
        return {table.name: table.words for table in self.tables}

    def pack(self, contents: Mapping[str, Sequence[int]] | None = None) -> bytes:
        """Return the image of these contents; by default the tables' own."""
        contents = self.contents if contents is None else contents
        image = self.header
        for table in self.tables:
            if len(contents[table.name]) != table.depth:
                raise ValueError(f"table {table.name} must have {table.depth} words, not {len(contents[table.name])!r}")
            image += b"".join(int(word).to_bytes(self.word_bytes(table), "little") for word in contents[table.name])
        return image + zlib.crc32(image).to_bytes(_CRC_BYTES, "little")

    def unpack(self, image: bytes) -> dict[str, tuple[int, ...]]:
        """Return the words in an image, bits past a word's width left out; bytes after the CRC are not looked at.

        Raises
        ------
        ValueError
            If it is too short, of another build, or damaged.
        """
        if len(image) < self.size:
            raise ValueError(f"image must hold {self.size} bytes, not {len(image)!r}")
        if image[: len(self.header)] != self.header:
            raise ValueError(f"image must begin with {self.header.hex()}, the build that it is for")
        end = self.size - _CRC_BYTES
        if zlib.crc32(image[:end]) != int.from_bytes(image[end : self.size], "little"):
            raise ValueError("image must have the CRC-32 that it ends with")
        contents, place = {}, len(self.header)
        for table in self.tables:
            step, stop = self.word_bytes(table), place + self.word_bytes(table) * table.depth
            contents[table.name] = tuple(
                int.from_bytes(image[at : at + step], "little") & ((1 << table.width) - 1)
                for at in range(place, stop, step)
            )
            place = stop
        return contents

    def packets(self, image: bytes | None = None) -> list[bytes]:
        """Return an image, by default the tables' own, as chunks with their numbers; the last is filled up with 0."""
        image = self.pack() if image is None else image
        parts = [image[at : at + DATA_BYTES] for at in range(0, len(image), DATA_BYTES)]
        return [n.to_bytes(NUMBER_BYTES, "little") + part.ljust(DATA_BYTES, b"\0") for n, part in enumerate(parts)]
