"""The comment at the top of an accelerator's Verilog: what its layers compute, and on what."""

from typing import Any

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.add_join import AddJoinParameters
from signfold.hw.engine import EngineParameters
from signfold.hw.engine_core import EngineCore
from signfold.hw.graph import GraphConfig
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.join import Join
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.sw.layers import network_layers
from signfold.sw.network import Network

__all__ = ["header"]


def header(network: Network, config: AcceleratorConfig) -> list[str]:
    """Summarize the configuration; no text from the network's file."""
    pixels, scores = config.pixels, config.scores
    lines = [
        "",
        f"Network {network.content_hash}",
        f"Input   {pixels.elements} codes of {pixels.bits} bits, {pixels.lanes} a beat",
    ]
    if isinstance(config, GraphConfig):
        lines += _graph(network, config)
    else:
        lines += [f"Layer {k} {_layer(layer)}" for k, layer in enumerate(config.layers)]
    lines.append(f"Output  {scores.classes} scores of {scores.score_width} bits, signed")
    lines.append(f"Latency {config.latency} cycles, interval {config.interval} cycles")
    return lines


def _graph(network: Network, config: GraphConfig) -> list[str]:
    """Say what each layer of a graph computes, what it reads, and through which queues."""
    lines = []
    for k, (stage, layer) in enumerate(zip(config.layers, network_layers(network).layers, strict=True)):
        called = []
        for number, depth in zip(config.inputs[k], config.queues[k], strict=True):
            queue = f" through a queue of {depth}" if depth else ""
            called.append(("the input" if number < 0 else f"layer {number}") + queue)
        what = _layer(stage, network.types[layer.node.inputs[0]].kind)
        lines.append(f"Layer {k} {what}; reads {', '.join(called)}")
    return lines


def _layer(layer: Any, read: str = "code") -> str:
    """Say what a layer computes on what array; of thresholds also what they read."""
    if isinstance(layer, (Join, PadChannelsParameters, ScaleStageParameters)):
        return f"{layer.channels} channels, {layer.lanes} lanes: {_between(layer)}"
    if isinstance(layer, SharedEngineParameters):
        where = "ROMs" if layer.loaded is None else "memory that is loaded"
        parts = [_layer(part.engine) + ("" if part.pool is None else ", max pooling") for part in layer.layers]
        return f"{len(parts)} layers in turn, weights in {where}: " + "; ".join(parts)
    if isinstance(layer, HardwiredParameters):
        what = f"{layer.fan_in} -> {layer.channels}" if layer.image is None else _images(layer)
        return f"{what}: hardwired, {len(layer.graph.sums)} additions in {layer.graph.depth} levels"
    if not isinstance(layer, EngineCore):
        return f"{layer.channels} channels: {2**layer.output_bits - 1} thresholds on {read}s of {layer.input_bits} bits"
    dense = isinstance(layer, EngineParameters) and layer.image is None
    what = f"{layer.fan_in} -> {layer.channels}" if dense else _images(layer)
    if isinstance(layer, EngineParameters):
        rows = f"{layer.rows} rows of " if layer.rows > 1 else ""
        how = f"{rows}{layer.cols} columns of {layer.simd} bits, hop {layer.hop}, "
        how += f"{layer.passes} passes of {layer.words} words"
    else:
        how = f"{layer.lanes} lanes, {layer.feeder.passes} passes of {layer.taps} words"
    planes = layer.array.cell.planes
    if len(planes.pairs) > 1 and getattr(layer, "weights", None) is not None:
        size = f"{planes.activation_bits} x {planes.weight_planes} bits"
        where = "side by side" if planes.space else "in turn"
        how += f", multipliers of {size}" if planes.multiplies else f", planes of {size} {where}"
    return f"{what}: {how}"


def _between(layer: Join | PadChannelsParameters | ScaleStageParameters) -> str:
    """Say what a layer does that has no counterpart in chains."""
    if isinstance(layer, Join):
        what = "sum" if isinstance(layer, AddJoinParameters) else "channels side by side"
        return f"{what} of {len(layer.formats)} streams, to {layer.output_bits} bits"
    if isinstance(layer, PadChannelsParameters):
        return f"{layer.before} zeros before and {layer.after} after"
    unit = layer.unit
    what = "scaled" if unit.code_bits is None else "quantized"
    return f"sums of {layer.input_bits} bits {what} to {layer.output_bits} bits"


def _images(layer: EngineCore | HardwiredParameters) -> str:
    """Say what images a layer reads and gives."""
    image, by_lane = layer.image, isinstance(layer, LaneEngineParameters)
    inputs = layer.channels if by_lane else layer.inputs
    sizes = [(image.height, image.width, inputs), (*layer.output_size, layer.channels)]
    kind = {"multiply": "depthwise "}.get(layer.operation, f"{layer.operation} of ") if by_lane else ""
    before, after = ("x".join(map(str, size)) for size in sizes)
    return f"{before} -> {after}, {kind}{image.kernel[0]}x{image.kernel[1]}"
