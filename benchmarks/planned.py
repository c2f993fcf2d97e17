"""Plans that `signfold plan` chooses among all styles: what was predicted, and what Yosys counts.

    python benchmarks/planned.py                            # a table; minutes
    python benchmarks/planned.py --only sfc-mnist-bits:icebreaker

Each point is a network with a board, whose fastest plan that fits is taken, or with a fabric and cycles a frame, whose
smallest plan is. Counted is the accelerator without the host link, on iCE40 with SPRAM.
"""

import argparse
import hashlib
import json
from pathlib import Path

import synthesis

from signfold.sw import zoo
from signfold.sw.planner.devices import BOARDS
from signfold.sw.planner.planner import Planned, Planner
from signfold.sw.planner.search import STYLES

#: Network and board, or network, fabric and cycles a frame.
POINTS = (
    "sfc-mnist-bits:icebreaker",
    "conv-mnist:icebreaker",
    "digits:icebreaker",
    "digits:ecp5:1000",
    "sfc-mnist-bits:ecp5:8000",
    "conv-mnist:xilinx:50000",
)
#: Marks of the table in a page.
BEGIN, END = "<!-- planned -->", "<!-- end of planned -->"


def plan(point: str) -> Planned:
    """Return the plan of a point."""
    name, where, *cycles = point.split(":")
    network = zoo.load(name)
    if cycles:
        return Planner(network, where, styles=STYLES, clock_mhz=100.0).smallest(int(cycles[0]))
    board = BOARDS[where]
    device = board.device
    planner = Planner(network, device.fabric, hosted=True, styles=STYLES, clock_mhz=board.clock_mhz)
    return planner.fastest(planner.limits(int(0.9 * device.logic), device.brams, device.sprams))


def measure(point: str, folder: Path) -> dict:
    """Plan and synthesize; what was counted before is taken from the folder."""
    planned = plan(point)
    cost = planned.cost - planned.link
    kinds = "".join(
        "S" if layer.shares else "H" if layer.style == "hardwired" else "L" if layer.memory == "loaded" else "A"
        for layer in planned.plan.layers
    )
    row = {"point": point, "layers": kinds, "interval": planned.interval, "plan": planned.plan.to_toml()}
    row["predicted"] = {name: getattr(cost, name) for name in ("luts", "ffs", "brams", "sprams", "cells")}
    text = synthesis.convert_accelerator(planned.config)
    file = folder / f"{point.replace(':', '-')}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    if known.get("text") != hash_of(text):
        known = {"text": hash_of(text), "counts": synthesis.synthesize([text], planned.fabric, timeout=3600)[0]}
        file.write_text(json.dumps(known))
    return row | {"counted": known["counts"]}


def hash_of(text: str) -> str:
    """Return what tells one design from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def markdown(rows: list[dict]) -> str:
    """Return the rows as a table."""
    lines = ["| network, target | layers | cycles | LUTs predicted | counted | error | FFs | block RAMs | large RAMs |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        have, want = row["predicted"], row["counted"]
        what = "cells" if "cells" in want else "luts"
        lines.append(
            f"| {row['point'].replace(':', ', ')} | {row['layers']} | {row['interval']:,} | {have[what]:,.0f} | "
            f"{want[what]:,} | {have[what] / want[what] - 1:+.1%} | {have['ffs']:,.0f} / {want['ffs']:,} | "
            f"{have['brams']:g} / {want['brams']:g} | {have['sprams']:g} / {want['sprams']:g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure each point and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=POINTS)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/planned"), help="[%(default)s]")
    parser.add_argument("--docs", type=Path, help="also put the table between the marks in that page")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for point in options.only:
        rows.append(measure(point, options.folder))
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    if options.docs:
        before, begin, rest = options.docs.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        options.docs.write_text("".join([before, begin, "\n", markdown(rows), "\n", end, after]))


if __name__ == "__main__":
    main()
