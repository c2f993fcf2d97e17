"""Simulate a generated accelerator and hold every result to the network that it was made from."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from signfold.hw.verilog import MEMORY_MACRO
from signfold.sim.compare import compare_results, first_wrong_frame, measure_timing
from signfold.sim.job import Job, JobResult, Tap
from signfold.sim.native import NativeHarness
from signfold.sim.network_shape import network_shape
from signfold.sim.runner import run_bench
from signfold.sim.simulation import HARNESSES, Options, Report
from signfold.sw.errors import ImageError
from signfold.sw.generate import BUILD_FOLDER, Artefacts
from signfold.sw.images import read_images
from signfold.sw.lower import stream_order
from signfold.sw.network import Network

__all__ = ["HARNESSES", "Options", "Report", "simulate"]


def simulate(
    artefacts: Artefacts,
    frames: np.ndarray,
    options: Options | None = None,
    *,
    network: Network | None = None,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Simulate frames and compare every score and class with the golden model.

    Parameters
    ----------
    artefacts : Artefacts
        A generated accelerator.
    frames : numpy.ndarray
        uint8 codes, frames x the shape of the network's input, or any with as many elements; at least one frame.
    options : Options, optional
        How to simulate.
    network : Network, optional
        What the results must equal, if not the network that the accelerator was generated from: one whose images are
        in `options.memory`.
    progress : callable, optional
        Called with the number of frames done since the last call.

    Returns
    -------
    Report
        Results and measurements.

    Raises
    ------
    MismatchError
        If a result, the latency or the interval differs; the message names the first layer, channel and frame that
        differ, with both values.
    ToolError, BuildError
        If a tool is missing or refuses the design.
    ImageError
        If a memory image is absent or has the wrong size.
    """
    options = options or Options()
    if len(frames) == 0:
        raise ValueError("frames must hold at least one frame")
    if options.memory is not None:
        # Simulators only warn of files that are absent or too short.
        read_images(artefacts.image_map, options.memory, verify=False)
    elif network is not None and network.content_hash != artefacts.network.content_hash:
        raise ImageError("another network's results can only be expected with its images as memory")
    if network is not None and network_shape(network) != network_shape(artefacts.network):
        raise ImageError(
            f"the expected network must have the shape of the generated one, {network_shape(artefacts.network)}, "
            f"not {network_shape(network)}"
        )
    return _Simulation(artefacts, options, network or artefacts.network, progress).run(frames)


@dataclass(frozen=True)
class _Simulation:
    artefacts: Artefacts
    options: Options
    network: Network
    progress: Callable[[int], object] | None

    def run(self, frames: np.ndarray) -> Report:
        job, native = self._job(frames), self.options.harness == "native"
        result, report = self._native(job, frames) if native else self._cocotb(job, frames)
        compare_results(job, result, self.artefacts.sidecar["taps"])
        if self.options.stall_in or self.options.stall_out:
            return report
        return replace(report, **measure_timing(self.artefacts.sidecar, result))

    def _job(self, frames: np.ndarray) -> Job:
        """Put what must come out beside what goes in."""
        sidecar, options = self.artefacts.sidecar, self.options
        expected = self.network.evaluate(frames)
        size, output = sidecar["input"], sidecar["output"]
        # A stalled stream moves a beat every 1 / (1 - stall) cycles; the rest is room for long pauses.
        slowness = 1 / (1 - max(options.stall_in, options.stall_out))
        return Job(
            elements=size["elements"],
            bits=size["bits"],
            lanes=size["lanes"],
            score_width=output["score_width"],
            class_width=output["class_width"],
            frames=stream_order(self.network, frames),
            scores=expected.scores,
            classes=expected.classes,
            seed=options.seed,
            stall_in=float(options.stall_in),
            stall_out=float(options.stall_out),
            # Latency is that of a frame that meets an idle accelerator; with stalls, the first comes as it may.
            settling=0 if options.stall_in or options.stall_out else sidecar["settling"],
            loads=self._loads.hex(),
            load_bytes=sidecar["load"]["bytes"] if "load" in sidecar else 0,
            limit=round((sidecar["latency"] + sidecar["interval"]) * slowness * 4) + 1000,
        )

    def _watched(self, job: Job, frames: np.ndarray) -> Job:
        """Add what each stage must show."""
        traced = {"input": frames.reshape(len(frames), *self.network.input.shape), **self.network.trace(frames)}
        # Names may differ between two networks of one shape; the order of their nodes does not.
        names = dict(zip(("input", *(node.name for node in self.artefacts.network.nodes)), traced, strict=True))
        taps, values = [], []
        for entry in self.artefacts.sidecar["taps"]:
            value = traced[names[entry["node"]]].astype(np.int64)
            if value.ndim == 4:
                value = value.transpose(0, 2, 3, 1)
            value = value.reshape(len(frames), -1)
            if entry["kind"] == "sums":
                value = (value + entry["origin"]) // entry["step"]
            place = {name: entry[name] for name in ("instance", "node", "channels", "lanes", "bits")}
            taps.append(Tap(**place, positions=entry["height"] * entry["width"]))
            values.append(value)
        return replace(job, taps=tuple(taps), values=tuple(values))

    @cached_property
    def _loads(self) -> bytes:
        """What fills memories of weights; empty where there are none."""
        load = self.artefacts.sidecar.get("load")
        return b"" if load is None else ((self.options.memory or self.artefacts.folder) / load["file"]).read_bytes()

    @cached_property
    def _files(self) -> list[Path]:
        return [Path(file) for file in self.options.verilog] or [self.artefacts.verilog]

    @cached_property
    def _defines(self) -> dict[str, str]:
        return {} if self.options.memory is None else {MEMORY_MACRO: ""}

    @cached_property
    def _images(self) -> list[Path]:
        if self.options.memory is None:
            return []
        return [Path(self.options.memory) / entry["file"] for entry in self.artefacts.image_map["images"]]

    def _folder(self, kind: str) -> Path:
        """Return the folder of a build: one a design and harness, so that builds are found again."""
        digest = hashlib.sha256(repr(sorted(self._defines)).encode())
        for file in self._files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return Path(self.options.build or self.artefacts.folder / BUILD_FOLDER) / f"{kind}-{digest.hexdigest()[:16]}"

    def _native(self, job: Job, frames: np.ndarray) -> tuple[JobResult, Report]:
        options = self.options
        began = time.monotonic()
        harness = NativeHarness(self.artefacts.sidecar, self._files, self._folder("native"), defines=self._defines)
        built = time.monotonic() - began
        run = harness.run(
            job.frames,
            limit=job.limit,
            settling=job.settling,
            # A result too many would come by the time of another frame's.
            extra=self.artefacts.sidecar["interval"] + 1000,
            seed=job.seed,
            stall_in=job.stall_in,
            stall_out=job.stall_out,
            cwd=options.memory,
            loads=self._loads,
            progress=self.progress,
        )
        result = JobResult(run.scores, run.classes, run.first, run.last, failure=run.failure)
        wrong = first_wrong_frame(job, result)
        if wrong is not None and not options.verilog:
            self._locate(job, frames, wrong)
        cycles = int(run.last[-1] - run.first[0]) if len(run.last) else 0
        return result, Report(run.scores, run.classes, cycles, None, None, run.seconds, built)

    def _locate(self, job: Job, frames: np.ndarray, wrong: int) -> None:
        """Ask the bench that sees every stage where frame `wrong` goes wrong; earlier frames may matter."""
        begin = max(0, wrong - 2)
        part = {name: getattr(job, name)[begin : wrong + 1] for name in ("frames", "scores", "classes")}
        options = replace(self.options, harness="cocotb", simulator="verilator", wave=False)
        part_job = replace(job, **part)
        result, _ = replace(self, options=options, progress=None)._cocotb(part_job, frames[begin : wrong + 1])
        compare_results(part_job, result, self.artefacts.sidecar["taps"], offset=begin)

    def _cocotb(self, job: Job, frames: np.ndarray) -> tuple[JobResult, Report]:
        options, top = self.options, self.artefacts.sidecar["top"]
        done = 0

        def advance(frames: int) -> None:
            nonlocal done
            self.progress(frames - done)
            done = frames

        began = time.monotonic()
        run = run_bench(
            job if options.verilog else self._watched(job, frames),
            self._files,
            self._folder("cocotb"),
            top=top,
            simulator=options.simulator,
            defines=self._defines,
            files=self._images,
            wave=options.wave,
            progress=advance if self.progress else None,
        )
        result, seconds = run.result, run.seconds
        cycles = result.last[-1] - result.first[0] if result.last else 0
        scores, classes = np.array(result.scores), np.array(result.classes)
        built = time.monotonic() - began - seconds
        return result, Report(scores, classes, cycles, None, None, seconds, built, run.wave)
