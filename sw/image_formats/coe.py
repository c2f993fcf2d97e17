"""COE: the coefficient file that Vivado's memory generators read.

After AMD UG896 and PG058 ("Block Memory Generator"): `memory_initialization_radix` and `memory_initialization_vector`,
each a keyword, an equals sign and a value that ends with a semicolon; a line that begins with a semicolon is a comment.
"""

import re

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError

__all__ = ["format_coe", "parse_coe"]

_RADIX, _VECTOR = "memory_initialization_radix", "memory_initialization_vector"
_DIGITS = {2: "[01]+", 10: "[0-9]+", 16: "[0-9a-fA-F]+"}


def format_coe(rom: RomParameters) -> str:
    """Return a ROM's contents as COE: hexadecimal, one word a line, address 0 first."""
    digits = -(-rom.width // 4)
    words = ",\n".join(f"{word:0{digits}x}" for word in rom.words)
    comment = f"; {rom.name}: {rom.depth} words of {rom.width} bits, address 0 first\n"
    return f"{comment}{_RADIX}=16;\n{_VECTOR}=\n{words};\n"


def parse_coe(text: str, *, name: str, width: int, depth: int) -> tuple[int, ...]:
    """Read COE of radix 2, 10 or 16; words stand between commas or spaces.

    Parameters
    ----------
    text : str
        Contents of the file.
    name : str
        File name for messages.
    width, depth : int
        Size of the memory; every word must be given.

    Raises
    ------
    ImageError
        If a keyword is unknown, missing or given twice, a word is not a number of the radix or too wide, or there are
        more or fewer words; the message names the line.
    """
    values = _statements(text, name)
    for keyword in (_RADIX, _VECTOR):
        if keyword not in values:
            raise ImageError(f"{name}: {keyword} is missing")
    (radix_text, line), *more = values[_RADIX]
    if more or radix_text not in {str(radix) for radix in _DIGITS}:
        raise ImageError(f"{name}, line {line}: {_RADIX} must be 2, 10 or 16, not {radix_text[:40]!r}")
    radix, words = int(radix_text), []
    for word, line in values[_VECTOR]:
        if not re.fullmatch(_DIGITS[radix], word):
            raise ImageError(f"{name}, line {line}: {word[:40]!r} is not a word of radix {radix}")
        # Digits of this many bits at least: Python reads no decimal number of any length.
        if len(word.lstrip("0")) > width or int(word, radix) >> width:
            raise ImageError(f"{name}, line {line}: word {word[:40]!r} does not fit {width} bits")
        if len(words) == depth:
            raise ImageError(f"{name}, line {line}: address {depth} is past the end")
        words.append(int(word, radix))
    if len(words) != depth:
        raise ImageError(f"{name}: must hold {depth} words, not {len(words)}")
    return tuple(words)


def _statements(text: str, name: str) -> dict[str, list[tuple[str, int]]]:
    """Return the values of each keyword, each with its line."""
    values: dict[str, list[tuple[str, int]]] = {}
    keyword, assigned, comma = "", False, False
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}, line {number}"
        if line.lstrip().startswith(";") and not assigned:
            continue
        for token in re.findall(r"[=;,]|[^\s=;,]+", line):
            if not keyword:
                keyword = token.lower()
                if keyword not in (_RADIX, _VECTOR):
                    raise ImageError(f"{where}: {token[:40]!r} is not {_RADIX} or {_VECTOR}")
                if keyword in values:
                    raise ImageError(f"{where}: {keyword} is given twice")
                values[keyword] = []
            elif not assigned:
                if token != "=":
                    raise ImageError(f"{where}: {keyword} must be followed by '=', not {token[:40]!r}")
                assigned, comma = True, True
            elif token in ";,":
                if comma:
                    raise ImageError(f"{where}: a word is missing before {token!r}")
                comma = True
                if token == ";":
                    keyword, assigned = "", False
            elif token == "=":
                raise ImageError(f"{where}: {keyword} must end with ';' before the next keyword")
            else:
                values[keyword].append((token, number))
                comma = False
    if keyword:
        raise ImageError(f"{name}: {keyword} must end with ';'")
    return values
