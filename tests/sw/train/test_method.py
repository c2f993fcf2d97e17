"""What may be chosen of a method, and how it is written down."""

import pytest

from signfold.sw.train.method import Method


def test_only_what_differs_is_written_and_read_back() -> None:
    assert Method().to_json() == {}
    method = Method(
        weight_estimator={"name": "ede", "t_min": 1},
        clip=None,
        quantized_backprop=True,
        exponents=[-4, 3],
        layers={"conv0": {"clip": 0.5}},
    )
    assert method.to_json() == {
        "weight_estimator": {"name": "ede", "t_min": 1.0, "t_max": 10.0, "t_clip": None, "draw": None},
        "clip": None,
        "quantized_backprop": True,
        "exponents": [-4, 3],
        "layers": {"conv0": {"clip": 0.5}},
    }
    assert Method.from_json(method.to_json()) == method


def test_a_layer_may_differ() -> None:
    method = Method(gradient_bits=4, layers={"dense0": {"gradient_bits": None, "clip": "glorot"}})
    assert method.of("dense0") == Method(clip="glorot")
    assert method.of("dense1") == Method(gradient_bits=4)
    assert Method().of("x") == Method()


@pytest.mark.parametrize(
    "values",
    [
        {"clip": 0},
        {"clip": "wide"},
        {"clip": True},
        {"initial": "zero"},
        {"weight_gradient": "exact"},
        {"weights_as": "sign"},
        {"activations_as": "relu"},
        {"sparsity": 1.0},
        {"gradient_bits": 0},
        {"exponents": [3, -4]},
        {"exponents": [0]},
        {"centre": 1},
        {"weight_estimator": "clipped"},
        {"weight_estimator": {"name": "clip"}},
        {"weight_estimator": {"name": "identity", "t_clip": 1.0}},
        {"weight_estimator": {"name": "clipped", "t_clip": -1.0}},
        {"weight_estimator": {"name": "clipped", "inclusive": 1}},
        {"weight_estimator": {"name": "approx", "t_clip": 1.5}},
        {"weight_estimator": {"name": "ede", "t_min": 20}},
        {"activation_estimator": {"name": "identity", "draw": "coin"}},
        {"layers": {"dense0": {"layers": {}}}},
        {"layers": {"dense0": {"clip": -1}}},
        {"layers": {"dense0": 1}},
    ],
)
def test_what_is_not_allowed_is_named(values: dict) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Method(**values)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="'speed'"):
        Method.from_json({"speed": 1})
