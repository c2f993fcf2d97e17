"""Arrays, hardwired layers and both: what one network at one speed takes in each style, synthesized.

    python benchmarks/mixed.py                              # conv-mnist at 900 cycles a frame on ECP5
    python benchmarks/mixed.py --cycles 2000 --docs docs/planning.md

The planner chooses the smallest plan of arrays alone, of hardwired layers alone (of any size) and of all styles, for
the same cycles; each is generated, simulated over a few frames against the golden model with its predicted cycles, and
synthesized as `benchmarks/counting.py` does. Where a style cannot reach the speed, the refusal stands in its place.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from counting import TARGETS, synthesize

from signfold.sim.random_network import random_frames
from signfold.sim.simulate import Options, simulate
from signfold.sw import zoo
from signfold.sw.errors import PlanError
from signfold.sw.generate import generate
from signfold.sw.planner.planner import Planner

STYLES = {
    "arrays": ("array",),
    "hardwired layers": ("hardwired",),
    "shared engines": ("shared",),
    "all": ("array", "hardwired", "shared"),
}
#: Marks of the table in a page.
BEGIN, END = "<!-- mixed -->", "<!-- end of mixed -->"


def measure(name: str, fabric: str, cycles: int, title: str, folder: Path, frames: int) -> dict:
    """Plan, generate, simulate and synthesize."""
    network = zoo.load(name)
    try:
        # Alone, hardwired layers may be as large as they are.
        largest = {"largest": 1 << 17} if title == "hardwired layers" else {}
        planned = Planner(network, fabric, styles=STYLES[title], **largest).smallest(cycles)
    except PlanError as error:
        return {"styles": title, "refused": str(error)}
    (folder / "plan.toml").write_text(planned.plan.to_toml())
    artefacts = generate(network, planned.plan, folder / "design")
    kinds = "".join("S" if p.shares else p.style[0].upper() for p in planned.plan.layers)
    row = {"styles": title, "layers": kinds, "interval": planned.interval}
    row |= {"predicted": round(planned.cost.luts), "predicted_ffs": round(planned.cost.ffs)}
    if frames:
        codes = random_frames(np.random.default_rng(0), network, frames)
        report = simulate(artefacts, codes, Options(build=folder / "native", memory=artefacts.folder))
        row |= {"frames": frames, "interval": report.interval or row["interval"]}
    memories = {path.name: path.read_bytes() for path in artefacts.folder.glob("*.mem")}
    done = synthesize(artefacts.verilog.read_text(), fabric, folder / "synthesis", memories=memories)
    counts = done.counts
    return row | {"luts": counts.luts, "ffs": counts.ffs, "brams": counts.block_rams, "seconds": done.seconds}


def markdown(rows: list[dict], fabric: str) -> str:
    """Return the rows as a table."""
    tables = {"xilinx": "LUT6", "ecp5": "LUT4", "ice40": "logic cells"}[fabric]
    lines = [f"| considered | layers | cycles a frame | {tables} | predicted | flip-flops | block RAMs |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        if "refused" in row:
            lines.append(f"| {row['styles']} | refused: {row['refused']} | | | | | |")
            continue
        lines.append(
            f"| {row['styles']} | {row['layers']} | {row['interval']:,} | {row['luts']:,} | {row['predicted']:,} | "
            f"{row['ffs']:,} | {row['brams']:g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure each style and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="conv-mnist")
    parser.add_argument("--target", choices=TARGETS, default="ecp5")
    parser.add_argument("--cycles", type=int, default=900)
    parser.add_argument("--only", nargs="*", choices=list(STYLES), default=list(STYLES))
    parser.add_argument("--frames", type=int, default=6, help="to simulate; 0: none [%(default)s]")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/mixed"), help="[%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--docs", type=Path, help="also put the table between the marks in that page")
    options = parser.parse_args()
    rows = []
    for title in options.only:
        folder = options.folder / f"{options.network}-{options.target}-{options.cycles}-{title.replace(' ', '-')}"
        folder.mkdir(parents=True, exist_ok=True)
        rows.append(measure(options.network, options.target, options.cycles, title, folder, options.frames))
        print(rows[-1], flush=True)
    print(markdown(rows, options.target))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.docs:
        before, begin, rest = options.docs.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        options.docs.write_text("".join([before, begin, "\n", markdown(rows, options.target), "\n", end, after]))


if __name__ == "__main__":
    main()
