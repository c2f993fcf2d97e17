"""What a patchable build records: where each block RAM of each table lies in the FPGA, and what must stay the same."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from signfold.boards.ecp5_bitstream import Ecp5Bitstream
from signfold.boards.ice40_bitstream import Ice40Bitstream
from signfold.hw.block_rom import BlockRomParameters
from signfold.hw.rom import RomParameters
from signfold.sw.errors import BuildError, ImageError
from signfold.sw.hosted import HostedDesign
from signfold.sw.memfile import crc32
from signfold.sw.structure import structure, structure_hash

__all__ = ["PLACED", "Bitstream", "describe_tables", "open_bitstream", "read_table", "write_table"]

#: Netlist with places, in the work folder.
PLACED = "placed.json"

#: A bitstream's block RAMs.
Bitstream = Ice40Bitstream | Ecp5Bitstream

_VERSION = 1
#: Names of placed block RAMs end so; nextpnr gives those of iCE40 another ending.
_BLOCK = re.compile(r"\.(\w+)\.(block_\d+_\d+)(?:_RAM)?$")
_BEL = re.compile(r"X(\d+)/Y(\d+)/(\w+)")
#: A block RAM spans several tiles; its place is that of the first.
_TILE = re.compile(r"\.tile(?:_group)? \w+_R(\d+)C(\d+):")
_NUMBER = re.compile(r"word: (EBR\d)\.WID ([01]+)")


def open_bitstream(family: str, data: bytes) -> Bitstream:
    """Return a reader and writer of block RAMs for a family's bitstream.

    Raises
    ------
    ImageError
        If the bytes are no bitstream of the family's FPGA.
    """
    return {"ice40": Ice40Bitstream, "ecp5": Ecp5Bitstream}[family](data)


def describe_tables(family: str, design: HostedDesign, placed: bytes, routed: str, bitstream: bytes) -> dict[str, Any]:
    """Return the manifest's `patch` of a build, once the bitstream has been seen to hold every table there.

    Parameters
    ----------
    family : str
        "ice40" or "ecp5".
    design : HostedDesign
        A design that was generated patchable.
    placed : bytes
        The netlist that nextpnr wrote.
    routed : str
        The configuration that nextpnr wrote, text; on ECP5 it numbers the contents of block RAMs.
    bitstream : bytes
        The bitstream.

    Raises
    ------
    BuildError
        If a block RAM has no place, or the bitstream holds anything else there.
    """
    cells = _block_rams(placed)
    numbers = _numbers(routed) if family == "ecp5" else None
    opened = open_bitstream(family, bitstream)
    modules = structure(design.verilog, design.parameters.roms)
    tables = []
    for rom in design.parameters.roms:
        layout = BlockRomParameters(family, rom.width, rom.depth)
        entry = {
            "rom": rom.name,
            "width": rom.width,
            "depth": rom.depth,
            "block_width": layout.block_width,
            "crc32": crc32(rom.words, rom.width),
            "blocks": [_location(rom.name, block, cells, numbers) for block in layout.blocks],
        }
        try:
            found = read_table(opened, family, entry)
        except ImageError as error:
            raise BuildError(f"table {rom.name}: {error}") from None
        if found != rom.words:
            raise BuildError(f"table {rom.name}: the bitstream holds other words than were built")
        tables.append(entry)
    return {"version": _VERSION, "structure": structure_hash(modules), "tables": tables, "modules": modules}


def _block_rams(placed: bytes) -> dict[str, tuple[int, int, str]]:
    """Return x, y and name of the place of each block RAM of a table, by `<table>.<block>`."""
    try:
        places: dict[str, tuple[int, int, str]] = {}
        for module in json.loads(placed)["modules"].values():
            for name, cell in module["cells"].items():
                match = _BLOCK.search(name)
                if match and "NEXTPNR_BEL" in cell["attributes"]:
                    key = f"{match[1]}.{match[2]}"
                    if key in places:
                        raise BuildError(f"placed netlist: {key} occurs twice")
                    x, y, bel = _BEL.fullmatch(cell["attributes"]["NEXTPNR_BEL"]).groups()
                    places[key] = int(x), int(y), bel
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(f"placed netlist cannot be read: {error!r}") from None
    return places


def _numbers(routed: str) -> dict[tuple[int, int, str], int]:
    """Return the numbers of the contents of the ECP5's block RAMs by their places."""
    numbers, tile = {}, None
    for line in routed.splitlines():
        if line.startswith(".tile"):
            tile = _TILE.match(line)
        elif tile and (match := _NUMBER.fullmatch(line.rstrip())):
            # The lowest bit comes first.
            numbers[int(tile[2]), int(tile[1]), match[1]] = int(match[2][::-1], 2)
    return numbers


def _location(
    rom: str,
    block: str,
    places: dict[str, tuple[int, int, str]],
    numbers: dict[tuple[int, int, str], int] | None,
) -> list[int]:
    """Return where a block lies: the tile's x and y on iCE40, the number of its contents on ECP5."""
    place = places.get(f"{rom}.{block}")
    if place is None or (numbers is not None and place not in numbers):
        raise BuildError(f"table {rom}: {block} has no place in the FPGA")
    return list(place[:2]) if numbers is None else [numbers[place]]


def read_table(bitstream: Bitstream, family: str, entry: dict[str, Any]) -> tuple[int, ...]:
    """Return the words of a table in a bitstream; `entry` is the manifest's.

    Raises
    ------
    ImageError
        If there is no such block RAM, or it holds a bit of no word.
    """
    layout = _layout(family, entry)
    try:
        return layout.words(np.stack([bitstream.read(tuple(location)) for location in entry["blocks"]]))
    except ValueError as error:
        raise ImageError(f"table {entry['rom']}: {error}") from None


def write_table(bitstream: Bitstream, family: str, entry: dict[str, Any], rom: RomParameters) -> None:
    """Replace the words of a table in a bitstream."""
    contents: Sequence[np.ndarray] = _layout(family, entry).compute(rom.words)
    for location, block in zip(entry["blocks"], contents, strict=True):
        bitstream.write(tuple(location), block)


def _layout(family: str, entry: dict[str, Any]) -> BlockRomParameters:
    layout = BlockRomParameters(family, entry["width"], entry["depth"])
    if (layout.block_width, layout.banks * layout.columns) != (entry["block_width"], len(entry["blocks"])):
        raise ImageError(f"table {entry['rom']}: lies in its block RAMs in a way that this release does not know")
    return layout
