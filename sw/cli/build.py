"""`signfold build`: a network becomes a bitstream."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from signfold.sw import zoo
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.errors import ToolError
from signfold.sw.hosted import HostedDesign
from signfold.sw.link import Device, compare_with_golden
from signfold.sw.lower import stream_order
from signfold.sw.network import Network
from signfold.sw.plan import Plan

__all__ = ["build"]


def build(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="network file, or name of a shipped network")],
    board: Annotated[
        str, typer.Option(help="board: icebreaker, ulx3s-85f, tang-nano-9k, arty-a7, arty-z7-20, de10-nano")
    ],
    out: Annotated[Path | None, typer.Option(help="output folder", show_default="build/NETWORK-BOARD")] = None,
    plan: Annotated[Path | None, typer.Option(help="plan file", show_default="a small design that keeps up")] = None,
    clock_mhz: Annotated[
        float | None, typer.Option(help="clock in MHz, by the PLL", show_default="the board's oscillator", min=0)
    ] = None,
    baud: Annotated[int, typer.Option(help="bits a second of the serial port", min=1)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="seed of place and route", min=0, max=2**31 - 1)] = 1,
    patchable: Annotated[
        bool, typer.Option("--patchable", help="every table in block RAM, so that `signfold patch` can replace them")
    ] = False,
    reloadable: Annotated[
        bool, typer.Option("--reloadable", help="tables that `signfold load` replaces while the device runs")
    ] = False,
    check_netlist: Annotated[
        int,
        typer.Option(
            metavar="FRAMES", help="simulate the netlist after synthesis on so many random frames first", min=0
        ),
    ] = 0,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="only write the project, for boards of Vivado and Quartus")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the manifest as JSON")] = False,
) -> None:
    """Build a bitstream and check that it fits and meets timing.

    Beside the bitstream the output folder gets build.json, with use of the FPGA, clock, latency and checksums. A design
    that does not fit or is too slow gives no bitstream, and says what would help. For boards of Vivado and Quartus the
    folder gets the whole project, which those tools then build, here or on another machine.
    """
    boards = _boards()
    target = boards.find_board(board)
    loaded = zoo.load(network)
    folder = out or Path("build") / f"{Path(network).stem}-{board}"
    if prepare or target.family in boards.VENDORS:
        if patchable or check_netlist:
            raise typer.BadParameter("--patchable and --check-netlist are for boards that open tools build")
        chosen = None if plan is None else Plan.load(plan)
        _project(loaded, target, folder, chosen, clock_mhz, baud, prepare=prepare, as_json=as_json)
        return
    check = _netlist_check(loaded, target, folder, check_netlist) if check_netlist else None
    with console.status("gateware") as status:

        def on_step(title: str) -> None:
            status.update(title)
            if not console.is_terminal:
                console.print(title, highlight=False)

        manifest = boards.build(
            loaded,
            target,
            folder,
            plan=None if plan is None else Plan.load(plan),
            clock_mhz=clock_mhz,
            baud=baud,
            seed=seed,
            patchable=patchable,
            reloadable=reloadable,
            check=check,
            on_step=on_step,
        )
    manifest["netlist_frames"] = check_netlist
    bitstream = folder / manifest["bitstream"]["file"]
    command = target.program.format(bitstream=bitstream)
    emit(
        manifest,
        as_json=as_json,
        render=lambda output: _render(output, manifest, target.title, bitstream, command),
    )


def _project(
    network: Network,
    target: Any,
    folder: Path,
    plan: Plan | None,
    clock_mhz: float | None,
    baud: int,
    *,
    prepare: bool,
    as_json: bool,
) -> None:
    """Write a project for a vendor's tool, and build it unless it is only to be prepared."""
    from signfold.boards import project

    if not prepare:
        # Before anything is written: who has no such tool wants to know what to do instead.
        project.tool(target).find()
    with console.status("gateware") as status:
        manifest = project.write_project(network, target, folder, plan=plan, clock_mhz=clock_mhz, baud=baud)
        bitstream = None if prepare else project.build_project(target, folder, on_step=status.update)
    manifest["bitstream"] = None if bitstream is None else str(bitstream)
    where = folder / project.PROJECT
    clock, interval = manifest["clock_mhz"], manifest["interval_cycles"]
    lines = [
        f"board         {target.title} ({target.device})",
        f"project       {where}, {len(manifest['files'])} files for {manifest['tool']}",
        f"clock         {clock:.2f} MHz",
        f"interval      {interval} cycles, {manifest['frames_per_second']:.0f} frames a second",
        f"serial port   {manifest['baud']} baud" + (f", {target.serial}" if target.serial else ""),
    ]
    if bitstream is None:
        lines.append(f"build it with cd {where} && {manifest['command']}")
    bitstream = bitstream or where / manifest["product"]
    lines.append(f"load it with  {target.program.format(bitstream=bitstream)}")
    emit(manifest, as_json=as_json, render=lambda output: print_lines(output, lines))


def _boards() -> Any:
    try:
        from signfold.boards import build as boards
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("amaranth_boards"):
            raise
        raise ToolError("boards need amaranth-boards: install signfold[boards]") from None
    return boards


def _netlist_check(network: Network, target: Any, folder: Path, count: int) -> Callable[[Path, HostedDesign], None]:
    """Return a check that sends random frames through the netlist, bits of the serial line and all."""
    try:
        from signfold.sim.link import SimulatedLink, build_simulated_netlist
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("signfold"):
            raise
        raise ToolError("simulation needs more packages: install signfold[sim]") from None

    def check(netlist: Path, design: HostedDesign) -> None:
        simulator = folder / "netlist"
        build_simulated_netlist(netlist, target.family, simulator, divisor=design.parameters.divisor)
        shape = (count, *network.input.shape)
        frames = np.random.default_rng(1).integers(0, 1 << network.input.bits, shape, np.uint8, endpoint=False)
        with SimulatedLink(simulator) as link:
            device = Device(link)
            if design.parameters.config.loads:
                device.load(design.parameters.config.chunks)
            results = device.infer(stream_order(network, frames))
            compare_with_golden(network, frames, results, "the netlist")

    return check


def _render(output: Console, manifest: dict[str, Any], title: str, bitstream: Path, command: str) -> None:
    lines = [f"board         {title} ({manifest['device']})"]
    for resource in manifest["utilization"].values():
        share = resource["used"] / resource["available"]
        lines.append(f"{resource['title']:<13} {resource['used']} of {resource['available']} ({share:.1%})")
    clock = manifest["clock_mhz"]
    latency, interval = manifest["latency_cycles"], manifest["interval_cycles"]
    lines += [
        f"clock         {clock:.2f} MHz, timing met up to {manifest['fmax_mhz']:.2f} MHz",
        f"latency       {latency} cycles, {latency / clock:.1f} us",
        f"interval      {interval} cycles, {manifest['frames_per_second']:.0f} frames a second",
        f"serial port   {manifest['baud']} baud, {manifest['link_frames_per_second']:.0f} frames a second",
        f"bitstream     {bitstream} ({manifest['bitstream']['bytes']} bytes)",
        f"load it with  {command}",
        "then run      signfold infer NETWORK --port PORT"
        + (f" --load {bitstream.parent / manifest['load']['file']}" if "load" in manifest else ""),
    ]
    if manifest["netlist_frames"]:
        lines.insert(-2, f"netlist       {manifest['netlist_frames']} frames simulated, all as the golden model")
    print_lines(output, lines)
