"""AdaMax whose factors are powers of two."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from signfold.sw.train.quantizers import approximate_power

__all__ = ["ShiftAdaMax"]

#: Keeps the divisor above 0; a power of two, as in itayhubara/BinaryNet.
FLOOR = 2.0**-27


class ShiftAdaMax(torch.optim.Optimizer):
    """Shift-based AdaMax (Hubara et al., arXiv:1602.02830): the only products are with powers of two.

    m <- beta1 * m + (1 - beta1) * g; v <- max(beta2 * v, |g|);
    w <- w - AP2(lr / (1 - beta1**t)) * scale * m / (AP2(v) + 2**-27), where AP2 is the nearest power of two.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them; a group may have a `scale` of its own, which is rounded to a power of two.
    lr : float
        Learning rate.
    betas : tuple of float, default: (0.9, 0.999)
        beta1 and beta2. The paper has 1 - 2**-3 and 1 - 2**-10, its program these.
    scale : float, default: 1.0
        Factor on the learning rate.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.999), scale: float = 1.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "scale": scale})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Take one step; there is no closure."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            scale = float(approximate_power(torch.tensor(group["scale"], dtype=torch.float64)))
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"], state["exp_inf"] = torch.zeros_like(weight), torch.zeros_like(weight)
                state["step"] += 1
                average, largest = state["exp_avg"], state["exp_inf"]
                average.lerp_(weight.grad, 1 - beta1)
                torch.maximum(largest.mul_(beta2), weight.grad.abs(), out=largest)
                rate = torch.tensor(group["lr"] / (1 - beta1 ** float(state["step"])), dtype=torch.float64)
                weight.addcdiv_(
                    average, approximate_power(largest) + FLOOR, value=-float(approximate_power(rate)) * scale
                )
