"""Lowering: an integer network and a plan become the configuration of an accelerator."""

from dataclasses import dataclass

import numpy as np

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.engine import EngineParameters
from signfold.hw.fabric import Fabric, find_fabric
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.pixels import PixelParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.slack import with_slack
from signfold.hw.stage import Stage
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sw.errors import PlanError
from signfold.sw.hardwire import adder_graph
from signfold.sw.layers import Layer, Layers, network_layers
from signfold.sw.network import Conv, Dense, MaxPool, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.shared_group import SharedGroup

__all__ = ["lower", "stream_order"]


def lower(network: Network, plan: Plan, *, slack: bool = True) -> AcceleratorConfig:
    """Return the accelerator that computes `network` with the arrays of `plan`.

    Its `compute` and the gateware that it creates give the scores and classes of ``network.evaluate``, for every frame
    in the order of `stream_order`. Names of nodes do not enter. Without `slack`, which takes seconds to find for large
    networks, its windows may make stages wait for one another.

    Raises
    ------
    PlanError
        If the network cannot be planned, or the plan does not fit it; the message names the layer, the parameter, its
        value and what is allowed.
    """
    layers = network_layers(network)
    if len(plan.layers) != len(layers.planned):
        raise PlanError(
            f"plan must hold {len(layers.planned)} layers, as many as the network has layers with weights, "
            f"not {len(plan.layers)}"
        )
    pixels = _pixels(layers, plan.lanes)
    value = _Value.of_input(layers, plan.lanes)
    choices = iter(plan.layers)
    stages, planned = [], 0
    group = SharedGroup(plan)
    for k, layer in enumerate(layers.layers):
        try:
            if layer.planned:
                choice = group.choice(planned, next(choices))
                stage = _matrix(f"l{k}", layer, choice, find_fabric(plan.fabric), value, network)
                value.pool = choice.pool
                if group.open or group.begins(planned):
                    group.add(stage)
                    value.follow(stage)
                    stage = None if group.continues(planned) else group.close()
                planned += 1
                if stage is None:
                    continue
                stages.append(stage)
            elif group.open:
                image = _image(layer.node, value, None) if isinstance(layer.node, MaxPool) else None
                value.height, value.width = group.pool(layer, image)
                continue
            elif isinstance(layer.node, Threshold):
                stages.append(_standing_thresholds(f"l{k}", layer, value, network))
            else:
                stages.append(_pool(f"l{k}", layer, value, network))
        except ValueError as error:
            where = f"layer {planned}" if layer.planned else f"node {layer.node.name!r}"
            raise PlanError(f"{where}: {error}") from None
        value.follow(stages[-1])
    config = AcceleratorConfig(pixels, tuple(stages), _scores(layers, stages[-1], value))
    return with_slack(config) if slack else config


def stream_order(network: Network, frames: np.ndarray) -> np.ndarray:
    """Return frames ``[n, *shape]`` as ``[n, elements]`` in the order in which an accelerator takes their codes.

    Images go position by position, row by row, the channels of a position one after another; other shapes in C order.
    """
    if len(network.input.shape) == 3:
        frames = frames.reshape(-1, *network.input.shape).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(frames.reshape(len(frames), network.input.elements))


@dataclass
class _Value:
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

    @classmethod
    def of_input(cls, layers: Layers, lanes: int) -> "_Value":
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


def _pixels(layers: Layers, lanes: int) -> PixelParameters:
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
            bounds = _spread(layers.network, bounds, source.elements)
    try:
        return PixelParameters(source.elements, source.bits, bounds, lanes, positions=positions)
    except ValueError as error:
        raise PlanError(f"input: {error}") from None


def _matrix(
    name: str, layer: Layer, choice: LayerPlan, fabric: Fabric, value: _Value, network: Network
) -> EngineParameters | LaneEngineParameters | HardwiredParameters:
    """Return the engine of a dense layer or a convolution, or the layer as logic."""
    node = layer.node
    if choice.style == "hardwired":
        return _hardwired(name, layer, choice, value, network)
    planes = PlaneParameters(value.bits, node.levels, choice.space)
    image = _image(node, value, node.pad) if isinstance(node, Conv) else None
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


def _hardwired(name: str, layer: Layer, choice: LayerPlan, value: _Value, network: Network) -> HardwiredParameters:
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
    image = _image(node, value, node.pad) if isinstance(node, Conv) else None
    return HardwiredParameters(
        name, weights, graph, layer.thresholds, choice.simd, choice.hop, choice.stages, value.bits, image
    )


def _weights(node: Dense | Conv, value: _Value, network: Network) -> np.ndarray:
    """Return the weights of a layer, channels x taps x input channels."""
    if isinstance(node, Conv):
        # Channels inside a tap.
        return node.weights.reshape(node.channels, value.channels, -1).transpose(0, 2, 1)
    return _dense_weights(node, value, network)


def _dense_weights(node: Dense, value: _Value, network: Network) -> np.ndarray:
    """Return weights, channels x positions x channels of a position, for a layer whose node reads channels first."""
    shape = network.types[node.input].shape
    weights = node.weights.reshape(node.channels, *shape)
    if len(shape) == 3:
        weights = weights.transpose(0, 2, 3, 1)
    return weights.reshape(node.channels, value.height * value.width, value.channels)


def _image(node: Conv | MaxPool, value: _Value, pad: int | None) -> ImageGeometry:
    kernel = node.kernel
    return ImageGeometry(value.height, value.width, kernel, node.stride, node.padding, pad)


def _pool(name: str, layer: Layer, value: _Value, network: Network) -> LaneEngineParameters:
    """Return the engine of a pooling."""
    inverted = layer.inverted
    if inverted is not None:
        inverted = _spread(network, inverted[:, None], value.channels)[:, 0].astype(np.int64)
    return LaneEngineParameters(
        name,
        "max" if isinstance(layer.node, MaxPool) else "sum",
        value.channels,
        min(value.pool or value.lanes, value.channels),
        _image(layer.node, value, None),
        layer.thresholds,
        value.bits,
        largest_input=value.largest if value.step is not None else None,
        input_step=2 if value.step is None else value.step,
        input_origin=None if value.step is None else value.origin,
        inverted=inverted,
    )


def _standing_thresholds(name: str, layer: Layer, value: _Value, network: Network) -> ThresholdStageParameters:
    """Return thresholds on the codes of the input."""
    thresholds = _spread(network, layer.thresholds, value.channels)
    thresholds = np.where(thresholds >= 1 << value.bits, 1 << value.bits, np.maximum(thresholds, 0))
    unit = ThresholdParameters(f"{name}_t", value.lanes, value.bits, thresholds)
    return ThresholdStageParameters(unit, value.height * value.width)


def _spread(network: Network, rows: np.ndarray, count: int) -> np.ndarray:
    """Return a row for each of `count` channels; where these are all elements of the input, its channels' rows."""
    if len(rows) == count:
        return rows
    shape = network.input.shape
    columns = [np.broadcast_to(column.reshape(-1, *[1] * (len(shape) - 1)), shape) for column in rows.T]
    return stream_order(network, np.stack(columns)).T


def _scores(layers: Layers, last: Stage, value: _Value) -> ScoreParameters:
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
