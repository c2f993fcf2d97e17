"""The steps that make a network: training in slices, and compilation with its accuracy."""

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from signfold.sw.compile import compile_run
from signfold.sw.compile.accuracy import frames_for, measure
from signfold.sw.data import load
from signfold.sw.explore.outcome import NETWORK, Outcome
from signfold.sw.train.checkpoint import exists, read_checkpoint
from signfold.sw.train.options import TrainingOptions

__all__ = ["compile_step", "train_step"]


class _SliceOver(Exception):
    """So much time has passed that the run is handed over; its checkpoint is written."""


def train_step(arguments: Mapping[str, Any], setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Outcome:
    """Train a network for a while, or to its end.

    The outcome is the run folder, so that any machine can go on: in the same bits as if the run had not been stopped.

    Parameters
    ----------
    arguments : mapping
        `options` of the run.
    setting : mapping
        `seconds` after which the run is handed over at the next end of an epoch; `data_dir`.
    inputs : mapping of str to bytes
        Files of the run folder, where the run has begun.

    Returns
    -------
    Outcome
        Files of the run folder; `epochs` that are done, and once all are `epoch` and `validation_float` of the best.
    """
    from signfold.sw.train.loop import train

    options = TrainingOptions.from_json(arguments["options"])
    dataset = load(options.dataset, setting.get("data_dir"))
    deadline = time.monotonic() + setting.get("seconds", float("inf"))

    def on_epoch(entry: Mapping[str, Any]) -> None:
        if entry["epoch"] < options.epochs and time.monotonic() >= deadline:
            raise _SliceOver

    with TemporaryDirectory(prefix="signfold-") as folder:
        run = Path(folder) / "run"
        _unpack(inputs, run)
        try:
            train(options, dataset, run, resume=exists(run), on_epoch=on_epoch)
            done = True
        except _SliceOver:
            done = False
        found = read_checkpoint(run)
        files = {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    result: dict[str, Any] = {"epochs": len(found.history)}
    if done:
        result |= {"epoch": found.best["epoch"], "validation_float": found.best["validation_accuracy"]}
    return Outcome(result, files, done=done)


def compile_step(arguments: Mapping[str, Any], setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Outcome:
    """Compile the best epoch of a run, and measure it before and after.

    Parameters
    ----------
    arguments : mapping
        `real_weights`, as in `compile_run`.
    setting : mapping
        `data_dir`.
    inputs : mapping of str to bytes
        Files of the run folder.

    Returns
    -------
    Outcome
        The network; `content_hash`, `validation_integer`, `test_integer` and `test_float`. The test set is read here,
        once a network, after validation has chosen its epoch.
    """
    from signfold.sw.train.saved import measure_best

    with TemporaryDirectory(prefix="signfold-") as folder:
        run = Path(folder) / "run"
        _unpack(inputs, run)
        dataset = load(read_checkpoint(run).dataset, setting.get("data_dir"))
        trained = measure_best(run, dataset, "test")
        compiled = compile_run(run, sample=0, real_weights=arguments["real_weights"], data_dir=setting.get("data_dir"))
        path = Path(folder) / NETWORK
        compiled.network.save(path)
        files = {NETWORK: path.read_bytes()}
    network = compiled.network
    result = {
        "content_hash": network.content_hash,
        "validation_integer": measure(network, *frames_for(network, dataset, "validation")).fraction,
        "test_float": trained,
        "test_integer": measure(network, *frames_for(network, dataset, "test")).fraction,
    }
    return Outcome(result, files)


def _unpack(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
