"""Runs on small data: seeds reproduce, a continued run ends in the same bits, damage is refused."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.data import Dataset, load  # noqa: E402
from signfold.sw.errors import CheckpointError  # noqa: E402
from signfold.sw.train.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402
from signfold.sw.train.choices import Decay, Progressive  # noqa: E402
from signfold.sw.train.loop import train  # noqa: E402
from signfold.sw.train.optimizer_choice import OptimizerChoice  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.trainer import Trainer  # noqa: E402


class Stripes(Dataset):
    """Pictures of 6x6 whose class says which column is bright; the test part must not be read."""

    name, bits, shape, classes = "stripes", 4, (6, 6), 6
    sizes = {"train": 300, "validation": 60, "test": 0}

    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        assert part != "test", "training read the test set"
        random = np.random.default_rng(len(part))
        labels = random.integers(0, 6, self.sizes[part])
        pictures = random.integers(0, 9, (len(labels), 6, 6), dtype=np.uint8)
        pictures[np.arange(len(labels)), :, labels] += 6
        return pictures, labels


def options(**changes: object) -> TrainingOptions:
    """Choose a run that uses every source of randomness."""
    chosen = {
        "dataset": "stripes",
        "topology": "12,10",
        "epochs": 5,
        "batch": 32,
        "lr": 0.03,
        "warmup": 1,
        "threshold": 8,
        "shift": 1,
        "noise": 2,
        "rotate": 10.0,
        "zoom": 0.1,
        "elastic": 0.5,
        "dropout": 0.2,
        "seed": 7,
    }
    return TrainingOptions(**chosen | changes)


def outcome(run) -> tuple[dict[str, bytes], list[dict], dict[str, bytes]]:
    """Everything that a run leaves, but for the time it took."""
    checkpoint = read_checkpoint(run)
    history = [{key: value for key, value in entry.items() if key != "seconds"} for entry in checkpoint.history]
    best = {name: value.tobytes() for name, value in load_file(run / "best.safetensors").items()}
    return {name: value.tobytes() for name, value in checkpoint.tensors.items()}, history, best


class Colours(Stripes):
    """The same pictures in two channels, the second one upside down."""

    name, shape = "colours", (2, 6, 6)

    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        pictures, labels = super()._read(part)
        return np.stack([pictures, 15 - pictures], axis=1), labels


def conv_options(**changes: object) -> TrainingOptions:
    """Choose a run of a convolutional network that uses every source of randomness."""
    return options(**{"dataset": "colours", "topology": "6c3p1,p2,8c2,10", "flip": True, "noise": 1} | changes)


class Stop(Exception):
    """Stands for a process that was stopped."""


def stop_in_epoch(number: int):
    """Interrupt a run in the middle of an epoch."""
    seen = 0

    def on_step(share: float) -> None:
        nonlocal seen
        seen += share == 1.0
        if seen == number - 1 and 0.5 < share < 1.0:
            raise Stop

    return on_step


BOP = {"binary_optimizer": OptimizerChoice("bop", lr=1e-2), "optimizer": OptimizerChoice("sgd", momentum=0.9)}
SHIFTS = {"optimizer": OptimizerChoice("shift-adamax", scale="glorot"), "norm": "shift", "stochastic": True}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"head": "batchnorm", "loss": "squared-hinge", "schedule": "exponential", "decay": Decay(by="epoch")},
        BOP | {"progressive": Progressive(activations=0.5, restart=True)},
        SHIFTS,
    ],
)
def test_continued_run_equals_a_straight_one(tmp_path, changes: dict) -> None:
    train(options(**changes), Stripes(), tmp_path / "straight")
    for number in (3, 5):
        run = tmp_path / f"stopped-{number}"
        with pytest.raises(Stop):
            train(options(**changes), Stripes(), run, on_step=stop_in_epoch(number))
        assert len(read_checkpoint(run).history) == number - 1
        train(options(**changes), Stripes(), run, resume=True)
        assert outcome(run) == outcome(tmp_path / "straight")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bfloat16", "weights": "2", "activations": 2, "last_weights": "ternary"},
        # Threads of one process wait for each other by spinning: seconds become minutes on a busy machine.
        pytest.param({"precision": "bfloat16", "threads": 2}, marks=pytest.mark.sweep),
    ],
)
def test_continued_run_of_convolutions_equals_a_straight_one(tmp_path, changes: dict) -> None:
    train(conv_options(**changes), Colours(), tmp_path / "straight")
    run = tmp_path / "stopped"
    with pytest.raises(Stop):
        train(conv_options(**changes), Colours(), run, on_step=stop_in_epoch(3))
    train(conv_options(**changes), Colours(), run, resume=True)
    assert outcome(run) == outcome(tmp_path / "straight")


def test_convolutions_learn_and_store_the_codes_that_they_used(tmp_path) -> None:
    run = tmp_path / "run"
    levels = {"weights": "2", "first_weights": "ternary", "last_weights": "1"}
    # The class is a column, which a mirrored or a shifted picture has elsewhere.
    chosen = conv_options(topology="6c3,8c3,16", epochs=30, flip=False, dropout=0.0, shift=0, **levels)
    trainer = train(chosen, Colours(), run)
    assert trainer.best["validation_accuracy"] > 0.9
    assert read_checkpoint(run).model["input"] == {"shape": [2, 6, 6], "bits": 4}
    best = load_file(run / "best.safetensors")
    assert best["model.conv0.weight"].shape == best["model.conv0.codes"].shape == (6, 2, 3, 3)
    assert best["model.conv0.codes"].dtype == np.uint8 and set(best["model.conv0.codes"].flatten()) == {0, 1, 2}
    assert "model.dense3.codes" not in best and best["model.dense2.codes"].max() == 3
    trainer.model.load_state_dict({name.removeprefix("model."): torch.from_numpy(v) for name, v in best.items()})
    pictures, labels = (torch.from_numpy(array) for array in Colours().split("validation"))
    assert trainer.model.measure(pictures, labels)[0] / len(labels) == trainer.best["validation_accuracy"]


def test_a_run_begins_with_the_best_model_of_another(tmp_path) -> None:
    first = train(options(epochs=30, dropout=0.0, shift=0), Stripes(), tmp_path / "first")
    chosen = options(epochs=1, warmup=0, lr=1e-9, initial=str(tmp_path / "first"))
    second = train(chosen, Stripes(), tmp_path / "second")
    assert second.best["validation_accuracy"] == pytest.approx(first.best["validation_accuracy"], abs=0.1)
    with pytest.raises(CheckpointError, match="of other layers"):
        train(options(topology="9", initial=str(tmp_path / "first")), Stripes(), tmp_path / "third")
    with pytest.raises(CheckpointError, match="no best"):
        train(options(initial=str(tmp_path / "none")), Stripes(), tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_stopped_between_the_two_files_of_a_checkpoint(tmp_path) -> None:
    train(options(), Stripes(), tmp_path / "straight")
    run = tmp_path / "stopped"
    with pytest.raises(Stop):
        train(options(), Stripes(), run, on_step=stop_in_epoch(2))
    behind = (run / "checkpoint.json").read_bytes()
    with pytest.raises(Stop):
        train(options(), Stripes(), run, resume=True, on_step=stop_in_epoch(3))
    (run / "checkpoint.json").write_bytes(behind)
    train(options(), Stripes(), run, resume=True)
    assert outcome(run) == outcome(tmp_path / "straight")


def test_seeds_reproduce_and_differ(tmp_path) -> None:
    for name, seed in (("first", 7), ("again", 7), ("other", 8)):
        torch.manual_seed(len(name) * seed)  # the global generator has no say
        train(options(seed=seed, epochs=2), Stripes(), tmp_path / name)
    assert outcome(tmp_path / "first") == outcome(tmp_path / "again")
    assert outcome(tmp_path / "first")[0] != outcome(tmp_path / "other")[0]


def test_learns_and_keeps_the_best_epoch(tmp_path) -> None:
    run = tmp_path / "run"
    heard: list[dict] = []
    trainer = train(options(epochs=30, dropout=0.0, shift=0), Stripes(), run, on_epoch=heard.append)
    assert trainer.history == heard and [entry["epoch"] for entry in heard] == list(range(1, 31))
    accuracies = [entry["validation_accuracy"] for entry in heard]
    assert max(accuracies) > 0.9 > accuracies[0]
    assert trainer.best["validation_accuracy"] == max(accuracies)
    assert (
        min(entry["validation_loss"] for entry in heard if entry["validation_accuracy"] == max(accuracies))
        == (trainer.best["validation_loss"])
    )
    # The kept tensors are those of that epoch: they give its accuracy again.
    model = {
        name.removeprefix("model."): torch.from_numpy(value)
        for name, value in load_file(run / "best.safetensors").items()
    }
    trainer.model.load_state_dict(model)
    pictures, labels = Stripes().split("validation")
    right, _ = trainer.model.measure(torch.from_numpy(pictures).flatten(1), torch.from_numpy(labels))
    assert right / len(labels) == max(accuracies)


def test_latents_stay_inside_the_clip(tmp_path) -> None:
    trainer = train(options(lr=1.0), Stripes(), tmp_path / "run")
    for name, value in trainer.model.state_dict().items():
        if name.startswith("dense"):
            assert value.abs().max() <= 1.0


def test_checkpoint_follows_its_published_layout(tmp_path) -> None:
    train(options(epochs=2, threshold=None), Stripes(), tmp_path / "run")
    description = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert list(description) == ["format", "version", "dataset", "model", "training", "history", "best"]
    assert (description["format"], description["version"]) == ("signfold-checkpoint", 1)
    assert description["model"]["input"] == {"shape": [36], "bits": 4}
    layers = description["model"]["layers"]
    kinds = [layer["kind"] for layer in layers]
    assert kinds == ["input_threshold", "dense", "batchnorm_sign", "dense", "batchnorm_sign", "dense", "scale"]
    pictures, _ = Stripes().split("train")
    means = pictures.reshape(len(pictures), -1).sum(0, dtype=np.int64)
    assert layers[0]["thresholds"] == ((2 * means + len(pictures)) // (2 * len(pictures))).tolist()
    tensors = load_file(tmp_path / "run" / "checkpoint.safetensors")
    best = load_file(tmp_path / "run" / "best.safetensors")
    assert best.keys() == {name for name in tensors if name.startswith("model.")}
    assert {name.split(".")[0] for name in tensors} == {"model", "optimizer", "rng"}
    for layer in layers:
        if layer["kind"] == "dense":
            weight = best[f"model.{layer['name']}.weight"]
            assert weight.shape == (layer["out"], layer["in"]) and weight.dtype == np.float32
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


def test_refuses_what_it_cannot_continue(tmp_path) -> None:
    with pytest.raises(CheckpointError, match="no run to continue"):
        train(options(), Stripes(), tmp_path / "none", resume=True)
    run = tmp_path / "run"
    train(options(epochs=1, warmup=0), Stripes(), run)
    with pytest.raises(CheckpointError, match="holds a run already"):
        train(options(epochs=1, warmup=0), Stripes(), run)
    with pytest.raises(CheckpointError, match="other options"):
        train(options(epochs=2, warmup=0), Stripes(), run, resume=True)


def test_continues_a_run_of_an_earlier_version_that_lacked_an_option(tmp_path) -> None:
    run = tmp_path / "run"
    chosen = options(epochs=2, noise=0)
    with pytest.raises(Stop):
        train(chosen, Stripes(), run, on_step=stop_in_epoch(2))
    checkpoint = read_checkpoint(run)
    del checkpoint.training["noise"]
    write_checkpoint(run, checkpoint)
    assert len(train(chosen, Stripes(), run, resume=True).history) == 2
    checkpoint.training["sped"] = 3
    write_checkpoint(run, checkpoint)
    with pytest.raises(CheckpointError, match="sped"):
        train(chosen, Stripes(), run, resume=True)


def test_refuses_damaged_checkpoints(tmp_path) -> None:
    whole = tmp_path / "whole"
    train(options(epochs=1, warmup=0), Stripes(), whole)
    contents = (whole / "checkpoint.safetensors").read_bytes()
    run = tmp_path / "run"
    for damaged in (b"", contents[:7], contents[:100], contents[:-1], b"\xff" * 8 + contents[8:]):
        shutil.copytree(whole, run, dirs_exist_ok=True)
        (run / "checkpoint.safetensors").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="checkpoint.safetensors"):
            read_checkpoint(run)
    for name, other in (("signfold-checkpoint", "somebodys-checkpoint"), ('\\"version\\": 1', '\\"version\\": 9')):
        assert contents.count(name.encode()) == 1
        (run / "checkpoint.safetensors").write_bytes(
            contents.replace(name.encode(), other.encode().ljust(len(name), b" ")[: len(name)])
        )
        with pytest.raises(CheckpointError):
            read_checkpoint(run)


def test_refuses_tensors_that_do_not_fit(tmp_path) -> None:
    run = tmp_path / "run"
    train(options(epochs=1, warmup=0), Stripes(), run)
    checkpoint = read_checkpoint(run)
    for name, value in (
        ("model.dense0.weight", np.zeros((3, 3), np.float32)),
        ("rng.generator", np.zeros(3, np.uint8)),
    ):
        tensors = checkpoint.tensors | {name: value}
        trainer = Trainer(options(epochs=1, warmup=0), Stripes())
        with pytest.raises(CheckpointError, match="do not fit"):
            trainer.restore(type(checkpoint)(**{**vars(checkpoint), "tensors": tensors}))
    del checkpoint.tensors["optimizer.dense0.weight.exp_avg"]
    with pytest.raises(CheckpointError, match="exp_avg"):
        Trainer(options(epochs=1, warmup=0), Stripes()).restore(checkpoint)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": 1}, "batch is 1"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"schedule": "sudden"}, "schedule is 'sudden'"),
        ({"warmup": 5}, "warmup is 5"),
        ({"loss": "mse"}, "loss is 'mse'"),
        ({"head": "softmax"}, "head is 'softmax'"),
        ({"threshold": -1}, "threshold is -1"),
        ({"shift": -1}, "shift is -1"),
        ({"noise": -1}, "noise is -1"),
        ({"rotate": 181.0}, "rotate is 181.0"),
        ({"zoom": 1.0}, "zoom is 1.0"),
        ({"elastic": -0.1}, "elastic is -0.1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"momentum": 0.0}, "momentum is 0.0"),
        ({"seed": -1}, "seed is -1"),
        ({"threads": 0}, "threads is 0"),
        ({"topology": "wide"}, "topology is 'wide'"),
        ({"first": "floats"}, "first is 'floats'"),
        ({"weights": "9"}, "weights is '9'"),
        ({"first_weights": "0"}, "first_weights is '0'"),
        ({"last_weights": "float"}, "last_weights is 'float'"),
        ({"activations": 9}, "activations is 9"),
        ({"pad": "one"}, "pad is 'one'"),
        ({"pool": "never"}, "pool is 'never'"),
        ({"precision": "float16"}, "precision is 'float16'"),
    ],
)
def test_options_name_what_is_not_allowed(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(**changes)


def test_options_that_the_data_refuses() -> None:
    with pytest.raises(ValueError, match="threshold is 17"):
        Trainer(options(threshold=17), Stripes())
    with pytest.raises(ValueError, match="noise is 16"):
        Trainer(options(noise=16), Stripes())
    with pytest.raises(ValueError, match="shift is 6"):
        Trainer(options(shift=6), Stripes())
    with pytest.raises(ValueError, match="shift is 6"):
        Trainer(options(shift=6), Colours())
    with pytest.raises(ValueError, match="does not fit"):
        Trainer(options(topology="4c7"), Colours())
    with pytest.raises(ValueError, match="threshold is one for each"):
        Trainer(options(topology="4c3", first="bits", threshold=None), Colours())


def test_options_survive_json() -> None:
    chosen = options(threshold=None, dropout=0.125)
    assert TrainingOptions.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen
    with pytest.raises(ValueError, match="sped"):
        TrainingOptions.from_json(chosen.to_json() | {"sped": 1})
    with pytest.raises(ValueError, match="incomplete"):
        TrainingOptions.from_json({"dataset": "digits"})


def test_digits_train_to_a_useful_accuracy(tmp_path) -> None:
    chosen = TrainingOptions("digits", "64,64", epochs=25, batch=64, lr=0.02)
    trainer = train(chosen, load("digits"), tmp_path / "run")
    assert trainer.best["validation_accuracy"] > 0.9
