"""Networks of other runs, read back: to teach, to begin with, to look at."""

from pathlib import Path

import torch

from signfold.sw.data import Dataset
from signfold.sw.errors import CheckpointError
from signfold.sw.train.checkpoint import Checkpoint, read_best, read_checkpoint
from signfold.sw.train.method import Method
from signfold.sw.train.models import BinaryNet

__all__ = ["best_tensors", "load_best", "measure_best"]


def best_tensors(run: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a run's best model.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.

    Returns
    -------
    dict of torch.Tensor
        By their names in the network.

    Raises
    ------
    CheckpointError
        The folder holds none, or a damaged one.
    """
    return {name.removeprefix("model."): torch.from_numpy(value) for name, value in read_best(run).items()}


def load_best(
    run: Path, *, generator: torch.Generator | None = None, training: bool = False
) -> tuple[BinaryNet, Checkpoint]:
    """Build a run's best model again.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.
    generator : torch.Generator, optional
        Source of what is drawn where the network is used as in training.
    training : bool, default: False
        Whether the network gets the run's method of training; evaluation needs none.

    Returns
    -------
    tuple of BinaryNet and Checkpoint
        The network, in evaluation, and what the run is.

    Raises
    ------
    CheckpointError
        The folder holds no run, a damaged one, or one whose tensors do not fit its description.
    """
    checkpoint = read_checkpoint(run)
    description = checkpoint.model
    try:
        model = BinaryNet(
            description["layers"],
            generator or torch.Generator(),
            shape=description["input"]["shape"],
            bits=description["input"]["bits"],
            **({"method": Method.from_json(checkpoint.training.get("method", {}))} if training else {}),
        )
        model.load_state_dict(best_tensors(run))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{run}: the model does not fit its description: {error}") from error
    return model.eval(), checkpoint


def measure_best(run: Path, dataset: Dataset, part: str) -> float:
    """Return the accuracy of a run's best model, in floats.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.
    dataset : Dataset
        Its data.
    part : str
        One of `data.SPLITS`.

    Returns
    -------
    float
        Share of the part's pictures whose class is right.

    Raises
    ------
    CheckpointError
        As `load_best`.
    DataError
        The part cannot be read.
    """
    model, _ = load_best(run)
    pictures, labels = dataset.split(part)
    right, _ = model.measure(torch.from_numpy(pictures.copy()), torch.from_numpy(labels))
    return right / len(labels)
