"""What a run makes small: the loss of the labels, a teacher's, and penalties."""

import torch

from signfold.sw.train import losses
from signfold.sw.train.models import BinaryNet
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.penalties import penalty

__all__ = ["Objective", "label_loss"]


def label_loss(options: TrainingOptions, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of the labels alone.

    Parameters
    ----------
    options : TrainingOptions
        `loss` and `label_smoothing` are read.
    scores : torch.Tensor
        float [n, classes].
    labels : torch.Tensor
        int64 [n].

    Returns
    -------
    torch.Tensor
        A scalar.
    """
    match options.loss:
        case "cross-entropy":
            return losses.cross_entropy(scores, labels, options.label_smoothing)
        case "squared-hinge":
            return losses.squared_hinge(scores, labels)
        case _:
            return losses.bit_error(scores, labels)


class Objective:
    """The number whose gradient a step follows.

    Parameters
    ----------
    options : TrainingOptions
        `loss`, `label_smoothing`, `teacher` and `penalty` are read.
    model : BinaryNet
        The network that is trained.
    teacher : BinaryNet, optional
        The network that teaches, where the options have one. It sees the same changed pictures.
    """

    def __init__(self, options: TrainingOptions, model: BinaryNet, teacher: BinaryNet | None = None) -> None:
        self._options, self._model, self._teacher = options, model, teacher
        if teacher is not None:
            teacher.eval()

    def __call__(self, frames: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the objective of one batch.

        Parameters
        ----------
        frames : torch.Tensor
            Pixel codes, uint8 [n, ...].
        scores : torch.Tensor
            What the network makes of them, float [n, classes].
        labels : torch.Tensor
            Classes, int64 [n].

        Returns
        -------
        torch.Tensor
            A scalar.
        """
        options = self._options
        total = label_loss(options, scores, labels)
        if self._teacher is not None:
            with torch.no_grad():
                wanted = self._teacher(frames)
            taught = losses.distillation(scores, wanted, options.teacher.temperature)
            total = (1 - options.teacher.weight) * total + options.teacher.weight * taught
        if options.penalty.name != "none" or options.penalty.scales:
            total = total + penalty(self._model, options.penalty)
        return total
