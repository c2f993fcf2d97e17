"""Speed of the golden model on a CNV-sized network with random parameters.

    python benchmarks/golden.py                # a table
    python benchmarks/golden.py --json         # the same numbers for programs

CNV is the VGG-like network of FINN (Umuroglu et al., FPGA 2017): 3x3 convolutions without padding of 64, 64, 128, 128,
256 and 256 channels with a 2x2 maximum after the second and fourth, dense layers of 512, 512 and 10, everything one
bit; here on 8-bit pixels without an input layer of its own. The plain integer evaluation that tests compare with runs
on a few of the frames; its time is scaled to a frame.
"""

import argparse
import json
import os
import platform
import resource
import time

import numpy as np

from signfold.sw.network import Conv, Dense, InputType, MaxPool, Network, Node, Threshold
from signfold.sw.network.reference import reference_trace

CONVOLUTIONS = (64, 64, 0, 128, 128, 0, 256, 256)
DENSE = (512, 512, 10)


def random_cnv(rng: np.random.Generator, bits: int = 8) -> Network:
    """Return CNV for 3x32x32 pixels; thresholds lie around the middle, 0 in `CONVOLUTIONS` is a pool."""
    nodes: list[Node] = []
    channels, size, source, spread = 3, 32, "input", 2.0 ** (bits - 1)

    def sign(count: int, fan_in: int) -> Threshold:
        # Any even number is the parity of an even fan-in; the first layer's is odd.
        middle = 2 * rng.normal(0, spread * fan_in**0.5 / 2, (count, 1)).round().astype(np.int64)
        return Threshold(f"{source}.sign", source, middle + fan_in % 2)

    for position, count in enumerate(CONVOLUTIONS):
        if count == 0:
            size //= 2
            nodes.append(MaxPool(f"pool{position}", source, (2, 2), (2, 2)))
            source = nodes[-1].name
            continue
        weights = rng.integers(0, 2, (count, channels, 3, 3), dtype=np.uint8)
        nodes.append(Conv(f"conv{position}", source, weights))
        source = nodes[-1].name
        nodes.append(sign(count, weights[0].size))
        channels, size, source, spread = count, size - 2, nodes[-1].name, 1.0
    fan_in = channels * size * size
    for position, count in enumerate(DENSE):
        nodes.append(Dense(f"dense{position}", source, rng.integers(0, 2, (count, fan_in), dtype=np.uint8)))
        source = nodes[-1].name
        if position < len(DENSE) - 1:
            nodes.append(sign(count, fan_in))
            source, fan_in = nodes[-1].name, count
    return Network(InputType((3, 32, 32), bits), tuple(nodes), source)


def products(network: Network) -> int:
    """Return the multiplications of a frame."""
    layers = [node for node in network.nodes if isinstance(node, (Conv, Dense))]
    return sum(network.types[node.name].elements * node.fan_in for node in layers)


def measure(frames: int, few: int, seed: int) -> dict[str, object]:
    """Time both evaluations on random frames and compare them."""
    rng = np.random.default_rng(seed)
    network = random_cnv(rng)
    pictures = rng.integers(0, 256, (frames, 3, 32, 32), dtype=np.uint8)
    start = time.perf_counter()
    scores = network.evaluate(pictures).scores
    golden = time.perf_counter() - start
    start = time.perf_counter()
    expected = reference_trace(network, pictures[:few])[network.output]
    plain = time.perf_counter() - start
    return {
        "network": "CNV, 1 bit, 8-bit pixels 3x32x32",
        "frames": frames,
        "seconds": round(golden, 3),
        "frames_per_second": round(frames / golden, 1),
        "products_per_second": round(products(network) * frames / golden),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "reference_frames": few,
        "reference_seconds_per_frame": round(plain / few, 4),
        "speedup": round(plain / few / (golden / frames), 1),
        "equal": bool((scores[:few] == expected).all()),
        "seed": seed,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "numpy": np.__version__,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000, help="frames for the golden model (default 1000)")
    parser.add_argument("--reference-frames", type=int, default=2, help="frames for the plain evaluation (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    arguments = parser.parse_args()
    result = measure(arguments.frames, arguments.reference_frames, arguments.seed)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for what, value in result.items():
            print(
                f"{what.replace('_', ' '):28} {value:,}"
                if type(value) in (int, float)
                else f"{what.replace('_', ' '):28} {value}"
            )
    if not result["equal"]:
        raise SystemExit("the golden model differs from the plain evaluation")


if __name__ == "__main__":
    main()
