"""Structure: what of a design's Verilog does not lie in its ROMs; designs that differ in contents alone share it."""

import hashlib
import re
from collections.abc import Sequence

from signfold.hw.rom import RomParameters

__all__ = ["structure", "structure_hash"]

_MODULE = re.compile(r"module (\w+)\(")
_WORD = re.compile(r"    \w+\[\d+\] = \d+'[dh][0-9a-f]+;")
_INITIAL_VALUE = re.compile(r"\.INIT(?:VAL)?_[0-9A-F]+\(\d+'h[0-9a-f]+\)")


def structure(verilog: str, roms: Sequence[RomParameters]) -> dict[str, str]:
    """Return a digest of each module, the contents of ROMs left out.

    Parameters
    ----------
    verilog : str
        Text that `signfold.hw.verilog.convert` wrote.
    roms : sequence of RomParameters
        Its ROMs.

    Returns
    -------
    dict of str to str
        16 hexadecimal digits by module name.
    """
    names = {rom.name for rom in roms}
    digests: dict[str, hashlib._Hash] = {}
    module, stored = "", False
    for line in verilog.splitlines():
        if match := _MODULE.match(line):
            module = match[1]
            stored = module.rpartition("__")[2] in names
        if module:
            if stored:
                if _WORD.fullmatch(line):
                    continue
                line = _INITIAL_VALUE.sub("", line)
            digests.setdefault(module, hashlib.sha256()).update(f"{line}\n".encode())
        if line == "endmodule":
            module = ""
    return {name: digest.hexdigest()[:16] for name, digest in digests.items()}


def structure_hash(modules: dict[str, str]) -> str:
    """Return one digest of all modules, 64 hexadecimal digits."""
    return hashlib.sha256(
        "".join(f"{name} {digest}\n" for name, digest in sorted(modules.items())).encode()
    ).hexdigest()
