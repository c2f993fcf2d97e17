"""Which plans have all that a network decides in tables."""

from signfold.sw.errors import PlanError
from signfold.sw.plan import Plan

__all__ = ["check_patchable", "check_tables"]


def check_tables(plan: Plan, remedy: str) -> None:
    """Refuse plans whose weights are logic: no table holds them.

    Parameters
    ----------
    plan : Plan
        The plan.
    remedy : str
        What else may be done, for the message.

    Raises
    ------
    PlanError
        Naming the layer.
    """
    for k, layer in enumerate(plan.layers):
        if layer.style == "hardwired":
            raise PlanError(f"layer {k} is hardwired: its weights are logic, not tables; give it an array, or {remedy}")


def check_patchable(plan: Plan) -> None:
    """Refuse plans with weights that cannot be replaced in a bitstream; see `check_tables`."""
    check_tables(plan, "build without --patchable")
