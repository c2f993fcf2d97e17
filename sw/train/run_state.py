"""A trainer's tensors: into a checkpoint and back, so that a continued run ends in the same bits."""

from collections.abc import Mapping

import numpy as np
import torch

from signfold.sw.errors import CheckpointError
from signfold.sw.train.models import BinaryNet
from signfold.sw.train.optimizers.assign import Optimizers

__all__ = ["model_tensors", "optimizer_tensors", "restore_tensors"]


def model_tensors(model: BinaryNet) -> dict[str, np.ndarray]:
    """Return a network's tensors as a checkpoint holds them.

    Parameters
    ----------
    model : BinaryNet
        The network.

    Returns
    -------
    dict of numpy.ndarray
        All named `model.*`.
    """
    return {f"model.{name}": value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def optimizer_tensors(optimizers: Optimizers, generator: torch.Generator) -> dict[str, np.ndarray]:
    """Return everything besides the network that the next step depends on.

    Parameters
    ----------
    optimizers : Optimizers
        Their memory.
    generator : torch.Generator
        The run's source of randomness.

    Returns
    -------
    dict of numpy.ndarray
        `optimizer.*` by the parameter's name, and `rng.generator`.
    """
    found = {f"optimizer.{name}": value.cpu().numpy() for name, value in optimizers.tensors().items()}
    return found | {"rng.generator": generator.get_state().numpy()}


def restore_tensors(
    tensors: Mapping[str, np.ndarray], model: BinaryNet, optimizers: Optimizers, generator: torch.Generator
) -> None:
    """Take a checkpoint's tensors back.

    Parameters
    ----------
    tensors : mapping
        `model.*`, `optimizer.*` and `rng.*`.
    model : BinaryNet
        Network of the checkpoint's description.
    optimizers : Optimizers
        Those of the checkpoint's options, on the network.
    generator : torch.Generator
        The run's source of randomness.

    Raises
    ------
    CheckpointError
        Tensors are missing, or of another shape.
    """
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "rng": {}}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        parts.setdefault(kind, {})[rest] = torch.from_numpy(value.copy())
    try:
        model.load_state_dict(parts["model"])
        optimizers.restore(parts["optimizer"])
        generator.set_state(parts["rng"]["generator"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"the checkpoint's tensors do not fit its description: {error}") from error
