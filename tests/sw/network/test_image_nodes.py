"""Convolutions, pools, weights of several levels and inverted thresholds: what they refuse, and exact types."""

import numpy as np
import pytest

from signfold.sw.errors import NetworkError
from signfold.sw.network import Affine, Conv, Dense, InputType, MaxPool, Network, SumPool, Threshold, ValueType
from signfold.sw.network.reference import reference_trace


def codes(*shape, levels=2) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) % levels).astype(np.uint8)


def column(*values) -> np.ndarray:
    return np.array(values, np.int64)[:, None]


W = codes(4, 2, 3, 3)

WRONG_NODES = [
    (lambda: Dense("d", "t", codes(2, 3), levels=5), ["'d'", "levels", "5", "power of two from 2 to 65536"]),
    (lambda: Dense("d", "t", codes(2, 3), levels=512), ["'d'", "weights must be uint16, not uint8"]),
    (lambda: Dense("d", "t", codes(2, 3), levels=1 << 17), ["'d'", "levels", "131072"]),
    (lambda: Dense("d", "t", codes(2, 3), levels=1), ["'d'", "levels", "1"]),
    (lambda: Dense("d", "t", codes(2, 3), levels=True), ["'d'", "levels", "True"]),
    (lambda: Dense("d", "t", codes(2, 3), levels=[2]), ["'d'", "levels", "[2]"]),
    (lambda: Dense("d", "t", codes(2, 3, levels=4), levels=3), ["'d'", "weight 3 of channel 1 at 0", "0 to 2"]),
    (lambda: Conv("c", "t", codes(4, 2, 9)), ["'c'", "(4, 2, 9)"]),
    (lambda: Conv("c", "t", codes(4, 2, 3, 0)), ["'c'", "(4, 2, 3, 0)"]),
    (lambda: Conv("c", "t", W.astype(np.int8)), ["'c'", "int8", "uint8"]),
    (lambda: Conv("c", "t", codes(1, 1, 1, 3, levels=3)), ["'c'", "weight 2", "(0, 0, 2)", "0 or 1"]),
    (lambda: Conv("c", "t", W, stride=2), ["'c'", "stride must be 2 integers", "2"]),
    (lambda: Conv("c", "t", W, stride=(0, 1)), ["'c'", "stride (0, 1)", "from 1 to"]),
    (lambda: Conv("c", "t", W, stride=(1, 1 << 60)), ["'c'", "stride", str(1 << 60)]),
    (lambda: Conv("c", "t", W, stride=(1.0, 1)), ["'c'", "stride", "1.0"]),
    (lambda: Conv("c", "t", W, padding=(1, 1)), ["'c'", "padding must be 4 integers", "(1, 1)"]),
    (lambda: Conv("c", "t", W, padding=(0, 3, 0, 0)), ["'c'", "padding (0, 3, 0, 0)", "3 must be from 0 to 2"]),
    (lambda: Conv("c", "t", W, padding=(0, 0, -1, 0)), ["'c'", "padding", "-1"]),
    (lambda: Conv("c", "t", W, padding=(0, 0, True, 0)), ["'c'", "padding", "True"]),
    (lambda: Conv("c", "t", W, pad=256), ["'c'", "pad must be None", "0 to 255", "256"]),
    (lambda: Conv("c", "t", W, pad=-1), ["'c'", "pad", "-1"]),
    (lambda: Conv("c", "t", W, pad=0.0), ["'c'", "pad", "0.0"]),
    (lambda: Conv("c", "t", W, groups=2), ["'c'", "groups must be 1", "4 channels", "2"]),
    (lambda: Conv("c", "t", W, groups=4), ["'c'", "(4, 2, 3, 3)", "1 input channel a group", "4"]),
    (lambda: Conv("c", "t", W, groups=0), ["'c'", "groups", "0"]),
    (lambda: Conv("c", "t", W, levels=6), ["'c'", "levels", "6"]),
    (lambda: MaxPool("p", "t", 2, (2, 2)), ["'p'", "kernel must be 2 integers", "2"]),
    (lambda: MaxPool("p", "t", (2, 0), (2, 2)), ["'p'", "kernel (2, 0)", "0 must be from 1"]),
    (lambda: MaxPool("p", "t", (2, 2), (2,)), ["'p'", "stride", "(2,)"]),
    (lambda: SumPool("p", "t", (2, 3), (2, 2), (0, 2, 0, 0)), ["'p'", "padding", "2 must be from 0 to 1"]),
    (lambda: SumPool("p", "t", (1 << 62, 1), (1, 1)), ["'p'", "kernel", str(1 << 62)]),
    (lambda: Threshold("t", "c", column(1, 2), np.array([1, 0])), ["'t'", "inverted", "bool", "int64"]),
    (lambda: Threshold("t", "c", column(1, 2), [True, False]), ["'t'", "inverted", "list"]),
    (lambda: Threshold("t", "c", column(1, 2), np.array([True])), ["'t'", "inverted for 1 channels", "2"]),
]


@pytest.mark.parametrize(("make", "words"), WRONG_NODES)
def test_refuses_wrong_parameters(make, words) -> None:
    with pytest.raises(NetworkError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


IMAGE = ValueType("code", (2, 5, 4), 0, 3, 1)
SUMS = ValueType("sum", (2, 5, 4), -18, 18, 2)
WIDE = ValueType("code", (1, 4096, 4096), 0, 1, 1)
SLIM = ValueType("code", (1, 1 << 24, 1), 0, 1, 1)

WRONG_VALUES = [
    (Conv("c", "t", W), SUMS, ["'c'", "convolutional", "'t' gives sums", "threshold"]),
    (Conv("c", "t", W), ValueType("code", (2, 5, 4), 0, 2, 1), ["'c'", "codes 0 to 2", "planes"]),
    (Conv("c", "t", W), ValueType("code", (40,), 0, 1, 1), ["'c'", "images", "(40,)"]),
    (Conv("c", "t", W), ValueType("code", (3, 5, 4), 0, 1, 1), ["'c'", "read 2 channels", "gives 3"]),
    (Conv("c", "t", codes(2, 1, 3, 3), groups=2), ValueType("code", (4, 5, 4), 0, 1, 1), ["2 channels", "gives 4"]),
    (Conv("c", "t", W), ValueType("code", (2, 2, 4), 0, 1, 1), ["'c'", "kernel (3, 3) has more rows", "which has 2"]),
    (
        Conv("c", "t", W, padding=(0, 0, 0, 1)),
        ValueType("code", (2, 3, 1), 0, 1, 1),
        ["'c'", "more columns", "which has 2"],
    ),
    (Conv("c", "t", W, padding=(1, 1, 1, 1), pad=4), IMAGE, ["'c'", "pad 4", "0 to 3"]),
    (Conv("c", "t", codes(2, 1, 1, 1)), WIDE, ["'c'", "(2, 4096, 4096)", str(1 << 24)]),
    (Conv("c", "t", codes(1, 1, 3, 3), padding=(2, 0, 0, 0)), WIDE, ["'c'", "4098x4096", str(1 << 24)]),
    (MaxPool("p", "t", (6, 1), (1, 1)), IMAGE, ["'p'", "kernel (6, 1) has more rows", "which has 5"]),
    (MaxPool("p", "t", (1, 1), (1, 1)), ValueType("sum", (2,), -4, 4, 2), ["'p'", "images", "(2,)"]),
    # Padding of almost the kernel on both sides: half a billion positions out of 16 million.
    (
        SumPool("p", "t", (1 << 24, 1 << 4), (1, 1), ((1 << 24) - 1, (1 << 24) - 1, 15, 15)),
        SLIM,
        ["'p'", "50331646x31", str(1 << 24)],
    ),
    (SumPool("p", "t", (5, 4), (1, 1)), ValueType("sum", (2, 5, 4), -(1 << 58), 1 << 58, 2), ["'p'", "62 bits"]),
    (Affine("a", "t", np.ones(2, np.int64), np.ones(2, np.int64), 0), SUMS, ["'a'", "(2, 5, 4)", "one position"]),
    (Threshold("t", "c", column(-18, 0, 2)), SUMS, ["'t'", "3 channels", "has 2"]),
]


@pytest.mark.parametrize(("node", "value", "words"), WRONG_VALUES)
def test_refuses_wrong_values(node, value, words) -> None:
    with pytest.raises(NetworkError) as caught:
        node.infer(value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Conv("last", "input", codes(3, 2, 2, 2)), ["'last'", "output", "sums of shape (3, 4, 3)"]),
        (MaxPool("last", "input", (5, 4), (1, 1)), ["'last'", "output", "codes of shape (2, 1, 1)"]),
    ],
)
def test_refuses_what_is_no_score(node, words) -> None:
    with pytest.raises(NetworkError) as caught:
        Network(InputType((2, 5, 4), 2), (node,), "last")
    for word in words:
        assert word in str(caught.value)


def test_what_means_nothing_becomes_none() -> None:
    """Equal functions are equal nodes: a pad code without padding, and inverted channels of which there are none."""
    assert Conv("c", "t", W, pad=3).pad is None
    assert Conv("c", "t", W, padding=(0, 0, 0, 1), pad=3).pad == 3
    assert Threshold("t", "c", column(1, 2), np.array([False, False])).inverted is None
    node = Conv("c", "t", W, stride=[2, 1], padding=[1, 0, 1, 0])
    assert node.stride == (2, 1) and node.padding == (1, 0, 1, 0) and node.kernel == (3, 3) and node.fan_in == 18
    assert not Threshold("t", "c", column(1, 2), np.array([False, True])).inverted.flags.writeable


@pytest.mark.parametrize(
    ("node", "low", "high", "step"),
    [
        # 18 products of +-3 and +-1.
        (Conv("c", "t", W), -54, 54, 2),
        (Conv("c", "t", W, levels=4), -162, 162, 2),
        (Conv("c", "t", W, levels=3), -108, 108, 2),
        (Conv("c", "t", codes(2, 1, 3, 3), groups=2), -27, 27, 2),
        # Real zero: the number of products, and so the parity, depends on the window.
        (Conv("c", "t", W, padding=(1, 1, 1, 1)), -54, 54, 1),
        (Conv("c", "t", W, padding=(1, 1, 1, 1), levels=3), -108, 108, 2),
        (Conv("c", "t", W, padding=(1, 1, 1, 1), pad=0), -54, 54, 2),
        # Kernels larger than the image: 10 rows of which at most 5, 9 columns of which at most 4 are inside.
        (Conv("c", "t", codes(1, 2, 10, 9), padding=(9, 9, 8, 8)), -120, 120, 1),
        # The other 70 positions, twice, are padded: codes 1 and 2 stand for -1 and 1.
        (Conv("c", "t", codes(1, 2, 10, 9), padding=(9, 9, 8, 8), pad=1), -260, 260, 2),
        (Conv("c", "t", codes(1, 2, 10, 9), padding=(9, 9, 8, 8), pad=3), -540, 540, 2),
        # Windows 4 apart from 2 above on: none lies wholly inside 5 rows at once, the second sees 3 of 4.
        (Conv("c", "t", codes(1, 2, 4, 1), stride=(4, 1), padding=(2, 1, 0, 0)), -18, 18, 1),
        (SumPool("p", "t", (2, 2), (1, 1)), -12, 12, 2),
        (SumPool("p", "t", (2, 2), (1, 1), (0, 1, 0, 0)), -12, 12, 1),
        (SumPool("p", "t", (5, 4), (1, 1)), -60, 60, 2),
        (MaxPool("p", "t", (2, 2), (1, 1), (1, 1, 1, 1)), 0, 3, 1),
        (Threshold("t", "t", np.zeros((1, 15), np.int64), np.array([True])), 0, 15, 1),
    ],
)
def test_types(node, low, high, step) -> None:
    value = node.infer(IMAGE)
    assert (value.low, value.high, value.step) == (low, high, step)


def test_types_of_pools_of_sums() -> None:
    assert MaxPool("p", "t", (2, 2), (2, 2), (1, 0, 0, 1)).infer(SUMS) == ValueType("sum", (2, 3, 2), -18, 18, 2)
    assert SumPool("p", "t", (2, 2), (2, 2)).infer(SUMS) == ValueType("sum", (2, 2, 2), -72, 72, 2)
    assert SumPool("p", "t", (2, 2), (2, 2), (1, 0, 0, 0)).infer(SUMS).step == 1
    one = ValueType("sum", (2, 1, 1), -18, 18, 2)
    scores = Affine("a", "t", np.array([2, -3]), np.array([1, 0]), 0).infer(one)
    assert (scores.shape, scores.low, scores.high) == ((2,), -54, 54)


@pytest.mark.parametrize("seed", range(60))
def test_bounds_are_attained(seed) -> None:
    """Weights and pixels that drive every product of the best window the same way reach both ends of the range."""
    rng = np.random.default_rng(seed)
    height, width, rows, columns = (int(size) for size in rng.integers(1, 6, 4))
    limits = (rows, rows, columns, columns)
    padding = tuple(int(rng.integers(0, limit)) for limit in limits)
    stride = tuple(int(step) for step in rng.integers(1, 5, 2))
    bits, levels = int(rng.integers(1, 4)), int(rng.choice([2, 3, 4]))
    pad = None if seed % 2 else int(rng.integers(0, 1 << bits))
    value = InputType((2, height, width), bits).value
    if height + padding[0] + padding[1] < rows or width + padding[2] + padding[3] < columns:
        return
    # A weight has the sign of the pad where the best window is padded, so each window is tried as the best.
    found = 0
    v = 0 if pad is None else 2 * pad - value.high
    for y in range(-padding[0], height + padding[1] - rows + 1, stride[0]):
        for x in range(-padding[2], width + padding[3] - columns + 1, stride[1]):
            inside = np.array(
                [[0 <= y + i < height and 0 <= x + j < width for j in range(columns)] for i in range(rows)]
            )
            weights = np.where(inside | (v >= 0), levels - 1, 0).astype(np.uint8)
            weights = np.broadcast_to(weights, (1, 2, rows, columns)).copy()
            node = Conv("c", "input", weights, stride, padding, pad, levels=levels)
            result = node.infer(value)
            frame = np.full((1, 2, height, width), value.high, np.uint8)
            sums = reference_trace(_Bare(InputType((2, height, width), bits), node), frame)["c"]
            assert sums.shape[1:] == result.shape and sums.max() <= result.high, seed
            found = max(found, int(sums.max()))
    assert found == result.high == -result.low, seed


class _Bare:
    """Enough of a network for the reference: the node need not end in scores."""

    def __init__(self, input_type, node) -> None:
        self.input, self.nodes = input_type, (node,)


def test_sums_of_sums_stay_below_62_bits() -> None:
    """Each pool multiplies the bound by nine; a chain of them is refused before 64 bits overflow."""
    nodes = [Conv("c", "input", codes(1, 1, 1, 1), levels=256)]
    with pytest.raises(NetworkError, match="62 bits"):
        for index in range(30):
            nodes.append(SumPool(f"p{index}", nodes[-1].name, (3, 3), (1, 1), (1, 1, 1, 1)))
            nodes_so_far = (*nodes, SumPool("last", nodes[-1].name, (9, 9), (1, 1)))
            Network(InputType((1, 9, 9), 8), nodes_so_far, "last")
    assert index > 10
