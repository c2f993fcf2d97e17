"""A training run's folder: JSON beside safetensors, never pickle, and never half written. Free of torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from signfold.sw.errors import CheckpointError
from signfold.sw.files import write_whole

__all__ = [
    "FORMAT",
    "VERSION",
    "Checkpoint",
    "exists",
    "read_best",
    "read_checkpoint",
    "write_best",
    "write_checkpoint",
]

FORMAT, VERSION = "signfold-checkpoint", 1

#: Files of a run folder.
DESCRIPTION, TENSORS, BEST = "checkpoint.json", "checkpoint.safetensors", "best.safetensors"

#: Key of the description inside the tensor file's header.
HEADER = "signfold"


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after a whole epoch.

    Attributes
    ----------
    dataset : str
        Name of the data set.
    model : dict
        `input` (shape and bits) and `layers`.
    training : dict
        All options.
    history : list of dict
        One entry an epoch that is done.
    best : dict
        Entry of `history` whose model `best.safetensors` holds.
    tensors : dict of numpy.ndarray
        `model.*`, `optimizer.*` and `rng.*`.
    """

    dataset: str
    model: dict[str, Any]
    training: dict[str, Any]
    history: list[dict[str, Any]]
    best: dict[str, Any]
    tensors: dict[str, np.ndarray] = field(repr=False)

    def describe(self) -> dict[str, Any]:
        """Everything but the tensors, as the JSON file holds it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "dataset": self.dataset,
            "model": self.model,
            "training": self.training,
            "history": self.history,
            "best": self.best,
        }


def exists(run: Path) -> bool:
    """Whether a folder holds a run.

    Parameters
    ----------
    run : pathlib.Path
        The folder.

    Returns
    -------
    bool
        True where a checkpoint lies in it.
    """
    return (run / TENSORS).exists() or (run / DESCRIPTION).exists()


def write_best(run: Path, model: Mapping[str, np.ndarray], entry: Mapping[str, Any]) -> None:
    """Write the model of the best epoch so far.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.
    model : mapping
        Tensors, all named `model.*`.
    entry : mapping
        The epoch's entry in the history, kept in the file's header.
    """
    write_whole(run / BEST, save(_in_order(model), metadata={HEADER: json.dumps(dict(entry))}))


def write_checkpoint(run: Path, checkpoint: Checkpoint) -> None:
    """Write a run's state, so that a reader sees the old one or the new one whole.

    The tensor file carries the description too and is the one that counts; the JSON file is for readers, and one epoch
    behind if the process dies between the two renames.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.
    checkpoint : Checkpoint
        State to write.
    """
    description = checkpoint.describe()
    write_whole(run / TENSORS, save(_in_order(checkpoint.tensors), metadata={HEADER: json.dumps(description)}))
    write_whole(run / DESCRIPTION, (json.dumps(description, indent=1) + "\n").encode())


def _in_order(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors in C order: safetensors writes the memory of others as it lies, under their shape."""
    return {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}


def read_best(run: Path) -> dict[str, np.ndarray]:
    """Read the model of the best epoch.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.

    Returns
    -------
    dict of numpy.ndarray
        Tensors, all named `model.*`.

    Raises
    ------
    CheckpointError
        The folder holds none, or a damaged one.
    """
    path = run / BEST
    if not path.is_file():
        raise CheckpointError(f"{run}: no {BEST} in this folder")
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from error


def read_checkpoint(run: Path) -> Checkpoint:
    """Read a run's state back.

    Parameters
    ----------
    run : pathlib.Path
        Run folder.

    Returns
    -------
    Checkpoint
        The state that `write_checkpoint` wrote last.

    Raises
    ------
    CheckpointError
        The folder holds no checkpoint, or one that is damaged or of another version.
    """
    path = run / TENSORS
    if not path.is_file():
        raise CheckpointError(f"{run}: no {TENSORS} in this folder, so there is no run to continue or read")
    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from error
    try:
        description = json.loads(header or "")
    except ValueError as error:
        raise CheckpointError(f"{path}: holds no description of a run") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of Signfold")
    if description.get("version") != VERSION:
        raise CheckpointError(f"{path}: version {description.get('version')!r}, this program reads {VERSION}")
    types = {"dataset": str, "model": dict, "training": dict, "history": list, "best": dict}
    for name, kind in types.items():
        if not isinstance(description.get(name), kind):
            raise CheckpointError(f"{path}: {name!r} is missing or no {kind.__name__}")
    return Checkpoint(**{name: description[name] for name in types}, tensors=tensors)
