"""Reading a training run's folder, JSON and safetensors, without torch and without trusting it."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from signfold.sw.errors import CheckpointError
from signfold.sw.network.container import parse_json, read_bytes, read_tensors
from signfold.sw.network.types import is_int, shown
from signfold.sw.train.checkpoint import BEST, DESCRIPTION, FORMAT, HEADER, TENSORS, VERSION

__all__ = ["EPOCHS", "StoredModel", "read_model"]

#: Epochs whose tensors a run keeps: the best by validation, and the last.
EPOCHS = ("best", "last")

#: Longest accepted description: a megabyte holds thousands of epochs of history.
_MAX_JSON = 64 << 20


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A trained model as its run folder holds it.

    Parameters
    ----------
    dataset : str
        Data set it was trained on.
    description : dict
        The model's ``input`` and ``layers``, as yet unchecked.
    tensors : dict of str to numpy.ndarray
        Its tensors, all named ``model.*``.
    epoch : str
        One of `EPOCHS`.
    validation : float or None
        Accuracy on the validation split that training recorded for these very tensors.
    training : dict of str to object
        Options of the run, for the record only; empty where the checkpoint has none.
    """

    dataset: str
    description: dict[str, object]
    tensors: dict[str, np.ndarray]
    epoch: str
    validation: float | None
    training: dict[str, object]

    @property
    def sha256(self) -> str:
        """Hash of description and tensors: of nothing else in the folder, and not of where it lies."""
        digest = hashlib.sha256(json.dumps(self.description, sort_keys=True, separators=(",", ":")).encode())
        for name in sorted(self.tensors):
            array = self.tensors[name]
            digest.update(f"\0{name!r} {array.dtype.str} {array.shape}\0".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def read_model(run: str | os.PathLike[str], epoch: str | None = None) -> StoredModel:
    """Read the model of a training run.

    Parameters
    ----------
    run : path
        Folder that `signfold.sw.train` wrote.
    epoch : {"best", "last"}, optional
        Tensors to take; without it the best epoch's where there are any, else the last.

    Raises
    ------
    CheckpointError
        A file is absent, damaged or of another version.
    ValueError
        `epoch` is none of `EPOCHS`.
    """
    if epoch is not None and epoch not in EPOCHS:
        raise ValueError(f"epoch must be one of {', '.join(EPOCHS)}, not {epoch!r}")
    folder = Path(run)
    where = shown(str(folder))
    if not os.path.isdir(folder):
        raise CheckpointError(f"{where} is not the folder of a training run")
    text = read_bytes(folder / DESCRIPTION, error=CheckpointError, limit=_MAX_JSON)
    document = parse_json(text, error=CheckpointError, where=f"{DESCRIPTION} of {where}")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{DESCRIPTION} of {where}: format is not {FORMAT!r}")
    if not is_int(document.get("version")) or document["version"] != VERSION:
        raise CheckpointError(
            f"{DESCRIPTION} of {where} has version {shown(document.get('version'))}; this program reads {VERSION}"
        )
    for key, kind, called in (("dataset", str, "text"), ("model", dict, "an object")):
        if not isinstance(document.get(key), kind):
            raise CheckpointError(f"{DESCRIPTION} of {where}: {key} must be {called}, not {shown(document.get(key))}")
    if epoch is None:
        epoch = "best" if (folder / BEST).exists() else "last"
    training = document.get("training")
    tensors, metadata = read_tensors(folder / (BEST if epoch == "best" else TENSORS), error=CheckpointError)
    return StoredModel(
        document["dataset"],
        document["model"],
        {name: tensor for name, tensor in tensors.items() if name.startswith("model.")},
        epoch,
        _recorded(metadata, epoch, where),
        training if isinstance(training, dict) else {},
    )


def _recorded(metadata: Mapping[str, str], epoch: str, where: str) -> float | None:
    """Return the validation accuracy that the tensor file itself states: it cannot belong to other tensors."""
    if HEADER not in metadata:
        return None
    entry = parse_json(metadata[HEADER], error=CheckpointError, where=f"the history of {where}")
    if epoch == "last" and isinstance(entry, dict) and isinstance(entry.get("history"), list) and entry["history"]:
        entry = entry["history"][-1]
    accuracy = entry.get("validation_accuracy") if isinstance(entry, dict) else None
    return accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None
