"""What a compilation gives, and the facts that a network carries of its origin."""

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from signfold.sw import data
from signfold.sw.compile.accuracy import Accuracy, frames_for, measure
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.errors import DataError
from signfold.sw.network import Network

__all__ = ["SAMPLE", "SCORE_BITS", "Compilation", "Validation", "facts"]

#: Width of the scores of an affine head unless another is asked for.
SCORE_BITS = 24
#: Frames on which every code is compared with the trained model's.
SAMPLE = 200


@dataclass(frozen=True, eq=False)
class Compilation:
    """What a compilation gives.

    Parameters
    ----------
    network : Network
        The verified integer network.
    report : dict
        JSON object: source, accuracy, the trained layers and what became of them in words (``chain``); of chains,
        activations (``layers``, see `report.layer_report`) and head (`report.head_report`); of graphs, ``fraction``
        bits; and, with PyTorch and frames, ``float_model``: classes and codes beside the trained model's (`agreement`,
        `graph_driver.graph_agreement`).
    """

    network: Network
    report: dict[str, object]


@dataclass(frozen=True, eq=False)
class Validation:
    """A network on the validation split, or why not.

    Parameters
    ----------
    frames : numpy.ndarray or None
        Pictures of the split.
    accuracy : Accuracy or None
        What the network says about them.
    missing : str or None
        Why there are none.
    """

    frames: np.ndarray | None
    accuracy: Accuracy | None
    missing: str | None

    @classmethod
    def of(cls, network: Network, dataset: str, data_dir: object) -> "Validation":
        """Evaluate a network; without `data_dir` and without data in the usual place, say what is missing.

        Raises
        ------
        DataError
            `data_dir` was given and does not hold the validation split.
        """
        try:
            frames, labels = frames_for(network, data.load(dataset, data_dir), "validation")
        except DataError as cause:
            if data_dir is not None:
                raise
            return cls(None, None, str(cause))
        return cls(frames, measure(network, frames, labels), None)


def facts(
    name: str, model: StoredModel, trained: StoredModel, validation: Validation, rounded: int | None
) -> dict[str, object]:
    """Return a network's metadata: functions of the checkpoint, the arguments and the data, not of time or path.

    Parameters
    ----------
    name : str
        The network's.
    model, trained : StoredModel
        The model that was compiled, and that as trained, before its weights were rounded.
    validation : Validation
        The network's.
    rounded : int or None
        Bits that real weights were rounded to.
    """
    metadata: dict[str, object] = {
        "name": name,
        "dataset": model.dataset,
        "checkpoint": {"epoch": model.epoch, "sha256": trained.sha256},
        "training": model.training,
        "signfold": version("signfold"),
    }
    if rounded is not None:
        metadata["real_weights"] = rounded
    accuracy = validation.accuracy
    if accuracy is not None:
        entry = {"split": "validation", "frames": accuracy.frames, "integer": accuracy.fraction}
        metadata["accuracy"] = entry | {"float": model.validation}
    return metadata
