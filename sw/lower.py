"""Lowering: an integer network and a plan become the configuration of an accelerator."""

import numpy as np

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.engine import EngineParameters
from signfold.hw.pixels import PixelParameters
from signfold.hw.score import ScoreParameters
from signfold.sw.errors import PlanError
from signfold.sw.layers import dense_layers, input_thresholds
from signfold.sw.network import Network
from signfold.sw.plan import Plan

__all__ = ["lower"]


def lower(network: Network, plan: Plan) -> AcceleratorConfig:
    """Return the accelerator that computes `network` with the arrays of `plan`.

    Its `compute` and the gateware that it creates give the scores and classes of ``network.evaluate``, for every frame.
    Names of nodes do not enter.

    Raises
    ------
    PlanError
        If the network is no chain of dense layers, or the plan does not fit it; the message names the layer, the
        parameter, its value and what is allowed.
    """
    layers = dense_layers(network)
    if len(plan.layers) != len(layers):
        raise PlanError(
            f"plan must hold {len(layers)} layers, as many as the network has dense layers, not {len(plan.layers)}"
        )
    thresholds = input_thresholds(network).thresholds
    pixels = PixelParameters(
        layers[0].fan_in, network.input.bits, np.clip(thresholds, 0, 1 << network.input.bits), plan.lanes
    )
    engines = []
    for k, (layer, choice) in enumerate(zip(layers, plan.layers, strict=True)):
        bounds = None
        if layer.threshold is not None:
            # One threshold may serve all channels of a node; the hardware keeps one each.
            bounds = np.broadcast_to(layer.threshold.thresholds, (layer.channels, 1))
        try:
            engines.append(
                EngineParameters(
                    f"l{k}", layer.dense.weights, bounds, choice.cols, choice.simd, choice.hop, choice.stages
                )
            )
        except ValueError as error:
            raise PlanError(f"layer {k}: {error}") from None
    affine, final = layers[-1].affine, engines[-1]
    scores = ScoreParameters(
        final.channels,
        final.output_bits,
        2,
        final.fan_in + 2 * final.padding,
        -final.fan_in,
        final.fan_in,
        None if affine is None else affine.scale,
        None if affine is None else affine.offset,
    )
    return AcceleratorConfig(pixels, tuple(engines), scores)
