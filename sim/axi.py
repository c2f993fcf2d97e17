"""Simulate the AXI wrapper of a generated accelerator."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from signfold.hw.axi_control import ADDRESSES
from signfold.hw.axi_stream import FrameInputParameters, ResultOutputParameters
from signfold.sim.axi_job import AxiJob, AxiResult, Step, load, read, stream
from signfold.sim.compare import compare_results, measure_timing
from signfold.sim.job import Job, JobResult
from signfold.sim.runner import run_bench
from signfold.sim.simulation import Options, Report
from signfold.sw.errors import BuildError, ImageError, MismatchError, ToolError
from signfold.sw.generate import BUILD_FOLDER, Artefacts
from signfold.sw.lower import stream_order

__all__ = ["run_axi", "simulate_axi"]


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


def simulate_axi(artefacts: Artefacts, frames: np.ndarray, options: Options | None = None) -> Report:
    """Send frames through a wrapped accelerator and compare every score and class with the golden model.

    The registers must name the network, and count all frames in the end, none of them of the wrong length.

    Parameters
    ----------
    artefacts : Artefacts
        What `generate` has written with `wrapper="axi"`.
    frames : numpy.ndarray
        uint8 codes, frames x the shape of the network's input; at least one frame.
    options : Options, optional
        Simulator, stalls, their seed, and the folder of the build; the others are not for this bench.

    Returns
    -------
    Report
        Results and measurements.

    Raises
    ------
    MismatchError
        If a result, a register, the latency or the interval differs.
    ImageError
        If there is no wrapper in the folder.
    ToolError, BuildError
        As `run_axi`.
    """
    options, sidecar, network = options or Options(), artefacts.sidecar, artefacts.network
    if "wrapper" not in sidecar:
        raise ImageError(f"{artefacts.folder} holds no AXI wrapper: generate it with --wrapper axi")
    size, output = sidecar["input"], sidecar["output"]
    entry = FrameInputParameters(size["lanes"], size["bits"], size["beats"])
    results = ResultOutputParameters(output["score_width"], output["classes"])
    expected, ordered = network.evaluate(frames), stream_order(network, frames)
    steps: list[Step] = [read(*(ADDRESSES[f"HASH{k}"] for k in range(8)))]
    if "load" in sidecar:
        data, chunk = (artefacts.folder / sidecar["load"]["file"]).read_bytes(), sidecar["load"]["bytes"]
        steps.append(load([list(data[start : start + chunk]) for start in range(0, len(data), chunk)]))
    steps.append(stream([entry.pack(frame) for frame in ordered]))
    steps.append(read(*(ADDRESSES[name] for name in ("FRAMES_IN", "FRAMES_OUT", "SHORT_FRAMES", "LONG_FRAMES"))))
    began = time.monotonic()
    folder = Path(options.build or artefacts.folder / BUILD_FOLDER) / "axi"
    stalls = {"stall_in": options.stall_in, "stall_out": options.stall_out}
    run = run_axi(artefacts, steps, folder, simulator=options.simulator, seed=options.seed, **stalls)
    hashed, *_, answer, counts = run.answers
    told = b"".join(word.to_bytes(4, "little") for word in hashed["data"]).hex()
    if told != network.content_hash:
        raise MismatchError(f"the registers tell of network {told}, not {network.content_hash}")
    if counts["data"] != [len(frames), len(frames), 0, 0]:
        raise MismatchError(f"the registers must count {len(frames)} frames in and out, none wrong: {counts['data']}")
    beats = [[results.unpack(word) for word in packet] for packet in answer["packets"]]
    cycles = answer["cycles"]
    found = JobResult(
        scores=[[score for score, _ in packet] for packet in beats],
        classes=[packet[-1][1] for packet in beats],
        first=cycles["s_axis"][:: entry.beats],
        last=cycles["m_axis"][results.classes - 1 :: results.classes],
    )
    job = Job(
        elements=size["elements"],
        bits=size["bits"],
        lanes=size["lanes"],
        score_width=output["score_width"],
        class_width=output["class_width"],
        frames=ordered,
        scores=expected.scores,
        classes=expected.classes,
        seed=options.seed,
    )
    compare_results(job, found, ())
    scores, classes = np.array(found.scores), np.array(found.classes)
    report = Report(scores, classes, found.last[-1] - found.first[0], None, None, time.monotonic() - began, 0.0)
    if options.stall_in or options.stall_out:
        return report
    return replace(report, **measure_timing({**sidecar, "latency": sidecar["wrapper"]["latency"]}, found))
