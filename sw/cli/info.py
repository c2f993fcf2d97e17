"""`signfold info`: what an integer network is made of."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from signfold.sw import zoo
from signfold.sw.cli.layers_table import is_topology, render, summarize_run, summarize_topology
from signfold.sw.cli.output import emit, print_lines
from signfold.sw.network.summary import summarize

__all__ = ["info"]


def info(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="network file, name of a shipped network, run folder, or topology (name or steps)"
        ),
    ],
    shape: Annotated[str, typer.Option(help="of a topology: shape of a picture")] = "3x32x32",
    classes: Annotated[int, typer.Option(help="of a topology: classes", min=1)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Show a network's layers, widths, threshold statistics, metadata and content hash.

    Of a run or a topology: each layer's shape, bits, parameters and products, and how many of these are binary.
    """
    trained = summarize_run(network)
    if trained is None and network not in zoo.names() and is_topology(network):
        trained = summarize_topology(network, shape, classes)
    if trained is not None:
        emit(trained, as_json=as_json, render=lambda output: render(output, trained))
        return
    summary = summarize(zoo.load(network))
    emit(summary, as_json=as_json, render=lambda output: _render(output, summary))


def _render(output: Console, summary: dict[str, Any]) -> None:
    shape = "x".join(map(str, summary["input"]["shape"]))
    lines = [
        f"input         {shape} codes of {summary['input']['bits']} bits",
        f"classes       {summary['classes']}",
        f"weights       {summary['weights']} ({summary['weight_bits']} bits)",
        f"products      {summary['products']} a frame",
        f"thresholds    {summary['thresholds']}",
        f"content hash  {summary['content_hash']}",
        # JSON text: it comes from a file and may hold anything, also control characters of terminals.
        f"metadata      {json.dumps(summary['metadata'])}",
    ]
    print_lines(output, lines)
    table = Table("layer", "operation", "shape", "bits", "range", "parameters")
    before = "input"
    for layer in summary["layers"]:
        # What a layer reads is said where it is not the one before it.
        reads = [] if layer["inputs"] == [before] else [f"reads {', '.join(map(json.dumps, layer['inputs']))}"]
        before = layer["name"]
        cells = (
            json.dumps(layer["name"]),
            layer["op"],
            "x".join(map(str, layer["shape"])),
            str(layer["bits"]),
            f"{layer['low']}..{layer['high']}",
            ", ".join([*reads, *_detail(layer)]),
        )
        table.add_row(*(Text(cell) for cell in cells))
    output.print(table)


def _detail(layer: dict[str, Any]) -> list[str]:
    """Say what is particular to an operation."""
    match layer["op"]:
        case "dense" | "conv":
            words = [_window(layer)] if layer["op"] == "conv" else []
            if layer.get("groups", 1) > 1:
                words.append("depthwise")
            words.append(f"fan-in {layer['fan_in']}")
            match layer["levels"]:
                case 2:
                    words.append(f"{layer['ones'] / layer['weights']:.1%} ones")
                case 3:
                    words.append(f"ternary, {layer['zeros'] / layer['weights']:.1%} zeros")
                case levels:
                    words.append(f"{levels} weight levels")
            return words
        case "maxpool" | "sumpool":
            return [_window(layer)]
        case "threshold":
            words = [
                f"{layer['thresholds']} from {layer['lowest']} to {layer['highest']}",
                f"{layer['always']} always",
                f"{layer['never']} never",
            ]
            return [*words, f"{layer['inverted']} inverted"] if layer["inverted"] else words
        case "affine":
            return [f"{layer['fraction']} fraction bits"]
        case "scale":
            words = [f"{layer['fraction']} fraction bits", f"shift {layer['shift']}"]
            return [*words, "saturated"] if layer["saturation"][0] is not None else words
        case "quantize":
            return [f"shift {layer['shift']}"]
        case "padchannels":
            return [f"{layer['before']} channels of 0 before, {layer['after']} after"]
    return []


def _window(layer: dict[str, Any]) -> str:
    words = "x".join(map(str, layer["kernel"]))
    if layer["stride"] != [1, 1]:
        words += f" stride {'x'.join(map(str, layer['stride']))}"
    if any(layer["padding"]):
        top, bottom, left, right = layer["padding"]
        sides = str(top) if top == bottom == left == right else f"{top} {bottom} {left} {right}"
        words += f" padding {sides}"
        if layer["op"] == "conv":
            words += " of zero" if layer["pad"] is None else f" of code {layer['pad']}"
    return words
