"""`signfold train` and `signfold data` as a user meets them."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.defaults import DEFAULTS, defaults  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.trainer import Trainer  # noqa: E402


def test_trains_continues_and_reports(signfold) -> None:
    first = signfold("train", "16,12", "--data", "digits", "--epochs", "3", "--out", "run", "--json")
    assert first.code == 0, first.err
    result = json.loads(first.out)
    assert result["epochs"] == 3 and result["training"]["topology"] == "16,12"
    assert result["best"]["validation_accuracy"] > 0.2
    assert first.err.count("epoch ") == 3
    again = signfold("train", "--out", "run")
    assert again.code == 2 and "holds a run already" in again.err
    contrary = signfold("train", "--resume", "--out", "run", "--epochs", "4")
    assert contrary.code == 2 and "was begun with epochs 3" in contrary.err
    done = signfold("train", "--resume", "--out", "run")
    assert done.code == 0 and f"{result['best']['validation_accuracy']:.4f}" in done.out


def test_trains_convolutions_of_several_bits(signfold) -> None:
    style = "--weights 2 --first-weights ternary --last-weights 1 --activations 2 --signed --pad high --pool after"
    arguments = ["4c3p1,p2,8", "--data", "digits", "--epochs", "1", "--precision", "bfloat16", "--flip", "--out", "run"]
    answer = signfold("train", *arguments, *style.split(), "--json")
    assert answer.code == 0, answer.err
    stored = json.loads(answer.out)["training"]
    assert (stored["first_weights"], stored["signed"], stored["pool"]) == ("ternary", True, "after")
    arguments = ["4c3p1,p2,8", "--data", "digits", "--epochs", "1", "--initial", "run", "--no-signed", "--out", "next"]
    answer = signfold("train", *arguments, *style.replace("--signed ", "").split(), "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["training"]["initial"] == "run"


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
    assert early.code == 130 and "nothing was written" in early.err
    limit = 2
    stopped = signfold("train", "8", "--data", "digits", "--epochs", "4", "--out", "run")
    assert stopped.code == 130 and "after epoch 2; continue with: signfold train --resume --out run" in stopped.err
    limit = 5
    continued = signfold("train", "--resume", "--out", "run", "--json")
    assert continued.code == 0 and "epoch 3/4" in continued.err and "epoch 2/4" not in continued.err
    results = [json.loads(answer.out) for answer in (whole, continued)]
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
    assert answer.code == 2
    assert message in answer.err
    assert answer.out == ""
    assert list(tmp_path.iterdir()) == []


def test_data_check_names_what_is_wrong(signfold) -> None:
    good = signfold("data", "check", "digits")
    assert good.code == 0 and good.out == "digits: ok\n"
    bad = signfold("data", "check", "digits", "mnist", "--data-dir", "nowhere", "--json")
    assert bad.code == 2
    states = json.loads(bad.out)["data_sets"]
    assert states["digits"] == "ok" and "train-images-idx3-ubyte" in states["mnist"]
    listed = signfold("data", "list", "--json")
    assert list(json.loads(listed.out)["data_sets"]) == ["digits", "mnist", "fashion-mnist", "cifar10"]


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
