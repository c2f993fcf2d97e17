"""Signs and codes after normalization, or alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.estimators import Estimator, make_estimator, replace_through
from signfold.sw.train.method import ESTIMATORS, Method
from signfold.sw.train.norms import Norm
from signfold.sw.train.quantizers import CodeActivation, CoupledTernary

__all__ = ["BatchNormQuant", "BatchNormSign", "activation_estimator"]


def activation_estimator(method: Method, *, stochastic: bool) -> Estimator:
    """Return the estimator of signs.

    Parameters
    ----------
    method : Method
        Choices of training; BNN's clipped estimator where it has none.
    stochastic : bool
        Whether training draws, by the hard sigmoid where the method does not say how.

    Returns
    -------
    Estimator
        At the beginning of a run.
    """
    choice = method.activation_estimator or {"name": "clipped", **ESTIMATORS["clipped"], "draw": None}
    if stochastic and choice["draw"] is None:
        choice = {**choice, "draw": "hard-sigmoid"}
    return make_estimator(choice)


class BatchNormSign(Norm):
    """Normalization followed by the sign: what the compiler folds into one threshold a channel.

    Parameters
    ----------
    channels : int
        Channels.
    eps, momentum, norm
        As for `Norm`.
    generator : torch.Generator, optional
        Source of draws and of the first weights of the SE block.
    layer : mapping, optional
        The layer's entry, of which these are read: `shift`: "static" adds sigmoid of a trained number a channel before
        the sign, whose rounded value is the buffer `offset`; "se" adds what an SE block makes of the means over
        positions, sigmoid(W2 relu(W1 means)), with channels/`reduction` hidden channels (activation self-distribution;
        SD-BNN, arXiv:2103.02394). `scale`: "trained" multiplies the bits by one trained number (arXiv:1909.11366).
        `stochastic`: whether training draws bits.
    method : Method, optional
        Choices of training.

    Raises
    ------
    ValueError
        The entry says something else, or the SE block has no hidden channel.
    """

    def __init__(
        self,
        channels: int,
        eps: float,
        momentum: float,
        norm: str | None = "batch",
        generator: torch.Generator | None = None,
        layer: Mapping[str, Any] | None = None,
        method: Method | None = None,
    ) -> None:
        super().__init__(channels, eps, momentum, norm)
        layer, method = layer or {}, method or Method()
        self._generator, self._stochastic = generator, layer.get("stochastic", False)
        self._shift = layer.get("shift")
        if self._shift not in (None, "static", "se"):
            raise ValueError(f"shift is {self._shift!r}, allowed: 'static', 'se'")
        if layer.get("scale") not in (None, "trained"):
            raise ValueError(f"scale is {layer['scale']!r}, allowed: 'trained'")
        if self._shift == "static":
            self.shift = nn.Parameter(torch.zeros(channels))
            self.register_buffer("offset", torch.empty(channels))
        elif self._shift == "se":
            hidden = channels // layer["reduction"]
            if hidden < 1:
                raise ValueError(f"reduction is {layer['reduction']!r}, allowed: 1 to {channels}, the channels")
            self.se_reduce = nn.Parameter(_uniform((hidden, channels), generator))
            self.se_expand = nn.Parameter(_uniform((channels, hidden), generator))
        self.scale = nn.Parameter(torch.ones(1)) if layer.get("scale") == "trained" else None
        self.enter(method, 0.0)
        self.refresh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Bits [n, channels, ...] as -1 and +1, or times their scale."""
        y = self.normalize(x)
        if self._shift is not None:
            y = y + self._offset(y)
        if self.training and self._stage != "quantized":
            bits = y.tanh() if self._stage == "tanh" else y.clamp(-1.0, 1.0)
        else:
            estimator = self.estimator if self.training else self.estimator.deterministic()
            bits = estimator.apply(y, self._generator)
        return bits if self.scale is None else bits * self.scale.to(bits.dtype)

    @torch.no_grad()
    def refresh(self) -> None:
        """Make the stored offsets those of the present parameters."""
        if self._shift == "static":
            self.offset.copy_(self.shift.sigmoid())

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices, and follow schedules to a share of the run that is done, 0 to 1."""
        self._stage = method.activations_as
        self.estimator = activation_estimator(method, stochastic=self._stochastic).at(progress)

    def _offset(self, y: torch.Tensor) -> torch.Tensor:
        """Return what is added before the sign, in a shape that broadcasts over y."""
        if self._shift == "static":
            offset = self.shift.sigmoid() if self.training else replace_through(self.shift, self.offset)
            return offset.to(y.dtype).view(-1, *(1,) * (y.dim() - 2))
        means = y.float().flatten(2).mean(2) if y.dim() > 2 else y.float()
        hidden = functional.linear(means, self.se_reduce).relu()
        gates = functional.linear(hidden, self.se_expand).sigmoid()
        return gates.to(y.dtype).view(*gates.shape, *(1,) * (y.dim() - 2))


class BatchNormQuant(Norm):
    """Normalization followed by rounding to a few levels: thresholds, once folded.

    Parameters
    ----------
    channels : int
        Channels.
    eps, momentum, norm
        As for `Norm`.
    bits : int
        Width of a code.
    signed : bool
        Whether codes stand for -1..1 instead of 0..1.
    levels : int or None
        3: the values 0, 1/2 and 1 instead, see `quantizers.CoupledTernary`.
    method : Method, optional
        Choices of training.

    Raises
    ------
    ValueError
        The levels are others.
    """

    def __init__(
        self,
        channels: int,
        eps: float,
        momentum: float,
        bits: int,
        signed: bool,
        *,
        norm: str | None = "batch",
        levels: int | None = None,
        method: Method | None = None,
    ) -> None:
        super().__init__(channels, eps, momentum, norm)
        if levels not in (None, 3):
            raise ValueError(f"levels is {levels!r}, allowed: 3, or bits instead")
        self.quantizer = CodeActivation(bits, signed) if levels is None else CoupledTernary()
        self.enter(method or Method(), 0.0)

    def enter(self, method: Method, progress: float) -> None:
        """Go on by another stage's choices."""
        del progress
        self._stage = method.activations_as

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the codes [n, channels, ...]."""
        # Rounded in float32: products with the highest code are no numbers of bfloat16.
        y = self.normalize(x).float()
        relaxed = self.training and self._stage != "quantized"
        return (self.quantizer.relaxed(y) if relaxed else self.quantizer.apply(y)).to(x.dtype)


def _uniform(shape: tuple[int, int], generator: torch.Generator | None) -> torch.Tensor:
    """First weights of a linear layer, within 1/sqrt(inputs)."""
    bound = shape[1] ** -0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
