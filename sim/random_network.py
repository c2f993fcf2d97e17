"""Random integer networks and plans, for tests that compare the golden model with gateware."""

import numpy as np

from signfold.hw.fabric import FABRICS
from signfold.sim.random_sharing import random_sharing
from signfold.sw.layers import network_layers
from signfold.sw.network import Affine, Conv, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["random_frames", "random_network", "random_plan"]


def random_network(rng: np.random.Generator, *, depth: int | None = None, widest: int = 40) -> Network:
    """Return a dense network with everything that folding can produce.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    depth : int, optional
        Dense layers; 1 to 4 by default.
    widest : int
        Largest width of a layer or of the input.

    Returns
    -------
    Network
        Thresholds lie anywhere from `always` to `never`, extremes more often than chance would have it, as channels
        with gamma = 0 or a dominant bias fold; one input threshold for all elements or one each; with or without
        scales and offsets (also negative and zero ones) on the scores.
    """
    depth = depth or int(rng.integers(1, 5))
    widths = [int(rng.integers(1, widest + 1)) for _ in range(depth + 1)]
    bits = int(rng.integers(1, 9))
    count = int(rng.choice([1, widths[0]]))
    nodes = [Threshold("pixels", "input", rng.integers(0, (1 << bits) + 1, (count, 1)))]
    for k, (fan_in, channels) in enumerate(zip(widths, widths[1:], strict=False)):
        nodes.append(Dense(f"dense{k}", nodes[-1].name, rng.integers(0, 2, (channels, fan_in)).astype(np.uint8)))
        if k < depth - 1:
            # Around the middle, where a trained network's thresholds lie, or anywhere, or always or never.
            spread = rng.normal(fan_in / 2, fan_in**0.5, channels).astype(int)
            kinds = [spread, rng.integers(0, fan_in + 2, channels), rng.choice([0, fan_in + 1], channels)]
            agreements = np.choose(rng.choice(3, channels, p=[0.7, 0.15, 0.15]), kinds).clip(0, fan_in + 1)
            nodes.append(Threshold(f"sign{k}", nodes[-1].name, (2 * agreements - fan_in)[:, None]))
    if rng.integers(3) == 0:
        scale, offset = rng.integers(-40, 200, widths[-1]), rng.integers(-3000, 3000, widths[-1])
        nodes.append(Affine("scores", nodes[-1].name, scale, offset, 6))
    return Network(InputType((widths[0],), bits), tuple(nodes), nodes[-1].name)


#: Weights of the largest layer that `random_plan` hardwires, so that simulators need not take long.
_HARDWIRED = 2000


def random_plan(
    rng: np.random.Generator,
    network: Network,
    *,
    widest: int = 24,
    hardwired: float = 0.2,
    shared: float = 0.2,
    multipliers: float = 0.0,
) -> Plan:
    """Return a legal plan for `network`, from one cell a layer to whole layers at once, some of them as logic.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    network : Network
        A chain of layers, or a network that branches; this one gets neither logic nor shared arrays.
    widest : int
        Largest word, in bits, and most columns and lanes.
    hardwired : float
        How many of the small layers are hardwired.
    shared : float
        How many of the layers that could run on the array of the layer before do.
    multipliers : float
        How many of the layers whose weights or codes have several bits are arrays of multipliers.
    """
    types = network.types
    layers = network_layers(network)
    if layers.branches:
        hardwired = shared = 0
    plans = []
    for layer in layers.planned:
        node = layer.node
        shape, result = types[node.input].shape, types[node.name].shape
        space, stages = bool(rng.integers(4) == 0), int(rng.integers(0, 3))
        pool = int(rng.integers(0, 5))
        if hardwired > 0 and rng.random() < hardwired and node.channels * node.fan_in <= _HARDWIRED:
            codes = node.fan_in if layers.reads_vector(layer) or len(shape) != 3 else shape[0]
            simd = codes if isinstance(node, Conv) else int(rng.integers(1, codes + 2))
            hop = int(rng.integers(1, node.channels + 1))
            plans.append(LayerPlan(simd=simd, hop=hop, stages=stages, pool=pool, style="hardwired"))
            continue
        if isinstance(node, Conv) and node.depthwise:
            plans.append(LayerPlan(int(rng.integers(1, node.channels + 1)), 1, space=space, pool=pool))
            continue
        # A dense layer on an image reads it position by position, unless it is the first.
        image = len(shape) == 3 and not layers.reads_vector(layer)
        inputs, taps = (shape[0], node.fan_in // shape[0]) if image else (node.fan_in, 1)
        simd = int(rng.integers(1, min(inputs + 2, widest) + 1))
        style, bits = "array", types[node.input].bits
        if multipliers > 0 and rng.random() < multipliers and (bits > 1 or node.levels > 2):
            style, space = "multiplier", False
        planes = LayerPlan(space=space, style=style).planes(bits, node.levels)
        words = taps * -(-inputs // simd) * len(planes.plays)
        hop = int(rng.integers(1, 6))
        groups = int(rng.integers(1, max(1, min(words, widest // hop)) + 1))
        rows = [n for n in range(1, result[2] + 1) if result[2] % n == 0] if len(result) == 3 else [1]
        row = int(rng.choice(rows)) if rng.integers(3) == 0 else 1
        plans.append(LayerPlan(hop * groups, simd, hop, stages, row, space, pool, style))
    # Beats do not cross positions.
    channels = network.input.elements if layers.flat or len(network.input.shape) != 3 else network.input.shape[0]
    lanes = [n for n in range(1, min(channels, widest) + 1) if channels % n == 0 or channels == network.input.elements]
    if shared > 0:
        plans = random_sharing(rng, network, plans, shared, widest=widest)
    return Plan(tuple(plans), int(rng.choice(lanes)), str(rng.choice(list(FABRICS))))


def random_frames(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """Return `count` frames of input codes, uint8 ``[count, *shape]``, over the full range of the input's bits."""
    return rng.integers(0, 1 << network.input.bits, (count, *network.input.shape)).astype(np.uint8)
