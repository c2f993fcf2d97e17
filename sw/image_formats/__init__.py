"""Formats of memory images: the same words as files for simulators, vendors' tools and programmers."""

from collections.abc import Callable
from dataclasses import dataclass

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError
from signfold.sw.image_formats.coe import format_coe, parse_coe
from signfold.sw.image_formats.intel_hex import format_hex, parse_hex
from signfold.sw.image_formats.mif import format_mif, parse_mif
from signfold.sw.image_formats.raw import format_raw, parse_raw
from signfold.sw.memfile import format_mem, parse_mem

__all__ = ["FORMATS", "ImageFormat", "find_format"]


@dataclass(frozen=True)
class ImageFormat:
    """A file format of memory images; the file of ROM `rom` is called `<rom>.<name>`.

    Parameters
    ----------
    name : str
        Name at the command line, and suffix of the files.
    title : str
        What it is, for people.
    write : callable
        Returns a ROM's file as text, or as bytes where the format is binary.
    parse : callable
        Returns the words of such a text or bytes; called with it and `name` (for messages), `width` and `depth`.
    binary : bool
        Whether files are bytes; else they are ASCII text.
    """

    name: str
    title: str
    write: Callable[[RomParameters], str | bytes]
    parse: Callable[..., tuple[int, ...]]
    binary: bool = False

    def encode(self, rom: RomParameters) -> bytes:
        """Return the file of a ROM; the same words give the same bytes."""
        content = self.write(rom)
        return content if isinstance(content, bytes) else content.encode("ascii")

    def decode(self, data: bytes, *, name: str, width: int, depth: int) -> tuple[int, ...]:
        """Return the words of a file.

        Parameters
        ----------
        data : bytes
            The file.
        name : str
            Its name, for messages.
        width, depth : int
            Size of the memory; every word must be given, once.

        Raises
        ------
        ImageError
            If the file is not of this format or does not fill the memory exactly; the message names the line, of
            binary files the word.
        """
        if self.binary:
            return self.parse(data, name=name, width=width, depth=depth)
        try:
            text = data.decode("ascii")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ImageError(f"{name}, line {line}: must be plain ASCII text") from None
        return self.parse(text, name=name, width=width, depth=depth)


#: Formats by name.
FORMATS = {
    one.name: one
    for one in (
        ImageFormat("mem", "text for $readmemh", format_mem, parse_mem),
        ImageFormat("hex", "Intel HEX", format_hex, parse_hex),
        ImageFormat("mif", "memory initialization file (Quartus)", format_mif, parse_mif),
        ImageFormat("coe", "coefficient file (Vivado)", format_coe, parse_coe),
        ImageFormat("bin", "raw bytes", format_raw, parse_raw, binary=True),
    )
}


def find_format(name: str) -> ImageFormat:
    """Return a format by name.

    Raises
    ------
    ImageError
        If there is no such format.
    """
    if name not in FORMATS:
        raise ImageError(f"image format must be one of {', '.join(FORMATS)}, not {name!r}")
    return FORMATS[name]
