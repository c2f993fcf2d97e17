"""`signfold compile`, `evaluate` and `info` as a user meets them, and the same bytes wherever they run."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from signfold.sw.compile import compile_run
from signfold.sw.errors import DataError
from signfold.sw.network import Dense, InputType, Network, Threshold

pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")


@pytest.fixture
def folder(make_run, tmp_path):
    return make_run(np.random.default_rng(6), [64, 24, 16, 10], head="batchnorm").write(tmp_path / "run")


def test_compiles_evaluates_and_shows(signfold, folder, tmp_path) -> None:
    code, out, err = signfold("compile", folder, "-o", "net", "--report", "report.json", "--json")
    assert code == 0, err
    result = json.loads(out)
    report = json.loads((tmp_path / "report.json").read_text())
    assert result == {"network": "net", **report}
    network = Network.load(tmp_path / "net")
    assert report["network"]["content_hash"] == network.content_hash
    assert network.metadata["name"] == "digits-64-24-16-10" and network.metadata["dataset"] == "digits"
    assert network.metadata["training"] == {"seed": 5}
    accuracy = network.metadata["accuracy"]
    assert accuracy["split"] == "validation" and accuracy["float"] == 0.5
    assert report["head"]["frames"] == accuracy["frames"] and report["head"]["agreement"] > 0.99

    code, out, _ = signfold("evaluate", "net", "--split", "validation", "--json")
    result = json.loads(out)
    assert code == 0 and (result["accuracy"], result["frames"]) == (accuracy["integer"], accuracy["frames"])
    assert sum(entry["correct"] for entry in result["classes"]) == result["correct"]
    code, out, _ = signfold("evaluate", "net", "--data", "digits", "--limit", "7", "--json")
    assert json.loads(out)["frames"] == 7 and json.loads(out)["split"] == "test"
    code, out, _ = signfold("evaluate", "net")
    assert code == 0 and "accuracy" in out and "digits, test split" in out

    code, out, _ = signfold("info", "net", "--json")
    summary = json.loads(out)
    assert code == 0 and summary["content_hash"] == network.content_hash
    assert summary["weights"] == 64 * 24 + 24 * 16 + 16 * 10 and summary["thresholds"] == 1 + 24 + 16
    assert [layer["op"] for layer in summary["layers"]] == ["threshold", "dense"] * 3 + ["affine"]
    code, out, _ = signfold("info", "net")
    assert code == 0 and network.content_hash in out and "norm1" in out


def test_compiles_and_evaluates_pictures(signfold, make_image_run, tmp_path) -> None:
    folder = make_image_run(np.random.default_rng(6)).write(tmp_path / "run")
    code, out, err = signfold("compile", folder, "-o", "net", "--sample", "20")
    assert code == 0, err
    for words in (
        "'conv2'              conv 3x3 6 -> 8, padding 1, 2-bit weights, zero pads (8x2x2)",
        "'pool0'              maxpool 2x2, stride 2 (6x4x4)",
        "'dense0'             dense 8 -> 10, ternary weights (10)",
        "sums and a constant a class",
    ):
        assert words in out, out
    network = Network.load(tmp_path / "net")
    assert network.metadata["name"] == "digits-1x8x8-6-6-8-10"
    code, out, _ = signfold("evaluate", "net", "--split", "validation", "--json")
    result = json.loads(out)
    assert code == 0 and result["accuracy"] == network.metadata["accuracy"]["integer"] and result["note"] is None
    assert [entry["name"] for entry in result["classes"]] == list(map(str, range(10)))
    code, out, err = signfold("compile", folder, "--sample", "-1")
    assert code == 2 and "sample" in err


def test_differing_frames_are_explained(signfold, make_image_run, tmp_path) -> None:
    """A threshold within float32 rounding of a sum that occurs, 1/31: the float model rounds to its other side."""
    pytest.importorskip("torch", reason="the float model needs signfold[train]")
    run = make_image_run(np.random.default_rng(6))
    run.tensors["model.norm0.bias"][:] = 0
    run.tensors["model.norm0.running_mean"][:] = 1 / 31
    signfold("compile", run.write(tmp_path / "run"), "-o", "net")
    code, out, _ = signfold("evaluate", "net", "--float", "run", "--json")
    compared = json.loads(out)["float"]
    assert code == 0 and compared.get("explained", 0) == compared["differing"] > 0
    code, out, _ = signfold("evaluate", "net", "--float", "run")
    assert f"{compared['differing']} of {compared['differing']} others explained by float32 rounding" in out


def test_default_place_and_last_epoch(signfold, folder) -> None:
    assert signfold("compile", folder)[0] == 0
    best = Network.load(folder / "network.safetensors")
    assert signfold("compile", folder, "--epoch", "last", "--name", "mine")[0] == 0
    last = Network.load(folder / "network.safetensors")
    assert best.content_hash == last.content_hash
    assert (best.metadata["checkpoint"]["epoch"], last.metadata["checkpoint"]["epoch"]) == ("best", "last")
    assert last.metadata["name"] == "mine"


def test_evaluate_compares_with_the_float_model(signfold, folder) -> None:
    pytest.importorskip("torch", reason="the float model needs signfold[train]")
    signfold("compile", folder, "-o", "net")
    code, out, err = signfold("evaluate", "net", "--float", folder, "--json")
    assert code == 0, err
    result = json.loads(out)
    compared = result["float"]
    assert (
        compared["differing"] <= 1
        and compared["agreement"] == (result["frames"] - compared["differing"]) / result["frames"]
    )
    assert abs(compared["accuracy"] - result["accuracy"]) <= compared["differing"] / result["frames"]
    # A network of another run differs, and the differing frames are named.
    network = Network.load("net")
    flipped = [
        Dense(node.name, node.input, 1 - node.weights) if node.name == "dense2" else node for node in network.nodes
    ]
    Network(network.input, tuple(flipped), network.output, dict(network.metadata)).save("other")
    code, out, _ = signfold("evaluate", "other", "--float", folder, "--json")
    compared = json.loads(out)["float"]
    assert code == 0 and compared["differing"] > 0 and compared["agreement"] < 1
    assert all(row["float"] != row["integer"] for row in compared["first_differing"])
    code, out, _ = signfold("evaluate", "other", "--float", folder)
    assert f"frame {compared['first_differing'][0]['frame']}:" in out


def test_names_of_layers_do_not_reach_the_terminal_raw(signfold, tmp_path) -> None:
    name = "\x1b[31mred\x1b]0;title\x07\n[bold]"
    nodes = (Threshold("p", "input", np.array([[1]])), Dense(name, "p", np.eye(10, 64, dtype=np.uint8)))
    Network(InputType((64,), 5), nodes, name, {"dataset": "digits", "x": name}).save(tmp_path / "net")
    for command in (["info", "net"], ["evaluate", "net"]):
        code, out, err = signfold(*command)
        assert code == 0 and "\x1b[31m" not in out + err and "\x07" not in out + err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compile", "absent"], "'absent' is not the folder of a training run"),
        (["compile", "run", "--epoch", "first"], "best, last"),
        (["compile", "run", "--score-bits", "63"], "62"),
        (["compile", "run", "-o", "no/such/folder"], "cannot write"),
        (["evaluate", "absent"], "shipped"),
        (["evaluate", "run"], "not a file"),
        (["evaluate", "net", "--split", "tests"], "train, validation, test"),
        (["evaluate", "net", "--data", "cifar"], "digits"),
        (["evaluate", "net", "--data", "mnist"], "784 pixels, but the network takes 64"),
        (["evaluate", "net", "--limit", "0"], "limit"),
        (["evaluate", "net", "--float", "absent"], "absent"),
        (["evaluate", "net", "--float", "smaller"], "takes 9 pixels, but the frames have 64"),
        (["evaluate", "bare"], "--data"),
        (["info", "absent"], "'absent' is neither a file nor a shipped network"),
        (["info", "text"], "'text'"),
    ],
)
def test_errors_are_one_line_and_exit_2(arguments, words, signfold, folder, make_run, tmp_path) -> None:
    if "--float" in arguments:
        pytest.importorskip("torch", reason="the float model needs signfold[train]")
    compile_run(folder).network.save(tmp_path / "net")
    loaded = Network.load(tmp_path / "net")
    Network(loaded.input, loaded.nodes, loaded.output).save(tmp_path / "bare")
    make_run(np.random.default_rng(0), [9, 10]).write(tmp_path / "smaller")
    (tmp_path / "text").write_text("hello, this is not a network")
    code, out, err = signfold(*arguments)
    assert code == 2 and words in err and "Traceback" not in err and not out


def test_missing_data_is_said_and_asked_for_data_is_required(make_run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIGNFOLD_DATA", raising=False)
    run = make_run(np.random.default_rng(0), [784, 8, 10], bits=8, dataset="mnist").write(tmp_path / "run")
    compilation = compile_run(run)
    assert "accuracy" not in compilation.network.metadata and "train-images" in compilation.report["no_accuracy"]
    with pytest.raises(DataError):
        compile_run(run, data_dir=tmp_path)


def test_same_bytes_in_two_folders_and_with_two_hash_seeds(make_run, tmp_path) -> None:
    program = (
        "import sys\n"
        "from signfold.sw.compile import compile_run\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "c = compile_run(sys.argv[1])\n"
        "assert 'torch' not in sys.modules\n"
        "c.network.save(sys.argv[1] + '/net')\n"
        "import json; open(sys.argv[1] + '/report', 'w').write(json.dumps(c.report))\n"
    )
    results = set()
    for seed, place in (("0", "a"), ("1", "somewhere/else")):
        run = make_run(np.random.default_rng(3), [64, 12, 10], head="batchnorm").write(tmp_path / place)
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", program, run], check=True, env=environment, cwd=run)
        results.add(((run / "net").read_bytes(), (run / "report").read_text()))
    assert len(results) == 1
    (_, report) = results.pop()
    assert json.loads(report)["evaluator"] == "formula"
