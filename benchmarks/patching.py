"""Patching against building: the same bitstream both ways, and the time of each.

    python benchmarks/patching.py --board icebreaker --board ulx3s-85f

Builds `digits` patchable, puts another network's integers (random ones, every weight and threshold) into the bitstream
with `signfold patch`, and builds that network from the beginning: its own Verilog through synthesis, placement with the
same seed, routing, packing. The two bitstreams are unpacked by IceStorm's and Trellis's own tools and compared line by
line. That they agree says that the patch touched what it should and nothing else, because nothing of the first build
enters the second.
"""

import argparse
import hashlib
import json
import subprocess
import sysconfig
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from signfold.boards.build import build, find_board
from signfold.boards.patch import patch, read_bitstream
from signfold.sw import zoo
from signfold.sw.images import IMAGE_MAP, rebuild
from signfold.sw.network import Dense, Network, Threshold
from signfold.sw.plan import Plan

PLANS = Path(__file__).parent / "plans"


def other_network(network: Network, seed: int) -> Network:
    """Return a network of the same shape with random weights and thresholds."""
    rng, nodes = np.random.default_rng(seed), []
    for node in network.nodes:
        if isinstance(node, Dense):
            node = replace(node, weights=rng.integers(0, node.levels, node.weights.shape, np.uint8))
        elif isinstance(node, Threshold):
            value = network.types[node.input]
            steps = rng.integers(0, (value.high - value.low) // value.step + 2, node.thresholds.shape)
            node = replace(node, thresholds=np.sort(value.low + value.step * steps, axis=1))
        nodes.append(node)
    return Network(network.input, tuple(nodes), network.output)


def unpacked(family: str, bitstream: Path) -> str:
    """Return a bitstream as text, by the family's own tool."""
    text = bitstream.with_suffix(".unpacked")
    tool = Path(sysconfig.get_path("scripts")) / {"ice40": "yowasp-iceunpack", "ecp5": "yowasp-ecpunpack"}[family]
    names = [bitstream.name, text.name]
    if family == "ecp5":
        names = ["--input", names[0], "--textcfg", names[1]]
    subprocess.run([tool, *names], cwd=bitstream.parent, check=True, capture_output=True)
    return text.read_text()


def measure(board_name: str, folder: Path, seed: int) -> dict[str, object]:
    """Build, patch and rebuild; return times and what was compared."""
    board, first = find_board(board_name), zoo.load("digits")
    plan = Plan.load(PLANS / "digits-icebreaker-patchable.toml") if board_name == "icebreaker" else None
    second = other_network(first, seed)
    times, manifests = {}, {}
    name = f"{board_name}{board.bitstream_suffix}"

    def timed(what, call):
        begun = time.perf_counter()
        manifests[what] = call()
        times[what] = round(time.perf_counter() - begun, 1)

    timed("built", lambda: build(first, board, folder / "built", plan=plan, patchable=True))
    timed("patched", lambda: patch(folder / "built" / name, second, folder / "patched"))
    timed("rebuilt", lambda: build(second, board, folder / "rebuilt", plan=plan, patchable=True))
    texts = {what: unpacked(board.family, folder / what / name) for what in times}
    assert texts["patched"] == texts["rebuilt"] != texts["built"]
    assert manifests["patched"]["bitstream"] == manifests["rebuilt"]["bitstream"]
    assert manifests["patched"]["patch"] == manifests["rebuilt"]["patch"]
    image_map = json.loads((folder / "patched" / IMAGE_MAP).read_text())
    found = rebuild(image_map, read_bitstream(folder / "patched" / name)).content_hash
    assert found == second.content_hash
    tables = manifests["built"]["patch"]["tables"]
    return {
        "board": board_name,
        "tables": len(tables),
        "blocks": sum(len(table["blocks"]) for table in tables),
        "seconds": times,
        "utilization": {key: one["used"] for key, one in manifests["built"]["utilization"].items()},
        "fmax_mhz": manifests["built"]["fmax_mhz"],
        "lines_equal": len(texts["patched"].splitlines()),
        "lines_changed": sum(
            a != b for a, b in zip(*(texts[k].splitlines() for k in ("built", "patched")), strict=True)
        ),
        "sha256": hashlib.sha256((folder / "patched" / name).read_bytes()).hexdigest(),
        "network": found,
    }


def main() -> None:
    """Measure the boards that are asked for, a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", choices=["icebreaker", "ulx3s-85f"])
    parser.add_argument("--out", type=Path, default=Path("build/patching"))
    parser.add_argument("--seed", type=int, default=1, help="of the other network's integers")
    arguments = parser.parse_args()
    for board in arguments.board or ["icebreaker", "ulx3s-85f"]:
        print(json.dumps(measure(board, arguments.out / board, arguments.seed)), flush=True)


if __name__ == "__main__":
    main()
