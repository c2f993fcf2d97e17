"""Fixed-point numbers and branches: by hand, and by the plain evaluation on random graphs."""

import numpy as np
import pytest

from signfold.sim.random_branches import random_branch_network
from signfold.sim.random_network import random_frames
from signfold.sw.errors import NetworkError
from signfold.sw.network import Add, Concat, Dense, InputType, Network, PadChannels, Quantize, Scale, Threshold
from signfold.sw.network.reference import reference_trace

#: Largest magnitude plus one of a 62-bit integer.
LIMIT = 1 << 62


def ints(*values) -> np.ndarray:
    return np.array(values, np.int64)


def check_random(seeds) -> set[str]:
    operations = set()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        network = random_branch_network(rng, side=int(rng.integers(2, 9)), blocks=int(rng.integers(1, 4)))
        frames = random_frames(rng, network, int(rng.integers(1, 5)))
        trace, expected = network.trace(frames), reference_trace(network, frames)
        assert list(trace) == list(expected)
        for name, values in expected.items():
            value = network.types[name]
            assert trace[name].dtype == np.int64 and (trace[name] == values).all(), (seed, name)
            assert value.low <= values.min() and values.max() <= value.high, (seed, name)
            assert ((values - value.low) % value.step == 0).all(), (seed, name)
        evaluation = network.evaluate(frames)
        assert (evaluation.scores == trace[network.output].reshape(len(frames), -1)).all(), seed
        operations.update(node.op for node in network.nodes)
    return operations


def test_random_graphs() -> None:
    assert check_random(range(200)) >= {"scale", "quantize", "add", "concat", "padchannels", "maxpool", "sumpool"}


@pytest.mark.sweep
@pytest.mark.parametrize("start", range(1000, 21_000, 4000))
def test_many_random_graphs(start) -> None:
    check_random(range(start, start + 4000))


SUMS = Dense("sums", "input", np.array([[1, 1], [1, 0], [0, 0]], np.uint8))  # v + w, v - w, -v - w
FRAMES = np.array([[0, 0], [3, 0], [3, 3], [1, 2]], np.uint8)  # v, w = 2*q - 3
VALUES = np.array([[-6, 0, 6], [0, 6, 0], [6, 0, -6], [0, -2, 0]])


def trace(*nodes) -> dict[str, np.ndarray]:
    """Evaluate nodes after `SUMS`, with a last layer after them, as a network needs one."""
    last = _types(nodes)[nodes[-1].name]
    tail = [Threshold("end", nodes[-1].name, ints([last.low]))] if last.kind == "sum" else []
    tail.append(Dense("out", "end" if tail else nodes[-1].name, np.ones((1, last.elements), np.uint8)))
    network = Network(InputType((2,), 2), (SUMS, *nodes, *tail), "out")
    result = network.trace(FRAMES)
    assert (result["sums"] == VALUES).all()
    return result


def _types(nodes) -> dict:
    types = {"input": InputType((2,), 2).value}
    for node in (SUMS, *nodes):
        types[node.name] = node.infer(*(types[name] for name in node.inputs))
    return types


def test_a_scale_rounds_down_and_saturates() -> None:
    scale = Scale("y", "sums", ints(3, -3, 1), ints(1, 1, 0), 2, fraction=5)
    assert trace(scale)["y"].tolist() == [[-5, 0, 1], [0, -5, 0], [4, 0, -2], [0, 1, 0]]
    value = _types([scale])["y"]
    assert (value.kind, value.low, value.high, value.step) == ("sum", -5, 4, 1)
    cut = Scale("y", "sums", ints(3, -3, 1), ints(1, 1, 0), 2, -2, 3)
    assert trace(cut)["y"].tolist() == [[-2, 0, 1], [0, -2, 0], [3, 0, -2], [0, 1, 0]]
    assert (_types([cut])["y"].low, _types([cut])["y"].high) == (-2, 3)


def test_one_multiplier_serves_all_channels() -> None:
    assert (trace(Scale("y", "sums", ints(2), ints(-1), 0))["y"] == 2 * VALUES - 1).all()


def test_half_in_the_offset_rounds_to_the_nearest() -> None:
    assert trace(Scale("y", "sums", ints(3), ints(2), 2))["y"][:2].tolist() == [[-4, 0, 5], [0, 5, 0]]


def test_codes_are_evenly_spaced_thresholds() -> None:
    quantized = trace(Quantize("q", "sums", ints(1), ints(7), 2, 2))["q"]
    # (s + 7) >> 2 becomes k where s reaches 4*k - 7; sums are even.
    levels = Threshold("t", "sums", ints([-2, 2, 6]))
    assert (quantized == trace(levels)["t"]).all() and set(quantized.ravel()) == {0, 1, 3}


def test_branches_by_hand() -> None:
    found = trace(
        Scale("half", "sums", ints(1), ints(1), 1),
        Add("a", ("sums", "half", "sums")),
        PadChannels("p", "half", 1, 2),
        Concat("c", ("a", "p")),
    )
    assert found["half"].tolist() == [[-3, 0, 3], [0, 3, 0], [3, 0, -3], [0, -1, 0]]
    assert (found["a"] == 2 * VALUES + found["half"]).all()
    assert found["p"].tolist()[0] == [0, -3, 0, 3, 0, 0]
    assert found["c"].tolist()[0] == [-15, 0, 15, 0, -3, 0, 3, 0, 0]


def test_types_hold_all_values_of_the_branches() -> None:
    nodes = (
        Scale("third", "sums", ints(1), ints(0), 0, -5, 5),
        Concat("c", ("sums", "third")),
        Add("a", ("sums", "sums")),
        Concat("d", ("a", "sums")),
    )
    types = _types(nodes)
    assert (types["sums"].low, types["sums"].high, types["sums"].step) == (-6, 6, 2)
    assert (types["c"].shape, types["c"].low, types["c"].high, types["c"].step) == ((6,), -6, 6, 1)
    assert (types["a"].low, types["a"].high, types["a"].step) == (-12, 12, 2)
    assert (types["d"].low, types["d"].high, types["d"].step) == (-12, 12, 2)


def test_products_of_62_bits_are_exact_and_more_are_refused() -> None:
    most = (LIMIT - 1) // 6
    assert (trace(Scale("y", "sums", ints(most), ints(0), 0, -9, 9))["y"] == 9 * np.sign(VALUES)).all()
    assert (trace(Scale("y", "sums", ints(most), ints(0), 60))["y"] == (VALUES.astype(object) * most >> 60)).all()
    for factor, offset in [(most + 1, 0), (most, 10), (-most, 10), (1, LIMIT - 6), (LIMIT - 1, -LIMIT + 1)]:
        with pytest.raises(NetworkError, match="'y'.*exceed 62 bits"):
            _types([Scale("y", "sums", ints(factor), ints(offset), 0)])


def codes(bits: int, name: str = "q", source: str = "sums") -> Quantize:
    return Quantize(name, source, ints(1), ints(0), 0, bits)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (lambda: [codes(2), Scale("y", "q", ints(1), ints(0), 0)], "'y': must read sums, but 'q' gives codes"),
        (
            lambda: [Scale("y", "sums", ints(1, 2), ints(0, 0), 0)],
            "'y': multipliers for 2 channels, but its input 'sums' has 3",
        ),
        (lambda: [codes(2), Add("a", ("sums", "q"))], "'a': must read sums, but 'q' gives codes"),
        (lambda: [PadChannels("p", "sums", 1, 0), Add("a", ("sums", "p"))], "'p' has shape (4,) and 'sums' (3,)"),
        (lambda: [codes(2), Concat("c", ("sums", "q"))], "'q' gives codes of shape (3,) and 'sums' sums"),
        (lambda: [codes(2), codes(3, "r"), Concat("c", ("q", "r"))], "'r' gives codes 0 to 7 and 'q' 0 to 3"),
        (lambda: [codes(2), PadChannels("p", "q", 1, 0)], "'p': must read sums"),
        (lambda: [PadChannels("p", "sums", 1 << 24, 0)], "more than 16777216 elements"),
        (lambda: [Concat("c", ("sums",) * 1025)], "sources must be the names of 2 to 1024 nodes"),
        (lambda: [Concat("c", ("sums",))], "sources must be the names of 2 to 1024 nodes"),
        (lambda: [Concat("c", "sums")], "sources must be the names"),
        (lambda: [Add("a", ("sums", 3))], "a source must be non-empty text, not 3"),
        (lambda: [Scale("y", "sums", ints(1), ints(0), 0, 1)], "low and high must be None or integers"),
        (lambda: [Scale("y", "sums", ints(1), ints(0), -1)], "shift must be an integer from 0 to 62, not -1"),
        (lambda: [Scale("y", "sums", np.ones(3), ints(0, 0, 0), 0)], "multiplier must be int64, not float64"),
        (lambda: [Scale("y", "sums", ints(1), ints(0), 0, fraction=63)], "fraction"),
    ],
)
def test_refuses(nodes, words) -> None:
    with pytest.raises(NetworkError) as caught:
        _types(nodes())
    assert words in str(caught.value)
