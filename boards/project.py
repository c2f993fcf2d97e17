"""Project: a network and a plan become what a vendor's tool builds, here or on another machine."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signfold.boards.board import Board
from signfold.boards.steps import NAME, baud_divisor, choose_pll
from signfold.boards.toolchain import Step, run_step
from signfold.boards.top import BoardTop
from signfold.boards.vendor import VENDORS, check_slack
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import BuildError
from signfold.sw.files import check_replaceable, put_in_place, temporary_beside, write_whole
from signfold.sw.hosted import TOP, generate_hosted
from signfold.sw.memfile import format_mem
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.sidecar import LOAD_FILE

__all__ = ["MANIFEST", "PROJECT", "build_project", "write_project"]

#: Folder of the project in the output folder.
PROJECT = "project"
#: Manifest in the project's folder.
MANIFEST = "project.json"


def write_project(
    network: Network,
    board: Board,
    out: Path,
    *,
    plan: Plan | None = None,
    clock_mhz: float | None = None,
    baud: int = 1_000_000,
) -> dict[str, Any]:
    """Write a project: Verilog, memory images, constraints, and scripts that build it.

    The same arguments give the same bytes, whatever the folder. An earlier project is replaced, with what the tools
    have put there.

    Parameters
    ----------
    network : Network
        What the accelerator computes.
    board : Board
        Board of a vendor whose tools build it.
    out : path
        Folder for `project/`.
    plan : Plan, optional
        Arrays; `default_plan` by default.
    clock_mhz : float, optional
        Clock; the board's oscillator by default, else the PLL's nearest frequency.
    baud : int
        Bits a second of the serial line.

    Returns
    -------
    dict
        The manifest, as in `project/project.json`.

    Raises
    ------
    BuildError
        If open tools build the board, clock and baud rate do not go together, or `project` is something else.
    PlanError
        If plan, network and the protocol of the link do not fit together.
    """
    if board.family not in VENDORS:
        raise BuildError(f"board {board.name} needs no vendor's tool: build it without --prepare")
    vendor = VENDORS[board.family]
    pll = choose_pll(board, clock_mhz)
    frequency = board.reference if pll is None else pll.output
    divisor = baud_divisor(frequency, baud)
    folder = Path(out) / PROJECT
    check_replaceable(folder, lambda: _ours(folder), "build", BuildError)
    plan = default_plan(network, fabric=board.fabric, clock_mhz=frequency / 1e6) if plan is None else plan
    design = generate_hosted(network, plan, divisor)
    memories = {f"{rom.name}.mem": format_mem(rom).encode() for rom in design.parameters.roms}
    platform = board.platform()
    platform.add_file(f"{TOP}.v", design.verilog)
    prepared = platform.prepare(BoardTop(board, TOP, pll), NAME, emit_src=False, **vendor.overrides(list(memories)))
    files = {name: text if isinstance(text, bytes) else text.encode() for name, text in prepared.files.items()}
    # A second copy of the top, for people.
    files.pop(f"{NAME}.debug.v", None)
    files |= memories
    config, geometry = design.parameters.config, design.parameters.geometry
    if config.loads:
        files[LOAD_FILE] = b"".join(config.chunks)
    manifest = {
        "format": "signfold-project",
        "version": 1,
        "board": board.name,
        "device": board.device,
        "tool": vendor.title,
        "command": f"sh build_{NAME}.sh",
        "product": f"{NAME}{board.bitstream_suffix}",
        "content_hash": network.content_hash,
        "plan": {"lanes": plan.lanes, "fabric": plan.fabric, "layers": [asdict(layer) for layer in plan.layers]},
        "geometry": {**asdict(geometry), "identity": geometry.identity.hex()},
        "clock_mhz": frequency / 1e6,
        "baud": baud,
        "divisor": divisor,
        "latency_cycles": config.latency,
        "interval_cycles": config.interval,
        "frames_per_second": frequency / config.interval,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(folder) as finished:
        for name, content in files.items():
            (finished / name).write_bytes(content)
        (finished / MANIFEST).write_bytes((json.dumps(manifest, indent=2) + "\n").encode())
        put_in_place(finished, folder)
    return manifest


def build_project(board: Board, out: Path, *, on_step: Callable[[str], object]) -> Path:
    """Build a project that was written, with the vendor's tool on this machine.

    Parameters
    ----------
    board : Board
        The board.
    out : path
        Folder with the project.
    on_step : callable
        Called with the title of each step before it begins.

    Returns
    -------
    pathlib.Path
        The bitstream, `<board>.bit` or `.sof` in `out`.

    Raises
    ------
    ToolError
        If the tool is missing.
    BuildError
        If it fails, or timing is not met.
    """
    vendor, folder, bitstream = VENDORS[board.family], Path(out) / PROJECT, f"{board.name}{board.bitstream_suffix}"
    (Path(out) / bitstream).unlink(missing_ok=True)
    tool(board).find()
    run_step(Step(vendor.title, "SH", "sh", (f"build_{NAME}.sh",), "build.log"), folder, on_step=on_step)
    if vendor.family == "cyclone5":
        check_slack(folder, NAME)
    product = folder / f"{NAME}{board.bitstream_suffix}"
    if not product.exists():
        raise BuildError(f"{vendor.title} left no {product.name}, log {folder / 'build.log'}")
    write_whole(Path(out) / bitstream, product.read_bytes())
    return Path(out) / bitstream


def tool(board: Board) -> Step:
    """Return the first of the vendor's programs, to be looked for."""
    vendor = VENDORS[board.family]
    remedy = f"{vendor.setup}, or write the project with --prepare and build it where {vendor.title} is"
    return Step(vendor.title, vendor.variable, vendor.program, (), "build.log", remedy)


def _ours(folder: Path) -> set[str]:
    """Return all names in a folder that holds a project's manifest: the tools put what they like beside it."""
    try:
        if json.loads((folder / MANIFEST).read_bytes())["format"] != "signfold-project":
            return set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {path.name for path in folder.iterdir()}
