"""Lowering: an integer network and a plan become the configuration of an accelerator."""

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.depths import with_depths
from signfold.hw.fabric import find_fabric
from signfold.hw.slack import with_slack
from signfold.sw.errors import PlanError
from signfold.sw.layers import Layers, network_layers
from signfold.sw.lower_graph import lower_graph
from signfold.sw.lower_layer import (
    Value,
    image_of,
    matrix_stage,
    pixel_stage,
    pool_stage,
    score_stage,
    stream_order,
    threshold_stage,
)
from signfold.sw.network import MaxPool, Network, Threshold
from signfold.sw.plan import Plan
from signfold.sw.shared_group import SharedGroup

__all__ = ["lower", "stream_order"]


def lower(network: Network, plan: Plan, *, slack: bool = True) -> AcceleratorConfig:
    """Return the accelerator that computes `network` with the arrays of `plan`.

    Its `compute` and the gateware that it creates give the scores and classes of ``network.evaluate``, for every frame
    in the order of `stream_order`. Names of nodes do not enter. Without `slack`, which takes seconds to find for large
    networks, its windows may make stages wait for one another; a network that branches, which becomes a `GraphConfig`,
    then has no queues either, without which it may stand still for ever.

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
    if layers.branches:
        graph = lower_graph(layers, plan)
        return with_depths(graph) if slack else graph
    config = _lower_chain(layers, plan)
    return with_slack(config) if slack else config


def _lower_chain(layers: Layers, plan: Plan) -> AcceleratorConfig:
    """Return the accelerator of a chain of layers, without slack."""
    network, pixels = layers.network, pixel_stage(layers, plan.lanes)
    value = Value.of_input(layers, plan.lanes)
    choices = iter(plan.layers)
    stages, planned = [], 0
    group = SharedGroup(plan)
    for k, layer in enumerate(layers.layers):
        try:
            if layer.planned:
                choice = group.choice(planned, next(choices))
                stage = matrix_stage(f"l{k}", layer, choice, find_fabric(plan.fabric), value, network)
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
                image = image_of(layer.node, value, None) if isinstance(layer.node, MaxPool) else None
                value.height, value.width = group.pool(layer, image)
                continue
            elif isinstance(layer.node, Threshold):
                stages.append(threshold_stage(f"l{k}", layer, value, network))
            else:
                stages.append(pool_stage(f"l{k}", layer, value, network))
        except ValueError as error:
            where = f"layer {planned}" if layer.planned else f"node {layer.node.name!r}"
            raise PlanError(f"{where}: {error}") from None
        value.follow(stages[-1])
    return AcceleratorConfig(pixels, tuple(stages), score_stage(layers, stages[-1], value))
