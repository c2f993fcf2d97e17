"""The training loop: epochs, validation, checkpoints, and continuing where an earlier process stopped."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signfold.sw.data import Dataset
from signfold.sw.errors import CheckpointError
from signfold.sw.train import losses
from signfold.sw.train.augmentation import epoch_frames
from signfold.sw.train.checkpoint import (
    Checkpoint,
    exists,
    read_best,
    read_checkpoint,
    write_best,
    write_checkpoint,
)
from signfold.sw.train.describe import Style, describe
from signfold.sw.train.models import BinaryNet
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.schedules import rate
from signfold.sw.train.topologies import parse_topology

__all__ = ["Trainer", "train"]


class Trainer:
    """One run: model, optimizer, random generator and history.

    All randomness comes from one generator whose state is part of the checkpoint, so that a run which was stopped and
    continued ends in the same bits as one that was not.

    Parameters
    ----------
    options : TrainingOptions
        Choices of the run.
    dataset : Dataset
        Data; the parts `train` and `validation` are read, `test` never.

    Raises
    ------
    ValueError
        The pixel threshold, the shift, the noise or the topology does not fit the data set.
    """

    def __init__(self, options: TrainingOptions, dataset: Dataset) -> None:
        if options.threshold is not None and options.threshold > 1 << dataset.bits:
            raise ValueError(f"threshold is {options.threshold!r}, allowed for {dataset.name}: 0..{1 << dataset.bits}")
        if options.shift >= min(dataset.shape[-2:]):
            raise ValueError(f"shift is {options.shift!r}, allowed for {dataset.name}: below {min(dataset.shape[-2:])}")
        if options.noise >= 1 << dataset.bits:
            raise ValueError(f"noise is {options.noise!r}, allowed for {dataset.name}: below {1 << dataset.bits}")
        self.options = options
        self._bits = dataset.bits
        self._train = _tensors(*dataset.split("train"))
        self._validation = _tensors(*dataset.split("validation"))
        style = Style(
            options.head,
            options.weights,
            options.weights if options.first_weights == "same" else options.first_weights,
            options.weights if options.last_weights == "same" else options.last_weights,
            options.activations,
            options.signed,
            options.pad,
            options.pool,
            None if options.reads_codes else self._thresholds(),
        )
        shape, layers = describe(dataset.shape, dataset.bits, parse_topology(options.topology), dataset.classes, style)
        self.description = {"input": {"shape": list(shape), "bits": dataset.bits}, "layers": layers}
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self._generator = torch.Generator().manual_seed(options.seed)
        self.model = BinaryNet(
            layers,
            self._generator,
            shape=shape,
            bits=dataset.bits,
            momentum=options.momentum,
            dropout=options.dropout,
            precision={"float32": torch.float32, "bfloat16": torch.bfloat16}[options.precision],
        )
        self._loss = {"cross-entropy": losses.cross_entropy, "squared-hinge": losses.squared_hinge}[options.loss]
        self._optimizer = torch.optim.Adam(self.model.parameters(), lr=options.lr, fused=True)

    def _thresholds(self) -> tuple[int, ...]:
        if self.options.threshold is not None:
            return (self.options.threshold,)
        means = self._train[0].flatten(1).double().mean(0).numpy()
        return tuple(np.floor(means + 0.5).astype(int).tolist())

    @property
    def done(self) -> bool:
        """Whether all epochs have run."""
        return len(self.history) >= self.options.epochs

    def epoch(self, on_step: Callable[[float], None] | None = None) -> dict[str, Any]:
        """Run one epoch and validate.

        Parameters
        ----------
        on_step : callable, optional
            Told after every step what share of the epoch is done.

        Returns
        -------
        dict
            The epoch's entry in the history: `epoch` (from 1), `loss`, `train_accuracy` (of the network in training,
            on changed pictures), `validation_loss`, `validation_accuracy`, `lr` (of the last step), `seconds`.

        Raises
        ------
        CheckpointError
            The loss is no longer finite.
        """
        options, started = self.options, time.monotonic()
        frames, labels = epoch_frames(
            *self._train,
            self._generator,
            shift=options.shift,
            flip=options.flip,
            noise=options.noise,
            bits=self._bits,
        )
        batch = min(options.batch, len(frames))
        steps = len(frames) // batch
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self.model.train()
        for step in range(steps):
            progress = (len(self.history) + step / steps) / options.epochs
            factor = rate(options.schedule, progress, options.warmup / options.epochs)
            for group in self._optimizer.param_groups:
                group["lr"] = options.lr * factor
            rows = slice(step * batch, (step + 1) * batch)
            scores = self.model(frames[rows])
            loss = self._loss(scores, labels[rows])
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            self.model.clip()
            total += loss.detach()
            right += (scores.detach().argmax(1) == labels[rows]).sum()
            if on_step is not None:
                on_step((step + 1) / steps)
        if not math.isfinite(total):
            raise CheckpointError(f"epoch {len(self.history) + 1}: the loss is {float(total)!r}; use a smaller lr")
        self.model.refresh()
        count, validation_loss = self.model.measure(*self._validation)
        entry = {
            "epoch": len(self.history) + 1,
            "loss": float(total) / steps,
            "train_accuracy": int(right) / (steps * batch),
            "validation_loss": validation_loss,
            "validation_accuracy": count / len(self._validation[0]),
            "lr": options.lr * factor,
            "seconds": round(time.monotonic() - started, 3),
        }
        self.history.append(entry)
        return entry

    def save(self, run: Path) -> None:
        """Write the state after an epoch, and the model itself where it is the best so far.

        Better is a higher validation accuracy, and among equals a lower validation loss.

        Parameters
        ----------
        run : pathlib.Path
            Run folder, which exists.
        """
        entry = self.history[-1]
        model = {f"model.{name}": value.detach().numpy() for name, value in self.model.state_dict().items()}
        if not self.best or _merit(entry) > _merit(self.best):
            self.best = entry
            write_best(run, model, entry)
        tensors = dict(model)
        names = [name for name, _ in self.model.named_parameters()]
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{names[index]}.{key}": value.numpy() for key, value in state.items()}
        tensors["rng.generator"] = self._generator.get_state().numpy()
        write_checkpoint(
            run,
            Checkpoint(
                self.options.dataset, self.description, self.options.to_json(), self.history, self.best, tensors
            ),
        )

    def begin_with(self, run: Path) -> None:
        """Take the best model of another run as the first one.

        Parameters
        ----------
        run : pathlib.Path
            Its folder.

        Raises
        ------
        CheckpointError
            The folder holds none, or one of other layers.
        """
        tensors = {name.removeprefix("model."): torch.from_numpy(value) for name, value in read_best(run).items()}
        try:
            self.model.load_state_dict(tensors)
        except RuntimeError as error:
            raise CheckpointError(f"{run}: the model there is of other layers: {error}") from error

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where a checkpoint was written.

        Parameters
        ----------
        checkpoint : Checkpoint
            State of a run with the same options on the same data.

        Raises
        ------
        CheckpointError
            Tensors are missing, or of another shape than the description says.
        """
        if checkpoint.model != self.description:
            raise CheckpointError("the checkpoint's model differs from the one that its options and data give")
        tensors = {name: torch.from_numpy(value.copy()) for name, value in checkpoint.tensors.items()}
        names = [name for name, _ in self.model.named_parameters()]
        optimizer = self._optimizer.state_dict()
        try:
            self.model.load_state_dict(
                {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
            )
            optimizer["state"] = {
                index: {key: tensors[f"optimizer.{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                for index, name in enumerate(names)
            }
            self._optimizer.load_state_dict(optimizer)
            self._generator.set_state(tensors["rng.generator"])
        except (KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"the checkpoint's tensors do not fit its description: {error}") from error
        self.history, self.best = list(checkpoint.history), dict(checkpoint.best)


def _tensors(pictures: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Take over pictures, channels innermost where they have channels: the order that convolutions are fastest in."""
    taken = torch.from_numpy(pictures.copy())
    if taken.dim() == 4:
        taken = taken.contiguous(memory_format=torch.channels_last)
    return taken, torch.from_numpy(labels)


def _options(checkpoint: Checkpoint, folder: Path) -> TrainingOptions:
    try:
        return TrainingOptions.from_json(checkpoint.training)
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def _merit(entry: dict[str, Any]) -> tuple[float, float]:
    return entry["validation_accuracy"], -entry["validation_loss"]


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

    The outcome is the same to the bit for equal options on one machine and version of torch.

    Parameters
    ----------
    options : TrainingOptions
        Choices of the run.
    dataset : Dataset
        Data of the name that `options` gives.
    run : path-like
        Run folder, made where it is missing.
    resume : bool, default: False
        Continue the run in the folder, which must have the same options; a run that is done is left as it is.
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
    checkpoint = None
    if resume:
        checkpoint = read_checkpoint(folder)
        if _options(checkpoint, folder) != options:
            raise CheckpointError(f"{folder}: holds a run with other options, {checkpoint.training}")
    elif exists(folder):
        raise CheckpointError(f"{folder}: holds a run already; continue it (--resume) or choose another folder")
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        trainer = Trainer(options, dataset)
        if checkpoint is not None:
            trainer.restore(checkpoint)
        elif options.initial is not None:
            trainer.begin_with(Path(options.initial))
        folder.mkdir(parents=True, exist_ok=True)
        while not trainer.done:
            entry = trainer.epoch(on_step)
            trainer.save(folder)
            if on_epoch is not None:
                on_epoch(entry)
    finally:
        torch.set_num_threads(threads)
    return trainer
