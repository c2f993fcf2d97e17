"""The whole way on the embedded digits: train, compile, evaluate, generate, simulate, build; ends with a table.

Run by `make demo`. Every step is a `signfold` command that is printed before it runs and can be repeated by hand.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

console = Console(stderr=True)


def signfold(title, *arguments):
    """Run a command, its progress on the terminal; return what it prints as JSON."""
    words = ["signfold", *map(str, arguments)]
    console.rule(title, align="left")
    console.print(f"$ {shlex.join(words)}", style="bold", markup=False, highlight=False, soft_wrap=True)
    program = Path(sysconfig.get_path("scripts")) / words[0]
    began = time.monotonic()
    done = subprocess.run([program, *words[1:], "--json"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"demo: {title} failed with status {done.returncode}")
    console.print(f"{time.monotonic() - began:.1f} s", style="dim", highlight=False)
    return json.loads(done.stdout)


def count_luts(netlist):
    """Return the number of four-input tables in a synthesized iCE40 design."""
    modules = json.loads(netlist.read_bytes())["modules"].values()
    return sum(cell["type"] == "SB_LUT4" for module in modules for cell in module["cells"].values())


def main():
    """Run the demonstration in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder, emptied first (%(default)s)")
    parser.add_argument("--epochs", type=int, help="passes over the training set (those of the recipe)")
    options = parser.parse_args()
    began = time.monotonic()
    out = options.out
    shutil.rmtree(out, ignore_errors=True)
    run, network, accelerator, board = out / "run", out / "digits.safetensors", out / "accelerator", out / "icebreaker"

    epochs = () if options.epochs is None else ("--epochs", options.epochs)
    signfold("train a binarized network", "train", "--data", "digits", "--out", run, *epochs)
    signfold("fold it into integers", "compile", run, "--out", network)
    golden = signfold("golden model, and the float model beside it", "evaluate", network, "--float", run)
    generated = signfold("generate Verilog and memory images", "generate", network, "--out", accelerator)
    rtl = signfold("every held-out image through the Verilog", "simulate", accelerator, "--data", "digits")
    built = signfold("bitstream", "build", network, "--board", "icebreaker", "--out", board)
    if rtl["mismatches"] or (rtl["frames"], rtl["accuracy"]) != (golden["frames"], golden["accuracy"]):
        sys.exit(f"demo: the Verilog and the golden model disagree: {rtl} {golden}")

    cells, memories = built["utilization"]["ICESTORM_LC"], built["utilization"]["ICESTORM_RAM"]
    bitstream = board / built["bitstream"]["file"]
    frames = golden["frames"]
    equal = f"equal image by image: all {frames} scores and classes"
    table = Table("", "", title=f"digits on an iCEBreaker ({built['device']})", show_header=False, title_justify="left")
    rows = [
        ("held-out images", f"{frames}"),
        ("accuracy, float model", f"{golden['float']['accuracy']:.4f}"),
        ("accuracy, integer network", f"{golden['accuracy']:.4f}"),
        ("accuracy, generated Verilog", f"{rtl['accuracy']:.4f}, {equal}"),
        ("latency", f"{rtl['latency']} cycles a frame"),
        ("initiation interval", f"{rtl['interval']} cycles from frame to frame"),
        ("LUTs", f"{count_luts(board / 'work' / 'top.json')} LUT4, in {cells['used']} of {cells['available']} cells"),
        ("BRAM", f"{memories['used']} of {memories['available']} blocks"),
        ("Fmax", f"{built['fmax_mhz']:.1f} MHz; timing met at {built['clock_mhz']:.0f} MHz"),
        ("throughput at that clock", f"{built['frames_per_second']:.0f} frames a second"),
        ("bitstream", f"{built['bitstream']['bytes']} bytes"),
    ]
    for row in rows:
        table.add_row(*row)
    table.add_section()
    for name, path in (
        ("trained run", run),
        ("integer network", network),
        ("Verilog", accelerator / "accelerator.v"),
        ("memory images", accelerator / "images.json"),
        ("ports, timing, checksums", accelerator / "accelerator.json"),
        ("bitstream", bitstream),
        ("build report", board / "build.json"),
    ):
        if not path.exists():
            sys.exit(f"demo: {name} is missing: {path}")
        table.add_row(name, str(path))
    if generated["content_hash"] != built["content_hash"]:
        sys.exit("demo: Verilog and bitstream are of different networks")
    output = Console()
    output.print(table)
    output.print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
