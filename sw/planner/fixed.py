"""A plan that is given, with what it will take."""

from dataclasses import replace

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.hw.shared_loader import CHUNK_BYTES, INDEX_BYTES
from signfold.sw.cost.accelerator import predict
from signfold.sw.cost.model import Cost, cost_model
from signfold.sw.cost.shared import LOADING
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.planner.planned import Planned

__all__ = ["LOADED_CHUNK", "fixed_plan", "link_cost"]

#: Bytes of a chunk of weights on the serial line.
LOADED_CHUNK = INDEX_BYTES + CHUNK_BYTES
#: Divisor of the serial line that stands for any in the estimate.
_DIVISOR = 25


def link_cost(config: AcceleratorConfig, fabric: str, chunk: int = 0) -> Cost:
    """Return what a host link takes, where `chunk` is not 0 one that carries weights too.

    Raises
    ------
    PlanError
        If the protocol cannot carry the network's frames or scores.
    """
    config = replace(config, pixels=replace(config.pixels, lanes=1))
    try:
        link = replace(HostedAcceleratorParameters(config, bytes(16), _DIVISOR).link, chunk=chunk)
    except ValueError as error:
        raise PlanError(f"the serial link cannot carry this network: {error}") from None
    return predict(link, fabric) + (cost_model(fabric).of([LOADING]) if chunk else Cost())


def fixed_plan(network: Network, plan: Plan, fabric: str, *, hosted: bool = False) -> Planned:
    """Return what a plan will take on a fabric, which is not the plan's.

    Raises
    ------
    PlanError
        If the plan does not fit the network, or needs a host and there is none.
    """
    plan = replace(plan, fabric=fabric)
    config = lower(network, plan)
    return Planned(plan, config, link_cost(config, fabric, LOADED_CHUNK if config.loads else 0) if hosted else Cost())
