"""A trained network's or a topology's layers as a table: shapes, bits, parameters, products."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from signfold.sw.cli.output import print_lines
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.errors import CheckpointError, DataError
from signfold.sw.train.architectures import NAMES, lay_out
from signfold.sw.train.checkpoint import exists
from signfold.sw.train.style import Style
from signfold.sw.train.summary import REAL, summarize_layers

__all__ = ["is_topology", "render", "summarize_run", "summarize_topology"]


def is_topology(name: str) -> bool:
    """Say whether a network's name is that of a topology, or steps of one."""
    return name in NAMES or ("," in name and not Path(name).exists())


def summarize_run(run: str) -> dict[str, Any] | None:
    """Summarize the layers of a run folder; None: the folder holds no run.

    Raises
    ------
    CheckpointError
        The run is damaged.
    """
    if not exists(Path(run)):
        return None
    model = read_model(run)
    description = model.description
    try:
        summary = summarize_layers(description["input"]["shape"], description["input"]["bits"], description["layers"])
    except (KeyError, TypeError, ValueError, IndexError) as cause:
        raise CheckpointError(f"{run}: the layer list is damaged ({cause})") from None
    return {"run": run, "dataset": model.dataset, **summary}


def summarize_topology(topology: str, shape: str, classes: int, bits: int = 8) -> dict[str, Any]:
    """Summarize the layers of a topology in its plainest style: signs everywhere, real layers of graphs apart.

    Raises
    ------
    DataError
        The shape is none, or the topology does not fit it.
    """
    sizes = shape.lower().split("x")
    if not all(size.isdigit() and int(size) for size in sizes) or len(sizes) not in (2, 3):
        raise DataError(f"shape is {shape!r}, allowed: height x width or channels x height x width, such as 3x32x32")
    try:
        frame, layers = lay_out(topology, tuple(map(int, sizes)), bits, classes, Style())
    except ValueError as cause:
        raise DataError(str(cause)) from None
    return {"topology": topology, **summarize_layers(frame, bits, layers)}


def render(output: Console, summary: dict[str, Any]) -> None:
    """Print a row a layer, and totals."""
    rows = [("layer", "kind", "shape", "bits", "weights", "parameters", "products", "binary")]
    for layer in summary["layers"]:
        weights = ""
        if layer["weights"]:
            width = "real" if layer["weight_bits"] == REAL else f"{layer['weight_bits']} bit"
            weights = f"{layer['weights']:,} x {width}"
        products = layer["products"]
        rows.append(
            (
                json.dumps(layer["name"]),
                json.dumps(layer["kind"]),
                "x".join(map(str, layer["shape"])),
                {0: "sums", REAL: "real"}.get(layer["bits"], str(layer["bits"])),
                weights,
                f"{layer['parameters']:,}" if layer["parameters"] else "",
                f"{products:,}" if products else "",
                f"{layer['binary'] / products:.0%}" if products else "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shape = "x".join(map(str, summary["input"]["shape"]))
    lines = [_row(row, widths) for row in rows] + [
        f"input       {shape} codes of {summary['input']['bits']} bits",
        f"weights     {summary['weights']:,} of {summary['size']:,} bits ({_share(summary, 'size', 'real_size')} of "
        f"{REAL} bits each)",
        f"parameters  {summary['parameters']:,} beside the weights",
        f"products    {summary['products']:,} a frame, {summary['binary_share']:.2%} of 1-bit weights and 1-bit values",
    ]
    print_lines(output, lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Write words to the left and numbers to the right."""
    sides = "<<<<>>>>"
    columns = zip(cells, sides, widths, strict=True)
    return "  ".join(f"{cell:{side}{width}}" for cell, side, width in columns).rstrip()


def _share(summary: dict[str, Any], part: str, whole: str) -> str:
    return f"{summary[part] / summary[whole]:.1%}" if summary[whole] else "0 %"
