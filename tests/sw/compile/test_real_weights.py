"""Real weights rounded to a few bits: as near as they can be, exact from there on, and the cost measured."""

import json

import numpy as np
import pytest

from signfold.sw.compile import compile_run
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.real_weights import round_real_weights
from signfold.sw.errors import CheckpointError, CompileError

REAL = {"levels": 0, "method": "real"}


def real_run(make_image_run, seed=3):
    rng = np.random.default_rng(seed)
    run = make_image_run(rng)
    for name, shape in (("conv0", (6, 1, 3, 3)), ("dense0", (10, 8))):
        run.layer(name)["weights"] = dict(REAL)
        run.tensors[f"model.{name}.weight"] = rng.normal(size=shape).astype(np.float32)
    del run.tensors["model.dense0.codes"]
    run.tensors["model.conv0.weight"][2] = 0
    return run


@pytest.mark.parametrize("bits", [2, 5, 8, 9, 16])
def test_weights_move_to_the_nearest_code(make_image_run, tmp_path, bits) -> None:
    model = read_model(real_run(make_image_run).write(tmp_path / "run"))
    rounded, layers = round_real_weights(model, bits)
    assert [entry["layer"] for entry in layers] == ["conv0", "dense0"]
    network = import_model(rounded)
    top = (1 << bits) - 1
    for layer in (network.layers[1], network.body[-1]):
        across = layer.scale.astype(np.float64).reshape(-1, *(1,) * (layer.weights.ndim - 1))
        values = layer.integers / top * across
        # No code is nearer.
        assert (abs(values - layer.weights) <= across / top * (1 + 1e-12)).all()
        assert (abs(layer.weights).reshape(len(layer.weights), -1).max(axis=1) == layer.scale).all()
    assert network.layers[1].scale[2] == 0
    assert all(0 < entry["error"] <= 1 / top + 1e-12 for entry in layers)
    # The trained model is as it was, and a model without real weights is left alone.
    assert model.description["layers"][1]["weights"] == REAL and round_real_weights(rounded, bits) == (rounded, [])


def test_compiled_with_its_cost(make_image_run, tmp_path) -> None:
    pytest.importorskip("torch", reason="runs the trained model")
    pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")
    folder = real_run(make_image_run).write(tmp_path / "run")
    with pytest.raises(
        CompileError, match=r"'conv0': real weights .*; or rounding them now \(compile --real-weights 8"
    ):
        compile_run(folder)
    compilations = {bits: compile_run(folder, real_weights=bits, sample=20) for bits in (2, 8, 16)}
    for bits, compilation in compilations.items():
        assert compilation.network.metadata["real_weights"] == bits
        # Against the rounded model nothing differs but by float32 rounding.
        compared = compilation.report["float_model"]
        for entry in (compared["classes"], *compared["codes"]):
            assert entry["explained"] == entry["differing"]
    costs = {bits: compilation.report["rounded"] for bits, compilation in compilations.items()}
    assert costs[8]["frames"] == 176 and costs[8]["differing"] < costs[2]["differing"]
    assert costs[16]["differing"] <= costs[8]["differing"]
    plain = compile_run(make_image_run(np.random.default_rng(3)).write(tmp_path / "plain"), real_weights=4)
    assert "rounded" not in plain.report and "real_weights" not in plain.network.metadata


def test_command(make_image_run, tmp_path, monkeypatch, capsys) -> None:
    from signfold.sw.cli.app import main

    folder = real_run(make_image_run).write(tmp_path / "run")

    def signfold(*arguments):
        monkeypatch.setattr("sys.argv", ["signfold", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        assert exit.value.code == 0
        return capsys.readouterr().out

    compiled = ("compile", folder, "-o", tmp_path / "net", "--real-weights", 6, "--sample", 0)
    assert [entry["bits"] for entry in json.loads(signfold(*compiled, "--json"))["rounded"]["layers"]] == [6, 6]
    assert "'conv0'              real weights rounded to 6 bits, by up to 1." in signfold(*compiled)
    pytest.importorskip("torch", reason="runs the trained model")
    evaluated = signfold("evaluate", tmp_path / "net", "--split", "validation", "--float", folder, "--json")
    compared = json.loads(evaluated)["float"]
    assert "explained" not in compared and 0 < compared["differing"] < 176


def test_refusals(make_image_run, tmp_path) -> None:
    run = real_run(make_image_run)
    model = read_model(run.write(tmp_path / "run"))
    for bits in (1, 17):
        with pytest.raises(ValueError, match="bits must be from 2 to 16"):
            round_real_weights(model, bits)
    run.tensors["model.conv0.weight"][0, 0, 0, 0] = np.nan
    model = read_model(run.write(tmp_path / "nan"))
    with pytest.raises(CompileError, match="'conv0': real weights"):
        import_model(round_real_weights(model, 8)[0])
    del run.tensors["model.conv0.weight"]
    model = read_model(run.write(tmp_path / "missing"))
    with pytest.raises((CheckpointError, CompileError), match="'conv0'"):
        import_model(round_real_weights(model, 8)[0])
