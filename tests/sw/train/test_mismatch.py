"""Gradient mismatch: none where nothing is binarized behind a layer, some where it is, and the command."""

import json
import sys

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.cli.app import main  # noqa: E402
from signfold.sw.data import load  # noqa: E402
from signfold.sw.train.loop import train  # noqa: E402
from signfold.sw.train.mismatch import MismatchEstimator  # noqa: E402
from signfold.sw.train.mismatch_run import measure_run  # noqa: E402
from signfold.sw.train.models import BinaryNet  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    binary = TrainingOptions("digits", "12,10", epochs=6, batch=64, lr=0.02)
    train(binary, load("digits"), folder / "binary")
    real = TrainingOptions("digits", "12,10", epochs=2, batch=64, lr=0.002, weights="real", activation="relu")
    train(real, load("digits"), folder / "real")
    return folder


def test_nothing_but_binary_activations_behind_a_layer_makes_a_mismatch(runs) -> None:
    estimator = MismatchEstimator(coordinates=40, step=0.05)
    real = measure_run(runs / "real", estimator, 300, load)
    assert [layer.layer for layer in real] == ["dense0", "dense1", "dense2"]
    assert all(layer.cosine > 0.95 for layer in real)
    binary = measure_run(runs / "binary", MismatchEstimator(coordinates=40), 300, load)
    assert binary[2].cosine > 0.98 and binary[2].coordinates == 40 and binary[2].weights == 100
    assert all(abs(layer.cosine) < 0.95 for layer in binary[:2])
    assert binary == measure_run(runs / "binary", MismatchEstimator(coordinates=40), 300, load)


def test_difference_quotients_by_hand() -> None:
    draws = torch.Generator().manual_seed(1)
    layers = [
        {"kind": "input_codes", "name": "pixels", "mean": [0.0], "std": [1.0]},
        {"kind": "dense", "name": "first", "in": 2, "out": 1},
        {"kind": "sign", "name": "sign"},
        {"kind": "dense", "name": "last", "in": 1, "out": 1},
    ]
    model = BinaryNet(layers, draws)
    with torch.no_grad():
        model.first.weight.copy_(torch.tensor([[0.5, -0.5]]))
        model.last.weight.fill_(-0.5)
    frames = torch.tensor([[255, 51]], dtype=torch.uint8)  # 1 and 1/5
    first, last = MismatchEstimator(step=1.0).compute(
        model, draws, lambda scores: scores.square().sum() - scores.sum(), frames
    )
    # The sum is 4/5 at weights 1 and -1; h = 1. Weights 2 and 0 give 9/5 and -1/5: the bit turns, the loss is 2 and 0
    # and the quotient (2 - 0)/2. The other weight, 0 and -2, leaves the bit as it is. The gradient is 2s - 1 = -3 times
    # -1, times 1 and 1/5.
    assert (first.discrete, first.cosine) == (1.0, pytest.approx(3 / (3 * 1.04**0.5)))
    assert first.straight == pytest.approx(3 * 1.04**0.5)
    # The last weight v has the loss v*v - v, whose quotient is 2v - 1 for every h.
    assert (last.discrete, last.straight, last.cosine) == (3.0, 3.0, 1.0)


def test_the_smoothed_loss_agrees_behind_the_last_activation(runs) -> None:
    estimator = MismatchEstimator(coordinates=4, step=0.2, estimator="smoothed", samples=200)
    layers = measure_run(runs / "binary", estimator, 100, load)
    assert layers[-1].cosine > 0.9


def test_command_writes_a_table_and_a_plot(runs, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["mismatch", str(runs / "binary"), "--out", str(tmp_path / "out"), "--coordinates", "5", "--json"]
    monkeypatch.setattr(sys, "argv", ["signfold", *arguments, "--pictures", "100"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "mismatch.json").read_text())
    assert [layer["coordinates"] for layer in printed["runs"][str(runs / "binary")]] == [5, 5, 5]
    assert (tmp_path / "out" / "mismatch.svg").read_bytes().startswith(b"<?xml")
    monkeypatch.setattr(sys, "argv", ["signfold", "mismatch", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


@pytest.mark.parametrize("changes", [{"coordinates": 1}, {"step": 0.0}, {"estimator": "exact"}, {"samples": 0}])
def test_estimators_name_what_is_not_allowed(changes: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(changes))} is"):
        MismatchEstimator(**changes)
