"""Pass on checkpoints: real weights are rounded to codes of a few bits and a scale a channel. The one pass that rounds.

With M the largest magnitude of an output channel's weights and L the highest code, weight w becomes the code
``round((w/M + 1)/2 * L)``, halves to even, which stands for ``M*(2*code - L)/L``: no weight moves by more than M/L.
Everything after it is exact for the rounded network; what the rounding cost is measured against the trained one.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.network.nodes.levels import code_type

__all__ = ["round_real_weights"]


def round_real_weights(model: StoredModel, bits: int) -> tuple[StoredModel, list[dict[str, object]]]:
    """Round the real weights of a model.

    Parameters
    ----------
    model : StoredModel
        The trained model; entries that say nothing of real weights are left as they are, also damaged ones.
    bits : int
        Width of a code, 2 to 16.

    Returns
    -------
    StoredModel
        The model with codes of `bits` bits and scales a channel where its weights were real.
    list of dict
        One entry a rounded layer: ``layer`` (name), ``bits``, and ``error``, the largest change of a weight as a share
        of the largest weight of its channel.
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits must be from 2 to 16, not {bits!r}")
    entries, tensors, rounded = deepcopy(model.description.get("layers")), dict(model.tensors), []
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("name") if isinstance(entry, dict) else None
        latents = tensors.get(f"model.{name}.weight")
        if not _is_real(entry) or latents is None or latents.ndim < 2 or latents.dtype != np.float32:
            continue
        top = (1 << bits) - 1
        largest = np.abs(latents.reshape(len(latents), -1)).max(axis=1)
        if not np.isfinite(largest).all():
            continue
        across = largest.astype(np.float64).reshape(-1, *(1,) * (latents.ndim - 1))
        unit = np.divide(latents, across, out=np.zeros(latents.shape), where=across > 0)
        codes = np.rint((unit + 1) / 2 * top)
        tensors[f"model.{name}.codes"] = codes.astype(code_type(1 << bits))
        tensors[f"model.{name}.scale"] = largest
        entry["weights"] = {"levels": 1 << bits, "method": "dorefa", "scale": "channel"}
        error = np.abs((2 * codes - top) / top - unit)[largest > 0].max(initial=0.0)
        rounded.append({"layer": name, "bits": bits, "error": float(error)})
    if not rounded:
        return model, []
    return replace(model, description={**model.description, "layers": entries}, tensors=tensors), rounded


def _is_real(entry: Mapping[str, Any]) -> bool:
    """Say whether a layer is evaluated with its latents."""
    weights = entry.get("weights") if isinstance(entry, dict) else None
    return isinstance(weights, dict) and weights.get("levels") == 0 and not isinstance(weights["levels"], bool)
