"""Penalties by hand, shares of weights that change, and options of what is added to a loss."""

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.data import load  # noqa: E402
from signfold.sw.train.choices import Penalty, Progressive, Teacher  # noqa: E402
from signfold.sw.train.flips import flip_ratio, weight_codes  # noqa: E402
from signfold.sw.train.loop import train  # noqa: E402
from signfold.sw.train.models import BinaryNet  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.penalties import penalty  # noqa: E402
from signfold.sw.train.twin import twin  # noqa: E402


def network(**weights: object) -> BinaryNet:
    layers = [
        {"kind": "input_threshold", "thresholds": [8]},
        {"kind": "dense", "name": "a", "in": 2, "out": 1, "weights": weights},
        {"kind": "batchnorm_sign", "name": "b", "eps": 1e-5},
        {"kind": "dense", "name": "c", "in": 1, "out": 2, "weights": {"levels": 0, "method": "real"}},
        {"kind": "scale", "name": "d"},
    ]
    model = BinaryNet(layers, torch.Generator().manual_seed(1))
    model.get_submodule("a").weight.data = torch.tensor([[0.5, -0.25]])
    return model


def test_penalties_draw_latents_to_the_scale_by_hand() -> None:
    model = network()
    value = penalty(model, Penalty("manhattan", 2.0))
    assert value.item() == 2 * (0.5 + 0.75)
    value.backward()
    assert model.get_submodule("a").weight.grad.tolist() == [[-2.0, 2.0]]
    assert model.get_submodule("c").weight.grad is None
    assert penalty(model, Penalty("euclidean", 2.0)).item() == 2 * (0.25 + 0.5625)
    assert penalty(model, Penalty(scales=3.0)).item() == 0


def test_penalties_of_trained_scales_by_hand() -> None:
    model = network(levels=2, method="sign", scale="trained")
    scale = model.get_submodule("a").scale
    scale.data.fill_(0.375)
    value = penalty(model, Penalty("manhattan", 1.0, scales=2.0))
    assert value.item() == 0.125 + 0.125 + 2 * 0.140625
    value.backward()
    # |0.375 - 0.5| falls with a larger scale, |0.375 - 0.25| grows.
    assert scale.grad.tolist() == [-1.0 + 1.0 + 2 * 2 * 0.375]


def test_flips_are_the_share_of_changed_codes() -> None:
    model = network()
    before = weight_codes(model)
    assert {name: codes.tolist() for name, codes in before.items()} == {"a": [[1, 0]]}
    model.get_submodule("a").weight.data = torch.tensor([[-0.0, 0.125]])
    assert flip_ratio(before, weight_codes(model)) == 0.5
    assert flip_ratio({}, {}) == 0.0


def options(**changes: object) -> TrainingOptions:
    return TrainingOptions("digits", "12", epochs=3, batch=211, lr=0.02, **changes)


def test_a_first_epoch_flips_more_than_a_last_one(tmp_path) -> None:
    run = train(options(), load("digits"), tmp_path / "run")
    ratios = [entry["flip_ratio"] for entry in run.history]
    assert all(0 < ratio < 0.5 for ratio in ratios) and ratios[0] > ratios[-1]
    count = sum(codes.numel() for codes in weight_codes(run.model).values())
    assert all(round(ratio * count) == pytest.approx(ratio * count) for ratio in ratios)


def test_a_twin_is_trained_first_and_teaches(tmp_path) -> None:
    chosen = options(teacher=Teacher("twin", 0.5, 2.0), penalty=Penalty("euclidean", 1e-4), weights="2")
    real = twin(chosen)
    assert (real.weights, real.activation, real.teacher, real.penalty) == ("real", "relu", None, Penalty())
    taught = train(chosen, load("digits"), tmp_path / "run")
    assert (tmp_path / "run" / "teacher" / "best.safetensors").exists()
    plain = train(options(weights="2"), load("digits"), tmp_path / "plain")
    assert taught.history[0]["loss"] != plain.history[0]["loss"]
    resumed = train(chosen, load("digits"), tmp_path / "run", resume=True)
    assert resumed.history == taught.history
    other = options(teacher=Teacher(str(tmp_path / "run" / "teacher"), 0.5, 2.0), weights="2")
    again = train(other, load("digits"), tmp_path / "again")
    without = options(teacher=Teacher("twin", 0.5, 2.0), weights="2")
    assert [entry["loss"] for entry in again.history] == [
        entry["loss"] for entry in train(without, load("digits"), tmp_path / "third").history
    ]


def test_progressive_runs_compute_with_real_numbers_first(tmp_path) -> None:
    run = train(options(progressive=Progressive(weights=0.5, activations=0.5)), load("digits"), tmp_path / "run")
    plain = train(options(), load("digits"), tmp_path / "plain")
    assert run.history[0]["loss"] != plain.history[0]["loss"]
    # Evaluation is of the network that would be deployed, in every stage.
    assert all(0 < entry["validation_accuracy"] <= 1 for entry in run.history)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Penalty, {"name": "chebyshev"}, "penalty.name"),
        (Penalty, {"name": "manhattan"}, "penalty.strength"),
        (Penalty, {"scales": -1.0}, "penalty.scales"),
        (Teacher, {"run": ""}, "teacher.run"),
        (Teacher, {"run": "twin", "weight": 0.0}, "teacher.weight"),
        (Teacher, {"run": "twin", "temperature": 0.0}, "teacher.temperature"),
        (Progressive, {"weights": 1.0}, "progressive.weights"),
        (Progressive, {"form": "clip"}, "progressive.form"),
    ],
)
def test_groups_name_what_is_not_allowed(kind: type, values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)
