"""LUTs of hardwired matrices: the shared additions of random +1/-1 weights, without registers."""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
from counting import TARGETS, synthesize

from signfold.hw.adder_logic import AdderLogicParameters
from signfold.hw.verilog import convert
from signfold.sw.hardwire import adder_graph


def main() -> None:
    """Count each size and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=64)
    parser.add_argument("--channels", type=int, nargs="+", default=[16])
    parser.add_argument("--bits", type=int, default=1, help="width of an input code")
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/counting"), help="[%(default)s]")
    options = parser.parse_args()
    for channels in options.channels:
        signs = 2 * np.random.default_rng(0).integers(0, 2, (channels, options.inputs)) - 1
        graph = adder_graph(signs)
        logic = convert(AdderLogicParameters(graph, options.bits, 0).create())
        counts = asdict(synthesize(logic, options.target, options.folder).counts)
        print(f"{options.inputs} -> {channels}: {len(graph.sums)} additions in {graph.depth} levels, {counts}")


if __name__ == "__main__":
    main()
