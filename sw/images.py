"""Memory images: one `.mem` file a ROM, and a map that says what every bit of it means.

The map and the files suffice to rebuild the network (`rebuild`), without this package's hardware description: all
geometry is written out in the map.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.rom import RomParameters
from signfold.sw.errors import ImageError
from signfold.sw.memfile import crc32, format_mem, parse_mem
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold

__all__ = ["IMAGE_MAP", "describe", "read_images", "rebuild"]

#: Name of the map's file beside the images.
IMAGE_MAP = "images.json"

#: What the words of each kind of image mean; every name is a key of the map's entry.
_MEANING = {
    "pixel_thresholds": "word b, bits [l*field_bits +: field_bits]: threshold of input element b*lanes + l; "
    "the element's bit is 1 where its code is at least the threshold",
    "weights": "word p*words + w, bits [h*simd + i]: weight of channel p*cols + group*hop + h for input w*simd + i; "
    "1 is +1, 0 is -1; bits of channels or inputs that do not exist are 0",
    "thresholds": "word b, bits [l*field_bits +: field_bits]: threshold u of channel b*lanes + l on agreements; "
    "u = 2**(field_bits - 1) never fires, else the bipolar threshold is 2*(u - padding) - fan_in",
    "affine": "word c: scale of class c in bits [scale_bits - 1:0], offset above it, both two's complement; "
    "score = scale * sum + offset",
}


def describe(network: Network, config: AcceleratorConfig) -> dict[str, Any]:
    """Return the map of all images of an accelerator, as it goes to `images.json`.

    Parameters
    ----------
    network : Network
        The network that was lowered.
    config : AcceleratorConfig
        What `signfold.sw.lower.lower` made of it.
    """
    entries = []
    pixels = config.pixels
    if pixels.rom is not None:
        geometry = {"lanes": pixels.lanes, "field_bits": pixels.bits + 1, "elements": pixels.elements}
        entries.append(_entry(pixels.rom, "pixel_thresholds", None, geometry))
    for layer, engine in enumerate(config.engines):
        size = {"channels": engine.channels, "fan_in": engine.fan_in}
        for group, rom in enumerate(engine.weight_roms):
            geometry = {"group": group, "cols": engine.cols, "hop": engine.hop, "simd": engine.simd}
            geometry |= {"words": engine.words, "passes": engine.passes}
            entries.append(_entry(rom, "weights", layer, {**size, **geometry}))
        if unit := engine.threshold_unit:
            geometry = {"lanes": unit.lanes, "field_bits": unit.threshold_width, "padding": engine.padding}
            entries.append(_entry(unit.rom, "thresholds", layer, {**size, **geometry}))
    output = network.node(network.output)
    if config.scores.rom is not None:
        scale_bits, offset_bits = config.scores.field_widths
        geometry = {"classes": config.scores.classes, "scale_bits": scale_bits, "offset_bits": offset_bits}
        entries.append(_entry(config.scores.rom, "affine", len(config.engines) - 1, geometry))
    return {
        "format": "signfold-images",
        "version": 1,
        "content_hash": network.content_hash,
        "input": {"shape": list(network.input.shape), "bits": network.input.bits},
        # A single threshold for all pixels is wired into the logic and has no image.
        "pixel_threshold": None if pixels.rom else int(pixels.thresholds[0, 0]),
        "fraction": output.fraction if isinstance(output, Affine) else None,
        "meaning": _MEANING,
        "images": entries,
    }


def _entry(rom: RomParameters, kind: str, layer: int | None, geometry: dict[str, int]) -> dict[str, Any]:
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


def read_images(image_map: Mapping[str, Any], folder: Path, *, verify: bool = True) -> dict[str, tuple[int, ...]]:
    """Read the images that a map lists.

    Parameters
    ----------
    image_map : mapping
        Contents of `images.json`.
    folder : pathlib.Path
        Where the `.mem` files lie.
    verify : bool
        Check the words against the CRCs in the map; pass False for images that were edited on purpose.

    Returns
    -------
    dict of str to tuple of int
        Words by ROM name.

    Raises
    ------
    ImageError
        If a file is absent, damaged or has the wrong size; the message names it.
    """
    if image_map.get("format") != "signfold-images" or image_map.get("version") != 1:
        raise ImageError(f"{IMAGE_MAP}: must be a map of images of version 1")
    images = {}
    for entry in image_map["images"]:
        # The name was checked when the ROM was made; a map from elsewhere must not reach outside the folder.
        if not re.fullmatch(r"[A-Za-z]\w{0,62}", entry["rom"], re.ASCII):
            raise ImageError(f"{IMAGE_MAP}: ROM name {entry['rom'][:80]!r} must be an identifier")
        path = folder / f"{entry['rom']}.mem"
        try:
            text = path.read_text(encoding="ascii")
        except OSError as error:
            raise ImageError(f"image {path.name}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ImageError(f"image {path.name}: must be plain ASCII text") from None
        words = parse_mem(text, name=f"image {path.name}", width=entry["width"], depth=entry["depth"])
        found = crc32(words, entry["width"])
        if verify and found != entry["crc32"]:
            raise ImageError(f"image {path.name}: CRC-32 is {found}, but the map says {entry['crc32']}")
        images[entry["rom"]] = words
    return images


def rebuild(image_map: Mapping[str, Any], images: Mapping[str, tuple[int, ...]]) -> Network:
    """Return the network that images hold, from the map alone.

    Parameters
    ----------
    image_map : mapping
        Contents of `images.json`.
    images : mapping of str to tuple of int
        Words by ROM name, as `read_images` returns them.

    Returns
    -------
    Network
        With the same parameters as the one that was lowered; nodes are named `pixels`, `dense0`, `threshold0`, ....

    Raises
    ------
    ImageError
        If the map contradicts itself.
    NetworkError
        If the images hold parameters that no network has.
    """
    try:
        return _rebuild(image_map, images)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ImageError(f"{IMAGE_MAP}: contradicts itself: {type(error).__name__}: {error}") from None


def _rebuild(image_map: Mapping[str, Any], images: Mapping[str, tuple[int, ...]]) -> Network:
    entries = [(entry, images[entry["rom"]]) for entry in image_map["images"]]
    bounds = np.array([[image_map["pixel_threshold"] or 0]])
    weights: dict[int, np.ndarray] = {}
    thresholds: dict[int, np.ndarray] = {}
    affine = None
    for entry, words in entries:
        layer = entry["layer"]
        if entry["kind"] == "pixel_thresholds":
            bounds = _fields(words, entry["lanes"], entry["field_bits"])[: entry["elements"], None]
        elif entry["kind"] == "weights":
            grid = weights.setdefault(layer, np.zeros((entry["channels"], entry["fan_in"]), np.uint8))
            _place_weights(grid, entry, words)
        elif entry["kind"] == "thresholds":
            stored = _fields(words, entry["lanes"], entry["field_bits"])[: entry["channels"], None]
            never = stored == 1 << (entry["field_bits"] - 1)
            bipolar = 2 * (stored - entry["padding"]) - entry["fan_in"]
            thresholds[layer] = np.where(never, entry["fan_in"] + 2, bipolar)
        elif entry["kind"] == "affine":
            low = np.array([_signed(word, entry["scale_bits"]) for word in words])
            high = np.array([_signed(word >> entry["scale_bits"], entry["offset_bits"]) for word in words])
            affine = (low, high)
    nodes: list[Any] = [Threshold("pixels", "input", bounds.astype(np.int64))]
    for layer in sorted(weights):
        nodes.append(Dense(f"dense{layer}", nodes[-1].name, weights[layer]))
        if layer in thresholds:
            nodes.append(Threshold(f"threshold{layer}", nodes[-1].name, thresholds[layer].astype(np.int64)))
    if affine is not None:
        scale, offset = (array.astype(np.int64) for array in affine)
        nodes.append(Affine("scores", nodes[-1].name, scale, offset, image_map["fraction"]))
    shape = tuple(image_map["input"]["shape"])
    return Network(InputType(shape, image_map["input"]["bits"]), tuple(nodes), nodes[-1].name)


def _place_weights(grid: np.ndarray, entry: Mapping[str, Any], words: Sequence[int]) -> None:
    """Put the weights of one column group into the layer's matrix."""
    size = -(-entry["width"] // 8)
    stored = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in words), np.uint8)
    bits = np.unpackbits(stored.reshape(entry["depth"], size), axis=1, bitorder="little")[:, : entry["width"]]
    bits = bits.reshape(entry["passes"], entry["words"], entry["hop"], entry["simd"]).transpose(0, 2, 1, 3)
    rows = bits.reshape(entry["passes"] * entry["hop"], -1)[:, : entry["fan_in"]]
    first = np.arange(entry["passes"]) * entry["cols"] + entry["group"] * entry["hop"]
    channels = (first[:, None] + np.arange(entry["hop"])).ravel()
    exists = channels < entry["channels"]
    grid[channels[exists]] = rows[exists]


def _fields(words: Sequence[int], lanes: int, bits: int) -> np.ndarray:
    return np.array([word >> (lane * bits) & ((1 << bits) - 1) for word in words for lane in range(lanes)])


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
