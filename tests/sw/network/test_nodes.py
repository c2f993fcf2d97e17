"""Nodes and graphs refuse what breaks the contract, naming the node and the value."""

import numpy as np
import pytest

from signfold.sw.errors import NetworkError
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold


def ints(*values) -> np.ndarray:
    return np.array(values, np.int64)


def column(*values) -> np.ndarray:
    return ints(*values)[:, None]


def bits(rows: int, columns: int) -> np.ndarray:
    return (np.arange(rows * columns).reshape(rows, columns) % 2).astype(np.uint8)


WRONG_NODES = [
    (lambda: Threshold("t", "input", [[1]]), ["'t'", "thresholds", "list"]),
    (lambda: Threshold("t", "input", column(1).astype(np.int32)), ["'t'", "int32", "int64"]),
    (lambda: Threshold("t", "input", ints(1)), ["'t'", "(1,)"]),
    (lambda: Threshold("t", "input", np.zeros((0, 1), np.int64)), ["'t'", "(0, 1)"]),
    (lambda: Threshold("t", "input", np.zeros((1, 256), np.int64)), ["'t'", "256", "255"]),
    (lambda: Threshold("t", "input", np.array([[1, 2], [4, 3]])), ["'t'", "channel 1", "[4, 3]"]),
    (lambda: Threshold("", "input", column(1)), ["name", "''"]),
    (lambda: Threshold(7, "input", column(1)), ["name", "7"]),
    (lambda: Threshold("input", "input", column(1)), ["'input'"]),
    (lambda: Threshold("\ud800", "input", column(1)), ["Unicode", "\\ud800"]),
    (lambda: Threshold("t", None, column(1)), ["'t'", "None"]),
    (lambda: Dense("d", "t", bits(2, 3).astype(bool)), ["'d'", "bool", "uint8"]),
    (lambda: Dense("d", "t", np.full((1, 2), 3, np.uint8)), ["'d'", "weight 3", "channel 0"]),
    (lambda: Dense("d", "t", np.zeros((2, 0), np.uint8)), ["'d'", "(2, 0)"]),
    (lambda: Affine("a", "d", ints(1, 2), ints(1), 0), ["'a'", "2", "1"]),
    (lambda: Affine("a", "d", ints(1), ints(1), 63), ["'a'", "fraction", "63"]),
    (lambda: Affine("a", "d", ints(1), ints(1), True), ["'a'", "fraction", "True"]),
    (lambda: InputType((4,), 9), ["bits", "9"]),
    (lambda: InputType((4,), 0), ["bits", "0"]),
    (lambda: InputType((), 1), ["shape", "()"]),
    (lambda: InputType((0,), 1), ["shape", "0"]),
    (lambda: InputType((1 << 20, 1 << 20), 1), ["shape", "elements"]),
    (lambda: InputType((2.0,), 1), ["shape", "2.0"]),
]


@pytest.mark.parametrize(("make", "words"), WRONG_NODES)
def test_refuses_wrong_parameters(make, words) -> None:
    with pytest.raises(NetworkError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


PIXELS = Threshold("pixels", "input", column(2))
FIRST = Dense("first", "pixels", bits(3, 4))
SIGN = Threshold("sign", "first", column(-4, 0, 6))
LAST = Dense("last", "sign", bits(2, 3))


def network(*nodes, output="last", shape=(4,), width=2, metadata=None) -> Network:
    return Network(InputType(shape, width), nodes, output, metadata or {})


WRONG_GRAPHS = [
    (lambda: network(PIXELS, FIRST, SIGN), ["output", "'last'"]),
    (lambda: network(PIXELS, FIRST, SIGN, output="sign"), ["'sign'", "output", "codes"]),
    (lambda: network(PIXELS, FIRST, SIGN, output="input"), ["'input'", "not the name of a node"]),
    (lambda: network(FIRST, PIXELS, SIGN, LAST), ["'first'", "'pixels'", "cycle"]),
    (lambda: network(Threshold("pixels", "sign", column(2)), FIRST, SIGN, LAST), ["'pixels'", "'sign'", "cycle"]),
    (lambda: network(PIXELS, SIGN, LAST), ["'sign'", "'first'", "not exist"]),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, LAST), ["'last'", "twice"]),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, Dense("spare", "sign", bits(1, 3))), ["'spare'", "depend"]),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, shape=(5,)), ["'first'", "fan-in 4", "5"]),
    (lambda: network(PIXELS, FIRST, Dense("last", "first", bits(2, 3))), ["'last'", "'first'", "sums"]),
    (lambda: network(Threshold("pixels", "input", column(1, 2)), FIRST, SIGN, LAST), ["'pixels'", "2 channels", "4"]),
    (lambda: network(Threshold("pixels", "input", column(5)), FIRST, SIGN, LAST), ["'pixels'", "threshold 5", "4"]),
    (lambda: network(Threshold("pixels", "input", column(-1)), FIRST, SIGN, LAST), ["'pixels'", "threshold -1"]),
    # Sums of fan-in 4 are even and lie in -4..4: canonical thresholds are -4, -2, ..., 6.
    (lambda: network(PIXELS, FIRST, Threshold("sign", "first", column(0, 1, 2)), LAST), ["'sign'", "1", "channel 1"]),
    (lambda: network(PIXELS, FIRST, Threshold("sign", "first", column(0, 2, 8)), LAST), ["'sign'", "8", "channel 2"]),
    (lambda: network(PIXELS, FIRST, Threshold("sign", "first", column(-6, 0, 0)), LAST), ["'sign'", "-6"]),
    (lambda: network(PIXELS, FIRST, Threshold("sign", "first", column(-(1 << 63), 0, 0)), LAST), ["'sign'"]),
    (lambda: network(PIXELS, FIRST, Threshold("sign", "first", np.array([[0, 2]] * 3)), LAST), ["'last'", "planes"]),
    (lambda: network(PIXELS, FIRST, Affine("a", "first", ints(1), ints(1), 0), output="a"), ["'a'", "(3,)"]),
    (lambda: network(PIXELS, Affine("a", "pixels", *[ints(1, 1, 1, 1)] * 2, 0), output="a"), ["'a'", "code"]),
    (
        lambda: network(PIXELS, FIRST, Affine("a", "first", ints(1, 1 << 60, 1), ints(0, 0, 0), 0), output="a"),
        ["'a'", "channel 1", str(1 << 60)],
    ),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, "last"), ["'last'", "Threshold"]),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, metadata={"x": float("nan")}), ["metadata", "nan"]),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, metadata={"x": {1, 2}}), ["metadata", "set"]),
    (lambda: network(PIXELS, FIRST, SIGN, LAST, metadata={1: 2}), ["metadata"]),
]


@pytest.mark.parametrize(("make", "words"), WRONG_GRAPHS)
def test_refuses_wrong_graphs(make, words) -> None:
    with pytest.raises(NetworkError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_long_names_do_not_fill_the_message() -> None:
    with pytest.raises(NetworkError) as caught:
        Dense("x" * 65536, "input", np.full((1, 1), 2, np.uint8))
    assert len(str(caught.value)) < 300


def test_is_read_only_and_a_copy() -> None:
    weights = bits(2, 3)
    node = Dense("d", "t", weights)
    weights[0, 0] = 7
    assert node.weights.max() == 1
    for array in (node.weights, SIGN.thresholds, Affine("a", "d", ints(1), ints(2), 0).offset):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError):
        node.weights = weights
    with pytest.raises(TypeError):
        network(PIXELS, FIRST, SIGN, LAST).metadata["a"] = 1


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_types_are_exactly_what_can_happen(planes, make_network) -> None:
    """Every code of a 3-element input: each sum's range, step and width as `types` says, and attained at both ends."""
    net = make_network(np.random.default_rng(planes), [3, 4], bits=planes, planes=(planes,))
    thresholds = np.arange(1, 1 << planes)[None, :]
    dense = Dense("dense0", "pixels", net.node("dense0").weights)
    net = Network(net.input, (Threshold("pixels", "input", thresholds), dense), "dense0")
    frames = np.indices((1 << planes,) * 3).reshape(3, -1).T.astype(np.uint8)
    value = net.types["dense0"]
    sums = net.trace(frames)["dense0"]
    assert (net.trace(frames)["pixels"] == frames).all()
    assert sums.min() == value.low and sums.max() == value.high
    assert set(((sums - value.low) % value.step).ravel().tolist()) == {0}
    assert sums.max() < 1 << (value.bits - 1) and sums.min() >= -(1 << (value.bits - 1))
    assert sums.max() >= 1 << (value.bits - 2) or sums.min() < -(1 << (value.bits - 2))


def test_types_of_codes_and_scores() -> None:
    """Scores of the sums -4, -2, ..., 4: lowest and highest of all classes, whatever the sign of a scale."""
    net = network(PIXELS, FIRST, Affine("a", "first", ints(3, -5, 0), ints(-7, 2, 30), 62), output="a")
    values = [scale * s + offset for scale, offset in ((3, -7), (-5, 2), (0, 30)) for s in range(-4, 5, 2)]
    scores, codes = net.types["a"], net.types["pixels"]
    assert (scores.kind, scores.low, scores.high, scores.step) == ("sum", min(values), max(values), 1)
    assert (codes.kind, codes.low, codes.high, codes.step, codes.bits) == ("code", 0, 1, 1, 1)
    levels = Threshold("t", "input", np.zeros((1, 255), np.int64))
    assert levels.infer(InputType((4,), 2).value).high == 255


@pytest.mark.parametrize("sign", [-1, 1])
def test_scores_stay_below_62_bits_on_both_sides(sign) -> None:
    limit = 1 << 62
    inside = Affine("a", "first", ints(0, 0, 0), ints(0, 0, sign * (limit - 1)), 0)
    assert network(PIXELS, FIRST, inside, output="a").types["a"].bits == 63
    for scale, offset in ((0, limit), (2, limit - 8)):
        with pytest.raises(NetworkError, match="channel 2 exceed"):
            outside = Affine("a", "first", ints(0, 0, scale), ints(0, 0, sign * offset), 0)
            network(PIXELS, FIRST, outside, output="a")
