"""What the components of networks that branch take, one of each: 64 channels, 4 lanes, sums of 16 bits.

python benchmarks/branches.py --target xilinx --target ecp5
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from counting import TARGETS, synthesize

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.concat_join import ConcatJoinParameters
from signfold.hw.fork import ForkParameters
from signfold.hw.pad_channels import PadChannelsParameters
from signfold.hw.scale import ScaleParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.sums import SumFormat
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.hw.verilog import convert

LANES, CHANNELS = 4, 64
SUMS = SumFormat(16, 1, 1 << 15)


def components() -> dict[str, Any]:
    """Return the parameters of each component by what it is."""
    rng = np.random.default_rng(0)
    offsets = rng.integers(-2000, 2000, CHANNELS)
    factors = rng.integers(-127, 128, CHANNELS)
    powers = np.where(factors < 0, -1, 1) << rng.integers(0, 7, CHANNELS)
    thresholds = np.sort(rng.integers(0, 1 << 16, (CHANNELS, 1)), axis=1)

    def scale(multiplier, offset, *rest):
        return ScaleStageParameters(ScaleParameters("s", LANES, SUMS, multiplier, offset, *rest))

    return {
        "scale, multipliers of 8 bits, saturated to 16": scale(factors, offsets, 7, -(1 << 15), (1 << 15) - 1),
        "scale, powers of two from -64 to 64, saturated to 16": scale(powers, offsets, 6, -(1 << 15), (1 << 15) - 1),
        "scale, offsets alone": scale(np.ones(CHANNELS, int), offsets, 0),
        "quantizer, one power of two, one offset, 8 bits": scale(
            np.ones(CHANNELS, int), np.full(CHANNELS, 128), 8, None, None, 8
        ),
        "thresholds of one bit, inverted channels": ThresholdStageParameters(
            ThresholdParameters("t", LANES, SUMS.bits, thresholds), 1, rng.integers(0, 2, CHANNELS)
        ),
        "fork to 2": ForkParameters(beat_layout(LANES, SUMS.bits), 2),
        "add join of 2": AddJoinParameters(LANES, CHANNELS, (SUMS, SUMS)),
        "concat join of 2, one constant": ConcatJoinParameters(
            LANES, (CHANNELS // 2,) * 2, (SUMS, SumFormat(10, 1, 500))
        ),
        "channel padding, 16 + 32 + 16": PadChannelsParameters(LANES, CHANNELS // 2, 16, 16, SUMS),
    }


def main() -> None:
    """Count each component and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append", required=True)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/branches"), help="[%(default)s]")
    options = parser.parse_args()
    print("| component | " + " | ".join(f"{t} LUT | FF | DSP | RAM blocks" for t in options.target) + " |")
    print("|---|" + "---|" * 4 * len(options.target))
    for number, (what, parameters) in enumerate(components().items()):
        cells = []
        text = convert(parameters.create(), roms=getattr(parameters, "roms", ()))
        for target in options.target:
            counts = synthesize(text, target, options.folder / f"{number}_{target}").counts
            cells.append(f"{counts.luts} | {counts.ffs} | {counts.multipliers} | {counts.block_rams:g}")
        print(f"| {what} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
