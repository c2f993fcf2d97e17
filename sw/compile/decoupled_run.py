"""A decoupled model written as a run folder, for fine-tuning to begin with and for the compiler to read."""

import os
from dataclasses import replace
from pathlib import Path

from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.decouple import Decoupled, decouple
from signfold.sw.errors import CheckpointError
from signfold.sw.train.checkpoint import exists, read_checkpoint, write_best, write_checkpoint

__all__ = ["decouple_run"]


def decouple_run(run: str | os.PathLike[str], out: str | os.PathLike[str], *, epoch: str | None = None) -> Decoupled:
    """Decouple a run's model and write it as the best one of another run folder, with the same history.

    The new folder has no optimizer: `signfold train --initial` begins with it, `--resume` cannot go on from it.

    Parameters
    ----------
    run : path
        Folder of a run with coupled activations.
    out : path
        Folder to write; it must not hold a run.
    epoch : {"best", "last"}, optional
        Tensors to take; without it the best epoch's where there are any, else the last.

    Raises
    ------
    CheckpointError
        The run cannot be read, or `out` holds one.
    CompileError
        The model cannot be decoupled, see `decouple.decouple`.
    """
    run, out = Path(run), Path(out)
    if exists(out):
        raise CheckpointError(f"{out}: holds a run, which would be overwritten")
    made = decouple(read_model(run, epoch))
    checkpoint = read_checkpoint(run)
    options = dict(checkpoint.training)
    if options.get("activation") == "coupled":
        options["activation"] = "decoupled"
    out.mkdir(parents=True, exist_ok=True)
    write_best(out, made.model.tensors, checkpoint.best)
    write_checkpoint(
        out, replace(checkpoint, model=made.model.description, training=options, tensors=made.model.tensors)
    )
    return made
