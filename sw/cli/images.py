"""`signfold images`: the ROMs of an accelerator as files of any tool's format, written, read back and explained."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from signfold.sw import zoo
from signfold.sw.artefacts import is_generated, load_artefacts
from signfold.sw.cli.generate import choose_plan
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.cli.patch import load_patch
from signfold.sw.errors import ImageError, MismatchError
from signfold.sw.image_files import is_image_folder, read_image_folder, read_map, write_image_folder
from signfold.sw.image_formats import FORMATS, find_format
from signfold.sw.images import IMAGE_MAP, describe, read_images, rebuild
from signfold.sw.lower import lower

__all__ = ["images"]

_BITSTREAMS = (".bin", ".bit")


def images(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="network (file or name of a shipped one), generated folder, folder of images, or bitstream of "
            "`signfold build --patchable`",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="output folder", show_default="none: only read and check")] = None,
    form: Annotated[
        list[str] | None,
        typer.Option("--format", help=f"format, may be repeated: {', '.join(FORMATS)}", show_default="all"),
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="of a network: plan file", show_default="a small design")] = None,
    lanes: Annotated[
        int | None, typer.Option(help="of a network: input codes a beat, without --plan", min=1, show_default="1")
    ] = None,
    target_cycles: Annotated[
        int | None,
        typer.Option(
            help="of a network: cycles from frame to frame, without --plan", min=1, show_default="the input's"
        ),
    ] = None,
    fabric: Annotated[
        str | None, typer.Option(help="of a network: what the arrays are made of", show_default="the plan's")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the map as JSON")] = False,
) -> None:
    """Write memory images in the formats of simulators, vendors' tools and programmers.

    The folder gets a file a ROM and format, and the map that says what every bit means: images.json for machines,
    images.md for people. A folder is read first, every file of it: a damaged one is refused with file and line. Of a
    bitstream, the block RAMs are read. The network is rebuilt from the images and its content hash compared.
    """
    formats = [find_format(name).name for name in form or FORMATS]
    if Path(source).suffix in _BITSTREAMS:
        image_map, words = _of_bitstream(Path(source))
    elif is_image_folder(source):
        image_map, words = read_image_folder(source)
    elif is_generated(source):
        artefacts = load_artefacts(source)
        image_map, words = artefacts.image_map, read_images(artefacts.image_map, artefacts.folder)
    else:
        network = zoo.load(source)
        with console.status("images"):
            config = lower(network, choose_plan(network, plan, lanes, target_cycles, fabric))
            image_map = describe(network, config)
        words = {rom.name: rom.words for rom in (*config.roms, *config.loads)}
    found = rebuild(image_map, words).content_hash
    if found != image_map["content_hash"]:
        raise MismatchError(f"images hold network {found}, but their map is of network {image_map['content_hash']}")
    if out is not None:
        image_map = write_image_folder(image_map, words, out, formats)
    emit(image_map, as_json=as_json, render=lambda output: _render(output, image_map, out))


def _of_bitstream(bitstream: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Return the map beside a bitstream, and the words in its block RAMs."""
    words = load_patch().read_bitstream(bitstream)
    image_map = read_map(bitstream.parent / IMAGE_MAP)
    # Memory that the host loads has nothing in the bitstream.
    absent = sorted({entry["rom"] for entry in image_map["images"]} - words.keys())
    if absent:
        raise ImageError(f"bitstream {str(bitstream)!r} holds no image {absent[0]}: the host loads it")
    return image_map, words


def _render(output: Console, image_map: dict[str, Any], out: Path | None) -> None:
    lines, seen = [], set()
    for entry in image_map["images"]:
        layer = "" if entry["layer"] is None else f" of layer {entry['layer']}"
        size = f"{entry['depth']} x {entry['width']}"
        lines.append(f"{entry['rom']:<14} {size:>12} bits, CRC-32 {entry['crc32']}, {entry['kind']}{layer}")
        seen.add((entry["rom"], entry["depth"] * entry["width"]))
    lines.append(f"{len(seen)} images, {sum(bits for _, bits in seen)} bits; network {image_map['content_hash']}")
    if out is not None:
        lines.append(f"written to {out} as {', '.join(image_map['formats'])}, with images.json and images.md")
    print_lines(output, lines)
