"""The step that puts a network on a device: a plan and what it will take."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from signfold.sw.cost.model import Cost
from signfold.sw.errors import PlanError
from signfold.sw.explore.outcome import NETWORK, PLAN, Outcome
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.planner.candidates import area
from signfold.sw.planner.fixed import fixed_plan
from signfold.sw.planner.planner import Planner

__all__ = ["load_inputs", "plan_step"]


def plan_step(arguments: Mapping[str, Any], setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Outcome:
    """Plan a network for a device.

    Parameters
    ----------
    arguments : mapping
        `plan` and `device`: see `study.PlanChoice.arguments` and `device.Target.arguments`.
    setting : mapping
        Nothing that is read.
    inputs : mapping of str to bytes
        The network.

    Returns
    -------
    Outcome
        The plan; `interval_cycles`, `latency_cycles`, and `luts`, `ffs`, `brams` as the cost model predicts
        them: LUTs are logic cells on iCE40, block RAMs halves of 36 kbit on Xilinx. The host link of a board counts.

    Raises
    ------
    PlanError
        If there is no such plan, or it takes more than there is.
    """
    plan, device = arguments["plan"], arguments["device"]
    limited = {name: device[name] for name in ("logic", "brams", "sprams")}
    if plan["text"] is not None:
        network, chosen = load_inputs({**inputs, PLAN: plan["text"].encode()})
        planned = fixed_plan(network, chosen, device["fabric"], hosted=device["hosted"])
        _check_fits(planned.cost, limited)
    else:
        planner = _planner(inputs[NETWORK], device["fabric"], device["hosted"], device["clock_mhz"], *plan["styles"])
        limits = planner.limits(**limited)
        if plan["fastest"]:
            if device["logic"] is None:
                raise PlanError("the fastest plan that fits needs an FPGA or a board; a fabric alone has no end")
            planned = planner.fastest(limits)
        else:
            cycles = plan["cycles"] or int(device["clock_mhz"] * 1e6 / plan["fps"])
            if cycles < 1:
                raise PlanError(f"{plan['fps']:,g} frames a second are more than one a cycle of the clock")
            planned = planner.smallest(cycles, limits)
    cost = planned.cost
    result = {
        "interval_cycles": planned.interval,
        "latency_cycles": planned.config.latency,
        "luts": round(area(cost)),
        "ffs": round(cost.ffs),
        "brams": cost.brams,
    }
    return Outcome(result, {PLAN: planned.plan.to_toml().encode()})


@lru_cache(maxsize=2)
def _planner(network: bytes, fabric: str, hosted: bool, clock_mhz: float, *styles: str) -> Planner:
    """Return a planner; its candidates, which take longest, serve all plans of a network on a device."""
    return Planner(_network(network), fabric, hosted=hosted, clock_mhz=clock_mhz, styles=styles)


def _check_fits(cost: Cost, limited: Mapping[str, int | None]) -> None:
    needed = {"logic": round(area(cost)), "brams": cost.brams, "sprams": cost.sprams}
    over = [
        f"{needed[name]:,} of {have:,} {what}"
        for name, what in (("logic", "LUTs or logic cells"), ("brams", "block RAMs"), ("sprams", "large RAMs"))
        if (have := limited[name]) is not None and needed[name] > have
    ]
    if over:
        raise PlanError(f"the plan does not fit: it needs {' and '.join(over)} allowed")


def load_inputs(inputs: Mapping[str, bytes]) -> tuple[Network, Plan]:
    """Return the network and the plan of a step's files."""
    with TemporaryDirectory(prefix="signfold-") as folder:
        (Path(folder) / PLAN).write_bytes(inputs[PLAN])
        return _network(inputs[NETWORK]), Plan.load(Path(folder) / PLAN)


def _network(content: bytes) -> Network:
    with TemporaryDirectory(prefix="signfold-") as folder:
        (Path(folder) / NETWORK).write_bytes(content)
        return Network.load(Path(folder) / NETWORK)
