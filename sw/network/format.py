"""The network file: version 1 of the graph description, and the tensors that go with it.

The header's only metadata entry, ``"signfold"``, is a JSON object; nodes refer to each other by index and tensors are
named ``node.<index>.<parameter>``, so that names of nodes are nothing but text. Weights are packed, eight bits a byte.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.container import parse_json
from signfold.sw.network.nodes import NODES, Affine, Dense, Node, Threshold
from signfold.sw.network.types import MAX_ELEMENTS, InputType, is_int, shown

__all__ = ["KEY", "MAX_FILE", "VERSION", "decode", "describe", "encode", "pack_weights"]

#: Metadata entry of the safetensors header.
KEY = "signfold"
#: Version written. A reader keeps reading every version it ever read; a newer one is refused by number.
VERSION = 1

#: Longest accepted file: half a billion weights, which unpack to as many bytes.
MAX_FILE = 64 << 20

_FORMAT = "signfold-network"
_PARAMETERS = {"threshold": ("thresholds",), "dense": ("weights",), "affine": ("scale", "offset")}


def pack_weights(weights: np.ndarray) -> np.ndarray:
    """Pack weight bits ``[channels, fan_in]``, eight a byte, the first in the least significant bit, row by row."""
    return np.packbits(weights, axis=1, bitorder="little")


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
                tensors[f"node.{position}.weights"] = pack_weights(node.weights)
            case Threshold():
                tensors[f"node.{position}.thresholds"] = node.thresholds
            case Affine():
                entry["fraction"] = node.fraction
                tensors[f"node.{position}.scale"] = node.scale
                tensors[f"node.{position}.offset"] = node.offset
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
    header = {"format": _FORMAT, "version": VERSION, **graph, "metadata": dict(metadata)}
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
        The header or a tensor is not what version 1 allows.
    """
    if text is None:
        raise NetworkError(f"{where} is not a network file: its header has no {KEY!r} entry")
    header = parse_json(text, error=NetworkError, where=f"the network description of {where}")
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise NetworkError(f"{where} is not a network file: format is not {_FORMAT!r}")
    version = header.get("version")
    if not is_int(version) or version != VERSION:
        raise NetworkError(f"{where} has format version {shown(version)}; this program reads version {VERSION}")
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
    nodes = [_node(position, entry, names, remaining) for position, entry in enumerate(header["nodes"])]
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


def _keys(entry: object, keys: set[str], where: str) -> None:
    """Refuse anything but an object with exactly these keys: what is not understood must not be ignored."""
    if not isinstance(entry, dict):
        raise NetworkError(f"{where} must be an object, not {shown(entry)}")
    for key in sorted(entry.keys() ^ keys):
        raise NetworkError(f"{where}: key {shown(key)} is {'missing' if key in keys else 'not known'}")


def _edge(index: object, names: list[str], where: str, limit: int) -> str:
    if not is_int(index) or not -1 <= index < limit:
        raise NetworkError(
            f"{where}: value {shown(index)} must be -1 (the network's input) or the index of an earlier node"
        )
    return "input" if index == -1 else names[index]


def _node(position: int, entry: dict, names: list[str], tensors: dict[str, np.ndarray]) -> Node:
    """Build node `position`, taking its tensors out of `tensors`."""
    where = f"node {position} {shown(entry['name'])}"
    op = entry.get("op")
    if not isinstance(op, str) or op not in NODES:
        raise NetworkError(f"{where}: operation {shown(op)} is not one of {', '.join(NODES)}")
    extra = {"dense": {"fan_in"}, "affine": {"fraction"}, "threshold": set()}[op]
    _keys(entry, {"name", "op", "inputs"} | extra, where)
    inputs = entry["inputs"]
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise NetworkError(f"{where}: inputs must be a list of one index, not {shown(inputs)}")
    # Only earlier nodes: that alone excludes every cycle.
    source = _edge(inputs[0], names, f"{where}: inputs", position)
    arrays = {}
    for parameter in _PARAMETERS[op]:
        key = f"node.{position}.{parameter}"
        if key not in tensors:
            raise NetworkError(f"{where}: tensor {key!r} is missing")
        arrays[parameter] = tensors.pop(key)
    if op == "dense":
        arrays["weights"] = _unpack_weights(arrays["weights"], entry["fan_in"], where)
    elif op == "affine":
        arrays["fraction"] = entry["fraction"]
    return NODES[op](entry["name"], source, **arrays)


def _unpack_weights(packed: np.ndarray, fan_in: object, where: str) -> np.ndarray:
    """Undo `pack_weights`; a row's unused bits must be zero, so that one network has one file."""
    if not is_int(fan_in) or not 1 <= fan_in <= MAX_ELEMENTS:
        raise NetworkError(f"{where}: fan_in must be an integer from 1 to {MAX_ELEMENTS}, not {shown(fan_in)}")
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-fan_in // 8) or not len(packed):
        raise NetworkError(
            f"{where}: packed weights must be uint8 [channels, {-(-fan_in // 8)}] for fan-in {fan_in}, "
            f"not {packed.dtype} {packed.shape}"
        )
    if fan_in % 8:
        unused = np.flatnonzero(packed[:, -1] >> (fan_in % 8))
        if len(unused):
            raise NetworkError(f"{where}: packed weights of channel {int(unused[0])} have bits beyond fan-in {fan_in}")
    return np.unpackbits(packed, axis=1, count=fan_in, bitorder="little")
