"""The fold equals the real-number definition at every attainable sum, ties and edge cases included."""

import numpy as np
import pytest

from signfold.sw.compile import compile_network
from signfold.sw.compile.activation import SIGN
from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float_layers import PixelThresholds
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import fold_body, fold_norm
from signfold.sw.compile.linear_layers import FloatDense
from signfold.sw.compile.meaning import Meaning
from signfold.sw.errors import CompileError
from signfold.sw.network import InputType, Network, ValueType

F = np.float32


def check_channel(exact, gamma, beta, mean, variance, eps, fan_in) -> tuple[bool, int]:
    """Fold one channel and compare all of its sums."""
    columns = (np.array([x], F) for x in (gamma, beta, mean, variance))
    sums = ValueType("sum", (1,), -fan_in, fan_in, 2)
    flips, thresholds = fold_norm(BatchNorm("norm", *columns, float(eps), SIGN), Meaning(), sums)
    flip, threshold = bool(flips[0]), int(thresholds[0, 0])
    assert -fan_in <= threshold <= fan_in + 2 and (threshold - fan_in) % 2 == 0
    assert flip == (gamma < 0)
    sums = range(-fan_in, fan_in + 1, 2)
    for s, sign in zip(sums, exact(F(gamma), F(beta), F(mean), F(variance), eps, sums), strict=True):
        assert ((-s if flip else s) >= threshold) == (sign >= 0), (gamma, beta, mean, variance, eps, fan_in, s)
    return flip, threshold


def random_channel(rng, fan_in) -> tuple:
    """Return parameters of any kind: as trained, tiny, huge, zero, subnormal, or with a tie at an attainable sum."""
    kind = int(rng.integers(6))
    tie = int(rng.choice(np.arange(-fan_in, fan_in + 1, 2)))
    sign = float(rng.choice([-1, 1]))
    if kind == 0:  # as training leaves them
        return sign * rng.gamma(2), rng.normal(), rng.normal(0, fan_in**0.5), fan_in * rng.uniform(0.01, 2), 1e-5
    if kind == 1:  # any magnitude
        gamma, beta, mean = (sign * 10.0 ** rng.uniform(-44, 37) * rng.choice([-1, 1]) for _ in range(3))
        return gamma, beta, mean, 10.0 ** rng.uniform(-44, 37), 10.0 ** rng.uniform(-30, 0)
    if kind == 2:  # constant channels and zeros of both signs
        return rng.choice([0.0, -0.0]), rng.choice([-1.0, -0.0, 0.0, 1.0, 1e-45, -1e-45]), tie, 1.0, 1e-5
    if kind == 3:  # zero at an attainable sum: beta = 0
        return sign * rng.gamma(2), rng.choice([0.0, -0.0]), tie, rng.uniform(0, 9), 1e-5
    # gamma*(tie - mean) = -beta*deviation exactly, all of them short binary fractions
    deviation, gamma = 2.0 ** int(rng.integers(-3, 4)), sign * float(rng.integers(1, 64)) / 8
    mean = tie - float(rng.integers(-64, 65)) / 4
    beta = -gamma * (tie - mean) / deviation
    if kind == 5:  # and the closest float32 beside the tie
        beta = np.nextafter(F(beta), F(rng.choice([-np.inf, np.inf])))
    return gamma, beta, mean, deviation**2 - 0.0078125, 0.0078125


def run_channels(exact, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    print("seed", seed)
    always = never = flipped = 0
    for _ in range(count):
        fan_in = int(rng.choice([1, 2, 3, 8, 17, 32]))
        flip, threshold = check_channel(exact, *random_channel(rng, fan_in), fan_in)
        flipped += flip
        always += threshold == -fan_in
        never += threshold == fan_in + 2
    assert min(flipped, always, never) > count // 30


@pytest.mark.parametrize("seed", range(4))
def test_every_sum_of_random_channels(seed, exact) -> None:
    run_channels(exact, seed, 4000)


@pytest.mark.sweep
def test_every_sum_of_many_random_channels(exact) -> None:
    run_channels(exact, int(np.random.SeedSequence().entropy % (1 << 32)), 200_000)


@pytest.mark.parametrize(
    ("gamma", "beta", "mean", "flip", "threshold"),
    [
        (1, 0, 0, False, 0),  # y = s: the tie s = 0 gives 1
        (-1, 0, 0, True, 0),  # y = -s: likewise
        (1, 0, 2, False, 2),
        (-1, 0, 2, True, -2),  # 1 where s <= 2, after the flip where s >= -2
        (1, 0, 1, False, 2),  # 1 is no sum of 4 products: the next is 2
        (-1, 0, 1, True, 0),
        (1, 4, 0, False, -4),
        (1, 3, 0, False, -2),
        (1, 100, 0, False, -4),
        (1, -100, 0, False, 6),
        (-1, 100, 0, True, -4),
        (-1, -100, 0, True, 6),
        (0, 0, 7, False, -4),
        (-0.0, -0.0, 7, False, -4),
        (0, 1, 7, False, -4),
        (0, -1, 7, False, 6),
        (1, 0, 4, False, 4),
        (1, 0, np.nextafter(F(4), F(5)), False, 6),
        (1, 0, np.nextafter(F(4), F(3)), False, 4),
    ],
)
def test_by_hand(gamma, beta, mean, flip, threshold, exact) -> None:
    """Fan-in 4, variance + eps = 1."""
    assert check_channel(exact, gamma, beta, mean, 0.75, 0.25, 4) == (flip, threshold)


def test_subnormal_parameters(exact) -> None:
    least = 2.0**-149
    assert check_channel(exact, least, 0, 0, 0, least, 2) == (False, 0)
    assert check_channel(exact, -least, -least, 1, least, 0, 3)[0]
    assert check_channel(exact, 3e38, -3e38, 3e38, 3e38, 3e38, 5) == (False, 7)


def norm(**changes) -> BatchNorm:
    values = {name: np.array([1, 2, 3], F) for name in ("gamma", "beta", "mean", "variance")}
    return BatchNorm(**{"name": "norm\n0", **values, "eps": 1e-5, "activation": SIGN, **changes})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("parameter", ["gamma", "beta", "mean", "variance"])
def test_refuses_what_is_not_finite(parameter, bad) -> None:
    with pytest.raises(CompileError) as caught:
        norm(**{parameter: np.array([1, bad, 2], F)})
    assert f"'norm\\n0': {parameter}[1] is {bad}" in str(caught.value)


@pytest.mark.parametrize(("variance", "eps"), [(-1e-20, 1.0), (0.0, 0.0), (0.0, 1e-60), (1.0, -1.0), (1.0, -2.0)])
def test_refuses_impossible_variances(variance, eps) -> None:
    with pytest.raises(CompileError, match=r"variance\[1\]"):
        norm(variance=np.array([4, variance, 4], F), eps=eps)


@pytest.mark.parametrize("eps", [np.nan, np.inf, 1e39])
def test_refuses_impossible_eps(eps) -> None:
    with pytest.raises(CompileError, match="eps"):
        norm(eps=eps)


def test_eps_is_the_float32_number(exact) -> None:
    """At a tie with the double 0.1 (v = 1.1 in neither), the threshold is that of float32(0.1)."""
    assert norm(eps=0.1).eps == float(F(0.1)) != 0.1


def float_network(rng, widths, thresholds=(128,)) -> FloatNetwork:
    layers = [PixelThresholds("pixels", np.array(thresholds, np.int64))]
    for index, (fan_in, channels) in enumerate(zip(widths[:-2], widths[1:-1], strict=True)):
        layers.append(FloatDense(f"dense{index}", rng.normal(size=(channels, fan_in))))
        parameters = (rng.normal(size=channels) for _ in range(3))
        layers.append(BatchNorm(f"norm{index}", *parameters, rng.uniform(0, fan_in, channels), 1e-5, SIGN))
    layers.append(FloatDense("last", rng.normal(size=(widths[-1], widths[-2]))))
    return FloatNetwork(InputType((widths[0],), 8), tuple(layers))


@pytest.mark.parametrize("seed", range(5))
def test_whole_network_equals_real_arithmetic(seed, exact) -> None:
    """Every bit of every layer, from pixels to sums, with float weights +-1 and the independent predicate."""
    rng = np.random.default_rng(seed)
    trained = float_network(rng, [9, 7, 6, 3], rng.integers(-5, 300, 9))
    network = Network(trained.input, fold_body(trained).nodes, "last")
    frames = rng.integers(0, 256, (25, 9)).astype(np.uint8)
    trace = network.trace(frames)
    for frame in range(len(frames)):
        bipolar = np.where(frames[frame] >= trained.layers[0].thresholds, 1, -1)
        assert ((trace["pixels"][frame] == 1) == (bipolar == 1)).all()
        for dense, batchnorm in trained.hidden:
            sums = (np.where(dense.weights >= 0, 1, -1) @ bipolar).tolist()
            bipolar = np.array(
                [
                    1 if exact(*(p[c] for p in parameters(batchnorm)), batchnorm.eps, [s])[0] >= 0 else -1
                    for c, s in enumerate(sums)
                ]
            )
            assert ((trace[batchnorm.name][frame] == 1) == (bipolar == 1)).all()
        assert (trace["last"][frame] == np.where(trained.layers[-1].weights >= 0, 1, -1) @ bipolar).all()


def parameters(batchnorm) -> tuple[np.ndarray, ...]:
    return batchnorm.gamma, batchnorm.beta, batchnorm.mean, batchnorm.variance


def test_zero_weights_are_plus_one() -> None:
    dense = FloatDense("dense", np.array([[0.0, -0.0, 1e-45, -1e-45]]))
    assert dense.codes.tolist() == [[1, 1, 1, 0]]


def test_refuses_weights_that_are_not_finite() -> None:
    with pytest.raises(CompileError, match=r"'dense': weight\[0, 1\] is nan"):
        FloatDense("dense", np.array([[1.0, np.nan]]))


def test_pixel_thresholds_become_canonical() -> None:
    trained = float_network(np.random.default_rng(0), [4, 2], [-7, 0, 256, 70000])
    assert compile_network(trained).nodes[0].thresholds[:, 0].tolist() == [0, 0, 256, 256]
