"""What a plan will take, for people and for programs: a table, a plan file with its prediction, a Pareto plot."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signfold.hw.engine_core import EngineCore
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.sw.cost.model import Cost
from signfold.sw.errors import ToolError
from signfold.sw.plan import LayerPlan
from signfold.sw.planner.devices import Device
from signfold.sw.planner.planner import Planned
from signfold.sw.planner.refusals import logic_name
from signfold.sw.planner.search import Solution

__all__ = ["plan_text", "pareto_plot", "rows", "summary"]


def rows(planned: Planned) -> list[dict[str, Any]]:
    """Return a row a stage: what it is, its array, its cycles a frame and what it takes; gearboxes are one row.

    A shared engine, which computes several layers, is one stage.

    The last row is the sum.
    """
    found: list[dict[str, Any]] = []
    gearboxes = Cost()
    choices = iter(planned.plan.layers)
    layer = 0
    for (name, cost), (_, parameters) in zip(planned.stages(), planned.config.stages, strict=True):
        if name.startswith("gearbox"):
            gearboxes += cost
            continue
        row: dict[str, Any] = {"stage": name, "array": "", "cycles": None}
        if isinstance(parameters, EngineCore):
            row["cycles"] = parameters.interval
            if getattr(parameters, "weights", None) is not None:
                row |= {"stage": f"layer {layer}", "array": _array(next(choices))}
                layer += 1
            else:
                row |= {"stage": f"{parameters.operation} pooling", "array": f"{parameters.lanes}"}
        elif isinstance(parameters, HardwiredParameters):
            row |= {"stage": f"layer {layer}", "array": _logic(next(choices)), "cycles": parameters.interval}
            layer += 1
        elif isinstance(parameters, SharedEngineParameters):
            count = len(parameters.layers)
            which = f"layer {layer}" if count == 1 else f"layers {layer} to {layer + count - 1}"
            row |= {"stage": which, "array": _array(next(choices)), "cycles": parameters.interval}
            for _ in range(count - 1):
                next(choices)
            layer += count
        elif name == "pixels":
            row |= {"stage": "input", "array": f"{parameters.lanes}", "cycles": parameters.beats}
        elif name == "scores":
            row |= {"cycles": parameters.classes}
        found.append(row | _resources(cost))
    found.append({"stage": "gearboxes", "array": "", "cycles": None} | _resources(gearboxes))
    if planned.link.luts:
        found.append({"stage": "host link", "array": "", "cycles": None} | _resources(planned.link))
    return [*found, {"stage": "all", "array": "", "cycles": planned.interval} | _resources(planned.cost)]


def _array(choice: LayerPlan) -> str:
    text = f"{choice.cols} x {choice.simd}"
    if choice.rows > 1:
        text = f"{choice.rows} x {text}"
    extras = [f"hop {choice.hop}"] if choice.hop > 1 else []
    extras += ["planes in space"] if choice.space else []
    extras += ["multipliers"] if choice.style == "multiplier" else []
    extras += ["loaded weights"] if choice.memory == "loaded" else []
    return f"{text}, {', '.join(extras)}" if extras else text


def _logic(choice: LayerPlan) -> str:
    return f"hardwired, {choice.simd} in, {choice.hop} out"


def _resources(cost: Cost) -> dict[str, Any]:
    return {name: round(value) for name, value in asdict(cost).items()}


def summary(planned: Planned, clock_mhz: float | None, device: Device | None) -> dict[str, Any]:
    """Return the prediction as plain values."""
    cost = planned.cost
    result: dict[str, Any] = {
        "fabric": planned.fabric,
        "interval_cycles": planned.interval,
        "lanes": planned.plan.lanes,
        "layers": [asdict(layer) for layer in planned.plan.layers],
        "predicted": _resources(cost),
        "stages": rows(planned),
    }
    if clock_mhz is not None:
        result |= {"clock_mhz": clock_mhz, "frames_per_second": clock_mhz * 1e6 / planned.interval}
    if device is not None:
        result["device"] = {"name": device.name, "logic": device.logic, "brams": device.brams}
        result["share"] = {"logic": cost.cells / device.logic, "brams": cost.brams / device.brams}
    return result


def plan_text(planned: Planned, network: str, clock_mhz: float | None, device: Device | None) -> str:
    """Return the plan as TOML, with what it will take as a comment."""
    cost = planned.cost
    lines = [f"# A plan for {network}, by signfold plan. Predicted, not measured:"]
    speed = f", {clock_mhz * 1e6 / planned.interval:,.0f} frames a second at {clock_mhz:g} MHz" if clock_mhz else ""
    lines.append(f"# {planned.interval:,} cycles a frame{speed}")
    used = f"{cost.luts:,.0f} LUTs, {cost.ffs:,.0f} flip-flops, {cost.brams:,} block RAMs"
    used += f", {cost.sprams:,} large RAMs" if cost.sprams else ""
    used += f", {cost.dsps:,} multiplier blocks" if cost.dsps else ""
    if planned.fabric == "ice40":
        used += f"; {cost.cells:,.0f} logic cells"
    lines.append(f"# {used}, {'host link included' if planned.link.luts else 'without a host link'}")
    if device is not None:
        lines.append(
            f"# {device.name}: {cost.cells / device.logic:.0%} of {device.logic:,} {logic_name(planned.fabric)}, "
            f"{cost.brams / device.brams:.0%} of {device.brams:,} block RAMs"
        )
    return "\n".join([*lines, planned.plan.to_toml()])


def pareto_plot(
    path: str | os.PathLike[str],
    title: str,
    solutions: Sequence[Solution],
    clock_mhz: float,
    *,
    logic: float | None = None,
    chosen: Planned | None = None,
) -> None:
    """Draw logic against frames a second of the smallest plans as PNG.

    Raises
    ------
    ToolError
        If matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ToolError("plots need matplotlib: install signfold[plot]") from None
    fabric = solutions[0].plan.fabric
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    speeds = [clock_mhz * 1e6 / solution.interval for solution in solutions]
    used = [solution.cost.cells for solution in solutions]
    axes.plot(speeds, used, "o-", color="#1f5fa8", label="smallest plans")
    for speed, logic_used, solution in zip(speeds, used, solutions, strict=True):
        axes.annotate(
            f"{solution.cost.brams}", (speed, logic_used), (0, 7), textcoords="offset points", ha="center", fontsize=7
        )
    if chosen is not None:
        speed = clock_mhz * 1e6 / chosen.interval
        axes.plot([speed], [chosen.cost.cells], "*", markersize=15, color="#c8501e", label="this plan")
    if logic is not None:
        axes.axhline(logic, linestyle="--", color="#666666", linewidth=1, label="allowed")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_minor_formatter(lambda value, _: "")
    axes.set_xlabel(f"frames a second at {clock_mhz:g} MHz")
    axes.set_ylabel(f"{logic_name(fabric)} (numbers: block RAMs), predicted")
    axes.set_title(title)
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend()
    figure.savefig(Path(path), format="png", dpi=150)
