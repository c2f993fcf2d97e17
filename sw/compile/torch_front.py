"""The compiler's only contact with PyTorch: the trained model run by the framework that trained it, for comparison."""

import os
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.float_layers import BatchNorm
from signfold.sw.compile.frontend import import_model
from signfold.sw.errors import CheckpointError

__all__ = ["NAME", "evaluate_batch_norm", "float_classes"]

#: Name of this evaluation in reports.
NAME = f"torch {torch.__version__}"

#: Frames through the float model at a time.
BLOCK = 1000


@torch.no_grad()
def evaluate_batch_norm(norm: BatchNorm, sums: np.ndarray) -> np.ndarray:
    """Evaluate a batch normalization with PyTorch's inference kernel on the processor.

    Parameters
    ----------
    norm : BatchNorm
        The layer.
    sums : numpy.ndarray
        float32 ``[n, channels]``.

    Returns
    -------
    numpy.ndarray
        float32 ``[n, channels]``.
    """
    mean, variance, gamma, beta = (
        torch.from_numpy(values.copy()) for values in (norm.mean, norm.variance, norm.gamma, norm.beta)
    )
    frames = torch.from_numpy(sums.copy())
    return functional.batch_norm(frames, mean, variance, gamma, beta, False, 0.0, norm.eps).numpy()


@torch.no_grad()
def float_classes(run: str | os.PathLike[str], frames: np.ndarray, *, epoch: str | None = None) -> np.ndarray:
    """Classify frames with the trained float model.

    Parameters
    ----------
    run : path
        Folder of the training run.
    frames : numpy.ndarray
        uint8 ``[n, ...]``.
    epoch : {"best", "last"}, optional
        As for `checkpoint.read_checkpoint`.

    Returns
    -------
    numpy.ndarray
        int64 ``[n]``: the lowest class among those of the highest score.

    Raises
    ------
    CheckpointError, CompileError
        The run cannot be read, or is of a model that the compiler would refuse, or takes other frames.
    """
    from signfold.sw.train.models import BinaryNet

    stored = read_model(Path(run), epoch)
    elements = import_model(stored).input.elements
    codes = torch.from_numpy(frames.reshape(len(frames), -1).copy())
    if codes.shape[1] != elements:
        raise CheckpointError(f"the model of {run} takes {elements} pixels, but the frames have {codes.shape[1]}")
    model = BinaryNet(stored.description["layers"], torch.Generator().manual_seed(0))
    model.load_state_dict(
        {name.removeprefix("model."): torch.from_numpy(value.copy()) for name, value in stored.tensors.items()}
    )
    model.eval()
    classes = [model(block).numpy().argmax(axis=1) for block in codes.split(BLOCK)]
    return np.concatenate(classes).astype(np.int64) if classes else np.empty(0, np.int64)
