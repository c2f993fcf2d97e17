"""MIF: the memory initialization file that Quartus reads.

After Intel, "Memory Initialization File (.mif) Definition": WIDTH, DEPTH, ADDRESS_RADIX and DATA_RADIX (HEX, BIN, OCT,
UNS, DEC) in any order, then CONTENT BEGIN ... END with lines `address : word`, `address : word word ...` and
`[first..last] : word word ...`, whose words repeat; comments from -- to the line's end or between two %.
"""

import re

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError

__all__ = ["format_mif", "parse_mif"]

_RADICES = {"HEX": (16, "[0-9a-fA-F]+"), "BIN": (2, "[01]+"), "OCT": (8, "[0-7]+"), "UNS": (10, "[0-9]+")}
_RADICES["DEC"] = _RADICES["UNS"]
_TOKEN = re.compile(r"--[^\n]*|%[^%]*%|\.\.|[\[\]:;=]|[A-Za-z0-9_]+|\S")
_HEADER = ("WIDTH", "DEPTH", "ADDRESS_RADIX", "DATA_RADIX")


def format_mif(rom: RomParameters) -> str:
    """Return a ROM's contents as MIF: hexadecimal, one word a line, address 0 first."""
    digits, places = -(-rom.width // 4), -(-rom.address_width // 4)
    lines = [f"-- {rom.name}: {rom.depth} words of {rom.width} bits", f"WIDTH={rom.width};", f"DEPTH={rom.depth};"]
    lines += ["ADDRESS_RADIX=HEX;", "DATA_RADIX=HEX;", "CONTENT BEGIN"]
    lines += [f"  {address:0{places}x} : {word:0{digits}x};" for address, word in enumerate(rom.words)]
    return "\n".join([*lines, "END;", ""])


def parse_mif(text: str, *, name: str, width: int, depth: int) -> tuple[int, ...]:
    """Read MIF.

    Parameters
    ----------
    text : str
        Contents of the file.
    name : str
        File name for messages.
    width, depth : int
        Size of the memory, which WIDTH and DEPTH must repeat; every word must be given, once.

    Raises
    ------
    ImageError
        If the text is not such a file, is for a memory of another size, or leaves a word out; the message names the
        line.
    """
    return _Reader(text, name).read(width, depth)


class _Reader:
    """Tokens of a file, each with its line."""

    def __init__(self, text: str, name: str):
        self._name = name
        self._tokens, line, end = [], 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            if not match[0].startswith(("--", "%")) or match[0] == "%":
                self._tokens.append((match[0], line))
        self._last = text.count("\n") + 1
        self._next = 0

    def _take(self, *allowed: str) -> str:
        """Return the next token, in upper case where one of several is wanted."""
        token, line = self._tokens[self._next] if self._next < len(self._tokens) else ("", self._last)
        if allowed and token.upper() not in allowed:
            wanted = " or ".join(map(repr, allowed))
            raise ImageError(f"{self._name}, line {line}: {token[:40]!r} must be {wanted}")
        self._next += 1
        self.line = line
        return token.upper() if allowed else token

    def _peek(self) -> str:
        return self._tokens[self._next][0].upper() if self._next < len(self._tokens) else ""

    def _number(self, radix: str, what: str, limit: int) -> int:
        """Return a number below `limit`."""
        token = self._take()
        base, digits = _RADICES[radix]
        if not re.fullmatch(digits, token):
            raise ImageError(f"{self._name}, line {self.line}: {token[:40]!r} is not {what} of radix {radix}")
        if len(token.lstrip("0")) > limit.bit_length() or int(token, base) >= limit:
            raise ImageError(f"{self._name}, line {self.line}: {what} {token[:40]!r} must be less than {limit:#x}")
        return int(token, base)

    def read(self, width: int, depth: int) -> tuple[int, ...]:
        header = self._header(width, depth)
        address_radix, data_radix = header["ADDRESS_RADIX"], header["DATA_RADIX"]
        self._take("CONTENT")
        self._take("BEGIN")
        words: list[int | None] = [None] * depth
        while self._peek() != "END":
            ranged = self._peek() == "["
            if ranged:
                self._take()
            first = last = self._number(address_radix, "an address", depth)
            if ranged:
                self._take("..")
                last = self._number(address_radix, "an address", depth)
                self._take("]")
                if last < first:
                    raise ImageError(f"{self._name}, line {self.line}: range from {first} to {last} must not fall")
            self._take(":")
            line, values = self.line, [self._number(data_radix, "a word", 1 << width)]
            while self._peek() != ";":
                values.append(self._number(data_radix, "a word", 1 << width))
            self._take(";")
            count = last - first + 1 if ranged else len(values)
            for k in range(count):
                if first + k >= depth or words[first + k] is not None:
                    what = "past the end" if first + k >= depth else "given twice"
                    raise ImageError(f"{self._name}, line {line}: address {first + k} is {what}")
                words[first + k] = values[k % len(values)]
        self._take("END")
        self._take(";")
        if self._peek():
            token = self._take()
            raise ImageError(f"{self._name}, line {self.line}: nothing may come after END;, not {token[:40]!r}")
        if None in words:
            raise ImageError(f"{self._name}: must give {depth} words, but address {words.index(None)} is missing")
        return tuple(words)

    def _header(self, width: int, depth: int) -> dict[str, str]:
        header: dict[str, str] = {}
        while self._peek() != "CONTENT":
            key = self._take(*_HEADER, "CONTENT")
            if key in header:
                raise ImageError(f"{self._name}, line {self.line}: {key} is given twice")
            self._take("=")
            if key.endswith("RADIX"):
                header[key] = self._take(*_RADICES)
            else:
                expected = str(width if key == "WIDTH" else depth)
                header[key] = self._take()
                if header[key] != expected:
                    raise ImageError(
                        f"{self._name}, line {self.line}: {key} must be {expected}, not {header[key][:40]!r}"
                    )
            self._take(";")
        for key in ("WIDTH", "DEPTH"):
            if key not in header:
                raise ImageError(f"{self._name}: {key} is missing")
        # What the format takes where a file does not say.
        return {"ADDRESS_RADIX": "HEX", "DATA_RADIX": "HEX"} | header
