"""The gradient mismatch of a training run's best model."""

from collections.abc import Callable
from pathlib import Path

import torch

from signfold.sw.data import Dataset
from signfold.sw.errors import CheckpointError
from signfold.sw.train.mismatch import LayerMismatch, MismatchEstimator
from signfold.sw.train.objective import label_loss
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.saved import load_best

__all__ = ["measure_run"]


def measure_run(
    run: Path,
    estimator: MismatchEstimator,
    pictures: int,
    load: Callable[[str], Dataset],
    on_layer: Callable[[str], None] | None = None,
) -> list[LayerMismatch]:
    """Measure the mismatch of the best model of a run, with the estimators and the loss that it was trained with.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.
    estimator : MismatchEstimator
        How.
    pictures : int
        The first so many training pictures are taken, or all where there are fewer.
    load : callable
        Gives the data set of a name.
    on_layer : callable, optional
        Told the name of each layer before its turn.

    Returns
    -------
    list of LayerMismatch
        One a layer with weights.

    Raises
    ------
    CheckpointError
        The folder holds no run, or one that cannot be read.
    """
    draws = torch.Generator()
    model, checkpoint = load_best(run, generator=draws, training=True)
    try:
        options = TrainingOptions.from_json(checkpoint.training)
    except ValueError as error:
        raise CheckpointError(f"{run}: {error}") from error
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    frames, labels = (torch.from_numpy(part[:pictures].copy()) for part in load(checkpoint.dataset).split("train"))
    try:
        return estimator.compute(model, draws, lambda scores: label_loss(options, scores, labels), frames, on_layer)
    finally:
        torch.set_num_threads(threads)
