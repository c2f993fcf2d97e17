"""Layers that share an array, weights loaded by the host: Verilog in the simulators, and behind the serial line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.link import SimulatedLink, build_simulated_device
from signfold.sim.random_network import random_frames
from signfold.sim.runner import icarus_available
from signfold.sim.simulate import Options, simulate
from signfold.sw.cli.app import app
from signfold.sw.errors import LinkError
from signfold.sw.generate import generate
from signfold.sw.link import Device, compare_with_golden
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Conv, Dense, InputType, MaxPool, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.sidecar import LOAD_FILE

PLAN = Plan((LayerPlan(4, 4, 2, memory="loaded"), LayerPlan(shares=True), LayerPlan(shares=True)), fabric="ice40")


def network():
    """Return a network on images of 2x5x4 codes of 2 bits."""
    rng = np.random.default_rng(5)
    nodes = (
        Conv("first", "input", rng.integers(0, 2, (6, 2, 3, 3)).astype(np.uint8), padding=(1, 1, 1, 1)),
        Threshold("two bits", "first", np.sort(rng.integers(-20, 21, (6, 3)), axis=1)),
        MaxPool("largest", "two bits", (2, 2), (2, 2)),
        Conv("second", "largest", rng.integers(0, 3, (5, 6, 2, 2)).astype(np.uint8), levels=3),
        Threshold("signs", "second", 2 * rng.integers(-9, 10, (5, 1))),
        Dense("dense", "signs", rng.integers(0, 2, (3, 5)).astype(np.uint8)),
    )
    return Network(InputType((2, 5, 4), 2), nodes, "dense")


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    return generate(network(), PLAN, tmp_path_factory.mktemp("shared") / "design")


def test_native(artefacts):
    """All results, latency and interval, from memories that hold anything at first; weights are a file."""
    frames = random_frames(np.random.default_rng(1), artefacts.network, 40)
    report = simulate(artefacts, frames)
    assert (report.latency, report.interval) == (artefacts.sidecar["latency"], artefacts.sidecar["interval"])
    load = artefacts.sidecar["load"]
    assert load["file"] == LOAD_FILE and load["file"] in artefacts.sidecar["files"]
    assert (artefacts.folder / LOAD_FILE).stat().st_size == load["chunks"] * load["bytes"]


@pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")
def test_every_value_that_leaves_the_engine(artefacts):
    frames = random_frames(np.random.default_rng(2), artefacts.network, 3)
    simulate(artefacts, frames, Options(harness="cocotb", simulator="icarus", stall_in=0.3, stall_out=0.3))


def test_weights_over_the_serial_line(tmp_path):
    """Results are those of the golden model once all chunks are there; a damaged file is refused."""
    net = network()
    build_simulated_device(net, tmp_path, PLAN)
    frames = random_frames(np.random.default_rng(3), net, 3)
    with SimulatedLink(tmp_path) as link:
        device = Device(link)
        device.load(lower(net, PLAN).chunks)
        compare_with_golden(net, frames, device.infer(stream_order(net, frames)), "the simulated board")
        with pytest.raises(LinkError, match=r"chunk 0 of weights failed 2 times.*BAD_LENGTH"):
            Device(link, attempts=2).load([b"short"])
    arguments = ["infer", "--port", f"sim:{tmp_path}", "--json", "--load"]
    run = CliRunner().invoke(app, [*arguments, str(tmp_path / LOAD_FILE)])
    assert run.exit_code == 0 and json.loads(run.stdout)["device"]["elements"] == 40
    (tmp_path / "cut.bin").write_bytes((tmp_path / LOAD_FILE).read_bytes()[:-1])
    run = CliRunner().invoke(app, [*arguments, str(tmp_path / "cut.bin")])
    assert run.exit_code != 0 and "must hold chunks of 66 bytes" in str(run.exception or run.output)
