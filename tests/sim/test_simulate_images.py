"""Simulation of generated accelerators for images: frames in stream order, every layer watched position by position."""

import json
import re
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_plan
from signfold.sim.runner import icarus_available
from signfold.sim.simulate import Options, simulate
from signfold.sw.artefacts import load_artefacts
from signfold.sw.cli.app import app
from signfold.sw.errors import ImageError, MismatchError
from signfold.sw.generate import generate
from signfold.sw.network import Affine, Conv, Dense, InputType, MaxPool, Network, SumPool, Threshold
from signfold.sw.plan import LayerPlan, Plan

needs_icarus = pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")


def codes(rng, *shape, levels=2):
    return rng.integers(0, levels, shape).astype(np.uint8)


def image_network(seed=1, stride=2):
    """Return a network of all kinds of layers, on images of 3x6x4 codes of 3 bits; each value of another size."""
    rng = np.random.default_rng(seed)
    nodes = (
        Conv("first", "input", codes(rng, 5, 3, 3, 3), padding=(1, 1, 1, 1)),
        MaxPool("largest", "first", (2, 2), (stride, 1)),
        Threshold("two bits", "largest", np.sort(rng.integers(-30, 31, (5, 3)), axis=1), rng.random(5) < 0.5),
        Conv(
            "depthwise", "two bits", codes(rng, 5, 1, 2, 2, levels=3), padding=(1, 0, 0, 1), pad=0, groups=5, levels=3
        ),
        Threshold("sign", "depthwise", 2 * rng.integers(-3, 4, (5, 1))),
        SumPool("sum", "sign", (1, 2), (1, 1)),
        Threshold("signs of sums", "sum", 2 * rng.integers(-1, 2, (1, 1))),
        Dense("dense", "signs of sums", codes(rng, 4, 30 if stride == 2 else 50)),
        Affine("scores", "dense", rng.integers(-9, 9, 4), rng.integers(-50, 50, 4), 2),
    )
    return Network(InputType((3, 6, 4), 3), nodes, "scores")


PLAN = Plan((LayerPlan(4, 2, 2, rows=2, pool=3), LayerPlan(3, 1, space=True), LayerPlan(2, 4, 2)), lanes=3)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """Generate the network; builds are kept in the folder, for all tests."""
    return generate(image_network(), PLAN, tmp_path_factory.mktemp("images") / "design")


def frames_for(artefacts, count, seed=0):
    return random_frames(np.random.default_rng(seed), artefacts.network, count)


def test_native_results_and_timing(artefacts):
    frames = frames_for(artefacts, 60)
    report = simulate(artefacts, frames)
    assert (report.scores == artefacts.network.evaluate(frames).scores).all()
    assert (report.latency, report.interval) == (artefacts.sidecar["latency"], artefacts.sidecar["interval"])
    # Any shape of so many elements is read channels first, as by the golden model.
    assert (simulate(artefacts, frames.reshape(60, -1)).scores == report.scores).all()


def test_native_with_stalls(artefacts):
    for seed, (stall_in, stall_out) in enumerate([(0.3, 0.0), (0.0, 0.95), (0.7, 0.6)]):
        simulate(artefacts, frames_for(artefacts, 30, seed), Options(seed=seed, stall_in=stall_in, stall_out=stall_out))


@pytest.mark.parametrize("simulator", ["verilator", pytest.param("icarus", marks=needs_icarus)])
def test_bench_watches_every_stage(artefacts, simulator):
    """The stages that give no value of the network are those around the pooling that thresholds have moved before."""
    taps = artefacts.sidecar["taps"]
    watched = [(tap["instance"], tap["node"], tap["kind"], tap["height"], tap["width"]) for tap in taps]
    assert watched == [
        ("pixels", "input", "codes", 6, 4),
        ("engine_1", "two bits", "codes", 3, 3),
        ("engine_2", "sign", "codes", 3, 3),
        ("engine_3", "signs of sums", "codes", 3, 2),
        ("engine_4", "dense", "sums", 1, 1),
    ]
    for stall_in, stall_out in ((0.0, 0.0), (0.4, 0.6)):
        options = Options(harness="cocotb", simulator=simulator, seed=5, stall_in=stall_in, stall_out=stall_out)
        report = simulate(artefacts, frames_for(artefacts, 3), options)
        assert report.latency == (None if stall_in else artefacts.sidecar["latency"])


@pytest.mark.parametrize("harness", ["native", pytest.param("icarus", marks=needs_icarus)])
def test_weights_change_without_generating_again(artefacts, tmp_path, harness):
    """The Verilog of one network with the images of another computes the other."""
    nodes = list(artefacts.network.nodes)
    nodes[3] = Conv("d", "two bits", 2 - nodes[3].weights, padding=(1, 0, 0, 1), pad=0, groups=5, levels=3)
    nodes[4] = Threshold("sign", "d", nodes[4].thresholds[::-1])
    nodes[7] = Dense("dense", "signs of sums", 1 - nodes[7].weights)
    other = Network(artefacts.network.input, tuple(nodes), "scores")
    images = generate(other, PLAN, tmp_path / "other").folder
    options = Options(memory=images)
    if harness == "icarus":
        options = Options(memory=images, harness="cocotb", simulator="icarus")
    frames = frames_for(artefacts, 8)
    simulate(artefacts, frames, options, network=other)
    assert (other.evaluate(frames).scores != artefacts.network.evaluate(frames).scores).any()


def test_a_network_of_other_geometry_is_refused(artefacts):
    other = image_network(stride=1)
    with pytest.raises(
        ImageError, match=r"must have the shape of the generated one, 3x6x4 codes of 3 bits, conv \(2, "
    ):
        simulate(artefacts, frames_for(artefacts, 1), Options(memory=artefacts.folder), network=other)


def test_flipped_weight_is_told_with_its_position(artefacts, tmp_path):
    """A bit of the depthwise convolution's ROM: the message says where in the image it matters first."""
    faulty = tmp_path / "faulty"
    shutil.copytree(artefacts.folder, faulty, ignore=shutil.ignore_patterns("build"))
    path = faulty / "l2_w0.mem"
    lines = path.read_text().splitlines()
    lines[1] = f"{int(lines[1], 16) ^ 3:x}"
    path.write_text("\n".join(lines))
    with pytest.raises(MismatchError) as caught:
        simulate(artefacts, frames_for(artefacts, 20), Options(memory=faulty))
    message = (
        r"frame \d+: first difference in layer 2 \(engine_2, node 'sign'\), channel 0, row \d, column \d: expected "
    )
    assert re.search(message + r"code [01], simulated [01] in cycle \d+", str(caught.value)), caught.value


def test_command(artefacts):
    run = CliRunner().invoke(app, ["simulate", str(artefacts.folder), "--frames", "24", "--json"])
    assert run.exit_code == 0, run.output
    result = json.loads(run.stdout)
    assert (result["frames"], result["interval"]) == (24, artefacts.sidecar["interval"])
    assert load_artefacts(artefacts.folder).sidecar["input"]["order"] == [1, 2, 0]


def check_random_network(seed, folder):
    """Equal without and with stalls, from inlined and from read ROMs, latency and interval as predicted."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_conv_network(rng)
    made = generate(network, random_plan(rng, network), folder)
    frames = random_frames(rng, network, 24)
    simulate(made, frames)
    return made, frames, rng


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_random_networks(tmp_path, seed):
    check_random_network(seed, tmp_path / "design")


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_random_networks(tmp_path, seed):
    made, frames, rng = check_random_network(seed, tmp_path / "design")
    stall_in, stall_out = map(float, rng.choice([0, 0.3, 0.7, 0.95], 2))
    simulate(made, frames, Options(seed=seed, stall_in=stall_in, stall_out=stall_out, memory=made.folder))
    simulate(made, frames[:4], Options(harness="cocotb", seed=seed, stall_in=0.3, stall_out=0.3))
