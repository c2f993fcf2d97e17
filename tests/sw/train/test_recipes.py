"""Every recipe reads, fits its own data sets, and trains; the command line wins over it."""

import json
import sys

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.cli.app import main  # noqa: E402
from signfold.sw.cli.train_options import chosen, gather  # noqa: E402
from signfold.sw.data import load, names  # noqa: E402
from signfold.sw.train.architectures import lay_out  # noqa: E402
from signfold.sw.train.course import Course  # noqa: E402
from signfold.sw.train.loop import train  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.recipes import merge, read_recipe, recipe_names  # noqa: E402
from signfold.sw.train.twin import twin  # noqa: E402

#: Shape and bits of what recipes are for.
PICTURES = {"mnist": (28, 28), "fashion-mnist": (28, 28), "cifar10": (3, 32, 32), "digits": (8, 8)}


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_fit_their_data(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.data in names() and set(recipe.data_sets) <= set(names())
    assert recipe.title and recipe.paper and recipe.source
    for dataset in {recipe.data, *recipe.data_sets}:
        options = TrainingOptions.from_json(recipe.choose(dataset))
        assert options.dataset == dataset and twin(options).weights == "real"
        assert TrainingOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
        thresholds = None if options.reads_codes else (1,)
        lay_out(options.topology, PICTURES[dataset], 8, 10, options.style(thresholds))


@pytest.mark.parametrize(
    ("name", "dataset", "rates"),
    [
        # Epochs, and the rate from there on.
        ("xnor-net-code", "cifar10", {0: 1e-3, 18: 5e-4, 29: 1e-4, 43: 5e-5, 52: 1e-5}),
        ("xnor-net", "cifar10", {0: 1e-2, 120: 1e-3, 200: 1e-4, 240: 1e-5, 280: 1e-6}),
        ("bwn", "cifar10", {0: 0.1, 120: 1e-2, 200: 1e-3, 240: 1e-4, 280: 1e-5}),
        ("binaryduo", "cifar10", {0: 0.1, 120: 1e-2, 160: 1e-3}),
        ("dorefa", "cifar10", {0: 1e-3, 100: 5e-4}),
        ("bop", "cifar10", {0: 1e-2, 100: 1e-3, 200: 1e-4, 300: 1e-5, 400: 1e-6}),
        ("bnn-torch", "mnist", {20 * k: 2.0 ** (-6 - k) for k in range(10)}),
        ("bnn-torch", "cifar10", {50 * k: 2.0 ** (-6 - k) for k in range(10)}),
    ],
)
def test_rates_fall_at_the_published_epochs(name: str, dataset: str, rates: dict[int, float]) -> None:
    options = TrainingOptions.from_json(read_recipe(name).choose(dataset))
    course, expected = Course(options), None
    for epoch in range(options.epochs):
        expected = rates.get(epoch, expected)
        for share in (0.0, 0.999):
            factor, progress = course.rate(epoch, share)
            assert options.lr * factor == pytest.approx(expected, rel=1e-9), epoch
            assert (progress < options.optimizer.decay_until) == (epoch < 29 or name != "xnor-net-code")


@pytest.mark.parametrize(
    ("name", "dataset", "last"),
    [
        ("bnn", "mnist", 3e-7),
        ("bnn", "cifar10", 3e-7),
        ("binaryconnect", "mnist", 3e-6),
        ("binaryconnect", "cifar10", 2e-6),
    ]
    + [("few-multiplications", "mnist", 0.01), ("few-multiplications", "cifar10", 0.001)],
)
def test_exponential_rates_end_where_published(name: str, dataset: str, last: float) -> None:
    options = TrainingOptions.from_json(read_recipe(name).choose(dataset))
    course = Course(options)
    assert options.lr * course.rate(options.epochs, 0.0)[0] == pytest.approx(last, rel=1e-6)
    assert course.rate(3, 0.9) == course.rate(3, 0.0) > course.rate(4, 0.0)


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_train_on_digits(name: str, tmp_path) -> None:
    values = merge(read_recipe(name).choose("digits", "4c3p1,p2,6c3,10"), {"epochs": 1, "batch": 422, "warmup": 0})
    values |= {
        "shift": 0,
        "flip": False,
        "teacher": None,
        "reduction": 2,
        "threshold": None if values.get("first") == "codes" else 4,
    }
    trainer = train(TrainingOptions.from_json(values), load("digits"), tmp_path / "run")
    assert len(trainer.history) == 1 and trainer.best["validation_accuracy"] > 0
    resumed = train(trainer.options, load("digits"), tmp_path / "run", resume=True)
    assert resumed.history == trainer.history


def arguments(**given: object) -> dict[str, object]:
    return {"data": None, "weight_decay": None, "set_": None} | given


def test_the_command_line_wins_over_a_recipe() -> None:
    given = gather(arguments(data="digits", epochs=7, set_=["optimizer.beta1=0.5", "method.clip=none"]))
    options, run = chosen(given, "bnn", None)
    assert (options.epochs, options.optimizer.beta1, options.optimizer.scale) == (7, 0.5, "glorot")
    assert options.method.clip is None and options.loss == "squared-hinge"
    assert str(run) == "runs/bnn-128-96"
    given = gather(arguments(data="digits", optimizer="sgd", weight_decay=0.25, binary_optimizer="adamw"))
    options, _ = chosen(given, "bop", None)
    # Numbers of a recipe's optimizer are not for another one.
    assert options.optimizer.name == "sgd" and options.optimizer.weight_decay == 0.25
    assert options.binary_optimizer.name == "adamw" and options.binary_optimizer.lr is None


def test_settings_that_cannot_be_read() -> None:
    for text in ("epochs", "=3"):
        with pytest.raises(Exception, match="NAME=VALUE"):
            gather(arguments(set_=[text]))
    with pytest.raises(ValueError, match=r"optimizer\.speed"):
        chosen(gather(arguments(data="digits", set_=["optimizer.speed=1"])), None, None)
    with pytest.raises(ValueError, match="recipe is 'cake', allowed: "):
        chosen(gather(arguments(data="digits")), "cake", None)


@pytest.mark.parametrize("name", ["optimizer", "decay", "penalty", "progressive", "method"])
def test_tables_that_a_run_needs_are_not_none(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is None, allowed: "):
        chosen(gather(arguments(data="digits", set_=[f"{name}=none"])), None, None)


def test_recipes_are_listed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["signfold", "train", "--recipe", "list", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    listed = json.loads(capsys.readouterr().out)["recipes"]
    assert list(listed) == recipe_names() and listed["bnn"]["data"] == ["cifar10", "mnist"]
