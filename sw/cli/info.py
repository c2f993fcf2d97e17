"""`signfold info`: what an integer network is made of."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from signfold.sw import zoo
from signfold.sw.cli.output import emit, print_lines
from signfold.sw.network.summary import summarize

__all__ = ["info"]


def info(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="network file, or name of a shipped network")],
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Show a network's layers, widths, threshold statistics, metadata and content hash."""
    summary = summarize(zoo.load(network))
    emit(summary, as_json=as_json, render=lambda output: _render(output, summary))


def _render(output: Console, summary: dict[str, Any]) -> None:
    shape = "x".join(map(str, summary["input"]["shape"]))
    lines = [
        f"input         {shape} codes of {summary['input']['bits']} bits",
        f"classes       {summary['classes']}",
        f"weights       {summary['weights']} bits",
        f"thresholds    {summary['thresholds']}",
        f"content hash  {summary['content_hash']}",
        # JSON text: it comes from a file and may hold anything, also control characters of terminals.
        f"metadata      {json.dumps(summary['metadata'])}",
    ]
    print_lines(output, lines)
    table = Table("layer", "operation", "shape", "bits", "range", "parameters")
    for layer in summary["layers"]:
        match layer["op"]:
            case "dense":
                detail = f"fan-in {layer['fan_in']}, {layer['ones'] / layer['weights']:.1%} ones"
            case "threshold":
                detail = (
                    f"{layer['thresholds']} from {layer['lowest']} to {layer['highest']}, {layer['always']} always, "
                    f"{layer['never']} never"
                )
            case _:
                detail = f"{layer['fraction']} fraction bits"
        cells = (
            json.dumps(layer["name"]),
            layer["op"],
            "x".join(map(str, layer["shape"])),
            str(layer["bits"]),
            f"{layer['low']}..{layer['high']}",
            detail,
        )
        table.add_row(*(Text(cell) for cell in cells))
    output.print(table)
