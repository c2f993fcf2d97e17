"""Networks for the tests of the integer network."""

import numpy as np
import pytest

from signfold.sw.network import Affine, Dense, InputType, Network, Threshold


def build(rng: np.random.Generator, widths, bits=8, planes=(), shape=None, affine=False, rows=None) -> Network:
    """Return a random chain: `widths` from the input to the classes, `planes[k]` bits of the k-th code."""
    shape = shape or (widths[0],)
    levels = [(1 << (planes[k] if k < len(planes) else 1)) - 1 for k in range(len(widths))]
    rows = rows or int(rng.choice([1, shape[0]]))
    pixels = np.sort(rng.integers(0, (1 << bits) + 1, (rows, levels[0])), axis=1)
    nodes = [Threshold("pixels", "input", pixels)]
    for k, (fan_in, channels) in enumerate(zip(widths, widths[1:], strict=False)):
        nodes.append(Dense(f"dense{k}", nodes[-1].name, rng.integers(0, 2, (channels, fan_in), dtype=np.uint8)))
        if k < len(widths) - 2:
            bound = fan_in * levels[k]
            steps = np.sort(rng.integers(0, bound + 2, (channels, levels[k + 1])), axis=1)
            nodes.append(Threshold(f"sign{k}", nodes[-1].name, 2 * steps - bound))
    if affine:
        scale, offset = rng.integers(-999, 999, widths[-1]), rng.integers(-(10**6), 10**6, widths[-1])
        nodes.append(Affine("scores", nodes[-1].name, scale, offset, 8))
    return Network(InputType(shape, bits), tuple(nodes), nodes[-1].name, {"seed": "test"})


@pytest.fixture
def make_network():
    """Give tests the builder of random networks."""
    return build


@pytest.fixture
def small_network() -> Network:
    """Return a network with every kind of node, whose file is short enough to be damaged byte by byte."""
    return build(np.random.default_rng(5), [5, 3, 2], bits=2, affine=True)
