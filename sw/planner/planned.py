"""What the planner gives: a plan, the accelerator that it makes, and what that will take."""

from dataclasses import dataclass
from functools import cached_property

from signfold.hw.accelerator import AcceleratorConfig
from signfold.sw.cost.accelerator import predict, predict_stages
from signfold.sw.cost.model import Cost
from signfold.sw.plan import Plan

__all__ = ["Planned"]


@dataclass(frozen=True)
class Planned:
    """A plan and what it will take.

    Parameters
    ----------
    plan : Plan
        The plan.
    config : AcceleratorConfig
        The accelerator that it makes.
    link : Cost
        What the host link takes; nothing without a board.
    """

    plan: Plan
    config: AcceleratorConfig
    link: Cost

    @property
    def fabric(self) -> str:
        """What it is made of."""
        return self.plan.fabric

    @property
    def interval(self) -> int:
        """Cycles from frame to frame, exact."""
        return self.config.interval

    @cached_property
    def cost(self) -> Cost:
        """What it takes, predicted."""
        return predict(self.config, self.fabric) + self.link

    def stages(self) -> list[tuple[str, Cost]]:
        """Return what each stage takes."""
        return list(predict_stages(self.config, self.fabric))
