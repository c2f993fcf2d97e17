"""Random networks on images have every feature, keep to their limits, and do without what is excluded."""

from itertools import pairwise

import numpy as np
import pytest

from signfold.sim.random_conv import FEATURES, random_conv_network
from signfold.sim.random_network import random_frames
from signfold.sw.network import Affine, Conv, Dense, MaxPool, Network, SumPool, Threshold


def features(network: Network) -> set[str]:
    """Return the features that a network has."""
    found = set()
    for previous, node in pairwise((None, *network.nodes)):
        codes = network.types[node.input].kind == "code"
        match node:
            case Threshold():
                if node.levels > 1:
                    found.add("planes" if previous else "input planes")
                if node.inverted is not None:
                    found.add("inverted")
            case Dense() | Conv():
                if previous is None:
                    found.add("input codes")
                if node.levels > 2:
                    found.add("ternary" if node.levels == 3 else "weight planes")
                if isinstance(node, Dense):
                    found.add("dense")
                elif any(node.padding):
                    found.add("zero padding" if node.pad is None else "code padding")
                if isinstance(node, Conv) and node.depthwise:
                    found.add("depthwise")
            case MaxPool():
                found.add("max of codes" if codes else "max of sums")
            case SumPool() if node.name != network.output and not (
                len(network.nodes) > 1 and isinstance(network.nodes[-1], Affine) and node is network.nodes[-2]
            ):
                found.add("sum of codes" if codes else "sum of sums")
            case Affine():
                found.add("affine")
        if isinstance(node, Conv) and node.stride != (1, 1):
            found.add("stride")
    return found


def networks(count: int, **options) -> list[Network]:
    return [random_conv_network(np.random.default_rng(seed), **options) for seed in range(count)]


def test_has_every_feature() -> None:
    made = networks(300)
    assert set().union(*map(features, made)) == set(FEATURES)
    convolutions = [node for network in made for node in network.nodes if isinstance(node, Conv)]
    assert {size for node in convolutions for size in node.kernel} == {1, 2, 3, 4, 5}
    assert {size for node in convolutions for size in node.stride} == {1, 2, 3}
    assert any(len(set(node.padding)) > 2 for node in convolutions)
    assert {network.input.bits for network in made} == set(range(1, 9))
    assert {network.input.shape[0] for network in made} == set(range(1, 10))
    assert sum(network.input.shape[1:] == (1, 1) for network in made) > 10
    assert max(value.elements for network in made for value in network.types.values()) <= 200
    # Most codes and scores change from frame to frame: the networks compute something.
    alive = 0
    for seed, network in enumerate(made):
        scores = network.evaluate(random_frames(np.random.default_rng(seed), network, 8)).scores
        alive += len(np.unique(scores, axis=0)) > 2
    assert alive > len(made) * 0.6


@pytest.mark.parametrize("feature", FEATURES)
def test_does_without(feature) -> None:
    assert not any(feature in features(network) for network in networks(60, without=(feature,)))


def test_does_without_all_and_any_depth() -> None:
    for network in networks(20, without=FEATURES, depth=3, classes=4):
        assert features(network) == set()
        assert sum(isinstance(node, Conv) for node in network.nodes) == 4 and network.classes == 4
    for network in networks(20, depth=0):
        convolutions = sum(isinstance(node, Conv) for node in network.nodes)
        assert convolutions == (not any(isinstance(node, Dense) for node in network.nodes))


def test_refuses() -> None:
    with pytest.raises(ValueError, match="'pooling'"):
        random_conv_network(np.random.default_rng(0), without=("pooling",))
    with pytest.raises(ValueError, match="at least 16, not 15"):
        random_conv_network(np.random.default_rng(0), largest=15)


def test_frames_have_the_shape_of_the_input() -> None:
    network = random_conv_network(np.random.default_rng(0))
    frames = random_frames(np.random.default_rng(1), network, 3)
    assert frames.shape == (3, *network.input.shape) and frames.dtype == np.uint8
    assert frames.max() < 1 << network.input.bits


@pytest.mark.parametrize("largest", [16, 50, 2000])
def test_any_size(largest) -> None:
    for network in networks(60, largest=largest, widest=16):
        assert max(value.elements for value in network.types.values()) <= largest
