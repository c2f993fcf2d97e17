"""The report lists exactly the channels whose float32 evaluation gives another bit somewhere."""

import numpy as np
import pytest

from signfold.sw.compile import compile_network, report
from signfold.sw.compile.activation import SIGN, rounding
from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.float32 import choose_evaluator, evaluate_formula
from signfold.sw.compile.float_layers import PixelThresholds
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import FloatDense
from signfold.sw.compile.report import layer_report
from signfold.sw.network import InputType

F = np.float32
FAN_IN, CHANNELS = 24, 300


def chain(pixels: int, *layers) -> FloatNetwork:
    """Return a network of one-bit pixels."""
    return FloatNetwork(InputType((pixels,), 1), (PixelThresholds("pixels", np.array([1])), *layers))


def near_ties(seed: int) -> FloatNetwork:
    """Return a layer whose real thresholds lie within float32 rounding of attainable sums."""
    rng = np.random.default_rng(seed)
    gamma, mean = rng.normal(size=CHANNELS).astype(F), rng.normal(0, 5, CHANNELS).astype(F)
    variance = rng.uniform(1, 24, CHANNELS).astype(F)
    tie = rng.choice(np.arange(-FAN_IN, FAN_IN + 1, 2), CHANNELS)
    beta = (-gamma.astype(float) * (tie - mean.astype(float)) / np.sqrt(variance.astype(float) + 1e-5)).astype(F)
    norm = BatchNorm("norm", gamma, beta, mean, variance, eps=1e-5, activation=SIGN)
    dense = FloatDense("dense", rng.normal(size=(CHANNELS, FAN_IN)))
    last = FloatDense("last", rng.normal(size=(2, CHANNELS)))
    return chain(FAN_IN, dense, norm, last)


@pytest.mark.parametrize("name", ["formula", "torch"])
def test_lists_exactly_the_differing_channels(name, exact) -> None:
    if name == "torch":
        pytest.importorskip("torch", reason="the framework's own kernel needs signfold[train]")
        evaluator, evaluate = choose_evaluator()
        assert evaluator.startswith("torch ") and evaluate is not evaluate_formula
    else:
        evaluate = evaluate_formula
    trained = near_ties(1)
    (entry,) = layer_report(trained, compile_network(trained), evaluate)
    norm = trained.hidden[0][1]
    sums = list(range(-FAN_IN, FAN_IN + 1, 2))
    values = evaluate(norm, np.repeat(np.array(sums, F)[:, None], CHANNELS, axis=1))
    assert values.dtype == F and values.shape == (len(sums), CHANNELS)
    expected = {}
    for channel in range(CHANNELS):
        signs = exact(*(p[channel] for p in (norm.gamma, norm.beta, norm.mean, norm.variance)), norm.eps, sums)
        wrong = [s for s, sign, y in zip(sums, signs, values[:, channel], strict=True) if (sign >= 0) != (y >= 0)]
        if wrong:
            expected[channel] = wrong
    listed = {row["channel"]: row for row in entry["differing"]}
    assert listed.keys() == expected.keys() and len(expected) > CHANNELS // 20
    for channel, wrong in expected.items():
        row = listed[channel]
        assert (row["sum"], row["sums"]) == (wrong[0], len(wrong))
        assert row["value"] == float(values[sums.index(wrong[0]), channel])
        assert 0 <= row["margin"] < 2
    assert (entry["channels"], entry["fan_in"]) == (CHANNELS, FAN_IN)
    assert entry["flipped"] == int((norm.gamma < 0).sum())


def test_wide_layers_are_looked_at_near_thresholds(monkeypatch) -> None:
    """The same channels, of two-bit codes and both signs of gamma, from a share of the sums."""
    rng = np.random.default_rng(5)
    first, norm = near_ties(1).hidden[0]
    quantized = BatchNorm(
        "norm", norm.gamma, norm.beta + F(0.5), norm.mean, norm.variance, norm.eps, rounding("norm", 2, False)
    )
    last = FloatDense("last", rng.normal(size=(2, CHANNELS)))
    for trained in (near_ties(1), chain(FAN_IN, first, quantized, last)):
        network = compile_network(trained)
        monkeypatch.setattr(report, "_ALL", 1 << 24)
        (whole,) = layer_report(trained, network, evaluate_formula)
        monkeypatch.setattr(report, "_ALL", 0)
        monkeypatch.setattr(report, "_NEAR", 2)
        (near,) = layer_report(trained, network, evaluate_formula)
        assert (whole.pop("all_sums"), near.pop("all_sums")) == (True, False)
        assert near == whole and len(whole["differing"]) > CHANNELS // 20


def test_lists_nothing_far_from_ties() -> None:
    trained = near_ties(2)
    dense, norm = trained.hidden[0]
    # Halfway between two sums: no rounding of float32 reaches the next.
    tie = np.clip(np.round(norm.mean / 2) * 2 + 1, -23, 23)
    calm = BatchNorm("norm", norm.gamma, norm.beta * 0, tie, norm.variance, eps=1e-5, activation=SIGN)
    trained = chain(FAN_IN, dense, calm, trained.layers[-1])
    (entry,) = layer_report(trained, compile_network(trained), evaluate_formula)
    assert entry["differing"] == [] and entry["smallest_margin"] > 1000


def test_overflow_in_float32_is_reported_not_raised() -> None:
    rng = np.random.default_rng(0)
    columns = [np.array(v, F) for v in ([3e38, 1.0], [-3e38, 0.0], [3e38, 0.0], [1e-38, 1.0])]
    norm = BatchNorm("norm", *columns, eps=0, activation=SIGN)
    dense, last = FloatDense("dense", rng.normal(size=(2, 4))), FloatDense("last", rng.normal(size=(2, 2)))
    trained = chain(4, dense, norm, last)
    (entry,) = layer_report(trained, compile_network(trained), evaluate_formula)
    assert all(row["value"] is None for row in entry["differing"])
    assert {row["channel"] for row in entry["differing"]} <= {0}


def test_statistics_of_a_layer() -> None:
    """Two constant channels, one that flips."""
    columns = [np.array(v, F) for v in ([0, 0, -1, 1], [1, -1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])]
    norm = BatchNorm("norm", *columns, eps=0, activation=SIGN)
    dense, last = FloatDense("dense", np.ones((4, 4))), FloatDense("last", np.ones((2, 4)))
    trained = chain(4, dense, norm, last)
    (entry,) = layer_report(trained, compile_network(trained), evaluate_formula)
    assert (entry["always"], entry["never"], entry["flipped"]) == (1, 1, 1)
    assert (entry["lowest"], entry["highest"], entry["thresholds"]) == (-4, 6, 4)
