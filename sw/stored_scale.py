"""Scales and quantizers from memory images and their map."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signfold.sw.network import Quantize, Scale

__all__ = ["stored_scale"]


def stored_scale(
    name: str,
    source: str,
    node: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    images: Mapping[str, Sequence[int]],
) -> Scale | Quantize:
    """Return the node that tables hold, as `signfold.sw.scale_images` describes it.

    Parameters
    ----------
    name, source : str
        Names of the node and of what it reads.
    node : mapping
        Its entry in the map.
    entries : sequence of mapping
        The map's entries of its tables.
    images : mapping of str to sequence of int
        Words by ROM name.
    """
    numbers = {what: [value] * node["channels"] for what, value in node["constants"].items()}
    for entry in entries:
        for field in entry["fields"]:
            numbers[field["name"]] = _field(entry, field, images[entry["rom"]])
    factors, offsets = [], []
    for channel in range(node["rows"]):
        value = {what: values[channel] for what, values in numbers.items()}
        size = value["some"] * (value["factor"] << value["shift"])
        # The complement of u is 2**bits - 1 - u.
        constant = size * ((1 << node["sum_bits"]) - 1) if value["negative"] else 0
        factor, rest = divmod((-size if value["negative"] else size) << node["common"], node["step"])
        if rest:
            raise ValueError(f"multiplier of channel {channel} must be a multiple of 1 / {node['step']}")
        offset = ((value["offset"] + constant) << node["common"]) + node["lost"][channel]
        factors.append(factor)
        offsets.append(offset + factor * node["origin"] - (node["output_origin"] << node["shift"]))
    scaled = np.array(factors, np.int64), np.array(offsets, np.int64), node["shift"]
    if node["op"] == "quantize":
        return Quantize(name, source, *scaled, node["bits"])
    return Scale(name, source, *scaled, node["low"], node["high"], node["fraction"])


def _field(entry: Mapping[str, Any], field: Mapping[str, Any], words: Sequence[int]) -> list[int]:
    """Return a field of all channels."""
    values = []
    for channel in range(entry["channels"]):
        beat, lane = divmod(channel, entry["lanes"])
        value = words[beat] >> (lane * entry["lane_bits"] + field["lsb"]) & ((1 << field["width"]) - 1)
        values.append(value - (1 << field["width"]) if field["signed"] and value >> (field["width"] - 1) else value)
    return values
