"""`signfold train` and `signfold data` as a user meets them."""

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.cli.app import main  # noqa: E402
from signfold.sw.train.defaults import DEFAULTS, defaults  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.trainer import Trainer  # noqa: E402


class Answer(NamedTuple):
    """What a command leaves behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def signfold(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder, in this process: torch takes seconds to import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIGNFOLD_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["signfold", *arguments])
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = int(exit.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


def test_trains_continues_and_reports(signfold) -> None:
    first = signfold("train", "16,12", "--data", "digits", "--epochs", "3", "--out", "run", "--json")
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    assert result["epochs"] == 3 and result["training"]["topology"] == "16,12"
    assert result["best"]["validation_accuracy"] > 0.2
    assert first.stderr.count("epoch ") == 3
    again = signfold("train", "--out", "run")
    assert again.returncode == 2 and "holds a run already" in again.stderr
    contrary = signfold("train", "--resume", "--out", "run", "--epochs", "4")
    assert contrary.returncode == 2 and "was begun with epochs 3" in contrary.stderr
    done = signfold("train", "--resume", "--out", "run")
    assert done.returncode == 0 and f"{result['best']['validation_accuracy']:.4f}" in done.stdout


def test_trains_convolutions_of_several_bits(signfold) -> None:
    style = "--weights 2 --first-weights ternary --last-weights 1 --activations 2 --signed --pad high --pool after"
    arguments = ["4c3p1,p2,8", "--data", "digits", "--epochs", "1", "--precision", "bfloat16", "--flip", "--out", "run"]
    answer = signfold("train", *arguments, *style.split(), "--json")
    assert answer.returncode == 0, answer.stderr
    stored = json.loads(answer.stdout)["training"]
    assert (stored["first_weights"], stored["signed"], stored["pool"]) == ("ternary", True, "after")
    arguments = ["4c3p1,p2,8", "--data", "digits", "--epochs", "1", "--initial", "run", "--no-signed", "--out", "next"]
    answer = signfold("train", *arguments, *style.replace("--signed ", "").split(), "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["training"]["initial"] == "run"


def test_defaults_fit_their_data_and_their_kind_of_network() -> None:
    for name in DEFAULTS:
        options = TrainingOptions.from_json({"dataset": name.split()[0]} | DEFAULTS[name])
        assert options.reads_codes == (name in ("mnist conv", "fashion-mnist conv", "cifar10"))
    assert defaults("mnist", "tfc") == defaults("mnist") | {"topology": "tfc"}
    assert defaults("mnist", "8c3,p2") == defaults("mnist", "conv-s") | {"topology": "8c3,p2"} != defaults("mnist", "8")
    assert defaults("digits", "8c3")["epochs"] == defaults("digits")["epochs"]


def test_stopped_run_says_how_to_continue(signfold, monkeypatch) -> None:
    whole = signfold("train", "8", "--data", "digits", "--epochs", "4", "--out", "whole", "--json")
    epoch, limit = Trainer.epoch, 0

    def stopping(trainer: Trainer, *arguments: object) -> dict:
        if len(trainer.history) == limit:
            raise KeyboardInterrupt
        return epoch(trainer, *arguments)

    monkeypatch.setattr(Trainer, "epoch", stopping)
    early = signfold("train", "8", "--data", "digits", "--epochs", "4", "--out", "run")
    assert early.returncode == 130 and "nothing was written" in early.stderr
    limit = 2
    stopped = signfold("train", "8", "--data", "digits", "--epochs", "4", "--out", "run")
    assert (
        stopped.returncode == 130
        and "after epoch 2; continue with: signfold train --resume --out run" in stopped.stderr
    )
    limit = 5
    continued = signfold("train", "--resume", "--out", "run", "--json")
    assert continued.returncode == 0 and "epoch 3/4" in continued.stderr and "epoch 2/4" not in continued.stderr
    results = [json.loads(answer.stdout) for answer in (whole, continued)]
    for result in results:
        del result["run"], result["best"]["seconds"]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnist", "--data-dir", "nowhere"], "train-images-idx3-ubyte"),
        (["--data", "svhn"], "'svhn'"),
        (["huge", "--data", "digits"], "topology is 'huge'"),
        (["--data", "digits", "--lr", "-1"], "lr is -1.0"),
        (["4c9", "--data", "digits"], "does not fit"),
        (["4c3", "--data", "digits", "--first", "bits"], "threshold is one for each of 64 pixels"),
        (["--data", "digits", "--threshold", "dark"], "threshold is 'dark'"),
        (["--data", "digits", "--threshold", "33"], "threshold is 33"),
        (["--data", "digits", "--epochs", "many"], "valid int"),
        (["--resume"], "--resume needs --out"),
        (["--resume", "--out", "nowhere"], "nowhere"),
    ],
)
def test_wrong_use_exits_2(signfold, tmp_path, arguments: list[str], message: str) -> None:
    answer = signfold("train", *arguments)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert answer.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_data_check_names_what_is_wrong(signfold) -> None:
    good = signfold("data", "check", "digits")
    assert good.returncode == 0 and good.stdout == "digits: ok\n"
    bad = signfold("data", "check", "digits", "mnist", "--data-dir", "nowhere", "--json")
    assert bad.returncode == 2
    states = json.loads(bad.stdout)["data_sets"]
    assert states["digits"] == "ok" and "train-images-idx3-ubyte" in states["mnist"]
    listed = signfold("data", "list", "--json")
    assert list(json.loads(listed.stdout)["data_sets"]) == ["digits", "mnist", "fashion-mnist", "cifar10"]


def test_nothing_but_training_imports_torch(tmp_path) -> None:
    code = (
        "import sys, signfold.sw.cli.train, signfold.sw.cli.data, signfold.sw.train.options, "
        "signfold.sw.train.checkpoint, signfold.sw.data; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_errors_reach_a_terminal_without_a_traceback(tmp_path) -> None:
    command = [sys.executable, "-c", "from signfold.sw.cli.app import main; main()", "train", "--data", "svhn"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: no data set is named 'svhn'")
    assert "Traceback" not in answer.stderr
