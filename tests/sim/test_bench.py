"""The cocotb bench in situations that frames back to back do not reach: resets in mid-frame, very long stalls."""

from dataclasses import replace

import numpy as np
import pytest

from signfold.sim.job import Job
from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sim.runner import icarus_available, run_bench
from signfold.sw.errors import BuildError
from signfold.sw.generate import generate

needs_icarus = pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")
pytestmark = needs_icarus


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """Generate a random network; return its files and a job of eight frames."""
    rng = np.random.default_rng(21)
    network = random_network(rng, depth=3, widest=24)
    artefacts = generate(network, random_plan(rng, network, hardwired=0), tmp_path_factory.mktemp("bench") / "design")
    frames = random_frames(rng, network, 8)
    expected = network.evaluate(frames)
    size, output = artefacts.sidecar["input"], artefacts.sidecar["output"]
    job = Job(
        elements=size["elements"],
        bits=size["bits"],
        lanes=size["lanes"],
        score_width=output["score_width"],
        class_width=output["class_width"],
        frames=frames,
        scores=expected.scores,
        classes=expected.classes,
        limit=20_000,
    )
    return artefacts, job


def run(design, tmp_path, **changes):
    artefacts, job = design
    changed = replace(job, **changes)
    return run_bench(changed, [artefacts.verilog], tmp_path, top="accelerator", simulator="icarus").result


def assert_right(design, result):
    _, job = design
    assert result.failure is None and not result.differences
    assert result.scores == job.scores.tolist() and result.classes == job.classes.tolist()


@pytest.mark.parametrize("interrupt", [1, 2, 5, 40])
def test_a_reset_in_mid_frame_leaves_no_trace(design, tmp_path, interrupt):
    assert_right(design, run(design, tmp_path, interrupt=interrupt))


def test_an_output_stalled_for_10000_cycles(design, tmp_path):
    assert_right(design, run(design, tmp_path, stall_out=10_000))


@pytest.mark.parametrize("pattern", ["bursts", "01", "0111"])
def test_patterns_of_stalls(design, tmp_path, pattern):
    assert_right(design, run(design, tmp_path, seed=7, stall_in=pattern, stall_out=pattern))


def test_jobs_survive_being_written_down(design, tmp_path):
    _, job = design
    job.save(tmp_path)
    again = Job.load(tmp_path)
    assert (again.frames == job.frames).all() and (again.scores == job.scores).all() and again.limit == job.limit


def test_a_design_that_cannot_be_built_is_refused_with_its_log(design, tmp_path):
    _, job = design
    (tmp_path / "broken.v").write_text("module accelerator(input clk; endmodule")
    with pytest.raises(BuildError, match=r"(?s)^Icarus Verilog refuses the design, log .*build\.log:\n.*syntax error"):
        run_bench(job, [tmp_path / "broken.v"], tmp_path / "run", top="accelerator", simulator="icarus")


def test_a_bench_that_cannot_run_is_refused_with_its_log(design, tmp_path):
    _, job = design
    (tmp_path / "other.v").write_text("module accelerator(input clk, input rst); endmodule")
    with pytest.raises(BuildError, match=r"^icarus ended without a result, log .*simulation\.log:\n"):
        run_bench(job, [tmp_path / "other.v"], tmp_path / "run", top="accelerator", simulator="icarus")
