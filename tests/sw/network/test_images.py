"""Three evaluations of networks on images are one: golden model, plain integers, torch."""

import tracemalloc

import numpy as np
import pytest

from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames
from signfold.sw.network import Conv, Dense, InputType, MaxPool, Network, SumPool, Threshold, golden, products, windows
from signfold.sw.network.reference import reference_trace


def check(network, frames, *others, note="") -> None:
    """Compare every node's integers with those of other evaluations, and with the types."""
    trace = network.trace(frames)
    for other in (reference_trace, *others):
        expected = other(network, frames)
        assert list(trace) == list(expected)
        for name, values in expected.items():
            assert trace[name].shape == values.shape and (trace[name] == values).all(), (note, name, other)
    for name, values in trace.items():
        value = network.types[name]
        assert values.dtype == np.int64 and values.shape == (len(frames), *value.shape), (note, name)
        if len(frames):
            assert value.low <= values.min() and values.max() <= value.high, (note, name)
            assert ((values - value.low) % value.step == 0).all(), (note, name)
    evaluation = network.evaluate(frames)
    scores = trace[network.output].reshape(len(frames), network.classes)
    assert (evaluation.scores == scores).all() and (evaluation.classes == scores.argmax(axis=1)).all(), note


def check_random(seeds, torch_trace, **options) -> None:
    for seed in seeds:
        rng = np.random.default_rng(seed)
        network = random_conv_network(rng, **options)
        check(network, random_frames(rng, network, int(rng.integers(1, 6))), torch_trace, note=f"seed {seed}")


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_random_networks(start, torch_trace) -> None:
    check_random(range(start, start + 50), torch_trace)


@pytest.mark.sweep
@pytest.mark.parametrize("start", range(10_000, 30_000, 1000))
def test_many_random_networks(start, torch_trace) -> None:
    check_random(range(start, start + 1000), torch_trace)


def test_larger_random_networks(torch_trace) -> None:
    check_random(range(500, 506), torch_trace, largest=4000, widest=40)


@pytest.mark.parametrize("limit", [1, 40, 300])
def test_any_blocks(limit, torch_trace, monkeypatch) -> None:
    """Windows in blocks of frames, rows and columns, weights in blocks of channels: the same integers."""
    monkeypatch.setattr(windows, "WINDOWS", limit)
    monkeypatch.setattr(products, "HELD", limit)
    monkeypatch.setattr(golden, "BLOCK_PIXELS", 10 * limit)
    check_random(range(700, 715), torch_trace)


def test_by_hand() -> None:
    """One window of three, its neighbours partly outside; real zero, and code 1 of 2 bits (v = -1)."""
    weights = np.array([[[[0, 1, 3]]]], np.uint8)  # -3, -1, 3
    frames = np.array([[[[3, 0]]]], np.uint8)  # 3, -3
    for pad, expected in ((None, [-3 * 1 + 3 * -3, -3 * 3 - 1 * -3]), (1, [3 - 3 - 9, -9 + 3 - 3])):
        nodes = (
            Conv("conv", "input", weights, (1, 1), (0, 0, 1, 1), pad, levels=4),
            SumPool("last", "conv", (1, 2), (1, 1)),
        )
        network = Network(InputType((1, 1, 2), 2), nodes, "last")
        assert network.trace(frames)["conv"].tolist() == [[[expected]]]
        assert network.evaluate(frames).scores.tolist() == [[sum(expected)]]


def test_pools_and_inverted_channels_by_hand() -> None:
    """A channel of -1 and +1 after the maximum: largest of the negated values, complemented."""
    nodes = (
        Conv("conv", "input", np.array([[[[1]]], [[[0]]]], np.uint8)),
        MaxPool("max", "conv", (2, 2), (2, 2)),
        Threshold("codes", "max", np.array([[-1, 1, 3], [-1, 1, 3]]), np.array([False, True])),
        SumPool("sum", "codes", (2, 2), (1, 1), (1, 0, 1, 0)),
        MaxPool("all", "sum", (1, 2), (1, 1)),
        Threshold("last", "all", np.array([[0]])),
        Dense("scores", "last", np.array([[2, 0]], np.uint8), 3),
    )
    network = Network(InputType((1, 3, 4), 2), nodes, "scores")
    frames = np.array([[[[0, 1, 2, 3], [1, 0, 2, 2], [3, 3, 3, 3]]]], np.uint8)  # -3 -1 1 3, -1 -3 1 1
    trace = network.trace(frames)
    assert trace["max"].tolist() == [[[[-1, 3]], [[3, -1]]]]
    assert trace["codes"].tolist() == [[[[1, 3]], [[0, 2]]]]
    assert trace["sum"].tolist() == [[[[-1, 2]], [[-3, -2]]]]
    assert trace["all"].tolist() == [[[[2]], [[-2]]]]
    assert trace["scores"].tolist() == [[2 * 1 - 2 * -1]]


@pytest.mark.parametrize("fan_in", [257, 258, 259])
def test_sums_around_the_exact_floats(fan_in, torch_trace) -> None:
    """255 times 255 times 258 is the last bound below 2**24; odd sums above need double precision."""
    weights = np.full((2, fan_in, 1, 1), 255, np.uint8)
    weights[1, 0] = 0
    conv = Network(InputType((fan_in, 1, 1), 8), (Conv("last", "input", weights, levels=256),), "last")
    nodes = (Dense("last", "input", weights.reshape(2, fan_in), levels=256),)
    dense = Network(InputType((fan_in,), 8), nodes, "last")
    frames = np.full((3, fan_in), 255, np.uint8)
    frames[1, 5], frames[2, 7] = 0, 128
    check(conv, frames.reshape(3, fan_in, 1, 1), torch_trace)
    check(dense, frames)
    assert conv.evaluate(frames).scores[0].tolist() == [255 * 255 * fan_in, 255 * 255 * (fan_in - 2)]


def test_sums_beyond_32_bits(torch_trace) -> None:
    weights = np.full((1, 1, 1, 1), 255, np.uint8)
    nodes = (
        Conv("conv", "input", weights, levels=256),
        SumPool("sum", "conv", (200, 200), (1, 1)),
        Threshold("codes", "sum", np.array([[40_000 * 65_025 - 2, 40_000 * 65_025]])),
        SumPool("last", "codes", (1, 1), (1, 1)),
    )
    network = Network(InputType((1, 200, 200), 8), nodes, "last")
    frames = np.full((2, 1, 200, 200), 255, np.uint8)
    frames[1, 0, 3, 4] = 254
    check(network, frames, torch_trace)
    assert network.trace(frames)["sum"].ravel().tolist() == [2_601_000_000, 2_601_000_000 - 510]
    assert network.evaluate(frames).scores.tolist() == [[2], [-2]]


def test_many_levels(torch_trace) -> None:
    """Above 16 levels thresholds are searched: shared and per channel, of sums and of codes, inverted or not."""
    rng = np.random.default_rng(3)
    for rows in (1, 3):
        inverted = rng.random(rows) < 0.7
        nodes = (
            Threshold("first", "input", np.sort(rng.integers(0, 257, (rows, 255)), axis=1)),
            Conv("conv", "first", rng.integers(0, 2, (3, 3, 2, 2)).astype(np.uint8)),
            Threshold("codes", "conv", np.sort(2 * rng.integers(-1530, 1532, (rows, 31)), axis=1), inverted),
            Dense("last", "codes", rng.integers(0, 2, (4, 36)).astype(np.uint8)),
        )
        check(
            Network(InputType((3, 4, 5), 8), nodes, "last"), rng.integers(0, 256, (9, 3, 4, 5), np.uint8), torch_trace
        )


def test_no_frames() -> None:
    nodes = (
        Threshold("a", "input", np.array([[2]])),
        Conv("b", "a", np.ones((2, 1, 2, 2), np.uint8)),
        Threshold("c", "b", np.array([[0]])),
        Dense("d", "c", np.eye(3, 8, dtype=np.uint8)),
    )
    network = Network(InputType((1, 3, 3), 2), nodes, "d")
    check(network, np.zeros((0, 1, 3, 3), np.uint8))
    assert network.evaluate(np.zeros((0, 1, 3, 3), np.uint8)).scores.shape == (0, 3)


def test_memory_is_bounded() -> None:
    """A window of most of an image at every position would need gigabytes at once."""
    rng = np.random.default_rng(4)
    weights = rng.integers(0, 2, (1, 1, 60, 60)).astype(np.uint8)
    nodes = (Conv("conv", "input", weights), SumPool("last", "conv", (141, 141), (1, 1)))
    network = Network(InputType((1, 200, 200), 1), nodes, "last")
    frame = rng.integers(0, 2, (1, 1, 200, 200), np.uint8)
    tracemalloc.start()
    try:
        network.evaluate(frame)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
