"""Bop: binary weights without latent floats."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

__all__ = ["Bop"]


class Bop(torch.optim.Optimizer):
    """Flip a weight where the average of its gradients says so for long enough (Helwegen et al., arXiv:1906.02107).

    m <- (1 - gamma) * m + gamma * g; then w <- -w where |m| > threshold and sign(m) = sign(w), else w stays. The first
    step makes weights that are not -1 or +1 the sign of what they are, sign(0) = +1.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them.
    lr : float
        The adaptivity rate gamma, in (0, 1]. Named as other optimizers' rates are, so that schedules change it alike.
    threshold : float, default: 1e-8
        Averages up to this magnitude flip nothing.
    """

    def __init__(self, params: Iterable[Any], lr: float, threshold: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "threshold": threshold})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Take one step; there is no closure."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["exp_avg"] = torch.zeros_like(weight)
                    weight.copy_(torch.where(weight >= 0, 1.0, -1.0))
                average = state["exp_avg"]
                average.lerp_(weight.grad, group["lr"])
                # |m| > threshold and equal signs, in one comparison: w is -1 or +1.
                weight.mul_(torch.where(average * weight > group["threshold"], -1.0, 1.0))
