"""The golden model equals plain integer arithmetic, and its interface refuses wrong frames."""

import numpy as np
import pytest

from signfold.sw.network import Affine, Conv, Dense, InputType, Network, SumPool, Threshold
from signfold.sw.network.reference import reference_trace


def check(network, frames) -> None:
    trace, expected = network.trace(frames), reference_trace(network, frames)
    assert list(trace) == list(expected) == [node.name for node in network.nodes]
    for name, values in expected.items():
        assert trace[name].dtype == np.int64 and trace[name].shape == (len(frames), *network.types[name].shape)
        assert (trace[name] == values).all(), name
    evaluation = network.evaluate(frames)
    assert (evaluation.scores == expected[network.output].reshape(len(frames), -1)).all()
    for scores, chosen in zip(evaluation.scores.tolist(), evaluation.classes.tolist(), strict=True):
        assert chosen == scores.index(max(scores))


def test_by_hand() -> None:
    """Two pixels, two classes, every sum worked out on paper."""
    network = Network(
        InputType((2,), 8),
        (
            Threshold("pixels", "input", np.array([[100], [200]])),
            Dense("dense", "pixels", np.array([[1, 1], [1, 0]], np.uint8)),
        ),
        "dense",
    )
    frames = np.array([[99, 199], [100, 199], [99, 200], [100, 200]], np.uint8)
    evaluation = network.evaluate(frames)
    assert evaluation.scores.tolist() == [[-2, 0], [0, 2], [0, -2], [2, 0]]
    assert evaluation.classes.tolist() == [1, 1, 0, 0]


def test_equal_scores_give_the_lowest_class() -> None:
    network = Network(
        InputType((1,), 1),
        (
            Threshold("pixels", "input", np.array([[1]])),
            Dense("dense", "pixels", np.array([[1], [1], [0]], np.uint8)),
            Affine("scores", "dense", np.array([1, 1, 0]), np.array([0, 0, 1]), 0),
        ),
        "scores",
    )
    evaluation = network.evaluate(np.array([[0], [1]], np.uint8))
    assert evaluation.scores.tolist() == [[-1, -1, 1], [1, 1, 1]]
    assert evaluation.classes.tolist() == [2, 0]


@pytest.mark.parametrize("fan_in", [1, 7, 8, 9, 63, 64, 65, 127, 128, 130, 784])
def test_every_word_boundary(fan_in, make_network) -> None:
    rng = np.random.default_rng(fan_in)
    network = make_network(rng, [fan_in, fan_in, 3], bits=int(rng.integers(1, 9)))
    check(network, rng.integers(0, 1 << network.input.bits, (50, fan_in)).astype(np.uint8))


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed, make_network) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 90, int(rng.integers(2, 6))).tolist()
    planes = rng.choice([1, 1, 2, 3], len(widths)).tolist()
    network = make_network(rng, widths, int(rng.integers(1, 9)), planes, affine=bool(rng.integers(2)))
    check(network, rng.integers(0, 1 << network.input.bits, (int(rng.integers(1, 600)), widths[0])).astype(np.uint8))


def test_thresholds_by_channel_of_an_image(make_network) -> None:
    rng = np.random.default_rng(1)
    network = make_network(rng, [24, 4, 2], shape=(2, 3, 4), rows=2)
    frames = rng.integers(0, 256, (9, 2, 3, 4)).astype(np.uint8)
    check(network, frames)
    assert (network.evaluate(frames.reshape(9, 24)).scores == network.evaluate(frames).scores).all()


def test_lfc_widths_and_blocks(make_network) -> None:
    rng = np.random.default_rng(2)
    network = make_network(rng, [784, 1024, 1024, 1024, 10])
    frames = rng.integers(0, 256, (130, 28, 28)).astype(np.uint8)
    check(network, frames)
    steps = []
    evaluation = network.evaluate(frames, progress=steps.append)
    assert sum(steps) == 130 and len(steps) > 1
    # A frame's scores do not depend on the frames beside it.
    assert (network.evaluate(frames[77:78]).scores == evaluation.scores[77:78]).all()


@pytest.mark.parametrize("fan_in", [65_535, 65_536, 70_000])
def test_fan_in_around_sixteen_bits(fan_in) -> None:
    """So many equal bits differ in as many places, which 16 bits may not hold."""
    weights = np.zeros((2, fan_in), np.uint8)
    weights[1] = 1
    network = Network(
        InputType((fan_in,), 1),
        (Threshold("pixels", "input", np.array([[1]])), Dense("dense", "pixels", weights)),
        "dense",
    )
    assert network.evaluate(np.ones((1, fan_in), np.uint8)).scores.tolist() == [[-fan_in, fan_in]]


@pytest.mark.parametrize("levels", [1 << 9, 1 << 13, 1 << 16])
def test_wide_weights_and_codes_of_8_bits(levels) -> None:
    """Sums just past what single precision holds, and far past it; the smallest and the largest ones among them."""
    rng = np.random.default_rng(levels)
    fan_in = 4096
    weights = rng.integers(0, levels, (5, fan_in)).astype(np.uint16)
    weights[:2] = [[0], [levels - 1]]
    frames = rng.integers(0, 256, (7, fan_in)).astype(np.uint8)
    frames[:2] = [[0], [255]]
    network = Network(InputType((fan_in,), 8), (Dense("dense", "input", weights, levels),), "dense")
    check(network, frames)
    exact = (2 * frames.astype(object) - 255) @ (2 * weights.astype(object) - (levels - 1)).T
    found = network.evaluate(frames).scores
    assert (found == exact).all() and found.max() == fan_in * 255 * (levels - 1) == -found.min()
    whole = Conv("conv", "input", weights.reshape(5, 16, 16, 16)[:, :, :3, :3], (2, 2), (1, 1, 1, 1), levels=levels)
    image = Network(InputType((16, 16, 16), 8), (whole, SumPool("sum", "conv", (8, 8), (8, 8))), "sum")
    check(image, frames.reshape(7, 16, 16, 16))
    alone = weights[:, :9].reshape(5, 1, 3, 3)
    depthwise = Conv("conv", "input", alone, (1, 1), (0, 1, 1, 0), 7, groups=5, levels=levels)
    image = Network(InputType((5, 9, 9), 8), (depthwise, SumPool("sum", "conv", (8, 8), (8, 8))), "sum")
    check(image, frames[:, :405].reshape(7, 5, 9, 9))


def test_no_frames(small_network) -> None:
    evaluation = small_network.evaluate(np.empty((0, 5), np.uint8))
    assert evaluation.scores.shape == (0, 2) and evaluation.classes.shape == (0,)


@pytest.mark.parametrize(
    ("frames", "error", "words"),
    [
        (np.zeros((2, 5), np.int64), TypeError, "int64"),
        ([[0] * 5], TypeError, "list"),
        (np.zeros((2, 4), np.uint8), ValueError, "(2, 4)"),
        (np.zeros(5, np.uint8), ValueError, "(5,)"),
        (np.zeros((0, 4), np.uint8), ValueError, "(0, 4)"),
        (np.zeros((3, 0), np.uint8), ValueError, "(3, 0)"),
        (np.array([[0] * 5, [0, 0, 4, 0, 0]], np.uint8), ValueError, "code 4 of frame 1 is above 3"),
    ],
)
def test_refuses_frames(frames, error, words, small_network) -> None:
    with pytest.raises(error) as caught:
        small_network.evaluate(frames)
    assert words in str(caught.value)


def test_hash_is_of_graph_and_parameters_only(make_network) -> None:
    def variant(names="abc", weight=0, threshold=2, bits=2, offset=0, fraction=1, metadata=None) -> str:
        weights = np.array([[1, 0], [0, 1]], np.uint8)
        weights[0, 0] ^= weight
        nodes = (
            Threshold(names[0], "input", np.array([[threshold]])),
            Dense(names[1], names[0], weights),
            Affine(names[2], names[1], np.array([1, 1]), np.array([0, offset]), fraction),
        )
        return Network(InputType((2,), bits), nodes, names[2], metadata or {}).content_hash

    assert variant() == variant(names=["\n", "endmodule", "\0 'x"]) == variant(metadata={"name": "n"})
    assert len({variant(), *(variant(**{what: 3}) for what in ("threshold", "bits", "offset", "fraction"))}) == 5
    assert variant(weight=1) != variant()
