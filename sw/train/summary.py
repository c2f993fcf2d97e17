"""A layer list in numbers: shapes, bits, parameters, products, and how many of these are of one bit. Free of torch."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

__all__ = ["REAL", "summarize_layers"]

#: Bits that real values and weights are counted with.
REAL = 32

#: Numbers that batch normalization has a channel.
_NORM = 4


def summarize_layers(shape: Sequence[int], bits: int, layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Describe a layer list as a JSON object.

    Parameters
    ----------
    shape : sequence of int
        Shape of a frame, as a checkpoint stores it.
    bits : int
        Width of a pixel's code.
    layers : sequence of mapping
        Layer list, see `describe.describe`.

    Returns
    -------
    dict
        ``layers``, one entry a layer: ``name``, ``kind``, ``inputs`` (names), ``shape`` of its result, ``bits`` of a
        value of it (32: real, 0: sums of products), ``weights`` and ``weight_bits`` of each (0 and None where there are
        none), ``parameters`` (numbers beside the weights: batch normalization has 4 a channel), ``products`` a frame
        (multiply-accumulates; of several bases as many times) and ``binary`` (those of 1-bit weights and 1-bit
        values). Totals of ``weights``, ``parameters``, ``products`` and ``binary``; ``size`` (weights in bits) and
        ``real_size`` (of 32 bits each); ``binary_share`` of the products.

    Raises
    ------
    ValueError
        An entry reads what does not come before it, or is of an unknown kind.
    """
    walk = _Walk(tuple(shape), bits)
    entries = [walk.step(layer) for layer in layers]
    totals = {what: sum(entry[what] for entry in entries) for what in ("weights", "parameters", "products", "binary")}
    return {
        "input": {"shape": list(shape), "bits": bits},
        "layers": entries,
        **totals,
        "size": sum(entry["weights"] * (entry["weight_bits"] or 0) for entry in entries),
        "real_size": totals["weights"] * REAL,
        "binary_share": totals["binary"] / totals["products"] if totals["products"] else 0.0,
    }


class _Walk:
    """Shapes and widths of all results so far."""

    def __init__(self, shape: tuple[int, ...], bits: int) -> None:
        self._shapes, self._bits = {"input": shape}, {"input": bits}
        self._last = "input"

    def step(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        """Describe the next layer."""
        kind, name = layer["kind"], layer.get("name", layer["kind"])
        inputs = layer.get("inputs", [layer.get("input", self._last)])
        for source in inputs:
            if source not in self._shapes:
                raise ValueError(f"layer {name!r} reads {source!r}, allowed: a layer before it")
        shape = self._shape(layer, kind, [self._shapes[source] for source in inputs])
        entry: dict[str, Any] = {"name": name, "kind": kind, "inputs": list(inputs), "shape": list(shape)}
        entry |= {"bits": _bits(layer, kind, [self._bits[source] for source in inputs])}
        entry |= {"weights": 0, "weight_bits": None, "parameters": 0, "products": 0, "binary": 0}
        if kind in ("dense", "conv"):
            entry |= _products(layer, shape, self._bits[inputs[0]])
        elif kind.startswith("batchnorm"):
            # Weight, bias, running mean and variance.
            entry["parameters"] = _NORM * shape[0] + _activation_parameters(layer, shape[0])
        elif kind in ("sign", "quant", "bases", "prelu", "scale"):
            fixed = {"prelu": shape[0], "scale": 1}
            entry["parameters"] = fixed.get(kind, 0) + _activation_parameters(layer, shape[0])
        self._shapes[name], self._bits[name], self._last = shape, entry["bits"], name
        return entry

    @staticmethod
    def _shape(layer: Mapping[str, Any], kind: str, reads: list[tuple[int, ...]]) -> tuple[int, ...]:
        read = reads[0]
        match kind:
            case "dense":
                return (layer["out"],)
            case "conv" | "maxpool" | "avgpool":
                top, bottom, left, right = layer["padding"]
                sizes = ((read[1] + top + bottom, 0), (read[2] + left + right, 1))
                rows, columns = ((size - layer["kernel"][i]) // layer["stride"][i] + 1 for size, i in sizes)
                return (layer.get("out", read[0]), rows, columns)
            case "subsample":
                return (layer["out"], *(-(-size // layer["stride"]) for size in read[1:]))
            case "concat":
                return (sum(shape[0] for shape in reads), *read[1:])
        return read


def _bits(layer: Mapping[str, Any], kind: str, reads: list[int]) -> int:
    """Return the width of a value of the result; 0 for sums, which have the width that they need."""
    match kind:
        case "input_codes":
            return reads[0]
        case "input_threshold" | "batchnorm_sign" | "sign":
            return 1
        case "batchnorm_quant" | "quant":
            return layer["bits"] if "bits" in layer else (layer["levels"] - 1).bit_length()
        case "dense" | "conv":
            return 0
        case "maxpool" | "subsample":
            return reads[0]
        case "concat":
            return max(reads) if 0 not in reads else 0 if not any(reads) else REAL
        case "avgpool" if reads[0] == 0:
            return 0
        case "batchnorm_bases" | "bases":
            return layer["bases"]
        case "avgpool" | "batchnorm" | "batchnorm_relu" | "relu" | "hardtanh" | "prelu" | "add" | "scale":
            return REAL
    raise ValueError(f"layer kind is {kind!r}, which this version does not know")


def _products(layer: Mapping[str, Any], shape: tuple[int, ...], bits: int) -> dict[str, Any]:
    """Count weights and products of a layer that reads values of so many bits."""
    fan_in = layer["in"] // layer.get("groups", 1) * prod(layer.get("kernel", [1]))
    entry, channels = layer.get("weights", {}), layer["out"]
    levels, several = entry.get("levels", 2), entry.get("method") == "multibase"
    bases = entry["bases"] if several else 1
    if layer.get("k_map", False):
        bits = 1  # it takes the signs itself
    width = (levels - 1).bit_length() if levels else REAL
    products = prod(shape) * fan_in * bases
    scales = {"channel": channels, "shift": channels, "layer": 1, "trained": 1, "range": 1}
    scale = bases * scales.get(entry.get("scale"), 1) if several else scales.get(entry.get("scale"), 0)
    trained = (layer.get("bias") is not None) + (entry.get("method") == "wsd")
    return {
        "weights": channels * fan_in,
        "weight_bits": width * bases,
        "parameters": scale + channels * trained,
        "products": products,
        "binary": products if (levels, bits) == (2, 1) else 0,
    }


def _activation_parameters(layer: Mapping[str, Any], channels: int) -> int:
    """Count the numbers of an activation: trained scale, shift a channel, or the two layers of an SE block."""
    hidden = max(1, channels // layer.get("reduction", 16))
    shift = {"static": channels, "se": 2 * channels * hidden}.get(layer.get("shift"), 0)
    return shift + (layer.get("scale") is not None) + 2 * layer.get("bases", 0)
