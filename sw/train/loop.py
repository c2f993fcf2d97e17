"""A network from its options: a run folder, a teacher, epochs, and going on where an earlier process stopped."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from signfold.sw.data import Dataset
from signfold.sw.errors import CheckpointError
from signfold.sw.train.checkpoint import Checkpoint, exists, read_checkpoint
from signfold.sw.train.devices import choose_device
from signfold.sw.train.models import BinaryNet
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.processes import Processes, join
from signfold.sw.train.saved import load_best
from signfold.sw.train.trainer import Trainer
from signfold.sw.train.twin import twin

__all__ = ["train"]

#: Where the float twin of a run lies in its folder.
TWIN = "teacher"


def train(
    options: TrainingOptions,
    dataset: Dataset,
    run: str | os.PathLike[str],
    *,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_step: Callable[[float], None] | None = None,
) -> Trainer:
    """Train a network, writing a checkpoint after every epoch.

    The outcome is the same to the bit for equal options on one machine and version of torch. Under `torchrun` every
    process calls this with the same arguments; process 0 alone writes, and calls `on_epoch` and `on_step`.

    Parameters
    ----------
    options : TrainingOptions
        Choices of the run.
    dataset : Dataset
        Data of the name that `options` gives.
    run : path-like
        Run folder, made where it is missing.
    resume : bool, default: False
        Continue the run in the folder, which must have the same options but for `device`; a run that is done is left as
        it is.
    on_epoch : callable, optional
        Told each epoch's entry in the history.
    on_step : callable, optional
        Told the share of the current epoch that is done.

    Returns
    -------
    Trainer
        The run as it ended, with `model` (of the last epoch), `history` and `best`.

    Raises
    ------
    CheckpointError
        The folder holds a run and `resume` is False, or there is none to resume, or it has other options.
    DataError
        The data cannot be read.
    """
    folder = Path(run)
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        processes = join(options.processes, choose_device(options.device))
        checkpoint = _found(options, folder, resume)
        # Nobody writes before everybody has looked.
        processes.wait()
        trainer = Trainer(options, dataset, processes, _teacher(options, dataset, folder))
        if checkpoint is not None:
            trainer.restore(checkpoint)
        elif options.initial is not None:
            trainer.begin_with(Path(options.initial))
        _run(trainer, folder, processes, on_epoch, on_step)
    finally:
        torch.set_num_threads(threads)
    return trainer


def _run(
    trainer: Trainer,
    folder: Path,
    processes: Processes,
    on_epoch: Callable[[dict[str, Any]], None] | None,
    on_step: Callable[[float], None] | None,
) -> None:
    """Run the epochs that are left."""
    folder.mkdir(parents=True, exist_ok=True)
    while not trainer.done:
        entry = trainer.epoch(on_step if processes.writes else None)
        trainer.save(folder)
        if on_epoch is not None and processes.writes:
            on_epoch(entry)
    processes.wait()


def _found(options: TrainingOptions, folder: Path, resume: bool) -> Checkpoint | None:
    """Read the checkpoint to go on from, or see that there is none."""
    if not resume:
        if exists(folder):
            raise CheckpointError(f"{folder}: holds a run already; continue it (--resume) or choose another folder")
        return None
    checkpoint = read_checkpoint(folder)
    try:
        stored = TrainingOptions.from_json(checkpoint.training)
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if replace(stored, device=options.device) != options:
        raise CheckpointError(f"{folder}: holds a run with other options, {checkpoint.training}")
    return checkpoint


def _teacher(options: TrainingOptions, dataset: Dataset, folder: Path) -> BinaryNet | None:
    """Load the network that teaches, and train it first where it is the run's own twin."""
    if options.teacher is None:
        return None
    if options.teacher.run != "twin":
        return load_best(Path(options.teacher.run))[0]
    own = folder / TWIN
    train(twin(options), dataset, own, resume=exists(own))
    return load_best(own)[0]
