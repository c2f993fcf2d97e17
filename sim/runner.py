"""Run the cocotb bench of an accelerator on Verilator or Icarus."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

from signfold.sim.axi_job import AxiJob, AxiResult
from signfold.sim.job import Job, JobResult
from signfold.sim.verilator import build
from signfold.sw.errors import BuildError, ToolError
from signfold.sw.files import write_whole

__all__ = ["SIMULATORS", "BenchRun", "icarus_available", "run_bench"]

#: Simulators that benches run on; the first is the default.
SIMULATORS = ("verilator", "icarus")

_BENCH = "signfold.sim.bench"
_LOG_LINES = 20
#: What the bench may see of the design: the ports of the top module and the output streams of the stages inside.
_VISIBLE = """`verilator_config
public_flat_rw -module "{top}" -var "*"
public_flat_rd -module "{top}__*" -var "o__payload"
public_flat_rd -module "{top}__*" -var "o__valid"
public_flat_rd -module "{top}__*" -var "o__ready"
"""


@dataclass(frozen=True)
class BenchRun:
    """A finished run.

    Parameters
    ----------
    result : JobResult or AxiResult
        What came out.
    seconds : float
        Wall time of the simulation, without building.
    wave : pathlib.Path or None
        The waveform.
    """

    result: JobResult | AxiResult
    seconds: float
    wave: Path | None


def icarus_available() -> bool:
    """Say whether Icarus Verilog is installed."""
    return shutil.which("iverilog") is not None and shutil.which("vvp") is not None


def run_bench(
    job: Job | AxiJob,
    verilog: Sequence[Path],
    folder: Path,
    *,
    top: str,
    simulator: str = "verilator",
    defines: Mapping[str, str] | None = None,
    files: Sequence[Path] = (),
    wave: bool = False,
    progress: Callable[[int], object] | None = None,
    bench: str = _BENCH,
) -> BenchRun:
    """Run a job through a design.

    Parameters
    ----------
    job : Job or AxiJob
        What the bench does.
    verilog : sequence of path
        Design files.
    folder : path
        Where the simulator is built and the job runs; created if absent.
    top : str
        Top module.
    simulator : str
        "verilator" or "icarus".
    defines : mapping of str to str
        Macros, name to value ("" for none).
    files : sequence of path
        Files that the design reads in its working directory.
    wave : bool
        Write a waveform: VCD from Verilator, whose FST writer needs libraries that few machines have; FST from Icarus.
    progress : callable, optional
        Called now and then with the number of frames done so far.
    bench : str
        Module of the bench.

    Returns
    -------
    BenchRun
        What came out; nothing is judged here.

    Raises
    ------
    ToolError
        If cocotb or the simulator is missing.
    BuildError
        If the design cannot be built, or the simulator ends without a result; the message holds the end of its log.
    """
    try:
        from cocotb_tools.runner import get_runner
    except ImportError:
        raise ToolError("cocotb is missing: install signfold[sim]") from None
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    folder = Path(folder).resolve()
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    for file in files:
        shutil.copy(file, run)
    job.save(run)
    if simulator == "verilator":
        built = _build_verilator(verilog, folder, top, defines or {}, wave)
    else:
        built = _build_icarus(get_runner, verilog, folder, top, defines or {}, wave)
    log = run / "simulation.log"
    runner = _quiet(get_runner(simulator))
    watch = _watch(run, progress)
    began = time.monotonic()
    try:
        runner.test(
            test_module=bench,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=built,
            test_dir=run,
            results_xml=str(run / "results.xml"),
            extra_env={"SIGNFOLD_JOB": str(run), "COCOTB_LOG_LEVEL": "WARNING"},
            waves=wave,
            seed=job.seed,
            log_file=log,
        )
    except (SystemExit, RuntimeError, CalledProcessError):
        pass  # the bench writes its result whatever happens; without one the log says why
    finally:
        watch()
    result = job.result(run)
    if result is None or not _passed(run / "results.xml"):
        raise BuildError(f"{simulator} ended without a result, log {log}:\n{_tail(log)}")
    waveform = run / "dump.vcd" if simulator == "verilator" else built / f"{top}.fst"
    return BenchRun(result, time.monotonic() - began, waveform if wave else None)


def _quiet(runner):
    """Keep cocotb's runner from announcing every command."""
    runner.log.setLevel(logging.CRITICAL)
    return runner


def _passed(results: Path) -> bool:
    """Say whether the bench itself, as opposed to the design, ran without an error."""
    from cocotb_tools.check_results import get_results

    try:
        tests, failed = get_results(results)
    except (RuntimeError, OSError):
        return False
    return tests == 1 and failed == 0


def _watch(run: Path, progress: Callable[[int], object] | None) -> Callable[[], None]:
    """Report the frames that the bench has done; the returned function ends it."""
    if progress is None:
        return lambda: None
    done = threading.Event()

    def poll() -> None:
        while not done.wait(0.2):
            try:
                progress(int((run / "progress").read_text() or 0))
            except (OSError, ValueError):
                pass  # not begun, or caught in mid-write

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()

    def end() -> None:
        done.set()
        thread.join()

    return end


def _build_verilator(verilog: Sequence[Path], folder: Path, top: str, defines: Mapping[str, str], wave: bool) -> Path:
    import cocotb_tools.config

    folder = folder / ("verilator-wave" if wave else "verilator")
    folder.mkdir(exist_ok=True)
    visible = folder / "visible.vlt"
    write_whole(visible, _VISIBLE.format(top=top).encode())
    libraries = cocotb_tools.config.libs_dir
    build(
        [visible, *verilog],
        [Path(cocotb_tools.config.share_dir) / "lib" / "verilator" / "verilator.cpp"],
        folder,
        top=top,
        defines=defines,
        options=["--vpi", *(["--trace-vcd"] if wave else [])],
        libraries=[f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lcocotbvpi_verilator"],
        prefix="Vtop",
        program=top,
    )
    return folder


def _build_icarus(get_runner, verilog, folder: Path, top: str, defines: Mapping[str, str], wave: bool) -> Path:
    if not icarus_available():
        raise ToolError("Icarus Verilog is missing: install iverilog from your system's packages")
    folder = folder / "icarus"
    folder.mkdir(exist_ok=True)
    log = folder / "build.log"
    try:
        _quiet(get_runner("icarus")).build(
            sources=[Path(path).resolve() for path in verilog],
            hdl_toplevel=top,
            build_dir=folder,
            defines=dict(defines),
            always=True,
            timescale=("1ns", "1ps"),
            waves=wave,
            log_file=log,
        )
    except (SystemExit, RuntimeError, CalledProcessError):
        raise BuildError(f"Icarus Verilog refuses the design, log {log}:\n{_tail(log)}") from None
    return folder


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    except OSError:
        return "(no log)"
