"""Lowering of networks that branch: layers with their lanes, and what each of them reads."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.fabric import find_fabric
from signfold.hw.graph import GraphConfig
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.sw.errors import PlanError
from signfold.sw.graph_lanes import Feed, choose_lanes, concat_lanes, padding_lanes
from signfold.sw.layer import Layer, Layers
from signfold.sw.lower_layer import (
    Value,
    matrix_stage,
    pixel_stage,
    pool_stage,
    scale_stage,
    score_stage,
    threshold_stage,
)
from signfold.sw.network import Add, Concat, Conv, MaxPool, PadChannels, Quantize, SumPool, Threshold, ValueType
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["check_pace", "lower_graph"]


def lower_graph(layers: Layers, plan: Plan) -> GraphConfig:
    """Return the accelerator of a network that branches.

    Layers with weights have the arrays of the plan. What stands between them gets the lanes that keep up with the
    slowest of these, of the input and of the output; see `signfold.sw.graph_lanes.choose_lanes`.

    Parameters
    ----------
    layers : Layers
        The network's layers.
    plan : Plan
        An array for each layer with weights.

    Returns
    -------
    GraphConfig
        Without queues.

    Raises
    ------
    PlanError
        If the plan does not fit the network; the message names the layer.
    """
    return _Graph(layers, plan).config()


def check_pace(layers: Layers, plan: Plan, target: int) -> None:
    """Refuse a plan with which something between arrays takes more than the target's cycles a frame.

    Raises
    ------
    PlanError
        The message names the number of cycles.
    """
    bound = lower_graph(layers, plan).bound
    if bound > target:
        raise PlanError(
            f"target cycles must be at least {bound} for these channels, not {target}: beats of layers that meet have "
            f"no more channels in common"
        )


class _Graph:
    """A network on the way to its accelerator."""

    def __init__(self, layers: Layers, plan: Plan):
        self.layers, self.plan, self.network = layers, plan, layers.network
        self.pixels = pixel_stage(layers, plan.lanes)
        self.stages: list[Any] = []
        #: Of the input, and of each layer so far.
        self.values = [Value.of_input(layers, plan.lanes)]
        self.engines = self._engines()
        self.target = max(
            self.pixels.beats, self.network.classes, *(engine.interval for engine in self.engines.values())
        )

    def config(self) -> GraphConfig:
        """Return the configuration."""
        for k, layer in enumerate(self.layers.layers):
            if layer.planned:
                stage, choice = self.engines[k], self.choices[k]
                pool = choice.pool
            else:
                sources = [self.values[number + 1] for number in layer.inputs]
                # Behind a join nobody's poolings go on.
                pool = sources[0].pool if len(sources) == 1 else 0
                try:
                    stage = self._stage(k, layer, sources, pool)
                except ValueError as error:
                    raise PlanError(f"node {layer.node.name!r}: {error}") from None
            self.stages.append(stage)
            self.values.append(self._value(layer, stage, pool))
        scores = score_stage(self.layers, self.stages[-1], self.values[-1])
        inputs = tuple(layer.inputs for layer in self.layers.layers)
        return GraphConfig(self.pixels, tuple(self.stages), scores, inputs)

    def _engines(self):
        """Return the engines of the layers with weights by number, which do not depend on lanes."""
        engines, self.choices = {}, {}
        fabric = find_fabric(self.plan.fabric)
        choices = iter(self.plan.layers)
        for k, layer in enumerate(self.layers.layers):
            if not layer.planned:
                continue
            planned, choice = len(engines), next(choices)
            try:
                _check_choice(choice, self.layers.branches)
                value = _read(self.layers, layer)
                engines[k] = matrix_stage(f"l{k}", layer, choice, fabric, value, self.network)
            except ValueError as error:
                raise PlanError(f"layer {planned}: {error}") from None
            self.choices[k] = choice
        return engines

    def _stage(self, k: int, layer: Layer, sources: Sequence[Value], pool: int) -> Any:
        """Return the parameters of a layer that plans do not know."""
        node, first, name = layer.node, sources[0], f"l{k}"
        feeds = [Feed(value.height * value.width, value.channels, (value.lanes,)) for value in sources]
        readers = self._readers(k, layer, first, pool)
        positions = feeds[0].positions

        def chosen(allowed, own):
            return choose_lanes(allowed, own, feeds, readers, self.target)

        if isinstance(node, Add):
            channels = first.channels
            lanes = chosen(_any(channels, sources), lambda lanes: positions * -(-channels // lanes))
            return AddJoinParameters(lanes, channels, tuple(value.format for value in sources), positions)
        if isinstance(node, Concat):
            counts = tuple(value.channels for value in sources)
            lanes = chosen(concat_lanes(counts), lambda lanes: positions * sum(-(-count // lanes) for count in counts))
            return ConcatJoinParameters(lanes, counts, tuple(value.format for value in sources), positions)
        if isinstance(node, PadChannels):
            counts = node.before, first.channels, node.after
            lanes = chosen(
                padding_lanes(*counts), lambda lanes: positions * sum(-(-count // lanes) for count in counts)
            )
            return PadChannelsParameters(
                lanes, first.channels, node.before, node.after, first.format, positions=positions
            )
        if isinstance(node, (MaxPool, SumPool)):
            return self._pool(name, layer, first, chosen)
        lanes = chosen(_any(first.channels, sources), lambda lanes: positions * -(-first.channels // lanes))
        value = replace(first, lanes=lanes)
        if isinstance(node, Threshold):
            return threshold_stage(name, layer, value, self.network)
        return scale_stage(name, node, value)

    def _pool(self, name, layer, value, chosen) -> LaneEngineParameters:
        """Return a pooling, on as many lanes as the plan says, or as keep up."""
        if value.pool:
            return pool_stage(name, layer, value, self.network)
        height, width = self.network.types[layer.node.name].shape[1:]
        work = max(value.height * value.width, height * width * layer.node.kernel[0] * layer.node.kernel[1])
        lanes = chosen(range(1, value.channels + 1), lambda lanes: work * -(-value.channels // lanes))
        return pool_stage(name, layer, replace(value, pool=lanes), self.network)

    def _readers(self, k, layer, first, pool) -> list[Feed]:
        """Return who reads a layer, as far as it is known what lanes that has."""
        channels, positions = first.channels, first.height * first.width
        if isinstance(layer.node, (Concat, PadChannels, MaxPool, SumPool)):
            channels, *size = self.network.types[layer.node.name].shape
            positions = prod(size)
        feeds = []
        for number, reader in enumerate(self.layers.layers):
            if k not in reader.inputs:
                continue
            node = reader.node
            if reader.planned:
                feeds.append(Feed(positions, channels, (self.engines[number].input_lanes,)))
            elif isinstance(node, (MaxPool, SumPool)) and pool:
                feeds.append(Feed(positions, channels, (min(pool, channels),)))
            elif isinstance(node, Concat):
                counts = [self.network.types[name].shape[0] for name in node.inputs]
                feeds.append(Feed(positions, channels, tuple(concat_lanes(counts))))
            elif isinstance(node, PadChannels):
                feeds.append(Feed(positions, channels, tuple(padding_lanes(node.before, channels, node.after))))
        return feeds

    def _value(self, layer: Layer, stage: Any, pool: int) -> Value:
        """Return what a layer gives."""
        node, sources = layer.node, [self.values[number + 1] for number in layer.inputs]
        height, width = sources[0].height, sources[0].width
        if isinstance(node, (Conv, MaxPool, SumPool)):
            height, width = stage.output_size
        elif layer.planned:
            height, width = 1, 1
        value = Value(stage.channels, height, width, stage.output_bits, stage.lanes, pool)
        codes = layer.thresholds is not None or isinstance(node, Quantize)
        if isinstance(node, (MaxPool, Concat)):
            codes = sources[0].step is None
        if not codes:
            value.step, value.origin, value.largest = stage.output_step, stage.origin, stage.largest_output
        return value


def _check_choice(choice: LayerPlan, branches: str) -> None:
    """Refuse what arrays of a network that branches cannot be."""
    why = f"because the network branches (node {branches!r}) and its layers run at the same time"
    if choice.shares:
        raise ValueError(f"shares must be false, {why}")
    if choice.style == "hardwired":
        raise ValueError(f"style must not be 'hardwired', {why}: a hardwired layer's timing is that of chains")
    if choice.memory == "loaded":
        raise ValueError(f"memory must not be 'loaded', {why}")


def _read(layers: Layers, layer: Layer) -> Value:
    """Return what a layer with weights reads, lanes aside."""
    kind: ValueType = layers.network.types[layer.node.input]
    bits = 1 if layer.inputs == (-1,) and layers.pixels is not None else kind.high.bit_length()
    if layers.reads_vector(layer) or len(kind.shape) != 3:
        return Value(kind.elements, 1, 1, bits, 1)
    return Value(*kind.shape, bits, 1)


def _any(channels: int, sources: Sequence[Value]) -> list[int]:
    """Return the lanes that a stage of any lanes may have: up to its channels, or those of a source."""
    return [*range(1, channels + 1), *(value.lanes for value in sources)]
