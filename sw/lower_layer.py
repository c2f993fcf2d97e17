"""Lowering of single layers: a node, its thresholds and its entry in a plan become the parameters of a stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from signfold.hw.engine import EngineParameters
from signfold.hw.fabric import Fabric
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.pixels import PixelParameters
from signfold.hw.scale import ScaleParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.stage import Stage
from signfold.hw.sums import SumFormat
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sw.errors import PlanError
from signfold.sw.hardwire import adder_graph
from signfold.sw.layers import Layer, Layers
from signfold.sw.network import Conv, Dense, MaxPool, Network, Quantize, Scale
from signfold.sw.plan import LayerPlan

__all__ = [
    "Value",
    "image_of",
    "matrix_stage",
    "pixel_stage",
    "pool_stage",
    "scale_stage",
    "score_stage",
    "stream_order",
    "threshold_stage",
]


def stream_order(network: Network, frames: np.ndarray) -> np.ndarray:
    """Return frames ``[n, *shape]`` as ``[n, elements]`` in the order in which an accelerator takes their codes.

    Images go position by position, row by row, the channels of a position one after another; other shapes in C order.
    """
    if len(network.input.shape) == 3:
        frames = frames.reshape(-1, *network.input.shape).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(frames.reshape(len(frames), network.input.elements))


@dataclass
class Value:
    """What flows between two stages: positions of channels, codes or sums, and how many of them a beat holds."""

    channels: int
    height: int
    width: int
    bits: int
    lanes: int
    #: Lanes of poolings from here on; 0: those of the stream.
    pool: int = 0
    #: Sums: s = step * u - origin, at most `largest`; None: codes.
    step: int | None = None
    origin: int = 0
    largest: int = 0

    @property
    def format(self) -> SumFormat:
        """How it travels; codes stand for themselves."""
        return SumFormat(self.bits) if self.step is None else SumFormat(self.bits, self.step, self.origin, self.largest)

    @classmethod
    def of_input(cls, layers: Layers, lanes: int) -> "Value":
        """Return the value after the pixel stage."""
        shape, bits = layers.network.input.shape, layers.network.input.bits
        if layers.pixels is not None:
            bits = 1
        if layers.flat or len(shape) != 3:
            return cls(layers.network.input.elements, 1, 1, bits, lanes)
        return cls(*shape, bits, lanes)

    def follow(self, stage: Stage) -> None:
        """Become the value after a stage."""
        self.bits = stage.output_bits
        if isinstance(stage, ThresholdStageParameters):
            self.step = None
            return
        self.channels, (self.height, self.width), self.lanes = stage.channels, stage.output_size, stage.lanes
        keeps = isinstance(stage, LaneEngineParameters) and stage.operation == "max"
        if stage.thresholds is not None:
            self.step = None
        elif not keeps:
            self.step, self.origin, self.largest = stage.output_step, stage.origin, stage.largest_output


def pixel_stage(layers: Layers, lanes: int) -> PixelParameters:
    """Return the input stage."""
    source = layers.network.input
    positions, channels = 1, source.elements
    if not layers.flat and len(source.shape) == 3:
        channels = source.shape[0]
        positions = source.elements // channels
    bounds = None
    if layers.pixels is not None:
        bounds = np.clip(layers.pixels.thresholds, 0, 1 << source.bits)
        if len(bounds) > 1:
            bounds = _by_element(bounds, source.shape)
    try:
        return PixelParameters(source.elements, source.bits, bounds, lanes, positions=positions)
    except ValueError as error:
        raise PlanError(f"input: {error}") from None


def matrix_stage(
    name: str, layer: Layer, choice: LayerPlan, fabric: Fabric, value: Value, network: Network
) -> EngineParameters | LaneEngineParameters | HardwiredParameters:
    """Return the engine of a dense layer or a convolution, or the layer as logic."""
    node = layer.node
    if choice.style == "hardwired":
        return _hardwired(name, layer, choice, value, network)
    if choice.style == "multiplier":
        _check_multiplier(node, value)
    planes = choice.planes(value.bits, node.levels)
    image = image_of(node, value, node.pad) if isinstance(node, Conv) else None
    if isinstance(node, Conv) and node.depthwise:
        if choice.simd != 1:
            raise ValueError(f"simd must be 1 for a depthwise convolution, not {choice.simd!r}")
        weights = node.weights.reshape(node.channels, -1)
        return LaneEngineParameters(
            name,
            "multiply",
            node.channels,
            choice.cols,
            image,
            layer.thresholds,
            value.bits,
            weights,
            planes,
            memory=choice.memory,
        )
    weights = _weights(node, value, network)
    return EngineParameters(
        name,
        weights,
        layer.thresholds,
        choice.cols,
        choice.simd,
        choice.hop,
        choice.stages,
        planes,
        image,
        choice.rows,
        # Memories that are loaded are the shared engine's.
        memory="auto" if choice.memory == "loaded" else choice.memory,
        fabric=fabric,
    )


def _check_multiplier(node: Dense | Conv, value: Value) -> None:
    """Refuse a layer that multipliers do nothing for."""
    if node.levels == 2 and value.bits == 1:
        raise ValueError("style must be array or hardwired, not 'multiplier': weights and codes have one bit")
    if isinstance(node, Conv) and node.depthwise:
        raise ValueError("style must be array or hardwired for a depthwise convolution, not 'multiplier'")


def _hardwired(name: str, layer: Layer, choice: LayerPlan, value: Value, network: Network) -> HardwiredParameters:
    """Return a dense layer or a convolution as logic."""
    node = layer.node
    depthwise = isinstance(node, Conv) and node.depthwise
    codes = node.weights.reshape(node.channels, -1, 1) if depthwise else _weights(node, value, network)
    weights = 2 * np.asarray(codes, np.int64) - (node.levels - 1)
    if depthwise:
        # A channel reads its own taps alone.
        weights = np.eye(node.channels, dtype=np.int64)[:, None] * weights
    divisor = int(np.gcd.reduce(weights, axis=None)) or 1
    graph = adder_graph(weights.reshape(node.channels, -1) // divisor)
    image = image_of(node, value, node.pad) if isinstance(node, Conv) else None
    return HardwiredParameters(
        name, weights, graph, layer.thresholds, choice.simd, choice.hop, choice.stages, value.bits, image
    )


def _weights(node: Dense | Conv, value: Value, network: Network) -> np.ndarray:
    """Return the weights of a layer, channels x taps x input channels."""
    if isinstance(node, Conv):
        # Channels inside a tap.
        return node.weights.reshape(node.channels, value.channels, -1).transpose(0, 2, 1)
    return _dense_weights(node, value, network)


def _dense_weights(node: Dense, value: Value, network: Network) -> np.ndarray:
    """Return weights, channels x positions x channels of a position, for a layer whose node reads channels first."""
    shape = network.types[node.input].shape
    weights = node.weights.reshape(node.channels, *shape)
    if len(shape) == 3:
        weights = weights.transpose(0, 2, 3, 1)
    return weights.reshape(node.channels, value.height * value.width, value.channels)


def image_of(node: Conv | MaxPool, value: Value, pad: int | None) -> ImageGeometry:
    """Return the windows of a convolution or a pooling."""
    return ImageGeometry(value.height, value.width, node.kernel, node.stride, node.padding, pad)


def pool_stage(name: str, layer: Layer, value: Value, network: Network) -> LaneEngineParameters:
    """Return the engine of a pooling."""
    inverted = layer.inverted
    if inverted is not None:
        inverted = _spread(network, layer, inverted[:, None].astype(np.int64), value)[:, 0]
    return LaneEngineParameters(
        name,
        "max" if isinstance(layer.node, MaxPool) else "sum",
        value.channels,
        min(value.pool or value.lanes, value.channels),
        image_of(layer.node, value, None),
        layer.thresholds,
        value.bits,
        # A scale may have made 0 of all sums.
        largest_input=max(1, value.largest) if value.step is not None else None,
        input_step=2 if value.step is None else value.step,
        input_origin=None if value.step is None else value.origin,
        inverted=inverted,
    )


def threshold_stage(name: str, layer: Layer, value: Value, network: Network) -> ThresholdStageParameters:
    """Return thresholds that stand alone, on codes or on sums."""
    thresholds = _spread(network, layer, layer.thresholds, value)
    if value.step is not None:
        # s >= t  <=>  u >= ceil((t + origin) / step)
        thresholds = -((-value.origin - thresholds) // value.step)
    thresholds = np.where(thresholds > value.format.largest, 1 << value.bits, np.maximum(thresholds, 0))
    unit = ThresholdParameters(f"{name}_t", value.lanes, value.bits, thresholds)
    inverted = None
    if layer.inverted is not None:
        inverted = _spread(network, layer, layer.inverted[:, None].astype(np.int64), value)[:, 0]
    return ThresholdStageParameters(unit, value.height * value.width, inverted)


def scale_stage(name: str, node: Scale | Quantize, value: Value) -> ScaleStageParameters:
    """Return a scale, or a quantizer."""
    factors, offsets = (np.broadcast_to(each, (value.channels,)) for each in (node.multiplier, node.offset))
    limits = (node.low, node.high) if isinstance(node, Scale) else (None, None)
    bits = node.bits if isinstance(node, Quantize) else None
    unit = ScaleParameters(name, value.lanes, value.format, factors, offsets, node.shift, *limits, bits)
    return ScaleStageParameters(unit, value.height * value.width)


def _spread(network: Network, layer: Layer, rows: np.ndarray, value: Value) -> np.ndarray:
    """Return a row for each channel that a layer sees; where these are all elements, of rows by the node's channels."""
    if len(rows) == value.channels:
        return rows
    return _by_element(rows, network.types[layer.node.input].shape)


def _by_element(rows: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a row for each element of a shape, in the order of `stream_order`, of rows by its first dimension."""
    rest = prod(shape[1:])
    # Images go position by position.
    return np.tile(rows, (rest, 1)) if len(shape) == 3 else np.repeat(rows, rest, axis=0)


def score_stage(layers: Layers, last: Stage, value: Value) -> ScoreParameters:
    """Return the output stage."""
    network = layers.network
    final = layers.affine.input if layers.affine else network.output
    sums = network.types[final]
    return ScoreParameters(
        value.channels * value.height * value.width,
        value.bits,
        value.step,
        value.origin,
        # Of a hardwired layer it is known what sums its weights can give.
        max(sums.low, -value.origin),
        min(sums.high, value.step * value.largest - value.origin),
        None if layers.affine is None else layers.affine.scale,
        None if layers.affine is None else layers.affine.offset,
    )
