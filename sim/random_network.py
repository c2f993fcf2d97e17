"""Random integer networks and plans, for tests that compare the golden model with gateware."""

import numpy as np

from signfold.sw.layers import dense_layers
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold
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


def random_plan(rng: np.random.Generator, network: Network, *, widest: int = 24) -> Plan:
    """Return a legal plan for `network`, from one cell a layer to whole layers at once.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    network : Network
        A chain of dense layers.
    widest : int
        Largest word, in bits, and most columns and lanes.
    """
    layers = []
    for layer in dense_layers(network):
        simd = int(rng.integers(1, min(layer.fan_in + 2, widest) + 1))
        words = -(-layer.fan_in // simd)
        hop = int(rng.integers(1, 6))
        groups = int(rng.integers(1, max(1, min(words, widest // hop)) + 1))
        layers.append(LayerPlan(hop * groups, simd, hop, int(rng.integers(0, 3))))
    return Plan(tuple(layers), int(rng.integers(1, min(network.input.elements, widest) + 1)))


def random_frames(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """Return `count` frames of input codes, uint8 ``[count, *shape]``, over the full range of the input's bits."""
    return rng.integers(0, 1 << network.input.bits, (count, *network.input.shape)).astype(np.uint8)
