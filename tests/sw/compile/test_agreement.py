"""The trained model, run by PyTorch, beside the golden model: differing codes are found, and explained by rounding."""

import numpy as np
import pytest

from signfold.sw.compile import compile_network, compile_run
from signfold.sw.compile.agreement import compare_classes, compare_codes
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.float32 import evaluate_formula, round_codes
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.rounding import FloatTrace

torch_front = pytest.importorskip(
    "signfold.sw.compile.torch_front", reason="the trained model runs on PyTorch: signfold[train]", exc_type=ImportError
)
F = np.float32


def frames(seed, count=40):
    return np.random.default_rng(seed).integers(0, 32, (count, 1, 8, 8)).astype(np.uint8)


def both(run, folder):
    """Return float network, compiled network and PyTorch model of a run."""
    stored = read_model(run.write(folder))
    trained = import_model(stored)
    return trained, compile_network(trained), torch_front.TorchModel(stored)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_codes_and_classes_but_for_rounding(seed, make_image_run, tmp_path) -> None:
    run = make_image_run(np.random.default_rng(seed), head=["scale", "batchnorm"][seed % 2])
    trained, network, model = both(run, tmp_path / "run")
    pictures = frames(seed)
    entries = compare_codes(trained, network, model, pictures)
    assert [entry["layer"] for entry in entries] == ["norm0", "norm1", "norm2"]
    assert [entry["codes"] for entry in entries] == [40 * 6 * 16, 40 * 6 * 4, 40 * 8 * 4]
    for entry in entries:
        assert entry["explained"] == entry["differing"] <= entry["codes"] // 500 and entry["sum_error"] < 1
    classes = compare_classes(trained, network, model, pictures, network.evaluate(pictures).classes)
    assert classes["frames"] == 40 and classes["explained"] == classes["differing"] <= 2


def near_ties(run, trained: FloatNetwork, network, pictures) -> None:
    """Move every beta of norm0 so that the real threshold lies within float32 rounding of a sum that occurs."""
    sums = network.trace(pictures)[network.node("norm0").input]
    names = [f"model.norm0.{name}" for name in ("weight", "running_mean", "running_var")]
    gamma, mean, variance = (run.tensors[name].astype(float) for name in names)
    for channel in range(len(gamma)):
        value = np.median(sums[:, channel]) / 31
        slope = gamma[channel] / np.sqrt(variance[channel] + float(F(1e-5)))
        run.tensors["model.norm0.bias"][channel] = F(-slope * (value - mean[channel]))


def test_codes_at_ties_are_explained(make_image_run, tmp_path) -> None:
    """A real threshold within rounding of sums that occur: some codes differ, all of them are explained."""
    differing = 0
    for seed in range(8):
        run = make_image_run(np.random.default_rng(seed))
        pictures = frames(seed)
        trained, network, _ = both(run, tmp_path / "first")
        near_ties(run, trained, network, pictures)
        trained, network, model = both(run, tmp_path / "run")
        entry, *others = compare_codes(trained, network, model, pictures)
        differing += entry["differing"]
        assert entry["explained"] == entry["differing"]
        assert all(listed["ratio"] <= 1 for listed in entry["first_differing"])
        # The layers after it read the golden codes: what differed before does not spread.
        assert all(other["explained"] == other["differing"] < 5 for other in others)
        classes = compare_classes(trained, network, model, pictures, network.evaluate(pictures).classes)
        assert classes["explained"] == classes["differing"]
        for listed in classes["first_differing"]:
            assert listed["float"] != listed["integer"]
    assert differing > 20


def test_signed_codes_of_tiny_results_are_explained(make_image_run, tmp_path) -> None:
    """float32 knows no 1 - 1e-12: the framework takes a half where the exact result lies below."""
    run = make_image_run(np.random.default_rng(0))
    run.tensors["model.norm2.weight"][:] = 1e-12
    run.tensors["model.norm2.bias"][:] = 0
    trained, network, model = both(run, tmp_path / "run")
    entry = compare_codes(trained, network, model, frames(2))[-1]
    assert entry["explained"] == entry["differing"] > 100


@pytest.mark.parametrize("name", ["norm0", "norm1", "norm2"])
def test_another_network_is_not_explained(name, make_image_run, tmp_path) -> None:
    run = make_image_run(np.random.default_rng(1))
    _, _, model = both(run, tmp_path / "trained")
    run.tensors[f"model.{name}.bias"] += F(0.2)
    trained, network, _ = both(run, tmp_path / "other")
    entries = {entry["layer"]: entry for entry in compare_codes(trained, network, model, frames(3))}
    assert entries[name]["explained"] < entries[name]["differing"]
    for other in entries.keys() - {name}:
        assert entries[other]["explained"] == entries[other]["differing"]


def test_another_class_is_not_explained(make_image_run, tmp_path) -> None:
    run = make_image_run(np.random.default_rng(1))
    _, _, model = both(run, tmp_path / "trained")
    run.tensors["model.dense0.codes"] = run.tensors["model.dense0.codes"][::-1].copy()
    trained, network, _ = both(run, tmp_path / "other")
    pictures = frames(3)
    classes = compare_classes(trained, network, model, pictures, network.evaluate(pictures).classes)
    assert classes["explained"] < classes["differing"] and not classes["first_differing"][0]["explained"]
    assert len(classes["first_differing"]) == min(20, classes["differing"])


def test_wrong_sums_are_not_explained(make_image_run, tmp_path) -> None:
    """A float sum beyond the bound of float32 is an error, however near to a step its result may be."""
    trained, network, model = both(make_image_run(np.random.default_rng(1)), tmp_path / "run")

    class Wrong:
        def trace(self, pictures, forced=None):
            found = model.trace(pictures, forced)
            sums = {name: value + F(0.01) for name, value in found.sums.items()}
            codes = {}
            for _, norm in trained.hidden:
                flat = np.moveaxis(sums[norm.name], 1, -1)
                values = evaluate_formula(norm, flat.reshape(-1, norm.channels)).reshape(flat.shape)
                codes[norm.name] = np.moveaxis(round_codes(norm.activation, values), -1, 1).astype(np.int64)
            return FloatTrace(found.scores, sums, codes)

    for entry in compare_codes(trained, network, Wrong(), frames(5)):
        assert entry["sum_error"] > 1 and (entry["explained"] == 0 < entry["differing"] or entry["differing"] == 0)


def test_a_run_is_compared_whole(make_image_run, tmp_path) -> None:
    pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")
    folder = make_image_run(np.random.default_rng(6)).write(tmp_path / "run")
    compared = compile_run(folder, sample=30).report["float_model"]
    assert compared["sample"] == 30 and compared["classes"]["frames"] == 176
    assert [entry["codes"] for entry in compared["codes"]] == [30 * 96, 30 * 24, 30 * 32]
    assert "float_model" not in compile_run(folder, sample=0).report
