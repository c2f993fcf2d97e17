"""What estimators share: the sign or a draw forward, an estimate of its derivative backward."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.nn import functional

from signfold.sw.train.method import DRAWS

__all__ = ["Estimator", "draw_uniform", "sign"]


def sign(x: torch.Tensor) -> torch.Tensor:
    """Binarize: +1 where x >= 0, so that sign(0) = sign(-0.0) = +1, else -1.

    Parameters
    ----------
    x : torch.Tensor
        Any floating type, no NaN.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    # -0.0 + 0.0 is +0.0, whose sign is +. On a CPU this takes a twentieth of the time of a comparison and a choice.
    return torch.copysign(torch.ones((), dtype=x.dtype), x + 0.0)


def draw_uniform(x: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Draw a number in [0, 1) for each element.

    Parameters
    ----------
    x : torch.Tensor
        Whose shape, order in memory and device the numbers have.
    generator : torch.Generator
        Source; where it lives the numbers are drawn, so that they are the same for every device of `x`.

    Returns
    -------
    torch.Tensor
        float32.

    Raises
    ------
    ValueError
        There is no generator.
    """
    if generator is None:
        raise ValueError("generator is None, allowed where bits are drawn: a torch.Generator")
    numbers = torch.empty_like(x, dtype=torch.float32, device=generator.device)
    return numbers.uniform_(generator=generator).to(x.device)


class _Through(torch.autograd.Function):
    """A value forward, an estimator's gradient backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, value: torch.Tensor, estimator: "Estimator") -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = estimator
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.estimator.backward(x, gradient), None, None


class _Apply(torch.autograd.Function):
    """An estimator forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, estimator: "Estimator", generator: torch.Generator | None) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = estimator
        return estimator.forward(x, generator)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.estimator.backward(x, gradient), None, None


@dataclass(frozen=True)
class Estimator(ABC):
    """The sign, or a draw of it, with an estimate of its derivative.

    Parameters
    ----------
    draw : str or None
        None: the sign. "hard-sigmoid": +1 with probability clip((x + 1)/2, 0, 1), else -1, the stochastic binarization
        of BinaryConnect and BNN (arXiv:1511.00363, arXiv:1602.02830). "sigmoid": +1 with probability 1/(1 + exp(-x)),
        the stochastic binary neuron (Bengio, Leonard and Courville, arXiv:1308.3432), whose 1 and 0 are +1 and -1 here.

    Raises
    ------
    ValueError
        `draw` is neither.
    """

    draw: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse unknown draws."""
        if self.draw not in (None, *DRAWS):
            raise ValueError(f"draw is {self.draw!r}, allowed: None, {', '.join(DRAWS)}")

    def forward(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Binarize.

        Parameters
        ----------
        x : torch.Tensor
            Any floating type, no NaN.
        generator : torch.Generator, optional
            Source of draws, needed where there are any.

        Returns
        -------
        torch.Tensor
            Same shape and type, every element -1 or +1.
        """
        if self.draw is None:
            return sign(x)
        wide = x.float()
        probability = functional.hardtanh((wide + 1) / 2, 0.0, 1.0) if self.draw == "hard-sigmoid" else wide.sigmoid()
        return torch.where(draw_uniform(x, generator) < probability, 1.0, -1.0).to(x.dtype)

    @abstractmethod
    def backward(self, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """Estimate the gradient of x.

        Parameters
        ----------
        x : torch.Tensor
            What was binarized.
        gradient : torch.Tensor
            Gradient of the bits.

        Returns
        -------
        torch.Tensor
            Same shape.
        """

    def at(self, progress: float) -> "Estimator":
        """Return the estimator for a moment of the run.

        Parameters
        ----------
        progress : float
            Share of the run that is done, 0 to 1.

        Returns
        -------
        Estimator
            This one where nothing changes.
        """
        del progress
        return self

    def deterministic(self) -> "Estimator":
        """Return the estimator without its draw: what evaluation uses."""
        return self if self.draw is None else replace(self, draw=None)

    def apply(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Binarize so that torch's backward pass uses `backward`; as `forward` else."""
        return _Apply.apply(x, self, generator)

    def through(self, x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Put a value that was rounded otherwise in the place of x, with the gradient of `backward`.

        Parameters
        ----------
        x : torch.Tensor
            What the gradient goes to.
        value : torch.Tensor
            The result to the bit; same shape, a constant to the gradient.

        Returns
        -------
        torch.Tensor
            `value`.
        """
        return _Through.apply(x, value, self)
