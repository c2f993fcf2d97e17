"""Simulation of generated accelerators: equal to the network, cycle for cycle, and planted faults fail by name."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sim.runner import icarus_available
from signfold.sim.simulate import Options, simulate
from signfold.sim.verilator import environment
from signfold.sw.artefacts import load_artefacts
from signfold.sw.cli.app import app
from signfold.sw.errors import ImageError, MismatchError
from signfold.sw.generate import generate
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

needs_icarus = pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")


def small_network(seed=1):
    """Return a network with all there is: thresholds a pixel, padded words, channels that don't divide, an affine."""
    rng = np.random.default_rng(seed)
    widths = (20, 12, 7, 5)
    nodes = [Threshold("pixels", "input", rng.integers(1, 16, (20, 1)))]
    for k, (fan_in, channels) in enumerate(zip(widths, widths[1:], strict=False)):
        nodes.append(Dense(f"dense{k}", nodes[-1].name, rng.integers(0, 2, (channels, fan_in)).astype(np.uint8)))
        if k < 2:
            half = rng.integers(fan_in // 2 - 2, fan_in // 2 + 3, (channels, 1))
            nodes.append(Threshold(f"sign{k}", nodes[-1].name, 2 * half - fan_in))
    nodes.append(Affine("scores", nodes[-1].name, rng.integers(-50, 50, 5), rng.integers(-500, 500, 5), 4))
    return Network(InputType((20,), 4), tuple(nodes), "scores")


PLAN = Plan((LayerPlan(4, 8, 2), LayerPlan(3, 5, 1), LayerPlan(2, 7, 2, 0)), lanes=3)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """Generate the small network; builds are kept in the folder, for all tests."""
    return generate(small_network(), PLAN, tmp_path_factory.mktemp("simulate") / "small")


def frames_for(artefacts, count, seed=0):
    return random_frames(np.random.default_rng(seed), artefacts.network, count)


def copied(artefacts, folder):
    """Copy a generated folder without its builds."""
    shutil.copytree(artefacts.folder, folder, ignore=shutil.ignore_patterns("build"))
    return load_artefacts(folder)


def flip(path, line=1, digit=-1):
    """Change the lowest bit of a hexadecimal digit in a line of a memory image."""
    lines = path.read_text().splitlines()
    digits = list(lines[line])
    digits[digit] = f"{int(digits[digit], 16) ^ 1:x}"
    lines[line] = "".join(digits)
    path.write_text("\n".join(lines) + "\n")


# --- equal ------------------------------------------------------------------------------------------------------------


def test_native_results_and_timing(artefacts):
    frames = frames_for(artefacts, 500)
    report = simulate(artefacts, frames)
    expected = artefacts.network.evaluate(frames)
    assert (report.scores == expected.scores).all() and (report.classes == expected.classes).all()
    assert (report.latency, report.interval) == (artefacts.sidecar["latency"], artefacts.sidecar["interval"])


@pytest.mark.parametrize("seed", range(6))
def test_native_with_stalls(artefacts, seed):
    print(f"seed {seed}")
    stall_in, stall_out = np.random.default_rng(seed).choice([0, 0.3, 0.6, 0.95], 2)
    options = Options(seed=seed, stall_in=float(stall_in), stall_out=float(stall_out))
    simulate(artefacts, frames_for(artefacts, 60, seed), options)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.6), (0.9, 0.1)])
@pytest.mark.parametrize("simulator", ["verilator", pytest.param("icarus", marks=needs_icarus)])
def test_bench_watches_every_stage(artefacts, simulator, stalls):
    options = Options(harness="cocotb", simulator=simulator, seed=5, stall_in=stalls[0], stall_out=stalls[1])
    report = simulate(artefacts, frames_for(artefacts, 25), options)
    if stalls == (0.0, 0.0):
        assert (report.latency, report.interval) == (artefacts.sidecar["latency"], artefacts.sidecar["interval"])
    else:
        assert (report.latency, report.interval) == (None, None)


@pytest.mark.parametrize("harness", ["native", pytest.param("icarus", marks=needs_icarus)])
def test_weights_change_without_generating_again(artefacts, tmp_path, harness):
    """The Verilog of one network with the images of another computes the other."""
    # What is wired into the logic must agree: the widths that follow from the scales' and offsets' ranges.
    other = small_network(2)
    other = Network(other.input, (*other.nodes[:-1], artefacts.network.nodes[-1]), "scores")
    images = generate(other, PLAN, tmp_path / "other").folder
    options = Options(memory=images)
    if harness == "icarus":
        options = replace(options, harness="cocotb", simulator="icarus")
    frames = frames_for(artefacts, 25)
    simulate(artefacts, frames, options, network=other)
    assert (other.evaluate(frames).scores != artefacts.network.evaluate(frames).scores).any()


@needs_icarus
def test_waveform_on_request(artefacts):
    wave = simulate(artefacts, frames_for(artefacts, 2), Options(harness="cocotb", simulator="icarus", wave=True)).wave
    assert wave.suffix == ".fst" and wave.stat().st_size > 0


def test_random_networks(tmp_path):
    for seed in (101,):
        print(f"seed {seed}")
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        made = generate(network, random_plan(rng, network), tmp_path / str(seed))
        simulate(made, random_frames(rng, network, 40))


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_random_networks(tmp_path, seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    made = generate(network, random_plan(rng, network, hardwired=0), tmp_path / "design")
    frames = random_frames(rng, network, 40)
    simulate(made, frames)
    stall_in, stall_out = map(float, rng.choice([0, 0.3, 0.7, 0.95], 2))
    simulate(made, frames, Options(seed=seed, stall_in=stall_in, stall_out=stall_out, memory=made.folder))


@pytest.mark.parametrize("macros", [[], ["-DSIGNFOLD_MEM"]])
def test_verilog_is_lint_clean(artefacts, tmp_path, macros):
    """No warning at all: a network with all there is, one whose thresholds fire always or never, hardwired ones."""
    extreme = random_network(np.random.default_rng(12))
    other = generate(extreme, random_plan(np.random.default_rng(12), extreme, hardwired=0), tmp_path / "extreme")
    logic = [generate(extreme, random_plan(np.random.default_rng(12), extreme, hardwired=1), tmp_path / "logic")]
    for seed in (1, 2):
        rng = np.random.default_rng([seed, 5])
        network = random_network(rng) if seed == 2 else random_conv_network(rng)
        logic.append(generate(network, random_plan(rng, network, hardwired=1), tmp_path / f"logic{seed}"))
    for made in (artefacts, other, *logic):
        command = ["verilator", "--lint-only", "-Wall", "--quiet", *macros, str(made.verilog)]
        lint = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert (lint.returncode, lint.stdout) == (0, "")


# --- planted faults ---------------------------------------------------------------------------------------------------


def test_flipped_weight_in_an_image_is_named(artefacts, tmp_path):
    """A bit of layer 1's ROM: every other layer is right, and the message says so."""
    faulty = copied(artefacts, tmp_path / "faulty").folder
    flip(faulty / "l1_w1.mem")
    with pytest.raises(MismatchError) as caught:
        simulate(artefacts, frames_for(artefacts, 60), Options(memory=faulty))
    assert re.search(
        r"frame \d+: first difference in layer 1 \(engine_1, node 'sign1'\), channel [14], position [14] of the "
        r"stream: expected code [01], simulated [01] in cycle \d+",
        str(caught.value),
    )


@needs_icarus
def test_flipped_sum_is_told_in_the_networks_terms(artefacts, tmp_path):
    faulty = copied(artefacts, tmp_path / "faulty").folder
    flip(faulty / "l2_w0.mem", digit=-2)
    options = Options(harness="cocotb", simulator="icarus", memory=faulty)
    message = r"layer 2 \(engine_2, node 'dense2'\), channel \d, position \d .* expected sum"
    with pytest.raises(MismatchError, match=message):
        simulate(artefacts, frames_for(artefacts, 5), options)


def test_changed_gateware_is_named(artefacts, tmp_path):
    """A wrong comparison in the threshold unit of layer 0."""
    faulty = copied(artefacts, tmp_path / "faulty")
    text = faulty.verilog.read_text()
    begin = text.index("module accelerator__engine_0__unit(")
    changed, count = re.subn(r" >= ", " > ", text[begin : text.index("endmodule", begin)], count=1)
    assert count == 1
    faulty.verilog.write_text(text[:begin] + changed + text[text.index("endmodule", begin) :])
    with pytest.raises(MismatchError, match=r"accelerator\.v \(SHA-256 is"):
        load_artefacts(faulty.folder)
    with pytest.raises(MismatchError, match=r"first difference in layer 0 \(engine_0, node 'sign0'\), channel \d+"):
        simulate(faulty, frames_for(artefacts, 60))


def test_wrong_timing_is_told(artefacts):
    for name in ("latency", "interval"):
        predicted = artefacts.sidecar[name]
        wrong = replace(artefacts, sidecar={**artefacts.sidecar, name: predicted + 1})
        message = f"^{name}: predicted {predicted + 1} cycles, simulated {predicted}"
        with pytest.raises(MismatchError, match=message):
            simulate(wrong, frames_for(artefacts, 25))


def test_a_hang_is_told(artefacts, tmp_path):
    faulty = copied(artefacts, tmp_path / "faulty")
    text = faulty.verilog.read_text()
    changed, count = re.subn(r"^  assign o__valid = .*;$", "  assign o__valid = 1'b0;", text, flags=re.M)
    if not count:
        changed, count = re.subn(r"(\.o__valid\()o__valid\)", r"\1)", text, count=1)
    assert count
    faulty.verilog.write_text(changed)
    with pytest.raises(MismatchError, match="no result"):
        simulate(faulty, frames_for(artefacts, 3))


def test_short_and_absent_images_are_refused_before_any_simulator_sees_them(artefacts, tmp_path):
    faulty = copied(artefacts, tmp_path / "faulty").folder
    lines = (faulty / "l0_w0.mem").read_text().splitlines()
    (faulty / "l0_w0.mem").write_text("\n".join(lines[:-1]))
    with pytest.raises(ImageError, match=r"^image l0_w0\.mem: must hold \d+ words, not \d+$"):
        simulate(artefacts, frames_for(artefacts, 3), Options(memory=faulty))
    (faulty / "l0_w0.mem").unlink()
    with pytest.raises(ImageError, match=r"^image l0_w0\.mem: No such file or directory$"):
        simulate(artefacts, frames_for(artefacts, 3), Options(memory=faulty))


def test_another_network_needs_its_images(artefacts):
    with pytest.raises(ImageError, match="only be expected with its images as memory$"):
        simulate(artefacts, frames_for(artefacts, 3), network=small_network(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"harness": "fast"}, "^harness must be one of native, cocotb, not 'fast'$"),
        ({"stall_in": 1.0}, r"^stall_in must be at least 0 and below 1, not 1\.0$"),
        ({"stall_out": -0.1}, r"^stall_out must be at least 0 and below 1, not -0\.1$"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


# --- command ----------------------------------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_command_on_a_generated_folder(artefacts):
    run = invoke(artefacts.folder, "--data", "random", "--frames", 30, "--seed", 3, "--json")
    assert run.exit_code == 0, run.output
    result = json.loads(run.stdout)
    assert result["frames"] == 30 and result["mismatches"] == 0 and result["seed"] == 3
    assert (result["latency"], result["interval"]) == (artefacts.sidecar["latency"], artefacts.sidecar["interval"])


def test_command_refuses_changed_files_unless_told(artefacts, tmp_path):
    faulty = copied(artefacts, tmp_path / "faulty").folder
    flip(faulty / "l0_t.mem")
    run = invoke(faulty, "--frames", 30)
    assert isinstance(run.exception, MismatchError) and "l0_t.mem" in str(run.exception)
    run = invoke(faulty, "--frames", 60, "--no-verify-files", "--mem", faulty)
    assert isinstance(run.exception, MismatchError) and run.exception.exit_code == 1
    assert "first difference in layer 0 (engine_0, node 'sign0')" in str(run.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--harness", "fast"),
        ("--simulator", "icarus"),
        ("--wave",),
        ("--split", "all"),
        ("--lanes", "2"),
        ("--stall-in", "1"),
        ("--frames", "0"),
    ],
)
def test_command_refuses_wrong_options(artefacts, arguments):
    assert invoke(artefacts.folder, *arguments).exit_code == 2
