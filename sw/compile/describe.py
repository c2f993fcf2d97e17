"""Layers of a trained network in words, for reports and the terminal."""

from signfold.sw.compile.activation import Activation
from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_graph import FloatGraph
from signfold.sw.compile.float_layers import (
    AveragePooling,
    CommonScale,
    FloatLayer,
    MaxPooling,
    PixelCodes,
    PixelThresholds,
)
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.graph_layers import Clip, Join, Shortcut, Total
from signfold.sw.compile.linear_layers import FloatConv, LinearLayer
from signfold.sw.compile.window import Window

__all__ = ["describe_graph", "describe_layers"]


def describe_layers(network: FloatNetwork) -> list[dict[str, object]]:
    """Describe each layer.

    Returns
    -------
    list of dict
        ``layer`` (name), ``kind``, ``shape`` of the result, and ``text``, as in
        ``conv 3x3 64 -> 128, 1-bit weights``.
    """
    entries = []
    shape = network.input.shape
    for layer, result in zip(network.layers, network.shapes, strict=True):
        text = _text(layer, shape, network.input.bits)
        entries.append({"layer": layer.name, "kind": layer.kind, "shape": list(result), "text": text})
        shape = result
    return entries


def describe_graph(graph: FloatGraph) -> list[dict[str, object]]:
    """Describe each layer of a graph as `describe_layers` does, with ``inputs`` where they are not the one before."""
    entries: list[dict[str, object]] = []
    for step in graph.steps:
        layer, before = step.layer, entries[-1]["layer"] if entries else "input"
        text = _text(layer, graph.shapes[step.inputs[0]], graph.input.bits)
        entry = {"layer": layer.name, "kind": layer.kind, "shape": list(graph.shapes[layer.name]), "text": text}
        entries.append(entry if step.inputs == (before,) else entry | {"inputs": list(step.inputs)})
    return entries


def _text(layer: FloatLayer, shape: tuple[int, ...], pixel_bits: int) -> str:
    match layer:
        case PixelThresholds():
            return f"{pixel_bits}-bit pixels to bits"
        case PixelCodes():
            return f"{pixel_bits}-bit pixels"
        case LinearLayer():
            ternary = layer.levels == 3
            weights = "ternary weights" if ternary else f"{(layer.levels - 1).bit_length()}-bit weights"
            if layer.scale is not None:
                weights += " with a scale " + ("a channel" if layer.scale.size > 1 else "of the layer")
            if layer.bias is not None:
                weights += ", 1-bit biases"
            if not isinstance(layer, FloatConv):
                return f"dense {layer.fan_in} -> {layer.channels}, {weights}"
            grouped = "" if layer.groups == 1 else " depthwise"
            pads = ""
            kernel, comma, rest = _window(layer.window).partition(",")
            rest = comma + rest
            if any(layer.window.padding):
                pads = ", zero pads" if layer.pad is None else f", pads of code {layer.pad}"
            return f"conv{grouped} {kernel} {shape[0]} -> {layer.channels}{rest}, {weights}{pads}"
        case MaxPooling() | AveragePooling():
            return f"{layer.kind} {_window(layer.window)}"
        case BatchNorm(activation=None):
            return _normalization(layer)
        case BatchNorm():
            norm = _normalization(layer)
            shift = "" if layer.shift is None else "static shift, "
            return f"{norm}, {shift}{_activation(layer.activation)}"
        case CommonScale():
            return "common scale of scores"
        case Clip():
            return "rectifier" if layer.high is None else f"clip to {float(layer.low):g}..{float(layer.high):g}"
        case Shortcut():
            return f"shortcut, stride {layer.stride}, to {layer.channels} channels"
        case Total():
            return "sum of branches"
        case Join():
            return "channels of branches"
    raise TypeError(f"no words for {type(layer).__name__}")


def _normalization(layer: BatchNorm) -> str:
    words = "batch normalization" if layer.powers is None else "shift-based batch normalization"
    return words if layer.fraction is None else f"{words} to {layer.fraction} fraction bits"


def _activation(activation: Activation) -> str:
    match activation.kind:
        case "sign":
            return "sign" if activation.scale == 1 else f"sign times {activation.scale:g}"
        case kind if activation.top > activation.levels:
            return f"{kind} codes of {activation.levels + 1} levels"
        case kind:
            return f"{activation.bits}-bit {kind} codes"


def _window(window: Window) -> str:
    """Write kernel, stride and padding the short way: 3x3, stride 2, padding 1."""
    text = f"{window.kernel[0]}x{window.kernel[1]}"
    for what, values, usual in (("stride", window.stride, 1), ("padding", window.padding, 0)):
        if set(values) != {usual}:
            text += f", {what} {values[0] if len(set(values)) == 1 else ' '.join(map(str, values))}"
    return text
