"""Latents brought into another distribution before their sign is taken: Libra-PB and SD-BNN."""

import torch

__all__ = ["redistributed", "standardized"]


def standardized(latents: torch.Tensor) -> torch.Tensor:
    """Give each output channel mean 0 and standard deviation 1 (Libra-PB; IR-Net, arXiv:1909.10788).

    The deviation is that of a sample (n - 1). A channel of equal weights becomes 0. The gradient flows through mean and
    deviation.

    Parameters
    ----------
    latents : torch.Tensor
        float32, output channels first, at least two weights a channel.

    Returns
    -------
    torch.Tensor
        Same shape.

    Raises
    ------
    ValueError
        A channel has one weight, which has no deviation.
    """
    flat = latents.flatten(1)
    if flat.shape[1] < 2:
        raise ValueError("weights are 'libra' with 1 weight a channel, allowed: 2 or more")
    centred = flat - flat.mean(1, keepdim=True)
    deviation = centred.std(1, keepdim=True)
    return (centred / torch.where(deviation > 0, deviation, 1.0)).view_as(latents)


def redistributed(latents: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Add 0.01 * sigmoid(shift) * mean to each output channel (weight self-distribution; SD-BNN, arXiv:2103.02394).

    The mean is the channel's own, and a constant to the gradient, as in the authors' program.

    Parameters
    ----------
    latents : torch.Tensor
        float32, output channels first.
    shift : torch.Tensor
        float32 [channels], trained.

    Returns
    -------
    torch.Tensor
        Same shape as `latents`.
    """
    shape = (-1, *(1,) * (latents.dim() - 1))
    mean = 0.01 * latents.detach().flatten(1).mean(1)
    return latents + (shift.sigmoid() * mean).view(shape)
