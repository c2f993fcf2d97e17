"""Simulate the AXI wrapper of a generated accelerator."""

from collections.abc import Sequence
from pathlib import Path

from signfold.sim.axi_job import AxiJob, AxiResult, Step
from signfold.sim.runner import run_bench
from signfold.sw.errors import BuildError, ToolError
from signfold.sw.generate import Artefacts

__all__ = ["run_axi"]


def run_axi(
    artefacts: Artefacts,
    steps: Sequence[Step],
    folder: Path,
    *,
    simulator: str = "verilator",
    seed: int = 0,
    stall_in: float = 0,
    stall_out: float = 0,
) -> AxiResult:
    """Let cocotbext-axi drive a wrapped accelerator through some steps.

    Parameters
    ----------
    artefacts : Artefacts
        What `generate` has written with `wrapper="axi"`.
    steps : sequence of dict
        What to do, see `signfold.sim.axi_job`.
    folder : path
        Where the simulator is built and the job runs.
    simulator : str
        "verilator" or "icarus".
    seed : int
        Seed of the pauses.
    stall_in, stall_out : float
        Share of the cycles in which channels that are driven, and that are taken from, pause.

    Returns
    -------
    AxiResult
        An answer to each step; nothing but the rules of AXI is judged here.

    Raises
    ------
    ToolError
        If cocotb, cocotbext-axi or the simulator is missing.
    BuildError
        If the design cannot be built, breaks a rule of AXI, or a step takes too long.
    """
    try:
        import cocotbext.axi  # noqa: F401
    except ModuleNotFoundError:
        raise ToolError("cocotbext-axi is missing: install signfold[sim]") from None
    wrapper = artefacts.sidecar["wrapper"]
    slowness = 1 / (1 - max(stall_in, stall_out))
    sent = sum(len(packet) for step in steps for packet in step.get("packets", ()))
    job = AxiJob(
        steps=tuple(steps),
        seed=seed,
        stall_in=stall_in,
        stall_out=stall_out,
        limit=round((artefacts.sidecar["latency"] + artefacts.sidecar["interval"] + sent) * slowness * 4) + 1000,
        weights="s_axis_weights" in wrapper["streams"],
    )
    files = [artefacts.verilog, artefacts.folder / wrapper["file"]]
    run = run_bench(job, files, folder, top=wrapper["top"], simulator=simulator, bench="signfold.sim.axi_bench")
    if run.result.failure:
        raise BuildError(f"the AXI wrapper failed after {len(run.result.answers)} steps: {run.result.failure}")
    return run.result
