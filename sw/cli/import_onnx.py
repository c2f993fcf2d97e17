"""`signfold import`: from a QONNX file to an integer network, compared with the file's graph score by score."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.compile.accuracy import frames_for, measure
from signfold.sw.data import SPLITS, load, names
from signfold.sw.errors import CompileError
from signfold.sw.files import write_whole
from signfold.sw.qonnx.importer import SCORE_BITS, Import, import_onnx, measured
from signfold.sw.qonnx.streamline import Pixels

__all__ = ["import_onnx_command"]


def import_onnx_command(
    file: Annotated[Path, typer.Argument(help="ONNX file, as Brevitas, FINN or qonnx write it")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="network file to write", show_default="FILE.safetensors")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help=f"compare every score on this data set: {', '.join(names())}", show_default="random frames"),
    ] = None,
    split: Annotated[str, typer.Option(help=f"part of the data set: {', '.join(SPLITS)}")] = "test",
    frames: Annotated[int | None, typer.Option(help="first frames only", min=1, show_default="all")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    pixel_scale: Annotated[
        str | None, typer.Option(help="real number of a pixel's step, such as 1/255", show_default="1/255; 1 for uint8")
    ] = None,
    pixel_offset: Annotated[str, typer.Option(help="real number that pixel 0 stands for")] = "0",
    input_bits: Annotated[int, typer.Option(help="bits of a pixel", min=1, max=8)] = 8,
    score_bits: Annotated[int, typer.Option(help="width of scores that are no raw sums", min=8, max=62)] = SCORE_BITS,
    name: Annotated[str | None, typer.Option(help="name to store", show_default="that of the file")] = None,
    report: Annotated[Path | None, typer.Option(help="write the report to this JSON file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Fold a QONNX graph into integers, exactly, or name the node that does not fold and why.

    The result is compared with an exact evaluation of the graph before anything is written.
    """
    if split not in SPLITS:
        raise typer.BadParameter(f"split is {split!r}, allowed: {', '.join(SPLITS)}")
    pixels = None
    if pixel_scale is not None or pixel_offset != "0" or input_bits != 8:
        default = Fraction(1, (1 << input_bits) - 1)
        scale = default if pixel_scale is None else _number("pixel-scale", pixel_scale)
        pixels = Pixels(input_bits, scale, _number("pixel-offset", pixel_offset))
    out = file.with_suffix(".safetensors") if out is None else out
    with console.status("import") as status:
        imported = import_onnx(file, pixels=pixels, score_bits=score_bits, name=name, on_pass=status.update)
        if data is not None:
            status.update(f"compare on {data}")
            pictures, labels = frames_for(imported.network, load(data, data_dir), split, frames)
            agreement = imported.compare(pictures)
            imported = measured(imported, data, split, measure(imported.network, pictures, labels), agreement)
    try:
        imported.network.save(out)
        if report is not None:
            write_whole(report, (json.dumps(imported.report, indent=1) + "\n").encode())
    except OSError as cause:
        raise CompileError(f"cannot write {cause.filename!r}: {cause.strerror}") from None
    content = {"network": str(out), "content_hash": imported.network.content_hash, **imported.report}
    emit(content, as_json=as_json, render=lambda output: _render(output, imported, out))


def _number(option: str, text: str) -> Fraction:
    try:
        if len(text) > 40 or "e" in text.lower():
            raise ValueError
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise typer.BadParameter(f"{option} is {text[:50]!r}, must be a number or a fraction such as 1/255") from None


def _render(output: Console, imported: Import, out: Path) -> None:
    report: dict[str, Any] = imported.report
    lines = [f"network              {out}", f"content hash         {imported.network.content_hash}"]
    pixels = report["pixels"]
    lines.append(f"pixels               {pixels['bits']} bits, q stands for q*{pixels['scale']} + {pixels['offset']}")
    lines += [f"{entry['node']!r:<20} {entry['op']}: {entry['becomes']}" for entry in report["folds"]]
    lines += [
        f"{entry['node']!r:<20} {entry['op']}: left out, the class is that of the highest score"
        for entry in report["tail"]
    ]
    scores = report["scores"]
    words = {
        "sums": "raw sums",
        "exact": "an exact integer affine of the sums",
        "rounded": "an affine of the sums, rounded",
    }
    lines.append(
        f"scores               {words[scores['kind']]}; graph = {scores['scale']:g}*score + {scores['offset']:g}"
    )
    if "agreement" in report:
        found = report["agreement"]
        lines.append(
            f"compared             {found['equal']} of {found['scores']} scores and {found['classes']} of "
            f"{found['frames']} classes are those of the graph, evaluated exactly"
        )
        lines.append(f"accuracy             {report['accuracy']['integer']:.4f} on {report['accuracy']['split']}")
    print_lines(output, lines)
