"""Factors of few-level weights, and what they do to the gradient of the latents."""

import torch

from signfold.sw.train.estimators import replace_through, sign
from signfold.sw.train.quantizers.powers import approximate_power

__all__ = ["MEANS", "SCALES", "mean_magnitude", "scale_of", "scaled"]

#: Scales that are mean magnitudes of the latents.
MEANS = ("channel", "layer")

#: What a layer's `scale` may be; see `scale_of`.
SCALES = (*MEANS, "shift", "trained", "range")


def mean_magnitude(latents: torch.Tensor, by_channel: bool) -> torch.Tensor:
    """Return mean |w| of each output channel, [channels], or of the layer, [1].

    The one a channel is the scale that brings the signs nearest to w (XNOR-Net, arXiv:1603.05279).

    Parameters
    ----------
    latents : torch.Tensor
        float32, output channels first.
    by_channel : bool
        Which of the two.

    Returns
    -------
    torch.Tensor
        float32.
    """
    return latents.flatten(1 if by_channel else 0).abs().mean(-1).reshape(-1)


def scale_of(kind: str, latents: torch.Tensor, span: float) -> torch.Tensor:
    """Return the scale of a layer's weights, a constant to the gradient.

    Parameters
    ----------
    kind : str
        "channel" and "layer": mean magnitudes; "shift": their power of two a channel, 2**round(log2(mean |w|)) (IR-Net,
        arXiv:1909.10788); "range": the latents' range; "trained": a first value for the parameter, the layer's mean
        magnitude (where the paper, arXiv:1909.11366, begins is not known here).
    latents : torch.Tensor
        float32, output channels first; what the signs are taken of.
    span : float
        Range of the latents.

    Returns
    -------
    torch.Tensor
        float32 [channels] or [1].
    """
    latents = latents.detach()
    if kind == "range":
        return latents.new_full((1,), span)
    means = mean_magnitude(latents, kind in ("channel", "shift"))
    return approximate_power(means) if kind == "shift" else means


def scaled(latents: torch.Tensor, values: torch.Tensor, scale: torch.Tensor, rule: str) -> torch.Tensor:
    """Multiply weights by their scale, with one of the published gradients.

    Parameters
    ----------
    latents : torch.Tensor
        What the weights and, for the last three rules, the mean magnitudes are of.
    values : torch.Tensor
        Few-level weights with their gradient, same shape.
    scale : torch.Tensor
        [channels] or [1].
    rule : str
        One of `method.WEIGHT_GRADIENTS`. With g the gradient of the product, d the estimator's derivative, a the scale
        and n the weights that share it, the latent w gets: "scaled" g*a*d; "straight" g*d; "paper" g*(1/n + a*d), as
        printed in XNOR-Net; "corrected" g*a*d + sign(w)/n * (sum of g*sign(w) over the n weights), which is what the
        chain rule gives; "program" n*(1 - 1/c) times that of "paper", c the input channels, as in that paper's program
        (allenai/XNOR-Net, util.lua), or n times where c is 1, which there would learn nothing.

    Returns
    -------
    torch.Tensor
        The product, the same for every rule.
    """
    shape = (-1, *(1,) * (latents.dim() - 1))
    if rule == "straight":
        return replace_through(values, (values * scale.view(shape)).detach())
    if rule == "corrected":
        # |w| as w times its sign, which unlike torch's absolute value has a slope at 0.
        towards = latents * sign(latents.detach())
        scale = towards.flatten(1 if len(scale) > 1 else 0).mean(-1).reshape(-1)
    product = values * scale.view(shape)
    if rule in ("paper", "program"):
        share = len(scale) / latents.numel()
        product = product + (latents - latents.detach()) * share
    if rule == "program":
        inputs = latents.shape[1]
        product = replace_through(product * ((1 - 1 / inputs if inputs > 1 else 1.0) / share), product.detach())
    return product
