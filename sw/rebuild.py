"""Rebuild: a network from memory images and their map, without this package's hardware description."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signfold.sw.errors import ImageError
from signfold.sw.network import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    InputType,
    MaxPool,
    Network,
    Node,
    PadChannels,
    SumPool,
    Threshold,
    ValueType,
)
from signfold.sw.network.nodes.levels import code_type
from signfold.sw.stored_scale import stored_scale

__all__ = ["FORMAT", "IMAGE_MAP", "VERSION", "rebuild", "stored_thresholds"]

#: Name of the map's file beside the images.
IMAGE_MAP = "images.json"

FORMAT = "signfold-images"
#: Version 2 lists the network's nodes, and knows images of more kinds than those of dense layers of bits.
VERSION = 2

#: Words by ROM name.
Images = Mapping[str, Sequence[int]]


def rebuild(image_map: Mapping[str, Any], images: Images) -> Network:
    """Return the network that images hold, from the map alone.

    Parameters
    ----------
    image_map : mapping
        Contents of `images.json`.
    images : mapping of str to sequence of int
        Words by ROM name, as `signfold.sw.images.read_images` returns them.

    Returns
    -------
    Network
        With the same content hash as the one that was lowered, if the images are still its own; nodes are named after
        what they do.

    Raises
    ------
    ImageError
        If the map contradicts itself.
    NetworkError
        If the images hold parameters that no network has.
    """
    try:
        return _rebuild(image_map, images)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"{IMAGE_MAP}: contradicts itself: {type(error).__name__}: {error}") from None


def _rebuild(image_map: Mapping[str, Any], images: Images) -> Network:
    source = InputType(tuple(image_map["input"]["shape"]), image_map["input"]["bits"])
    # Networks that branch say what each node reads; in chains that is the node before.
    values, names = {-1: source.value}, {-1: "input"}
    nodes: list[Node] = []
    for position, entry in enumerate(image_map["nodes"]):
        name = f"{entry['op']}{position}"
        inputs = entry.get("inputs", [position - 1])
        value, before = values[inputs[0]], names[inputs[0]]
        match entry["op"]:
            case "dense":
                node: Node = Dense(name, before, _dense_weights(image_map, entry, images), entry["levels"])
            case "conv":
                weights = _conv_weights(image_map, entry, images)
                window = tuple(entry["stride"]), tuple(entry["padding"])
                node = Conv(name, before, weights, *window, entry["pad"], entry["groups"], entry["levels"])
            case "maxpool" | "sumpool":
                kind = MaxPool if entry["op"] == "maxpool" else SumPool
                node = kind(name, before, *(tuple(entry[key]) for key in ("kernel", "stride", "padding")))
            case "threshold":
                thresholds = stored_thresholds(image_map, entry, images, value)
                for row, level, stored, exact in entry["rounded"]:
                    if thresholds[row, level] == stored:
                        thresholds[row, level] = exact
                node = Threshold(name, before, thresholds, _inverted(image_map, entry, images))
            case "add" | "concat":
                node = (Add if entry["op"] == "add" else Concat)(name, tuple(names[number] for number in inputs))
            case "padchannels":
                node = PadChannels(name, before, entry["before"], entry["after"])
            case "scale" | "quantize":
                node = stored_scale(name, before, entry, _entries(image_map, "scales", entry["layer"]), images)
            case "affine":
                node = Affine(name, before, *_affine(image_map, images), entry["fraction"])
            case op:
                raise ValueError(f"operation {op!r} is not known")
        nodes.append(node)
        values[position], names[position] = node.infer(*(values[number] for number in inputs)), name
    return Network(source, tuple(nodes), name)


def _entries(image_map: Mapping[str, Any], kind: str, layer: int | None) -> list[Mapping[str, Any]]:
    """Return the map's entries of a kind, of a layer."""
    return [entry for entry in image_map["images"] if entry["kind"] == kind and entry["layer"] == layer]


def _dense_weights(image_map: Mapping[str, Any], node: Mapping[str, Any], images: Images) -> np.ndarray:
    """Return the weight codes of a dense layer, whose inputs stand in the order of the stream in images."""
    if "codes" in node:
        return _codes(node)
    codes, shape = _weights(image_map, node, images), tuple(node["shape"])
    if len(shape) == 3:
        channels, height, width = shape
        codes = codes.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    return codes.reshape(node["channels"], -1)


def _conv_weights(image_map: Mapping[str, Any], node: Mapping[str, Any], images: Images) -> np.ndarray:
    """Return the weight codes of a convolution."""
    if "codes" in node:
        return _codes(node).reshape(node["channels"], *node["shape"])
    codes = _weights(image_map, node, images)
    return codes.transpose(0, 2, 1).reshape(node["channels"], *node["shape"])


def _codes(node: Mapping[str, Any]) -> np.ndarray:
    """Return the weight codes that the map itself holds, of a hardwired layer, channels x fan-in."""
    kind = code_type(node["levels"])
    return np.stack([np.frombuffer(bytes.fromhex(row), kind.newbyteorder("<")).astype(kind) for row in node["codes"]])


def _weights(image_map: Mapping[str, Any], node: Mapping[str, Any], images: Images) -> np.ndarray:
    """Return weight codes, channels x taps x input channels, of all column groups of a layer."""
    entries = sorted(_entries(image_map, "weights", node["layer"]), key=lambda entry: entry["group"])
    first = entries[0]
    if [entry["group"] for entry in entries] != list(range(first["cols"] // first["hop"])):
        raise ValueError(f"layer {node['layer']} must have cols / hop = {first['cols']} / {first['hop']} groups")
    size = tuple(first[key] for key in ("passes", "planes", "words", "hop", "simd"))
    passes, planes, words, hop, simd = size
    if first["space"]:
        shape, order = (passes, words, hop, planes, simd), (3, 0, 2, 1, 4)
    else:
        shape, order = size, (1, 0, 3, 2, 4)
    # A pass's channels stand group by group, the hop columns of a group one after another.
    count = passes * words if first["space"] else passes * planes * words
    groups = [_bits(entry, _part(entry, images, count)).reshape(shape).transpose(order) for entry in entries]
    if first["parities"]:
        # Each bit and the one below it differ where the weight is 0.
        groups = [1 - np.diff(group, axis=-1, prepend=np.uint8(0)) % 2 for group in groups]
    bits = np.stack(groups, axis=2).reshape(planes, passes * first["cols"], first["taps"], -1)
    bits = bits[:, : first["channels"], :, : first["inputs"]]
    if node["levels"] == 3:
        return bits.sum(axis=0, dtype=np.uint8)
    kind = code_type(node["levels"])
    return sum(plane.astype(kind) << kind.type(index) for index, plane in enumerate(bits)).astype(kind)


def stored_thresholds(
    image_map: Mapping[str, Any], node: Mapping[str, Any], images: Images, value: ValueType
) -> np.ndarray:
    """Return the thresholds of a node as the images hold them, int64, rows x levels.

    Parameters
    ----------
    image_map : mapping
        Contents of `images.json`.
    node : mapping
        The node's entry in the map.
    images : mapping of str to sequence of int
        Words by ROM name.
    value : ValueType
        What the node reads.
    """
    if node["layer"] is None:
        values = np.array([[image_map["pixel_threshold"]]])
        for entry in _entries(image_map, "pixel_thresholds", None):
            values = _fields(images[entry["rom"]], entry["lanes"], entry["field_bits"])[: entry["elements"], None]
        return _rows(values.astype(np.int64), node["rows"], value.shape)
    if "thresholds" in node:
        return np.array(node["thresholds"], np.int64)
    (first,) = (entry for entry in _entries(image_map, "thresholds", node["layer"]) if entry["row"] == 0)
    bits, lanes, beats, number = (first[key] for key in ("bits", "lanes", "beats", "reference_class"))
    stored = np.zeros((beats, lanes, (1 << bits) - 1), np.int64)
    words = _part(first, images, first["classes"] * beats)[number * beats : (number + 1) * beats]
    stored[:, :, (1 << (bits - 1)) - 1] = _fields(words, lanes, first["field_bits"]).reshape(beats, lanes)
    for entry in _entries(image_map, "further_thresholds", node["layer"]):
        if entry["row"] == 0:
            stage = entry["stage"]
            words = _part(entry, images, first["classes"] * beats, 1 << stage)
            table = np.array(words, np.int64).reshape(-1, beats, 1 << stage)
            half = 1 << (bits - 1 - stage)
            stored[:, entry["lane"], half - 1 :: 2 * half] = table[number]
    # Past a layer's own levels, a table of several layers holds thresholds that never fire.
    stored = stored.reshape(beats * lanes, -1)[: first["channels"], : node["levels"]]
    origin = np.array(first["origin"], np.int64).reshape(-1, 1)
    never = stored == 1 << (first["field_bits"] - 1)
    sums = np.clip(first["step"] * stored - origin, value.low, value.high + value.step)
    return _rows(np.where(never, value.high + value.step, sums), node["rows"], value.shape)


def _rows(values: np.ndarray, rows: int, shape: Sequence[int]) -> np.ndarray:
    """Return the rows of a node, of values a channel or, for the input of a dense layer, an element of the stream."""
    if rows == 1 or len(values) == rows:
        return values[:rows]
    if rows != shape[0]:
        raise ValueError(f"thresholds must be 1 or one a channel, {shape[0]}, not {rows!r}")
    return values[:rows] if len(shape) == 3 else values[:: len(values) // rows]


def _inverted(image_map: Mapping[str, Any], node: Mapping[str, Any], images: Images) -> np.ndarray | None:
    """Return which channels of a node are complemented."""
    if node["inverted"] is None:
        return None
    (entry,) = _entries(image_map, "inversions", node["inverted"])
    return _fields(images[entry["rom"]], entry["lanes"], 1)[: entry["channels"]][: node["rows"]].astype(bool)


def _affine(image_map: Mapping[str, Any], images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return scales and offsets of the classes."""
    (entry,) = _entries(image_map, "affine", None)
    words, split = images[entry["rom"]], entry["scale_bits"]
    scale = np.array([_signed(word, split) for word in words], np.int64)
    return scale, np.array([_signed(word >> split, entry["offset_bits"]) for word in words], np.int64)


def _part(entry: Mapping[str, Any], images: Images, count: int, size: int = 1) -> Sequence[int]:
    """Return the words of an entry, `count` times `size`: all of its image, or a layer's part of it."""
    start = entry.get("start")
    return images[entry["rom"]] if start is None else images[entry["rom"]][start * size : (start + count) * size]


def _bits(entry: Mapping[str, Any], words: Sequence[int]) -> np.ndarray:
    """Return the bits of words, uint8, words x width."""
    size = -(-entry["width"] // 8)
    stored = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in words), np.uint8)
    return np.unpackbits(stored.reshape(-1, size), axis=1, bitorder="little")[:, : entry["width"]]


def _fields(words: Sequence[int], lanes: int, bits: int) -> np.ndarray:
    return np.array([word >> (lane * bits) & ((1 << bits) - 1) for word in words for lane in range(lanes)], np.int64)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
