"""Text files that `$readmemh` reads: written one word a line, read with all that the format allows."""

import re
import zlib
from collections.abc import Sequence

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError

__all__ = ["crc32", "format_mem", "parse_mem"]

_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|@[0-9a-fA-F_]+|[^\s/@]+|[/@]\S*", re.DOTALL)


def format_mem(rom: RomParameters) -> str:
    """Return a ROM's contents as text for `$readmemh`: one word a line, address 0 first, all digits written out."""
    digits = -(-rom.width // 4)
    words = "".join(f"{word:0{digits}x}\n" for word in rom.words)
    return f"// {rom.name}: {rom.depth} words of {rom.width} bits, address 0 first\n{words}"


def parse_mem(text: str, *, name: str, width: int, depth: int) -> tuple[int, ...]:
    """Read what `$readmemh` would read: hexadecimal words, comments and `@` addresses.

    Parameters
    ----------
    text : str
        Contents of the file.
    name : str
        File name for messages.
    width, depth : int
        Size of the memory; every word must be given.

    Returns
    -------
    tuple of int
        The words.

    Raises
    ------
    ImageError
        If the text is not such a file or does not fill the memory exactly.
    """
    words: dict[int, int] = {}
    address = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.startswith("//") or (token.startswith("/*") and token.endswith("*/")):
            continue
        line = text.count("\n", 0, match.start()) + 1
        digits = token.removeprefix("@").replace("_", "")
        if not re.fullmatch("[0-9a-fA-F]+", digits):
            raise ImageError(f"{name}, line {line}: {token[:40]!r} is not a hexadecimal word")
        value = int(digits, 16)
        if token.startswith("@"):
            address = value
            continue
        if value >> width:
            raise ImageError(f"{name}, line {line}: word {token[:40]!r} does not fit {width} bits")
        if address >= depth or address in words:
            what = "past the end" if address >= depth else "given twice"
            raise ImageError(f"{name}, line {line}: address {address} is {what}")
        words[address] = value
        address += 1
    if len(words) != depth:
        raise ImageError(f"{name}: must hold {depth} words, not {len(words)}")
    return tuple(words[address] for address in range(depth))


def crc32(words: Sequence[int], width: int) -> str:
    """Return the CRC-32 (that of zlib) of words, each as ceil(width / 8) bytes, low byte first, as 8 hex digits."""
    size = -(-width // 8)
    return f"{zlib.crc32(b''.join(word.to_bytes(size, 'little') for word in words)):08x}"
