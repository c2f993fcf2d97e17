"""One run of training: its epochs, and its state between them."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signfold.sw.data import Dataset
from signfold.sw.errors import CheckpointError
from signfold.sw.train.architectures import lay_out
from signfold.sw.train.augmentation import epoch_frames
from signfold.sw.train.checkpoint import Checkpoint, write_best, write_checkpoint
from signfold.sw.train.choices import Progressive
from signfold.sw.train.course import Course
from signfold.sw.train.devices import choose_device
from signfold.sw.train.flips import flip_ratio, weight_codes
from signfold.sw.train.models import BinaryNet
from signfold.sw.train.objective import Objective
from signfold.sw.train.optimizers.assign import Optimizers
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.pictures import check_fits, pictures_of
from signfold.sw.train.processes import Processes, share_gradients
from signfold.sw.train.run_state import model_tensors, optimizer_tensors, restore_tensors
from signfold.sw.train.saved import best_tensors

__all__ = ["Trainer"]


class Trainer:
    """One run: model, optimizers, random generator and history.

    All randomness comes from one generator whose state is part of the checkpoint, so that a run which was stopped and
    continued ends in the same bits as one that was not. Of several processes each draws what its own pictures need
    (dropout, random bits) from a second generator, which begins anew with every epoch.

    Parameters
    ----------
    options : TrainingOptions
        Choices of the run.
    dataset : Dataset
        Data; the parts `train` and `validation` are read, `test` never.
    processes : Processes, optional
        Which of how many processes this one is; alone by default.
    teacher : BinaryNet, optional
        The network that teaches, where the options have one.

    Raises
    ------
    ValueError
        The pixel threshold, the shift, the noise or the topology does not fit the data set.
    """

    def __init__(
        self,
        options: TrainingOptions,
        dataset: Dataset,
        processes: Processes | None = None,
        teacher: BinaryNet | None = None,
    ) -> None:
        check_fits(options, dataset)
        self.options = options
        self._course = Course(options)
        self._processes = processes or Processes()
        self.device = choose_device(options.device, self._processes.local_rank)
        self._bits = dataset.bits
        self._train = pictures_of(*dataset.split("train"))
        self._validation = tuple(part.to(self.device) for part in pictures_of(*dataset.split("validation")))
        style = options.style(None if options.reads_codes else self._thresholds())
        shape, layers = lay_out(options.topology, dataset.shape, dataset.bits, dataset.classes, style)
        self.description = {"input": {"shape": list(shape), "bits": dataset.bits}, "layers": layers}
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self._generator = torch.Generator().manual_seed(options.seed)
        alone = self._processes.count == 1
        self._draws = self._generator if alone else torch.Generator().manual_seed(options.seed)
        self.model = BinaryNet(
            layers,
            self._draws,
            shape=shape,
            bits=dataset.bits,
            momentum=options.momentum,
            dropout=options.dropout,
            precision={"float32": torch.float32, "bfloat16": torch.bfloat16}[options.precision],
            method=options.method,
        ).to(self.device)
        self._optimizers = Optimizers(self.model, options)
        self._objective = Objective(options, self.model, None if teacher is None else teacher.to(self.device))
        # A stage of real numbers leaves parameters aside that a later one uses.
        aside = options.progressive != Progressive()
        self._network = self.model if alone else share_gradients(self.model, aside)

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
            on changed pictures), `validation_loss`, `validation_accuracy`, `lr` (of the last step), `flip_ratio` (share
            of the few-level weights whose code is another one than after the epoch before), `seconds`.

        Raises
        ------
        CheckpointError
            The loss is no longer finite.
        """
        options, started = self.options, time.monotonic()
        before = weight_codes(self.model)
        self._enter()
        frames, labels = epoch_frames(
            *self._train,
            self._generator,
            shift=options.shift,
            flip=options.flip,
            rotate=options.rotate,
            zoom=options.zoom,
            elastic=options.elastic,
            noise=options.noise,
            bits=self._bits,
        )
        frames, labels = frames.to(self.device), labels.to(self.device)
        batch = min(options.batch, len(frames))
        batch -= batch % self._processes.count
        steps = len(frames) // batch
        total = torch.zeros((), device=self.device)
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        self.model.train()
        for step in range(steps):
            factor, progress = self._course.rate(len(self.history), step / steps)
            self._optimizers.set_rate(factor, progress)
            rows = self._processes.share(step * batch, batch)
            scores = self._network(frames[rows])
            loss = self._objective(frames[rows], scores, labels[rows])
            self._optimizers.zero_grad()
            loss.backward()
            self._optimizers.step()
            self.model.clip()
            total += loss.detach()
            right += (scores.detach().argmax(1) == labels[rows]).sum()
            if on_step is not None:
                on_step((step + 1) / steps)
        total, right = self._processes.sum(total) / self._processes.count, self._processes.sum(right)
        if not math.isfinite(total):
            raise CheckpointError(f"epoch {len(self.history) + 1}: the loss is {float(total)!r}; use a smaller lr")
        self.model.refresh()
        self._processes.equalize(self.model)
        count, validation_loss = self.model.measure(*self._validation)
        entry = {
            "epoch": len(self.history) + 1,
            "loss": float(total) / steps,
            "train_accuracy": int(right) / (steps * batch),
            "validation_loss": validation_loss,
            "validation_accuracy": count / len(self._validation[0]),
            "lr": options.lr * factor,
            "flip_ratio": flip_ratio(before, weight_codes(self.model)),
            "seconds": round(time.monotonic() - started, 3),
        }
        self.history.append(entry)
        return entry

    def _enter(self) -> None:
        """Make the network that of the present epoch: its stage, its estimators, its draws."""
        epoch, processes = len(self.history), self._processes
        if processes.count > 1:
            # No two of (seed, epoch, rank) give the same number as long as there are fewer than 2**20 of the last two.
            place = (epoch << 20) + processes.rank + 1
            self._draws.manual_seed((self.options.seed * (1 << 40) + place) % (1 << 63))
        self.model.enter(self._course.method(epoch), self._course.progress(epoch))

    def save(self, run: Path) -> None:
        """Write the state after an epoch, and the model itself where it is the best so far.

        Better is a higher validation accuracy, and among equals a lower validation loss. Process 0 alone writes.

        Parameters
        ----------
        run : pathlib.Path
            Run folder, which exists.
        """
        entry = self.history[-1]
        better = not self.best or _merit(entry) > _merit(self.best)
        if better:
            self.best = entry
        if not self._processes.writes:
            return
        model = model_tensors(self.model)
        if better:
            write_best(run, model, entry)
        tensors = model | optimizer_tensors(self._optimizers, self._generator)
        options = self.options
        write_checkpoint(
            run, Checkpoint(options.dataset, self.description, options.to_json(), self.history, self.best, tensors)
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
        try:
            self.model.load_state_dict(best_tensors(run))
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
        restore_tensors(checkpoint.tensors, self.model, self._optimizers, self._generator)
        self.history, self.best = list(checkpoint.history), dict(checkpoint.best)


def _merit(entry: dict[str, Any]) -> tuple[float, float]:
    return entry["validation_accuracy"], -entry["validation_loss"]
