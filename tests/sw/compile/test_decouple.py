"""BinaryDuo's pairs of bits compute what the coupled activation computes, at every sum; what cannot be is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from signfold.sw.compile import compile_network
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.decouple import decouple
from signfold.sw.compile.decoupled_run import decouple_run
from signfold.sw.compile.frontend import import_model
from signfold.sw.errors import CheckpointError, CompileError

#: Weights of the layers after the first, and whether the sums of the pairs are twice as large.
WEIGHTS = {
    "mean of the layer": {"levels": 2, "method": "sign", "scale": "layer"},
    "mean of a channel": {"levels": 2, "method": "sign", "scale": "channel"},
    "a parameter": {"levels": 2, "method": "sign", "scale": "trained"},
    "signs": {"levels": 2, "method": "sign"},
    "powers of two": {"levels": 2, "method": "libra", "scale": "shift"},
    "ternary": {"levels": 3, "method": "ternary"},
    "two bits": {"levels": 4, "method": "dorefa"},
}


def coupled(make_run, rng, weights, head="scale", norm="batch", dyadic=False):
    """Return a run of coupled activations; `dyadic` parameters have results at the very steps."""
    run = make_run(rng, [64, 12, 16, 10, 10], head=head)
    for layer in run.layers:
        name, kind = layer.get("name"), layer["kind"]
        if kind == "batchnorm_sign":
            layer |= {"kind": "batchnorm_quant", "levels": 3, "signed": False}
        if kind.startswith("batchnorm") and dyadic:
            channels = len(run.tensors[f"model.{name}.bias"])
            run.tensors[f"model.{name}.bias"] = rng.choice([0.1, 0.25, 0.3, 0.75, -0.25], channels).astype(np.float32)
            run.tensors[f"model.{name}.running_mean"] = np.round(rng.normal(0, 3, channels)).astype(np.float32)
            run.tensors[f"model.{name}.running_var"] = np.full(channels, 15.75, np.float32)
            run.tensors[f"model.{name}.weight"] = rng.choice([-0.5, 0.25, 1.0, 0.0], channels).astype(np.float32)
            layer["eps"] = 0.25
        if kind.startswith("batchnorm") and norm == "shift":
            layer["norm"] = "shift"
            run.tensors[f"model.{name}.running_istd"] = 1 / np.sqrt(run.tensors.pop(f"model.{name}.running_var"))
        if kind == "dense" and name != "dense0":
            layer["weights"] = weights
            latents = run.tensors[f"model.{name}.weight"]
            if weights["method"] != "sign":
                codes = rng.integers(0, weights["levels"], latents.shape)
                run.tensors[f"model.{name}.codes"] = codes.astype(np.uint8)
            if "scale" in weights:
                count = 1 if weights["scale"] in ("layer", "trained") else len(latents)
                run.tensors[f"model.{name}.scale"] = rng.uniform(0.1, 1, count).astype(np.float32)
    return run


def agree(model, made, rng, frames=400) -> None:
    """Compare codes, scores and classes of both networks."""
    before, after = compile_network(import_model(model)), compile_network(import_model(made.model))
    shape = model.description["input"]["shape"]
    pictures = rng.integers(0, 1 << model.description["input"]["bits"], (frames, *shape)).astype(np.uint8)
    ours, theirs = before.trace(pictures), after.trace(pictures)
    for layer in made.layers:
        channels = ours[layer].shape[1]
        upper, lower = theirs[layer][:, :channels], theirs[layer][:, channels:]
        assert (ours[layer] == upper + lower).all() and (upper >= lower).all(), layer
    assert (before.evaluate(pictures).classes == after.evaluate(pictures).classes).all()


@pytest.mark.parametrize("dyadic", [False, True])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_both_agree_on_every_sample(make_run, weights, dyadic, tmp_path) -> None:
    rng = np.random.default_rng(len(weights))
    run = coupled(make_run, rng, WEIGHTS[weights], head="batchnorm" if weights == "signs" else "scale", dyadic=dyadic)
    model = read_model(run.write(tmp_path / "run"))
    made = decouple(model)
    assert made.layers == ("norm0", "norm1", "norm2") and made.unproven is None
    agree(model, made, rng)


def test_shift_based_norms(make_run, tmp_path) -> None:
    rng = np.random.default_rng(4)
    model = read_model(coupled(make_run, rng, WEIGHTS["signs"], norm="shift").write(tmp_path / "run"))
    agree(model, decouple(model), rng)


def test_biases_move_where_their_rounding_would_be_seen(make_run, tmp_path) -> None:
    """0.1 + 0.25 rounds: a result of exactly 1/4 would be taken for more, or one just above it for less."""
    rng, moved = np.random.default_rng(5), 0
    for number in range(4):
        run = coupled(make_run, rng, WEIGHTS["signs"], dyadic=True)
        for tensor, values in run.tensors.items():
            if tensor.endswith("norm0.bias"):
                # y = (s - mean)/4*gamma + bias is 1/4 or 3/4 in float32's last places only.
                values[:] = np.nextafter(values, rng.choice([-1, 1], len(values)).astype(np.float32) * np.float32(9))
        model = read_model(run.write(tmp_path / str(number)))
        made = decouple(model)
        moved += made.moved
        agree(model, made, rng, 100)
    assert moved


def test_trained_in_torch(tmp_path) -> None:
    """The float models agree too, and real weights, which do not compile, are decoupled without a proof."""
    torch = pytest.importorskip("torch", reason="training needs signfold[train]")
    pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")
    from signfold.sw.data import load
    from signfold.sw.train.loop import train
    from signfold.sw.train.models import BinaryNet
    from signfold.sw.train.options import TrainingOptions

    def classes(model, pictures):
        shape, bits = model.description["input"]["shape"], model.description["input"]["bits"]
        network = BinaryNet(model.description["layers"], torch.Generator(), shape=shape, bits=bits)
        tensors = {name.removeprefix("model."): torch.from_numpy(value.copy()) for name, value in model.tensors.items()}
        network.load_state_dict(tensors)
        return network.eval()(torch.from_numpy(pictures)).argmax(1).numpy()

    data = load("digits")
    for name, choices in {"layer": {"weight_scale": "layer"}, "real": {"weights": "real"}}.items():
        options = {"epochs": 1, "batch": 64, "lr": 0.02, "activation": "coupled", **choices}
        train(TrainingOptions("digits", "8c3p1,p2,8c3p1,a2,12", **options), data, tmp_path / name)
        made = decouple_run(tmp_path / name, tmp_path / f"{name}-pairs")
        assert (made.unproven is None) == (name == "layer")
        model, written = read_model(tmp_path / name), read_model(tmp_path / f"{name}-pairs")
        pictures = data.split("validation")[0].reshape(-1, 1, 8, 8)
        assert (classes(model, pictures) == classes(written, pictures)).all()
        # Fine-tuning begins with it.
        finer = options | {"activation": "decoupled", "initial": str(tmp_path / f"{name}-pairs")}
        tuned = train(TrainingOptions("digits", "8c3p1,p2,8c3p1,a2,12", **finer), data, tmp_path / f"{name}-tuned")
        assert tuned.description["layers"] == written.description["layers"]


def test_refusals(make_run, make_image_run, tmp_path) -> None:
    rng = np.random.default_rng(3)
    plain = read_model(make_run(rng, [16, 8, 5]).write(tmp_path / "plain"))
    with pytest.raises(CompileError, match="decouple: no activation is coupled"):
        decouple(plain)
    run = make_image_run(rng)
    run.layer("norm0").update({"kind": "batchnorm_quant", "levels": 3})
    with pytest.raises(CompileError, match="'conv1': it is depthwise or pads with 1/2"):
        decouple(read_model(run.write(tmp_path / "depthwise")))
    run = make_image_run(rng)
    run.layers[-3:-3] = [{"kind": "add", "name": "sum", "inputs": ["norm2", "norm1"]}]
    with pytest.raises(CompileError, match="'sum': branches cannot be decoupled"):
        decouple(read_model(run.write(tmp_path / "branches")))
    run = make_run(rng, [16, 8, 5])
    run.layers[2] |= {"kind": "batchnorm_quant", "levels": 3}
    run.layers[3]["bias"] = "bits"
    run.tensors["model.dense1.bias"] = np.ones(5, np.float32)
    with pytest.raises(CompileError, match="'dense1': its biases are of one bit"):
        decouple(read_model(run.write(tmp_path / "biases")))
    del run.layers[3]["bias"], run.tensors["model.dense1.bias"]
    model = read_model(run.write(tmp_path / "norm"))
    norm = {"kind": "batchnorm_sign", "name": "again", "eps": 1e-5}
    layers = [*model.description["layers"][:3], norm, *model.description["layers"][3:]]
    with pytest.raises(CompileError, match="'again': a batch normalization of coupled values"):
        decouple(replace(model, description={**model.description, "layers": layers}))


def test_command(make_run, tmp_path, monkeypatch, capsys) -> None:
    from signfold.sw.cli.app import main

    rng = np.random.default_rng(6)
    run = coupled(make_run, rng, WEIGHTS["mean of the layer"])
    run.document["training"] = {"activation": "coupled"}
    folder, out = run.write(tmp_path / "run"), tmp_path / "pairs"
    monkeypatch.setattr("sys.argv", ["signfold", "decouple", str(folder), "-o", str(out), "--json"])
    with pytest.raises(SystemExit) as exit:
        main()
    assert exit.value.code == 0
    assert json.loads(capsys.readouterr().out) == {
        "run": str(out),
        "layers": ["norm0", "norm1", "norm2"],
        "moved": 0,
        "unproven": None,
    }
    agree(read_model(folder), decouple(read_model(folder)), rng, 50)
    assert read_model(out).training == {"activation": "decoupled"}
    with pytest.raises(CheckpointError, match="holds a run"):
        decouple_run(folder, out)
