"""`signfold plan`: engines for a network that fit a budget or reach a speed."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from signfold.sw import zoo
from signfold.sw.cli.output import console, emit
from signfold.sw.cost.model import FABRICS
from signfold.sw.errors import PlanError
from signfold.sw.files import write_whole
from signfold.sw.layers import network_layers
from signfold.sw.network import Network
from signfold.sw.planner.devices import BOARDS, PlannedBoard, budget, find_planned_board
from signfold.sw.planner.planner import Planned, Planner
from signfold.sw.planner.refusals import logic_name
from signfold.sw.planner.report import pareto_plot, plan_text, summary
from signfold.sw.planner.search import STYLES

__all__ = ["plan"]

#: Clock that speeds are told at without a board.
_CLOCK = 100.0


def plan(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="network file, or name of a shipped network")],
    board: Annotated[str | None, typer.Option(help=f"board: {', '.join(BOARDS)}")] = None,
    fabric: Annotated[str | None, typer.Option(help=f"without a board: {', '.join(FABRICS)}")] = None,
    target_fps: Annotated[float | None, typer.Option(help="frames a second to reach", min=0)] = None,
    target_cycles: Annotated[int | None, typer.Option(help="cycles from frame to frame to reach", min=1)] = None,
    clock: Annotated[
        float | None, typer.Option(help="clock in MHz", min=0.001, show_default="the board's oscillator, else 100")
    ] = None,
    max_luts: Annotated[
        int | None, typer.Option(help="LUTs allowed; logic cells on iCE40", min=1, show_default="90 % of the board's")
    ] = None,
    max_brams: Annotated[
        int | None, typer.Option(help="block RAMs allowed; halves of 36 kbit on Xilinx", min=0, show_default="all")
    ] = None,
    max_dsps: Annotated[
        int | None, typer.Option(help="multiplier blocks allowed; iCE40: none are used", min=0, show_default="all")
    ] = None,
    lanes: Annotated[int | None, typer.Option(help="input codes of a beat", min=1, show_default="chosen")] = None,
    styles: Annotated[
        str, typer.Option(help=f"what layers may be, some of {','.join(STYLES)}", show_default="all")
    ] = ",".join(STYLES),
    load: Annotated[
        bool, typer.Option(help="shared engines may have weights that the host loads, where there is a board")
    ] = True,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="plan file to write")] = None,
    pareto: Annotated[Path | None, typer.Option(help="plot to write: logic against frames a second, PNG")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Choose arrays, hardwired layers and shared engines for a network by predicted cost.

    With a target the smallest plan that reaches it; with a budget alone, or a board, the fastest that fits. Cycles are
    exact, resources a prediction: docs/planning.md tells how good it is.
    """
    target = None if board is None else find_planned_board(board)
    if (target is None) == (fabric is None):
        raise PlanError("give one of --board and --fabric: costs depend on what the FPGA is made of")
    if target_fps is not None and target_cycles is not None:
        raise PlanError("give one of --target-fps and --target-cycles")
    mhz = clock or (target.clock_mhz if target else _CLOCK)
    if target_fps is not None:
        target_cycles = math.floor(mhz * 1e6 / target_fps) if target_fps else None
        if target_cycles is not None and target_cycles < 1:
            raise PlanError(
                f"target fps must be at most {mhz * 1e6:,.0f}, one a cycle of the clock, not {target_fps:g}"
            )
    logic, brams = _budget(target, max_luts, max_brams)
    if target_cycles is None and logic is None and brams is None:
        raise PlanError("give a target (--target-fps, --target-cycles) or a budget (--board, --max-luts, --max-brams)")
    loaded = zoo.load(network)
    wanted = {"lanes": lanes, "hosted": target is not None, "clock_mhz": mhz, "load": load}
    wanted["styles"] = tuple(style.strip() for style in styles.split(",") if style.strip())
    planner = _planner(loaded, target.device.fabric if target else fabric, wanted)
    dsps = max_dsps if max_dsps is not None or target is None else target.device.dsps
    limits = planner.limits(logic, brams, target.device.sprams if target else None, dsps)
    with console.status("searching"):
        planned = planner.fastest(limits) if target_cycles is None else planner.smallest(target_cycles, limits)
    device = target.device if target else None
    name = Path(network).stem
    if out is not None:
        write_whole(out, plan_text(planned, name, mhz, device).encode())
    if pareto is not None:
        with console.status("plotting"):
            solutions = list(planner.pareto())
            title = f"{name} on {device.name if device else planner.fabric}"
            pareto_plot(pareto, title, solutions, mhz, logic=logic, chosen=planned)
    result = summary(planned, mhz, device)
    emit(result, as_json=as_json, render=lambda output: _render(output, planned, result))


def _budget(board: PlannedBoard | None, luts: int | None, brams: int | None) -> tuple[float | None, float | None]:
    """Return the logic and block RAMs allowed."""
    if board is None:
        return luts, brams
    whole = budget(board.device)
    return luts if luts is not None else whole["logic"], brams if brams is not None else whole["brams"]


def _planner(network: Network, fabric: str, wanted: dict[str, Any]) -> Planner:
    """Return the planner; the candidates of a large network take seconds to list."""
    count = len(network_layers(network).planned)
    with Progress(*Progress.get_default_columns(), TextColumn("layer {task.fields[layer]}"), console=console) as bar:
        task = bar.add_task("candidates", total=None, layer=0, visible=False)

        def on_layer(index: int | None) -> None:
            done = count if index is None else index
            bar.update(task, total=count, completed=done, layer=min(done, count - 1), visible=count > 4)

        return Planner(network, fabric, on_layer=on_layer, **wanted)


def _render(output: Console, planned: Planned, result: dict[str, Any]) -> None:
    device = result.get("device")
    more = {"cells": "cells"} if planned.fabric == "ice40" else {}
    if result["predicted"]["dsps"]:
        more["dsps"] = "DSP"
    table = Table("stage", "array", "cycles", "LUT", "FF", "BRAM", *more.values())
    if device:
        table.add_column(f"share of {device['name']}")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in result["stages"]:
        if row["stage"] == "all":
            table.add_section()
        cells = [row["stage"], row["array"], "" if row["cycles"] is None else f"{row['cycles']:,}"]
        cells += [f"{row[name]:,}" for name in ("luts", "ffs", "brams", *more)]
        if device:
            cells.append(f"{row['cells'] / device['logic']:.1%}")
        table.add_row(*cells)
    output.print(table)
    speed = f"{result['frames_per_second']:,.0f} frames a second at {result['clock_mhz']:g} MHz"
    output.print(f"{planned.interval:,} cycles a frame, {speed}", highlight=False)
    if device:
        share = result["share"]
        output.print(
            f"{device['name']}: {share['logic']:.0%} of {device['logic']:,} {logic_name(planned.fabric)}, "
            f"{share['brams']:.0%} of {device['brams']:,} block RAMs (predicted)",
            highlight=False,
        )
