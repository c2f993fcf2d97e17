"""`signfold simulate`: the generated Verilog against the golden model, image by image."""

import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from signfold.sw import zoo
from signfold.sw.artefacts import is_generated, load_artefacts
from signfold.sw.cli.generate import choose_plan
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.compile.accuracy import frames_for
from signfold.sw.data import SPLITS, load, names
from signfold.sw.errors import BuildError, ToolError
from signfold.sw.generate import Artefacts
from signfold.sw.generate import generate as write
from signfold.sw.network import Network

__all__ = ["simulate"]

#: Frames by default where a frame takes a while: enough to see the steady state.
_FEW_FRAMES = 25
#: Stalls by default of the bench that checks behaviour rather than throughput.
_SOME_STALLS = 0.25
#: Harness of the AXI wrapper, and the wrapper.
_AXI = "axi"
#: Cells that tell an FPGA family.
_CELLS = {"ice40": r"^\s*SB_\w+ ", "gowin": r"^\s*(DFFR?E?|MUX2_LUT5) ", "ecp5": r"^\s*(TRELLIS_\w+|LUT4) "}


def simulate(
    design: Annotated[
        str,
        typer.Argument(metavar="DESIGN", help="generated folder, or a network: its file or the name of a shipped one"),
    ],
    data: Annotated[
        str | None,
        typer.Option(help=f"frames: {', '.join(names())}, or random", show_default="those of the network, or random"),
    ] = None,
    split: Annotated[str, typer.Option(help=f"part of the data set: {', '.join(SPLITS)}")] = "test",
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="first frames only", min=1, show_default=f"all; cocotb and random: {_FEW_FRAMES}")
    ] = None,
    harness: Annotated[
        str,
        typer.Option(
            help="native: fast; cocotb: watches every layer, random stalls on both ends; axi: the AXI wrapper, likewise"
        ),
    ] = "native",
    simulator: Annotated[str, typer.Option(help="simulator of the cocotb bench: verilator, icarus")] = "verilator",
    netlist: Annotated[
        str | None,
        typer.Option(
            help="simulate after synthesis for ice40, ecp5 or gowin, or a netlist file", show_default="the Verilog"
        ),
    ] = None,
    mem: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="read the ROMs from .mem files in a folder", show_default="from the Verilog"),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="network whose results are expected, with --mem", show_default="the one that was generated"),
    ] = None,
    stall_in: Annotated[
        float | None,
        typer.Option(help="probability that the source pauses", min=0, max=0.99, show_default="0; cocotb: 0.25"),
    ] = None,
    stall_out: Annotated[
        float | None,
        typer.Option(help="probability that the sink pauses", min=0, max=0.99, show_default="0; cocotb: 0.25"),
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of stalls and random frames", min=0)] = 0,
    wave: Annotated[bool, typer.Option(help="write a waveform (cocotb): VCD from Verilator, FST from Icarus")] = False,
    verify_files: Annotated[bool, typer.Option(help="refuse a generated folder whose files were changed")] = True,
    plan: Annotated[Path | None, typer.Option(help="plan file, for a network")] = None,
    lanes: Annotated[int | None, typer.Option(help="input codes a beat, for a network", min=1)] = None,
    target_cycles: Annotated[int | None, typer.Option(help="cycles a frame, for a network", min=1)] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for a network's Verilog", show_default="build/simulate-NETWORK")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Simulate the generated Verilog and compare every score and class with the golden model.

    Without stalls, latency and interval are measured too and must be those predicted. The first difference ends the
    command with status 1 and is named: layer, channel, position and frame, with both values.
    """
    sim = _simulation()
    if split not in SPLITS:
        raise typer.BadParameter(f"split is {split!r}, allowed: {', '.join(SPLITS)}")
    for name, value, allowed in (
        ("harness", harness, (*sim.HARNESSES, _AXI)),
        ("simulator", simulator, sim.SIMULATORS),
    ):
        if value not in allowed:
            raise typer.BadParameter(f"{name} is {value!r}, allowed: {', '.join(allowed)}")
    if harness == "native" and (wave or simulator != "verilator"):
        raise typer.BadParameter("the native harness has no waveforms and no other simulator: give --harness cocotb")
    if harness == _AXI and (wave, mem, netlist, network) != (False, None, None, None):
        raise typer.BadParameter("--wave, --mem, --netlist and --network are not for the harness axi")
    wrapper = _AXI if harness == _AXI else None
    artefacts = _artefacts(design, verify_files, plan, lanes, target_cycles, out, wrapper)
    expected = artefacts.network if network is None else zoo.load(network)
    few = harness != "native"
    pictures, labels, source = _frames(expected, data, split, data_dir, frames, seed, few)
    options = sim.Options(
        harness="cocotb" if harness == _AXI else harness,
        simulator=simulator,
        seed=seed,
        stall_in=(_SOME_STALLS if few else 0.0) if stall_in is None else stall_in,
        stall_out=(_SOME_STALLS if few else 0.0) if stall_out is None else stall_out,
        memory=mem,
        wave=wave,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"simulate ({harness})", total=len(pictures))
        further = {"network": expected, "progress": lambda done: progress.advance(task, done)}
        if harness == _AXI:
            report = sim.simulate_axi(artefacts, pictures, options)
        elif netlist is None:
            report = sim.simulate(artefacts, pictures, options, **further)
        elif netlist in sim.FAMILIES:
            report = sim.check_netlist(artefacts, netlist, pictures, options, **further)
        else:
            path = Path(netlist)
            report = sim.simulate_netlist(artefacts, path, _family(path), pictures, options, **further)
    result: dict[str, Any] = {
        "design": design,
        "folder": str(artefacts.folder),
        "content_hash": expected.content_hash,
        "data": source,
        "frames": len(pictures),
        "mismatches": 0,
        "accuracy": None if labels is None else float(np.mean(report.classes == labels)),
        "harness": harness,
        "simulator": simulator,
        "netlist": netlist,
        "memory": None if mem is None else str(mem),
        "seed": seed,
        "stall_in": options.stall_in,
        "stall_out": options.stall_out,
        "cycles": report.cycles,
        "latency": report.latency,
        "interval": report.interval,
        "seconds": report.seconds,
        "build_seconds": report.build_seconds,
        "frames_per_second": len(pictures) / max(report.seconds, 1e-9),
        "wave": None if report.wave is None else str(report.wave),
    }
    emit(result, as_json=as_json, render=lambda output: _render(output, result))


def _simulation() -> Any:
    try:
        from signfold.sim import commands
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("signfold"):
            raise
        raise ToolError(f"simulation needs {error.name}: install signfold[sim]") from None
    return commands


def _artefacts(
    design: str,
    verify: bool,
    plan: Path | None,
    lanes: int | None,
    target_cycles: int | None,
    out: Path | None,
    wrapper: str | None,
) -> Artefacts:
    """Read a generated folder, or generate one for a network."""
    if design not in zoo.names() and is_generated(design):
        if (plan, lanes, target_cycles, out) != (None, None, None, None):
            raise typer.BadParameter("--plan, --lanes, --target-cycles and --out go with a network, not with a folder")
        return load_artefacts(design, verify=verify)
    network = zoo.load(design)
    chosen = choose_plan(network, plan, lanes, target_cycles)
    with console.status("gateware"):
        return write(network, chosen, out or Path("build") / f"simulate-{Path(design).stem}", wrapper=wrapper)


def _frames(
    network: Network, data: str | None, split: str, data_dir: Path | None, count: int | None, seed: int, few: bool
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Return frames, labels if there are any, and where they are from."""
    if data is None:
        named = network.metadata.get("dataset")
        data = named if isinstance(named, str) else "random"
    if count is None and (few or data == "random"):
        count = _FEW_FRAMES
    if data == "random":
        rng = np.random.default_rng(seed)
        shape = (count, *network.input.shape)
        return rng.integers(0, (1 << network.input.bits) - 1, shape, np.uint8, endpoint=True), None, "random"
    frames, labels = frames_for(network, load(data, data_dir), split, count)
    return frames, labels, f"{data}, {split} split"


def _family(netlist: Path) -> str:
    """Tell from the cells of a netlist what FPGA it is for."""
    try:
        text = netlist.read_text(errors="replace")
    except OSError as error:
        raise BuildError(f"netlist {str(netlist)!r}: {error.strerror}") from None
    for family, cells in _CELLS.items():
        if re.search(cells, text, re.MULTILINE):
            return family
    raise BuildError(f"netlist {str(netlist)!r} must be made of ice40, ecp5 or gowin cells")


def _render(output: Console, result: dict[str, Any]) -> None:
    measured = {
        name: "not measured" if result[name] is None else f"{result[name]} cycles, as predicted"
        for name in ("latency", "interval")
    }
    how = result["harness"] if result["harness"] == "native" else f"{result['harness']} on {result['simulator']}"
    what = "" if result["netlist"] is None else f", netlist {result['netlist']}"
    stalls = f"stalls {result['stall_in']:g} in and {result['stall_out']:g} out"
    lines = [
        f"frames    {result['frames']} ({result['data']}): all scores and classes equal the golden model's",
        f"harness   {how}{what}, seed {result['seed']}, {stalls}",
        f"latency   {measured['latency']}",
        f"interval  {measured['interval']}",
        f"cycles    {result['cycles']}",
        f"time      {result['seconds']:.2f} s, {result['frames_per_second']:.0f} frames a second"
        f" (build {result['build_seconds']:.1f} s)",
    ]
    if result["accuracy"] is not None:
        lines.insert(1, f"accuracy  {result['accuracy']:.4f}")
    if result["wave"]:
        lines.append(f"waveform  {result['wave']}")
    print_lines(output, lines)
