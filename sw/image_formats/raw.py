"""Raw bytes: each word as ceil(width / 8) bytes, low byte first, address 0 first."""

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError

__all__ = ["format_raw", "parse_raw"]


def format_raw(rom: RomParameters) -> bytes:
    """Return a ROM's contents as bytes."""
    size = -(-rom.width // 8)
    return b"".join(word.to_bytes(size, "little") for word in rom.words)


def parse_raw(data: bytes, *, name: str, width: int, depth: int) -> tuple[int, ...]:
    """Read words from bytes.

    Parameters
    ----------
    data : bytes
        Contents of the file: exactly `depth` words.
    name : str
        File name for messages.
    width, depth : int
        Size of the memory.

    Raises
    ------
    ImageError
        If there are more or fewer bytes, or a bit above a word's width is not 0; the message names the word.
    """
    size = -(-width // 8)
    if len(data) != size * depth:
        raise ImageError(f"{name}: must hold {size * depth} bytes, {depth} words of {size} bytes, not {len(data)}")
    words = tuple(int.from_bytes(data[start : start + size], "little") for start in range(0, size * depth, size))
    for address, word in enumerate(words):
        if word >> width:
            raise ImageError(f"{name}, word {address}: {word:#x} does not fit {width} bits")
    return words
