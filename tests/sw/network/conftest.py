"""Networks for the tests of the integer network."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from signfold.sw.network import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    InputType,
    MaxPool,
    Network,
    PadChannels,
    Quantize,
    Scale,
    SumPool,
    Threshold,
)


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


@pytest.fixture
def image_network() -> Network:
    """Return the nodes for images, weights of several levels and inverted channels, in a short file."""
    rng = np.random.default_rng(6)
    nodes = (
        Conv("conv", "input", rng.integers(0, 4, (3, 2, 2, 2)).astype(np.uint8), padding=(1, 0, 0, 1), pad=2, levels=4),
        MaxPool("max", "conv", (2, 2), (2, 1), (0, 1, 0, 0)),
        Threshold("codes", "max", np.array([[-10, 0, 0], [-6, 2, 74], [4, 4, 6]]), np.array([True, False, True])),
        SumPool("sum", "codes", (1, 2), (1, 1), (0, 0, 1, 0)),
        Threshold("bits", "sum", np.array([[-1]])),
        Dense("last", "bits", rng.integers(0, 3, (2, 6)).astype(np.uint8), 3),
    )
    return Network(InputType((2, 2, 3), 2), nodes, "last", {"seed": "test"})


@pytest.fixture
def branch_network() -> Network:
    """Return fixed-point nodes and branches, in a short file."""
    rng = np.random.default_rng(7)
    nodes = (
        Conv("c0", "input", rng.integers(0, 2, (2, 1, 1, 1)).astype(np.uint8)),
        Scale("s1", "c0", np.array([21, -9]), np.array([40, 3]), 3, -20, 20, 2),
        Threshold("t2", "s1", np.array([[-3], [5]])),
        Conv("c3", "t2", rng.integers(0, 2, (3, 2, 1, 1)).astype(np.uint8)),
        PadChannels("p4", "s1", 0, 1),
        Add("a5", ("c3", "p4")),
        Concat("j6", ("a5", "s1")),
        Quantize("q7", "j6", np.array([1]), np.array([11]), 2, 2),
        Dense("last", "q7", rng.integers(0, 2, (2, 20)).astype(np.uint8)),
    )
    return Network(InputType((1, 2, 2), 3), nodes, "last", {"seed": "test"})


@pytest.fixture(scope="session")
def torch_trace():
    """Return the evaluation by torch's operators, on one thread: the networks are tiny."""
    torch = pytest.importorskip("torch", reason="the torch evaluation needs signfold[train]")
    spec = importlib.util.spec_from_file_location("torch_oracle", Path(__file__).parent / "torch_oracle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield module.torch_trace
    torch.set_num_threads(threads)
