"""Memory images: one `.mem` file a ROM, and a map that says what every bit of it means.

The map and the files suffice to rebuild the network (`signfold.sw.rebuild`), without this package's hardware
description: all geometry is written out in the map.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.correction import CorrectionParameters
from signfold.hw.engine import EngineParameters
from signfold.hw.engine_core import EngineCore
from signfold.hw.image import border_classes
from signfold.hw.invert import InvertParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sw.errors import ImageError
from signfold.sw.image_entry import image_entry as _entry
from signfold.sw.image_formats import find_format
from signfold.sw.image_nodes import image_nodes
from signfold.sw.layers import Layers, network_layers
from signfold.sw.memfile import crc32
from signfold.sw.network import Network, Threshold
from signfold.sw.rebuild import FORMAT, IMAGE_MAP, VERSION, rebuild, stored_thresholds
from signfold.sw.scale_images import scale_images
from signfold.sw.shared_images import describe_shared

__all__ = ["IMAGE_MAP", "describe", "read_images", "rebuild"]

#: What thresholds on codes are.
_PLAIN = {"step": 1, "origin": 0, "reference_class": 0}
_BY_CLASS = "class is that of the position: row_classes of its row + column_classes of its column"
#: What the words of each kind of image mean; every name is a key of the map's entry.
_MEANING = {
    "pixel_thresholds": "word b, bits [l*field_bits +: field_bits]: threshold of input element b*lanes + l in the "
    "order of the stream; the element's bit is 1 where its code is at least the threshold",
    "weights": "word (p*planes + j)*words + w, bits [h*simd + i], or where space is true word p*words + w, bits "
    "[(h*planes + j)*simd + i]: plane j of the weight of channel p*cols + group*hop + h for tap w // (words // taps) "
    "and input channel w % (words // taps)*simd + i. One plane: 1 is +1, 0 is -1. Else a code c of all planes stands "
    "for 2*c - (levels - 1); plane j is bit j of c, but for 3 levels c is the sum of the planes. Bits of channels or "
    "inputs that do not exist are 0. Where parities is true, the word holds in place of bits i = 0 .. simd - 1 of a "
    "plane the parities of the inverted bits 0 .. i. Where start is given, the table holds several layers, and word 0 "
    "of this one is word start; where loaded is true, the host writes it before the first frame",
    "thresholds": "word class*beats + b, bits [l*field_bits +: field_bits]: the middle threshold u of channel "
    "b*lanes + l, on counts; the highest bit of the code is 1 where the count is at least u. u = 2**(field_bits - 1) "
    "never fires; in reference_class others stand for the network's step*u - origin (one, or one a channel). "
    f"{_BY_CLASS}. Where start is given, word 0 of the layer is word start; where a code has fewer bits than `bits`, "
    "the thresholds past its own never fire",
    "further_thresholds": "word (class*beats + b)*2**stage + c: the threshold of channel b*lanes + lane on which the "
    "next bit of the code depends where c is the code so far, in field_bits bits as in the first stage. Where start "
    "is given, word 0 of the layer is word start*2**stage",
    "corrections": "word class*beats + b, bits [l*field_bits +: field_bits]: what is added to factor times the count "
    f"of channel b*lanes + l. {_BY_CLASS}",
    "scales": "word b, bits [l*lane_bits + lsb +: width] of each of `fields`: a number of channel b*lanes + l; "
    "numbers that all channels share are the node's `constants`. What goes out of a sum that travels as u is "
    "(factor*((u ^ negative) & some) << shift) + offset >> right, saturated; negative and some stand for all bits of "
    "u, right is the node's shift - common",
    "inversions": "word b, bit [l]: 1 where the codes of channel b*lanes + l are complemented",
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
    layers, pixels, scores = network_layers(network), config.pixels, config.scores
    entries = []
    if pixels.rom is not None:
        geometry = {"lanes": pixels.lanes, "field_bits": pixels.bits + 1, "elements": pixels.elements}
        entries.append(_entry(pixels.rom, "pixel_thresholds", None, geometry))
    number, meanings = 0, _meanings(layers, config)
    for stage in config.layers:
        if isinstance(stage, SharedEngineParameters):
            entries += describe_shared(number, stage)
        else:
            entries += _weights(number, stage) + _units(number, stage, meanings.get(number, _PLAIN))
        number += stage.span
    if scores.rom is not None:
        scale_bits, offset_bits = scores.field_widths
        geometry = {"classes": scores.classes, "scale_bits": scale_bits, "offset_bits": offset_bits}
        entries.append(_entry(scores.rom, "affine", None, geometry))
    image_map = {
        "format": FORMAT,
        "version": VERSION,
        "content_hash": network.content_hash,
        "input": {"shape": list(network.input.shape), "bits": network.input.bits},
        # A single threshold for all pixels is wired into the logic and has no image.
        "pixel_threshold": None if pixels.thresholds is None or pixels.rom else int(pixels.thresholds[0, 0]),
        "nodes": image_nodes(layers, config),
        # Chains have no scales.
        "meaning": {kind: text for kind, text in _MEANING.items() if kind != "scales" or layers.branches},
        "images": entries,
    }
    images = {rom.name: rom.words for rom in (*config.roms, *config.loads)}
    for node, entry in zip(network.nodes, image_map["nodes"], strict=True):
        if isinstance(node, Threshold):
            # Where windows meet the edge, an image may hold the next sum that a whole window gives.
            stored = stored_thresholds(image_map, entry, images, network.types[node.input])
            entry["rounded"] = [
                [int(row), int(level), int(stored[row, level]), int(node.thresholds[row, level])]
                for row, level in np.argwhere(stored != node.thresholds)
            ]
    return image_map


def _weights(layer: int, stage: Any) -> list[dict[str, Any]]:
    """Describe the weight images of a layer."""
    if not isinstance(stage, EngineCore) or not stage.weight_roms:
        return []
    if isinstance(stage, EngineParameters):
        geometry = {"cols": stage.cols, "hop": stage.hop, "simd": stage.simd, "words": stage.words}
        geometry |= {"passes": stage.passes, "taps": stage.taps, "inputs": stage.inputs}
    else:
        geometry = {"cols": stage.lanes, "hop": stage.lanes, "simd": 1, "words": stage.taps}
        geometry |= {"passes": stage.feeder.passes, "taps": stage.taps, "inputs": 1}
    planes = stage.planes
    geometry |= {"planes": planes.weight_planes, "levels": planes.weight_levels, "space": planes.space}
    geometry |= {"parities": isinstance(stage, EngineParameters) and stage.array.encoded}
    return [
        _entry(rom, "weights", layer, {"channels": stage.channels, "group": group, **geometry})
        for group, rom in enumerate(stage.weight_roms)
    ]


def _meanings(layers: Layers, config: AcceleratorConfig) -> dict[int, dict[str, Any]]:
    """Return, for each layer of a graph, what the sums stand for that it reads; codes stand for themselves."""
    meanings = {}
    for k, layer in enumerate(layers.layers if layers.branches else ()):
        if layers.network.types[layer.node.inputs[0]].kind == "sum":
            source = config.layers[layer.inputs[0]]
            meanings[k] = {"step": source.output_step, "origin": source.origin, "reference_class": 0}
    return meanings


def _units(layer: int, stage: Any, meaning: dict[str, Any]) -> list[dict[str, Any]]:
    """Describe the images of what a layer's sums go through; each row of an array has its own."""
    if isinstance(stage, ScaleStageParameters):
        return scale_images(layer, stage.unit)
    if isinstance(stage, ThresholdStageParameters):
        entries = _thresholds(layer, stage.unit, 0, meaning)
        return entries + [_inversions(layer, stage.channels, unit) for unit in stage.further]
    if not isinstance(stage, EngineCore):
        return []
    entries = []
    for row, unit in enumerate(stage.units):
        if isinstance(unit, ThresholdParameters):
            reference = 0
            if stage.bordered:
                # The class with the most taps inside the image tells thresholds best: its sums have the widest range.
                reference = int(border_classes(stage.feeder.storages[row])[1].sum(axis=1).argmax())
            origins = stage.border(row)[1][reference]
            origin = int(origins[0]) if (origins == origins[0]).all() else origins.tolist()
            meaning = {"step": stage.step, "origin": origin, "reference_class": reference}
            entries += _thresholds(layer, unit, row, meaning)
        elif isinstance(unit, CorrectionParameters):
            geometry = {"row": row, "channels": unit.channels, "lanes": unit.lanes, "beats": unit.beats}
            geometry |= {"field_bits": unit.correction_width, "factor": unit.factor} | _classes(unit)
            entries.append(_entry(unit.rom, "corrections", layer, geometry))
        elif unit is not None:
            entries.append(_inversions(layer, stage.channels, unit))
    return entries


def _inversions(layer: int, channels: int, unit: InvertParameters) -> dict[str, Any]:
    """Describe the image that says which codes are complemented."""
    geometry = {"channels": channels, "lanes": unit.lanes, "beats": unit.beats}
    return _entry(unit.roms[0], "inversions", layer, geometry)


def _thresholds(layer: int, unit: ThresholdParameters, row: int, meaning: dict[str, Any]) -> list[dict[str, Any]]:
    """Describe the images of a threshold unit: that of the first comparison, and one a lane for each further one."""
    geometry = {"row": row, "channels": unit.channels, "lanes": unit.lanes, "beats": unit.beats}
    geometry |= {"field_bits": unit.threshold_width, "bits": unit.bits}
    first, *further = unit.roms
    entries = [_entry(first, "thresholds", layer, geometry | meaning | _classes(unit))]
    for index, rom in enumerate(further):
        place = {"stage": 1 + index // unit.lanes, "lane": index % unit.lanes}
        entries.append(_entry(rom, "further_thresholds", layer, geometry | place))
    return entries


def _classes(unit: ThresholdParameters | CorrectionParameters) -> dict[str, Any]:
    """Say which class each row and each column of positions adds to."""
    if unit.address.classes == 1:
        return {"classes": 1, "row_classes": [0], "column_classes": [0]}
    border = unit.border
    rows = [number * border.column_classes for number in border.rows]
    return {"classes": border.count, "row_classes": rows, "column_classes": list(border.columns)}


def read_images(
    image_map: Mapping[str, Any], folder: Path, *, form: str = "mem", verify: bool = True
) -> dict[str, tuple[int, ...]]:
    """Read the images that a map lists.

    Parameters
    ----------
    image_map : mapping
        Contents of `images.json`.
    folder : pathlib.Path
        Where the files `<rom>.<form>` lie.
    form : str
        Format of the files; see `signfold.sw.image_formats`.
    verify : bool
        Check the words against the CRCs in the map; pass False for images that were edited on purpose.

    Returns
    -------
    dict of str to tuple of int
        Words by ROM name.

    Raises
    ------
    ImageError
        If a file is absent, damaged or has the wrong size; the message names it, and the line.
    """
    chosen = find_format(form)
    if image_map.get("format") != FORMAT or image_map.get("version") != VERSION:
        raise ImageError(f"{IMAGE_MAP}: must be a map of images of version {VERSION}; generate the folder again")
    images = {}
    for entry in image_map["images"]:
        # The name was checked when the ROM was made; a map from elsewhere must not reach outside the folder.
        if not re.fullmatch(r"[A-Za-z]\w{0,62}", entry["rom"], re.ASCII):
            raise ImageError(f"{IMAGE_MAP}: ROM name {entry['rom'][:80]!r} must be an identifier")
        path = folder / f"{entry['rom']}.{form}"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"image {path.name}: {error.strerror}") from None
        words = chosen.decode(data, name=f"image {path.name}", width=entry["width"], depth=entry["depth"])
        found = crc32(words, entry["width"])
        if verify and found != entry["crc32"]:
            raise ImageError(f"image {path.name}: CRC-32 is {found}, but the map says {entry['crc32']}")
        images[entry["rom"]] = words
    return images
