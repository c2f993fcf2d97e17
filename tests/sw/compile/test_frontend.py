"""Run folders: what is read, and what is refused, by the name of the layer, tensor or key."""

import json

import numpy as np
import pytest

from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.frontend import import_model
from signfold.sw.errors import CheckpointError, CompileError

F = np.float32


@pytest.fixture
def run(make_run):
    return make_run(np.random.default_rng(2), [6, 5, 4, 3])


def load(run, tmp_path, **options):
    return import_model(read_model(run.write(tmp_path / "run"), **options))


def test_reads_layers_and_tensors(run, tmp_path) -> None:
    model = read_model(run.write(tmp_path / "run"))
    network = import_model(model)
    assert model.dataset == "digits" and model.epoch == "best" and model.validation == 0.5
    assert network.widths == (6, 5, 4, 3) and network.input.bits == 5
    assert [dense.name for dense, _ in network.hidden] == ["dense0", "dense1"]
    dense, norm = network.hidden[1]
    assert (dense.weights == run.tensors["model.dense1.weight"]).all()
    for ours, theirs in {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}.items():
        assert (getattr(norm, ours) == run.tensors[f"model.norm1.{theirs}"]).all()
    assert norm.eps == float(F(1e-5)) and network.head.log_scale == F(-2.5)


def test_epochs(run, tmp_path) -> None:
    folder = run.write(tmp_path / "run")
    assert read_model(folder, "last").epoch == "last" and read_model(folder, "last").validation == 0.5
    assert read_model(folder, "last").sha256 == read_model(folder).sha256
    (folder / "best.safetensors").unlink()
    assert read_model(folder).epoch == "last"
    with pytest.raises(CheckpointError, match="best.safetensors"):
        read_model(folder, "best")
    with pytest.raises(ValueError, match="first"):
        read_model(folder, "first")


def test_hash_is_of_the_model_only(run, tmp_path) -> None:
    first = read_model(run.write(tmp_path / "a")).sha256
    run.best["validation_accuracy"] = 0.25
    run.document["training"] = {"seconds": 3}
    assert read_model(run.write(tmp_path / "elsewhere")).sha256 == first
    run.tensors["model.norm0.bias"][0] += 1
    changed = read_model(run.write(tmp_path / "b")).sha256
    run.layers[0]["thresholds"] = [9]
    assert len({first, changed, read_model(run.write(tmp_path / "c")).sha256}) == 3


def tensor(name, value):
    def change(run):
        if value is None:
            del run.tensors[name]
        else:
            run.tensors[name] = value(run.tensors.get(name))

    return change


def layer(index, **values):
    return lambda run: run.layers[index].update(values)


def document(**values):
    return lambda run: run.document.update(values)


DAMAGES = [
    (document(format="torch"), "format"),
    (document(version=2), "version 2"),
    (document(version=True), "version True"),
    (document(dataset=None), "dataset must be text"),
    (lambda run: run.input.update(shape=6), "shape"),
    (lambda run: run.input.update(bits=16), "bits"),
    (lambda run: run.input.update(shape=[7]), "'dense0': fan-in 6, but 7"),
    (lambda run: run.layers.clear(), "belongs to no layer"),
    (lambda run: run.layers.insert(0, "dense"), "layers"),
    (lambda run: run.layers.pop(0), "input_threshold"),
    (lambda run: run.layers.pop(2), "tensor 'model.norm0."),
    (lambda run: run.layers.append({"kind": "softmax"}), "'softmax'"),
    (lambda run: run.layers.append({"kind": ["dense"]}), "layer 7"),
    (
        lambda run: run.layers.append({"kind": "input_threshold", "name": "again", "thresholds": [1]}),
        "'again': 'input_threshold' reads pixels, but scores come in",
    ),
    (
        lambda run: run.layers.insert(3, {"kind": "input_threshold", "name": "again", "thresholds": [1]}),
        "'again': 'input_threshold' reads pixels, but codes come in",
    ),
    (lambda run: run.layers.insert(2, run.layers.pop(3)), "'dense1': 'dense' reads codes or means, but sums come in"),
    (layer(2, kind="batchnorm"), "'dense1': 'dense' reads codes or means, but scores come in"),
    (layer(1, name="input"), "'input'"),
    (layer(1, name=""), "''"),
    (layer(1, name="dense1"), "'dense1'"),
    (layer(1, name=5), "5"),
    (layer(1, **{"in": 7}), "'model.dense0.weight' must be float32 [5, 7]"),
    (layer(1, out=-5), "'dense0'"),
    (layer(1, out=5.0), "5.0"),
    (layer(2, eps="1e-5"), "'norm0': eps"),
    (layer(2, eps=True), "'norm0': eps"),
    (layer(2, eps=None), "'norm0': eps"),
    (layer(2, eps=10**400), "'norm0': eps"),
    (layer(2, eps=float("inf")), "JSON"),
    (layer(0, thresholds=[]), "thresholds"),
    (layer(0, thresholds=[1.5]), "1.5"),
    (layer(0, thresholds=[1 << 40]), "thresholds"),
    (layer(0, thresholds=[1, 2]), "2 thresholds, must be 1 or one for each of 6"),
    (tensor("model.norm1.running_var", None), "'norm1': tensor 'model.norm1.running_var' is missing"),
    (tensor("model.norm1.extra", lambda _: np.zeros(1, F)), "'model.norm1.extra' belongs to no layer"),
    (tensor("model.norm1.bias", lambda b: b.astype(np.float64)), "float64"),
    (tensor("model.norm1.bias", lambda b: b.astype(np.float16)), "F16"),
    (tensor("model.norm1.bias", lambda b: b[:2]), "'norm1': beta has shape (2,), but 4"),
    (tensor("model.norm1.bias", lambda b: b[:0]), "'model.norm1.bias'"),
    (tensor("model.norm1.bias", lambda b: b[None]), "'model.norm1.bias'"),
    (tensor("model.norm1.weight", lambda w: w * F(np.nan)), "'norm1': gamma[0] is nan"),
    (tensor("model.norm1.running_var", lambda v: -v), "'norm1': variance[0]"),
    (tensor("model.dense2.weight", lambda w: w / F(0)), "'dense2': weight[0, 0]"),
    (tensor("model.scale.log_scale", lambda s: s[None]), "'model.scale.log_scale'"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_names_what_is_wrong(damage, words, run, tmp_path) -> None:
    with np.errstate(all="ignore"):
        damage(run)
    with pytest.raises((CheckpointError, CompileError)) as caught:
        load(run, tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("file", ["checkpoint.json", "best.safetensors"])
def test_every_cut_is_refused(file, make_run, tmp_path) -> None:
    folder = make_run(np.random.default_rng(1), [2, 2]).write(tmp_path / "run")
    data = (folder / file).read_bytes()
    for size in range(len(data)):
        (folder / file).write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            import_model(read_model(folder))


def test_absent_folders_and_files(tmp_path, run) -> None:
    for path in (tmp_path / "absent", "nul\0", tmp_path):
        with pytest.raises(CheckpointError):
            read_model(path)
    folder = run.write(tmp_path / "run")
    (folder / "checkpoint.json").write_text(json.dumps([]))
    with pytest.raises(CheckpointError, match="format"):
        read_model(folder)
    (folder / "checkpoint.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(CheckpointError, match="JSON"):
        read_model(folder)
