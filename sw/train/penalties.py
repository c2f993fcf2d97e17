"""What a training's loss has besides: penalties that drive latents to binary values and scales towards 0."""

import torch
from torch import nn

from signfold.sw.train.choices import Penalty
from signfold.sw.train.weights import LatentWeights

__all__ = ["penalty"]


def penalty(model: nn.Module, choice: Penalty) -> torch.Tensor:
    """Sum the penalties on a network's few-level weights.

    * "manhattan": strength times the sum over latents w of |a - |w||;
    * "euclidean": strength times the sum of (a - |w|)**2;
    * `scales` times the sum of squares of the trained scales (Xu and Cheung, arXiv:1909.11366).

    The first two draw latents to the binary values in the manner of BNN+ (Darabi et al., arXiv:1812.11800); a is the
    layer's scale where that is trained, else 1. Layers of real weights have none.

    Parameters
    ----------
    model : torch.nn.Module
        A network of `LatentWeights` and other layers.
    choice : Penalty
        Which, and how strong.

    Returns
    -------
    torch.Tensor
        A scalar.
    """
    total = torch.zeros((), device=next(model.parameters()).device)
    for module in model.modules():
        if not isinstance(module, LatentWeights) or module.quantizer is None:
            continue
        scale = getattr(module, "scale", None)
        trained = isinstance(scale, nn.Parameter)
        if choice.name != "none":
            distance = (scale if trained else 1.0) - module.weight.abs()
            distance = distance.abs() if choice.name == "manhattan" else distance.square()
            total = total + choice.strength * distance.sum()
        if trained and choice.scales:
            total = total + choice.scales * scale.square().sum()
    return total
