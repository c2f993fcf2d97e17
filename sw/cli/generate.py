"""`signfold generate`: a network becomes Verilog and memory images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from signfold.hw.fabric import FABRICS
from signfold.sw import zoo
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.default_plan import default_plan
from signfold.sw.generate import CORE, WRAPPERS, Artefacts
from signfold.sw.generate import generate as write
from signfold.sw.network import Network
from signfold.sw.plan import Plan

__all__ = ["choose_plan", "generate"]


def choose_plan(
    network: Network, plan: Path | None, lanes: int | None, target_cycles: int | None, fabric: str | None = None
) -> Plan:
    """Return the plan of a file, or one for the wanted lanes and cycles; with another fabric where one is given.

    Raises
    ------
    PlanError
        If the file is no plan, or no plan reaches the target.
    typer.BadParameter
        If both a file and wishes are given.
    """
    if fabric is not None and fabric not in FABRICS:
        raise typer.BadParameter(f"--fabric must be one of {', '.join(FABRICS)}, not {fabric!r}")
    if plan is None:
        return default_plan(network, lanes=lanes or 1, target_cycles=target_cycles, fabric=fabric or "plain")
    if lanes is not None or target_cycles is not None:
        raise typer.BadParameter("--plan holds all choices: give it without --lanes and --target-cycles")
    chosen = Plan.load(plan)
    return chosen if fabric is None else replace(chosen, fabric=fabric)


def generate(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="network file, or name of a shipped network")],
    out: Annotated[Path | None, typer.Option(help="output folder", show_default="build/NETWORK")] = None,
    plan: Annotated[Path | None, typer.Option(help="plan file", show_default="a small design that keeps up")] = None,
    lanes: Annotated[
        int | None, typer.Option(help="input codes a beat, without --plan", min=1, show_default="1")
    ] = None,
    target_cycles: Annotated[
        int | None,
        typer.Option(help="cycles from frame to frame, without --plan", min=1, show_default="those of the input"),
    ] = None,
    fabric: Annotated[
        str | None, typer.Option(help=f"what the arrays are made of: {', '.join(FABRICS)}", show_default="the plan's")
    ] = None,
    patchable: Annotated[
        bool, typer.Option("--patchable", help="ask synthesis to put every table, thresholds too, into block RAM")
    ] = False,
    wrapper: Annotated[
        str | None,
        typer.Option(
            help=f"also write a wrapper: {', '.join(WRAPPERS)} (AXI4-Stream and AXI4-Lite)", show_default="none"
        ),
    ] = None,
    fusesoc: Annotated[bool, typer.Option("--fusesoc", help="also write a core file of FuseSoC")] = False,
    reloadable: Annotated[
        bool, typer.Option("--reloadable", help="a port that takes another network's tables while the design runs")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Write Verilog, memory images and their descriptions.

    The folder gets accelerator.v, one .mem file a ROM, images.json (what every bit of the images means),
    accelerator.json (ports, configuration, latency, checksums), the plan and the network. The same input gives the same
    bytes. docs/integration.md tells of wrappers and FuseSoC.
    """
    if wrapper not in (None, *WRAPPERS):
        raise typer.BadParameter(f"--wrapper must be one of {', '.join(WRAPPERS)}, not {wrapper!r}")
    if reloadable and (patchable or wrapper is not None):
        raise typer.BadParameter("--reloadable goes without --patchable and --wrapper")
    loaded = zoo.load(network)
    chosen = choose_plan(loaded, plan, lanes, target_cycles, fabric)
    with console.status("gateware"):
        folder = out or Path("build") / Path(network).stem
        forms = {"patchable": patchable, "wrapper": wrapper, "fusesoc": fusesoc, "reloadable": reloadable}
        artefacts = write(loaded, chosen, folder, **forms)
    result: dict[str, Any] = {"folder": str(artefacts.folder), **artefacts.sidecar}
    emit(result, as_json=as_json, render=lambda output: _render(output, artefacts))


def _render(output: Console, artefacts: Artefacts) -> None:
    sidecar = artefacts.sidecar
    size, result, files = sidecar["input"], sidecar["output"], sidecar["files"]
    images = artefacts.image_map["images"]
    bits = sum(entry["width"] * entry["depth"] for entry in images)
    lines = [
        f"folder    {artefacts.folder}",
        f"verilog   accelerator.v, {files['accelerator.v']['bytes']} bytes",
        *(
            [f"wrapper   {sidecar['wrapper']['file']}, module {sidecar['wrapper']['top']}"]
            if "wrapper" in sidecar
            else []
        ),
        *(
            [f"reload    images of {sidecar['reload']['bytes']} bytes, for build {sidecar['reload']['build']}"]
            if "reload" in sidecar
            else []
        ),
        *([f"fusesoc   {CORE}"] if CORE in files else []),
        f"images    {len(images)} ROMs, {bits} bits",
        f"input     {size['elements']} codes of {size['bits']} bits, {size['lanes']} a beat: {size['beats']} beats",
        f"output    {result['classes']} scores of {result['score_width']} bits",
    ]
    for k, layer in enumerate(sidecar["plan"]["layers"]):
        lines.append(f"layer {k}   {', '.join(f'{name} {value}' for name, value in layer.items())}")
    lines += [f"latency   {sidecar['latency']} cycles", f"interval  {sidecar['interval']} cycles"]
    print_lines(output, lines)
