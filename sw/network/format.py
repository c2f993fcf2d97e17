"""The network file: the graph description in its header, and the tensors that go with it.

The header's only metadata entry, ``"signfold"``, is a JSON object; nodes refer to each other by index and tensors are
named ``node.<index>.<parameter>``, so that names of nodes are nothing but text. Weights are packed to their bits.

Version 1 knew thresholds, dense layers of bits, and affine scores. Version 2 adds operations and optional parameters,
which are left out where they have the value they implicitly had: such a network's description, and so its content hash,
is the same in both versions. Version 3 adds fixed-point numbers and branches; files that have none are of version 2.
"""

import json
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.container import parse_json
from signfold.sw.network.nodes import (
    NODES,
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    Join,
    Node,
    PadChannels,
    Pool,
    Scaled,
    Threshold,
)
from signfold.sw.network.nodes.base import MAX_SOURCES
from signfold.sw.network.nodes.levels import LEVELS, code_type
from signfold.sw.network.types import MAX_ELEMENTS, InputType, is_int, shown

__all__ = ["KEY", "MAX_FILE", "VERSION", "decode", "describe", "encode", "pack_weights"]

#: Metadata entry of the safetensors header.
KEY = "signfold"
#: Newest version. A reader keeps reading every version it ever read; a newer one is refused by number.
VERSION = 4

#: Longest accepted file: half a billion weights, which unpack to as many bytes.
MAX_FILE = 64 << 20

_FORMAT = "signfold-network"
_WINDOW = {"stride", "padding"}
#: Keys of each operation beside its name, operation and inputs: those it must have, and those it may have.
_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "threshold": (set(), {"inverted"}),
    "dense": ({"fan_in"}, {"levels"}),
    "conv": (_WINDOW | {"shape", "pad", "groups", "levels"}, set()),
    "maxpool": (_WINDOW | {"kernel"}, set()),
    "sumpool": (_WINDOW | {"kernel"}, set()),
    "affine": ({"fraction"}, set()),
    "scale": ({"shift", "low", "high", "fraction"}, set()),
    "quantize": ({"shift", "bits"}, set()),
    "add": (set(), set()),
    "concat": (set(), set()),
    "padchannels": ({"before", "after"}, set()),
}
#: Operations of the first versions; since version 3 there are all.
_OPERATIONS = {1: ("threshold", "dense", "affine")}
_OPERATIONS[2] = (*_OPERATIONS[1], "conv", "maxpool", "sumpool")
_OPERATIONS[3] = _OPERATIONS[4] = tuple(NODES)
#: Most levels of weights, by version.
_MOST_LEVELS = {1: 2, 2: 256, 3: 256, 4: max(LEVELS)}


def pack_weights(weights: np.ndarray, bits: int = 1) -> np.ndarray:
    """Pack codes ``[channels, ...]`` of so many bits, row by row.

    Bit j of a row's i-th code is bit ``i*bits + j`` of the row; eight of these a byte, the first in the least
    significant bit, and the unused ones 0.
    """
    rows = weights.reshape(len(weights), -1)
    if bits > 1:
        rows = ((rows[:, :, None] >> np.arange(bits, dtype=np.uint8)) & 1).astype(np.uint8).reshape(len(rows), -1)
    return np.packbits(rows, axis=1, bitorder="little")


def _width(levels: int) -> int:
    """Return the bits of a weight's code."""
    return (levels - 1).bit_length()


def describe(nodes: Sequence[Node], input_type: InputType, output: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Describe a graph without names: edges are node indices, -1 the network's input.

    Returns
    -------
    dict
        JSON object of the graph.
    dict of str to numpy.ndarray
        Its tensors, as stored.
    """
    index = {"input": -1} | {node.name: position for position, node in enumerate(nodes)}
    entries = []
    tensors: dict[str, np.ndarray] = {}
    for position, node in enumerate(nodes):
        entry: dict[str, object] = {"op": node.op, "inputs": [index[name] for name in node.inputs]}
        match node:
            case Dense():
                entry["fan_in"] = node.fan_in
                if node.levels != 2:
                    entry["levels"] = node.levels
                tensors[f"node.{position}.weights"] = pack_weights(node.weights, _width(node.levels))
            case Conv():
                entry |= {"shape": list(node.weights.shape[1:]), "groups": node.groups, "levels": node.levels}
                entry |= {"stride": list(node.stride), "padding": list(node.padding), "pad": node.pad}
                tensors[f"node.{position}.weights"] = pack_weights(node.weights, _width(node.levels))
            case Pool():
                entry |= {what: list(getattr(node, what)) for what in ("kernel", "stride", "padding")}
            case Threshold():
                tensors[f"node.{position}.thresholds"] = node.thresholds
                if node.inverted is not None:
                    entry["inverted"] = True
                    tensors[f"node.{position}.inverted"] = pack_weights(node.inverted[None])[0]
            case Affine():
                entry["fraction"] = node.fraction
                tensors[f"node.{position}.scale"] = node.scale
                tensors[f"node.{position}.offset"] = node.offset
            case Scaled():
                entry |= {key: getattr(node, key) for key in _KEYS[node.op][0]}
                tensors[f"node.{position}.multiplier"] = node.multiplier
                tensors[f"node.{position}.offset"] = node.offset
            case Add() | Concat() | PadChannels():
                entry |= {key: getattr(node, key) for key in _KEYS[node.op][0]}
            case _:
                raise TypeError(f"no description for {type(node).__name__}")
        entries.append(entry)
    shape = {"shape": list(input_type.shape), "bits": input_type.bits}
    return {"input": shape, "nodes": entries, "output": index[output]}, tensors


def encode(
    nodes: Sequence[Node], input_type: InputType, output: str, metadata: Mapping[str, object]
) -> tuple[str, dict[str, np.ndarray]]:
    """Return the header text and the tensors of a network's file."""
    graph, tensors = describe(nodes, input_type, output)
    for entry, node in zip(graph["nodes"], nodes, strict=True):
        entry["name"] = node.name
    most = max((node.levels for node in nodes if isinstance(node, (Conv, Dense))), default=2)
    version = min(
        known
        for known in range(2, VERSION + 1)
        if most <= _MOST_LEVELS[known] and all(node.op in _OPERATIONS[known] for node in nodes)
    )
    header = {"format": _FORMAT, "version": version, **graph, "metadata": dict(metadata)}
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False), tensors


def decode(text: str | None, tensors: Mapping[str, np.ndarray], where: str) -> dict[str, object]:
    """Turn a file's header and tensors into the arguments of `Network`.

    Parameters
    ----------
    text : str or None
        The header entry.
    tensors : mapping of str to numpy.ndarray
        All tensors of the file.
    where : str
        Name of the file, for messages.

    Raises
    ------
    NetworkError
        The header or a tensor is not what its version allows.
    """
    if text is None:
        raise NetworkError(f"{where} is not a network file: its header has no {KEY!r} entry")
    header = parse_json(text, error=NetworkError, where=f"the network description of {where}")
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise NetworkError(f"{where} is not a network file: format is not {_FORMAT!r}")
    version = header.get("version")
    if not is_int(version) or not 1 <= version <= VERSION:
        raise NetworkError(f"{where} has format version {shown(version)}; this program reads versions 1 to {VERSION}")
    _keys(header, {"format", "version", "input", "nodes", "output", "metadata"}, where)
    _keys(header["input"], {"shape", "bits"}, f"{where}: input")
    if not isinstance(header["nodes"], list):
        raise NetworkError(f"{where}: nodes must be a list, not {shown(header['nodes'])}")
    names: list[str] = []
    for position, entry in enumerate(header["nodes"]):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise NetworkError(f"{where}: node {position} has no name: {shown(entry)}")
        names.append(entry["name"])
    remaining = dict(tensors)
    nodes = [_node(position, entry, names, remaining, version) for position, entry in enumerate(header["nodes"])]
    if remaining:
        raise NetworkError(f"{where}: tensor {shown(min(remaining))} belongs to no node")
    output = _edge(header["output"], names, f"{where}: output", len(names))
    shape = header["input"]["shape"]
    return {
        "input": InputType(tuple(shape) if isinstance(shape, list) else shape, header["input"]["bits"]),
        "nodes": tuple(nodes),
        "output": output,
        "metadata": header["metadata"],
    }


def _keys(entry: object, keys: set[str], where: str, optional: set[str] = frozenset()) -> None:
    """Refuse anything but an object with these keys: what is not understood must not be ignored."""
    if not isinstance(entry, dict):
        raise NetworkError(f"{where} must be an object, not {shown(entry)}")
    for key in sorted((entry.keys() - optional) ^ keys):
        raise NetworkError(f"{where}: key {shown(key)} is {'missing' if key in keys else 'not known'}")


def _edge(index: object, names: list[str], where: str, limit: int) -> str:
    if not is_int(index) or not -1 <= index < limit:
        raise NetworkError(
            f"{where}: value {shown(index)} must be -1 (the network's input) or the index of an earlier node"
        )
    return "input" if index == -1 else names[index]


def _node(position: int, entry: dict, names: list[str], tensors: dict[str, np.ndarray], version: int) -> Node:
    """Build node `position`, taking its tensors out of `tensors`."""
    where = f"node {position} {shown(entry['name'])}"
    op = entry.get("op")
    allowed = _OPERATIONS[version]
    if not isinstance(op, str) or op not in allowed:
        raise NetworkError(f"{where}: operation {shown(op)} is not one of {', '.join(allowed)}")
    needed, optional = _KEYS[op]
    _keys(entry, {"name", "op", "inputs"} | needed, where, optional if version > 1 else set())
    inputs = entry["inputs"]
    joins = issubclass(NODES[op], Join)
    if not isinstance(inputs, list) or not (2 <= len(inputs) <= MAX_SOURCES if joins else len(inputs) == 1):
        allowed = f"2 to {MAX_SOURCES} indices" if joins else "one index"
        raise NetworkError(f"{where}: inputs must be a list of {allowed}, not {shown(inputs)}")
    # Only earlier nodes: that alone excludes every cycle.
    sources = tuple(_edge(index, names, f"{where}: inputs", position) for index in inputs)

    def take(parameter: str) -> np.ndarray:
        key = f"node.{position}.{parameter}"
        if key not in tensors:
            raise NetworkError(f"{where}: tensor {key!r} is missing")
        return tensors.pop(key)

    parameters: dict[str, object] = {key: entry[key] for key in (needed | optional) & entry.keys()}
    match op:
        case "dense":
            fan_in = parameters.pop("fan_in")
            if not is_int(fan_in) or not 1 <= fan_in <= MAX_ELEMENTS:
                raise NetworkError(f"{where}: fan_in must be an integer from 1 to {MAX_ELEMENTS}, not {shown(fan_in)}")
            levels = parameters.get("levels", 2)
            parameters["weights"] = _unpack_weights(take("weights"), fan_in, levels, version, where)
        case "conv":
            shape = parameters.pop("shape")
            if not isinstance(shape, list) or len(shape) != 3 or not all(is_int(size) and size > 0 for size in shape):
                raise NetworkError(f"{where}: shape must be three integers of at least 1, not {shown(shape)}")
            if prod(shape) > MAX_ELEMENTS:
                raise NetworkError(f"{where}: shape {shown(shape)} holds more than {MAX_ELEMENTS} elements")
            codes = _unpack_weights(take("weights"), prod(shape), parameters["levels"], version, where)
            parameters["weights"] = codes.reshape(-1, *shape)
        case "threshold":
            parameters["thresholds"] = take("thresholds")
            if "inverted" in parameters:
                if entry["inverted"] is not True:
                    raise NetworkError(f"{where}: inverted must be true or absent, not {shown(entry['inverted'])}")
                rows = len(parameters["thresholds"]) if parameters["thresholds"].ndim else 0
                row = take("inverted")[None]
                parameters["inverted"] = _unpack_bits(row, rows, "inverted", where, f"{rows} channels")[0].astype(bool)
        case "affine":
            parameters |= {what: take(what) for what in ("scale", "offset")}
        case "scale" | "quantize":
            parameters |= {what: take(what) for what in ("multiplier", "offset")}
    return NODES[op](entry["name"], sources if joins else sources[0], **parameters)


def _unpack_weights(packed: np.ndarray, fan_in: int, levels: object, version: int, where: str) -> np.ndarray:
    """Undo `pack_weights`: codes ``[channels, fan_in]``."""
    allowed = [number for number in LEVELS if number <= _MOST_LEVELS[version]]
    if not is_int(levels) or levels not in allowed:
        raise NetworkError(f"{where}: levels must be one of {', '.join(map(str, allowed))}, not {shown(levels)}")
    width = _width(levels)
    bits = _unpack_bits(packed, fan_in * width, "weights", where, f"fan-in {fan_in}")
    if width == 1:
        return bits
    codes = np.zeros((len(bits), fan_in), code_type(levels))
    for plane in range(width):
        codes |= bits[:, plane::width].astype(codes.dtype) << plane
    return codes


def _unpack_bits(packed: np.ndarray, count: int, what: str, where: str, size: str) -> np.ndarray:
    """Return bits ``[rows, count]``; the unused ones of a row must be zero, so that one network has one file."""
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-count // 8) or 0 in packed.shape:
        raise NetworkError(
            f"{where}: packed {what} must be uint8 rows of {-(-count // 8)} for {size}, "
            f"not {packed.dtype} {packed.shape}"
        )
    if count % 8:
        unused = np.flatnonzero(packed[:, -1] >> (count % 8))
        if len(unused):
            raise NetworkError(f"{where}: packed {what} of channel {int(unused[0])} have bits beyond {size}")
    return np.unpackbits(packed, axis=1, count=count, bitorder="little")
