"""What the map of images says of every image."""

import hashlib
from typing import Any

from signfold.hw.rom import RomParameters
from signfold.sw.memfile import crc32, format_mem

__all__ = ["image_entry"]


def image_entry(rom: RomParameters, kind: str, layer: int | None, geometry: dict[str, Any]) -> dict[str, Any]:
    """Return the map's entry of an image, or of a layer's part of one.

    Parameters
    ----------
    rom : RomParameters
        The image.
    kind : str
        What its words mean; see the map's `meaning`.
    layer : int or None
        Number of the layer.
    geometry : dict
        Where in the words what stands.
    """
    return {
        "rom": rom.name,
        "file": f"{rom.name}.mem",
        "kind": kind,
        "layer": layer,
        "width": rom.width,
        "depth": rom.depth,
        **geometry,
        "crc32": crc32(rom.words, rom.width),
        "sha256": hashlib.sha256(format_mem(rom).encode()).hexdigest(),
    }
