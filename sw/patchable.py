"""Which plans have all that a network decides in tables."""

from signfold.sw.errors import PlanError
from signfold.sw.plan import Plan

__all__ = ["check_patchable"]


def check_patchable(plan: Plan) -> None:
    """Refuse plans whose weights are logic: no block RAM holds them.

    Raises
    ------
    PlanError
        Naming the layer.
    """
    for k, layer in enumerate(plan.layers):
        if layer.style == "hardwired":
            raise PlanError(
                f"layer {k} is hardwired: its weights are logic, not tables; give it an array, or build without "
                "--patchable"
            )
