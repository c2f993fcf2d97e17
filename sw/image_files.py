"""Folders of images: the ROMs of an accelerator in formats of choice, with their map for machines and for people."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError
from signfold.sw.files import check_replaceable, put_in_place, temporary_beside
from signfold.sw.image_formats import FORMATS, find_format
from signfold.sw.image_page import PAGE, image_page
from signfold.sw.images import IMAGE_MAP, read_images
from signfold.sw.rebuild import FORMAT, VERSION

__all__ = ["is_image_folder", "read_image_folder", "read_map", "write_image_folder"]


def write_image_folder(
    image_map: Mapping[str, Any],
    images: Mapping[str, Sequence[int]],
    out_dir: str | os.PathLike[str],
    formats: Sequence[str] = tuple(FORMATS),
) -> dict[str, Any]:
    """Write every image in every format, `<rom>.<format>`, with `images.json` and `images.md`.

    The folder appears whole or not at all; one that this function has written is replaced, anything else is left alone.
    The same images give the same bytes.

    Parameters
    ----------
    image_map : mapping
        The map of the images; see `signfold.sw.images.describe`.
    images : mapping of str to sequence of int
        Words by ROM name, all those of the map.
    out_dir : path
        Folder to create or replace.
    formats : sequence of str
        Names of formats; see `signfold.sw.image_formats`.

    Returns
    -------
    dict
        The map as it was written: with `formats`, and `files` by name with their sizes and SHA-256.

    Raises
    ------
    ImageError
        If a format is unknown, or the folder holds anything that this function has not written.
    OSError
        If the folder cannot be written.
    """
    if not formats:
        raise ImageError(f"formats must name at least one of {', '.join(FORMATS)}")
    chosen = [find_format(name) for name in dict.fromkeys(formats)]
    folder = Path(out_dir)
    check_replaceable(folder, lambda: _written(folder), "images", ImageError)
    files: dict[str, bytes] = {}
    for entry in image_map["images"]:
        rom = RomParameters(entry["rom"], entry["width"], tuple(images[entry["rom"]]))
        files |= {f"{rom.name}.{one.name}": one.encode(rom) for one in chosen if f"{rom.name}.{one.name}" not in files}
    files[PAGE] = image_page(image_map, [one.name for one in chosen]).encode()
    written = {
        **image_map,
        "formats": [one.name for one in chosen],
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
    }
    with temporary_beside(folder) as finished:
        for name, data in files.items():
            (finished / name).write_bytes(data)
        (finished / IMAGE_MAP).write_bytes((json.dumps(written, indent=1) + "\n").encode())
        put_in_place(finished, folder)
    return written


def is_image_folder(folder: str | os.PathLike[str]) -> bool:
    """Say whether `folder` looks like one that `write_image_folder` wrote."""
    try:
        content = json.loads((Path(folder) / IMAGE_MAP).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT and "formats" in content


def read_image_folder(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Read a folder of images, every format of it.

    Returns
    -------
    dict
        The map.
    dict of str to tuple of int
        Words by ROM name.

    Raises
    ------
    ImageError
        If the map or an image is absent or damaged, or two formats hold different words; the message names the file,
        and the line.
    """
    folder = Path(folder)
    image_map = read_map(folder / IMAGE_MAP)
    try:
        # Each image agrees with the map's CRC, and so with the other formats.
        read = [read_images(image_map, folder, form=str(name)) for name in image_map["formats"]]
        return image_map, read[0]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"{folder / IMAGE_MAP}: contradicts itself: {type(error).__name__}: {error}") from None


def read_map(path: Path) -> dict[str, Any]:
    """Read a map of images.

    Raises
    ------
    ImageError
        If it is absent or no such map.
    """
    try:
        image_map = json.loads(path.read_bytes())
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{path}: must be JSON: {error}") from None
    if not isinstance(image_map, dict) or image_map.get("format") != FORMAT or image_map.get("version") != VERSION:
        raise ImageError(f"{path}: must be of format {FORMAT!r}, version {VERSION}")
    return image_map


def _written(folder: Path) -> set[str]:
    """Return the names in a folder that `write_image_folder` has written."""
    if not is_image_folder(folder):
        return set()
    return {IMAGE_MAP, *json.loads((folder / IMAGE_MAP).read_bytes()).get("files", ())}
