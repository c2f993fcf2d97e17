"""How many few-level weights change: what a run still moves."""

from collections.abc import Mapping

import torch
from torch import nn

from signfold.sw.train.weights import LatentWeights

__all__ = ["flip_ratio", "weight_codes"]


def weight_codes(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the codes that the few-level weights have when deployed.

    Parameters
    ----------
    model : torch.nn.Module
        A network of `LatentWeights` and other layers.

    Returns
    -------
    dict of torch.Tensor
        By the layer's name, uint8. Layers of real weights have none.
    """
    return {
        name: module.latent_codes().to(torch.uint8)
        for name, module in model.named_modules()
        if isinstance(module, LatentWeights) and module.quantizer is not None
    }


def flip_ratio(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float:
    """Count the weights whose code changed.

    Parameters
    ----------
    before, after : mapping
        What `weight_codes` gave earlier and later.

    Returns
    -------
    float
        Their share among all, in [0, 1]; 0 of a network without few-level weights.
    """
    changed = sum(int((codes != after[name]).sum()) for name, codes in before.items())
    return changed / max(1, sum(codes.numel() for codes in before.values()))
