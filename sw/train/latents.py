"""Latent weights with what they are rounded to, and what is stored of it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from signfold.sw.train.method import Method
from signfold.sw.train.quantizers import (
    MEANS,
    SCALES,
    MultiBaseWeights,
    make_weight_quantizer,
    redistributed,
    scale_of,
    scaled,
    standardized,
    value_of,
)

__all__ = ["LatentWeights"]


class LatentWeights(nn.Module):
    """Base of the layers that multiply: latent weights, and the few-level weights that the products use.

    Weights are value(code) * scale. With a method other than "sign" the codes are a buffer, `codes`, and where a scale
    is asked for it is a buffer (or parameter), `scale`: a checkpoint stores both, and outside of training the products
    use these, so that nobody ever needs to compute the same tanh or the same mean.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weights, output channels first.
    weights : mapping
        The layer's `weights` entry in a checkpoint: `levels` (2; 0: the latents themselves), `method`
        (`quantizers.LEVELS`), `scale` (`quantizers.SCALES`) and the method's own parameters.
    generator : torch.Generator
        Source of the initial latents and of draws.
    method : Method, optional
        Choices of training.

    Raises
    ------
    ValueError
        The entry names no known method or scale.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        weights: Mapping[str, Any],
        generator: torch.Generator,
        method: Method | None = None,
    ) -> None:
        super().__init__()
        self._choices, self._entry = method or Method(), dict(weights)
        self._generator = generator
        self.levels = weights.get("levels", 2)
        self.method = weights.get("method", "sign" if self.levels else "real")
        self.scale_kind = weights.get("scale")
        if self.scale_kind not in (None, *SCALES) or (self.scale_kind and not self.levels):
            raise ValueError(f"weights are {dict(weights)!r}, allowed for scale: {', '.join(SCALES)}, of few levels")
        fans = (math.prod(shape[1:]), shape[0] * math.prod(shape[2:]))
        clip = self._choices.clip
        self.span = math.sqrt(6 / sum(fans)) / 2 if clip == "glorot" else float(clip or 1.0)
        self.quantizer = make_weight_quantizer(weights, self._choices, self.span)
        self.weight = nn.Parameter(self._first(shape, fans))
        if self.method == "wsd":
            self.shift = nn.Parameter(torch.zeros(shape[0]))
        self._multibase = self.quantizer if isinstance(self.quantizer, MultiBaseWeights) else None
        self._stored = bool(self.levels) and self.method != "sign"
        if self._stored:
            kind = torch.uint8 if self.levels <= 256 else torch.uint16
            self.register_buffer("codes", torch.empty(shape, dtype=kind))
        if self.scale_kind == "trained":
            self.scale = nn.Parameter(scale_of("trained", self.weight, self.span))
        elif self._multibase is not None or self.scale_kind is not None:
            self.register_buffer("scale", self._present_scale())
        self.refresh()

    def values(self, dtype: torch.dtype) -> torch.Tensor:
        """Weights as the products use them: scaled and of the latents in training, else stored and without their scale.

        Outside of training the scale multiplies the sums instead, which so are sums of integers.

        Parameters
        ----------
        dtype : torch.dtype
            Type of the result; the rounding itself is done in float32.

        Returns
        -------
        torch.Tensor
            Same shape as the latents.
        """
        if self.quantizer is None:
            return self.weight.to(dtype)
        if not self.training:
            return self._deployed().to(dtype)
        if self._choices.weights_as != "quantized":
            return (self.weight.tanh() if self._choices.weights_as == "tanh" else self.weight).to(dtype)
        latents = self._latents()
        values = self.quantizer.apply(latents, self._generator)
        if self.scale_kind is not None and self._multibase is None:
            scale = self.scale if self.scale_kind == "trained" else scale_of(self.scale_kind, latents, self.span)
            # Other scales are no means of the latents, and a trained one needs its own gradient.
            rule = self._choices.weight_gradient if self.scale_kind in MEANS else "scaled"
            values = scaled(latents, values, scale, rule)
        return values.to(dtype)

    def latent_codes(self) -> torch.Tensor:
        """Codes that the present latents give: int64, no draw; of 0 levels those of the sign."""
        with torch.no_grad():
            latents = self._latents()
            return (latents >= 0 if self.quantizer is None else self.quantizer.codes(latents)).long()

    @torch.no_grad()
    def refresh(self) -> None:
        """Make the stored codes and scales those of the present latents."""
        if self._stored:
            self.codes.copy_(self.quantizer.codes(self._latents()))
        if self._multibase is not None or self.scale_kind not in (None, "trained"):
            self.scale.copy_(self._present_scale())

    @torch.no_grad()
    def clip(self) -> None:
        """Bring the latents back into their range, which every optimizer step must be followed by."""
        if self.quantizer is None:
            return
        if self._choices.centre and self.weight.shape[1] > 1:
            self.weight.sub_(self.weight.mean(1, keepdim=True))
        if self._choices.clip is not None:
            self.weight.clamp_(-self.span, self.span)

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices, and follow schedules.

        Parameters
        ----------
        method : Method
            Choices of training; the latents' range stays what it was at first.
        progress : float
            Share of the run that is done, 0 to 1.
        """
        if method != self._choices:
            self._choices = method
            self.quantizer = make_weight_quantizer(self._entry, method, self.span)
        if self.quantizer is not None:
            self.quantizer = self.quantizer.at(progress)

    def _scaled_sums(self, sums: torch.Tensor) -> torch.Tensor:
        """Multiply sums by the scale that `values` left out."""
        if self.training or self.scale_kind is None or self._multibase is not None:
            return sums
        return sums * self.scale.view(1, -1, *(1,) * (sums.dim() - 2))

    def _latents(self) -> torch.Tensor:
        """Return what signs are taken of."""
        if self.method == "libra":
            return standardized(self.weight)
        return redistributed(self.weight, self.shift) if self.method == "wsd" else self.weight

    def _deployed(self) -> torch.Tensor:
        if not self.levels:
            return self.weight
        if not self._stored:
            return self.quantizer.estimator.deterministic().apply(self.weight)
        if self._multibase is not None:
            return self._multibase.combined(self.codes, self.scale)
        return value_of(self.codes, self.levels)

    @torch.no_grad()
    def _present_scale(self) -> torch.Tensor:
        latents = self._latents()
        if self._multibase is not None:
            return self._multibase.scales(latents)
        return scale_of(self.scale_kind, latents, self.span)

    def _first(self, shape: tuple[int, ...], fans: tuple[int, int]) -> torch.Tensor:
        initial, latents = self._choices.initial, torch.empty(shape)
        if initial == "he" or (initial == "uniform" and self.quantizer is None):
            return latents.normal_(0.0, math.sqrt(2 / fans[0]), generator=self._generator)
        bound = self.span if initial == "uniform" else math.sqrt(6 / sum(fans))
        return latents.uniform_(-bound, bound, generator=self._generator)
