"""Random groups of layers that share an array, for plans of random networks."""

from dataclasses import replace

import numpy as np

from signfold.hw.planes import PlaneParameters
from signfold.hw.shared_loader import CHUNK_BYTES
from signfold.sw.layers import Layer, Layers, network_layers
from signfold.sw.network import Conv, MaxPool, Network
from signfold.sw.plan import LayerPlan

__all__ = ["random_sharing"]


def random_sharing(
    rng: np.random.Generator, network: Network, plans: list[LayerPlan], chance: float, *, widest: int = 24
) -> list[LayerPlan]:
    """Return the plan of each layer where some of them run on the array of the layer before.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    network : Network
        A chain of layers.
    plans : list of LayerPlan
        A legal plan of each layer with weights.
    chance : float
        How many of the layers that could share an array do.
    widest : int
        Longest word and most columns.
    """
    layers = network_layers(network)
    groups: list[list[int]] = []
    for k in range(len(plans)):
        if k and _may_share(layers, plans, k) and rng.random() < chance:
            groups[-1].append(k)
        else:
            groups.append([k])
    shared = list(plans)
    for group in groups:
        if _raw_border(layers.planned[group[-1]]):
            # Sums that go out need one origin.
            group.pop()
        alone = len(group) == 1 and _has_array(layers, plans, group[0]) and rng.random() < chance / 4
        if len(group) < 2 and not alone:
            continue
        for k in group:
            shared[k] = LayerPlan(shares=True)
        shared[group[0]] = _array(rng, layers, group, widest, "loaded" if alone or rng.random() < 0.3 else "auto")
    return shared


def _has_array(layers: Layers, plans: list[LayerPlan], k: int) -> bool:
    """Whether a layer has an array that others could use."""
    node = layers.planned[k].node
    return plans[k].style == "array" and not (isinstance(node, Conv) and node.depthwise)


def _may_share(layers: Layers, plans: list[LayerPlan], k: int) -> bool:
    """Whether a layer could use the array of the layer before it."""
    names = [layer.node.name for layer in layers.layers]
    before, here = (names.index(layers.planned[n].node.name) for n in (k - 1, k))
    between = layers.layers[before + 1 : here]
    pools = len(between) <= 1 and all(isinstance(one.node, MaxPool) and one.inverted is None for one in between)
    return pools and all(_has_array(layers, plans, n) for n in (k - 1, k))


def _raw_border(layer: Layer) -> bool:
    """Whether a layer's sums go out from windows with fewer products at the edge."""
    node = layer.node
    return layer.thresholds is None and isinstance(node, Conv) and node.pad is None and any(node.padding)


def _array(rng: np.random.Generator, layers: Layers, group: list[int], widest: int, memory: str) -> LayerPlan:
    """Return an array for a group of layers."""
    types = layers.network.types
    simd = int(rng.integers(1, widest + 1))
    hop = int(rng.choice([n for n in range(1, simd + 1) if simd % n == 0]))
    least = widest
    for k in group:
        node, shape = layers.planned[k].node, types[layers.planned[k].node.input].shape
        flat = k == 0 and layers.flat
        inputs = shape[0] if len(shape) == 3 and not flat else node.fan_in
        planes = PlaneParameters(types[node.input].bits, node.levels)
        least = min(least, node.fan_in // inputs * -(-inputs // simd) * len(planes.plays))
    groups = int(rng.integers(1, max(1, min(least, widest // hop)) + 1))
    # A word that is loaded lies in one chunk.
    memory = memory if hop * simd <= 8 * CHUNK_BYTES else "auto"
    return replace(LayerPlan(), cols=hop * groups, simd=simd, hop=hop, stages=int(rng.integers(0, 3)), memory=memory)
