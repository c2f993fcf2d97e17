"""`signfold compile`: from a run folder to an integer network, every pass proven."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.compile.checkpoint import EPOCHS
from signfold.sw.compile.compilation import SAMPLE, SCORE_BITS, Compilation
from signfold.sw.compile.driver import compile_run
from signfold.sw.compile.fixed_point import FRACTIONS
from signfold.sw.errors import CompileError
from signfold.sw.files import write_whole

__all__ = ["compile"]


def compile(  # the name of the command
    run: Annotated[Path, typer.Argument(help="run folder that `signfold train` wrote")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="network file to write", show_default="RUN/network.safetensors")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="write the full report to this JSON file")] = None,
    epoch: Annotated[
        str | None, typer.Option(help=f"tensors to take: {', '.join(EPOCHS)}", show_default="best, else last")
    ] = None,
    name: Annotated[str | None, typer.Option(help="name to store", show_default="data set and widths")] = None,
    score_bits: Annotated[
        int | None,
        typer.Option(
            help="width of scores where the head is an affine a class",
            min=8,
            max=62,
            show_default=f"{SCORE_BITS}; more with --real-weights above 8",
        ),
    ] = None,
    real_weights: Annotated[
        int | None,
        typer.Option(
            help="round real weights to so many bits", min=2, max=16, show_default="refuse them; with branches, 8"
        ),
    ] = None,
    fraction: Annotated[
        int | None,
        typer.Option(
            help="fraction bits of networks that branch",
            min=FRACTIONS[0],
            max=FRACTIONS[-1],
            show_default="by the scales",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(help="pictures to compare every code on with the trained model; 0: do not compare", min=0),
    ] = SAMPLE,
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Fold a trained network into integers, exactly, and prove it channel by channel.

    Every threshold is checked against the trained parameters in exact arithmetic before anything is written. Networks
    that branch (shortcuts, dense connections) are rounded once, to fixed-point numbers; how far that agrees is printed.
    """
    if epoch is not None and epoch not in EPOCHS:
        raise typer.BadParameter(f"epoch is {epoch!r}, allowed: {', '.join(EPOCHS)}")
    if run.suffix == ".onnx":
        raise CompileError(f"{str(run)!r} is an ONNX file: signfold import reads those")
    out = run / "network.safetensors" if out is None else out
    with console.status("compile") as status:
        compilation = compile_run(
            run,
            epoch=epoch,
            name=name,
            score_bits=score_bits,
            sample=sample,
            data_dir=data_dir,
            real_weights=real_weights,
            fraction=fraction,
            on_pass=status.update,
        )
    try:
        compilation.network.save(out)
        if report is not None:
            write_whole(report, (json.dumps(compilation.report, indent=1) + "\n").encode())
    except OSError as cause:
        raise CompileError(f"cannot write {cause.filename!r}: {cause.strerror}") from None
    emit(
        {"network": str(out), **compilation.report},
        as_json=as_json,
        render=lambda output: _render(output, compilation, out),
    )


def _render(output: Console, compilation: Compilation, out: Path) -> None:
    report: dict[str, Any] = compilation.report
    lines = [f"network              {out}", f"content hash         {compilation.network.content_hash}"]
    activations = {layer["layer"]: layer for layer in report.get("layers", ())}
    for entry in report["chain"]:
        shape = "x".join(map(str, entry["shape"]))
        reads = f", reads {', '.join(map(repr, entry['inputs']))}" if "inputs" in entry else ""
        lines.append(f"{entry['layer']!r:<20} {entry['text']} ({shape}){reads}")
        lines.append(f"{'':<20} folds: {entry['fold']}")
        layer = activations.get(entry["layer"])
        if layer is not None:
            levels = "" if layer["bits"] == 1 else " of the thresholds"
            lines.append(
                f"{'':<20} {layer['channels']} channels: {layer['flipped']} flipped, {layer['always']} always, "
                f"{layer['never']} never{levels}, {len(layer['differing'])} differ in float32 ({report['evaluator']})"
            )
    if "fraction" in report:
        lines.append(f"fixed point          {report['fraction']} fraction bits")
    if "head" in report:
        lines += _head(report["head"])
    if "rounded" in report:
        lines += _rounded(report["rounded"])
    if "float_model" in report:
        lines += _float_model(report["float_model"])
    accuracy = report["network"].get("accuracy")
    if accuracy is None:
        lines.append(f"validation accuracy  unknown: {report['no_accuracy']}")
    else:
        trained = "not recorded" if accuracy["float"] is None else f"{accuracy['float']:.4f}"
        lines.append(f"validation accuracy  {accuracy['integer']:.4f} (trained float model {trained})")
    print_lines(output, lines)


def _head(head: dict[str, Any]) -> list[str]:
    """Say what the scores are."""
    if head["kind"] == "sums":
        return [f"scores               raw sums of {head['score_bits']} bits"]
    what = "sums and a constant a class, " if head["kind"] == "offsets" else ""
    lines = [f"scores               {what}{head['score_bits']} bits, {head['fraction']} fraction bits"]
    if "frames" in head:
        lines.append(f"agreement            {head['agreement']:.4%} with the float head on {head['frames']} frames")
    return lines


def _rounded(rounded: dict[str, Any]) -> list[str]:
    """Say which weights were rounded, and what that cost."""
    lines = [
        f"{entry['layer']!r:<20} real weights rounded to {entry['bits']} bits, by up to {entry['error']:.2%} of the "
        f"channel's largest"
        for entry in rounded["layers"]
    ]
    if "frames" in rounded:
        same = rounded["frames"] - rounded["differing"]
        lines.append(f"rounding             same class as before it on {same} of {rounded['frames']} frames")
    return lines


def _float_model(compared: dict[str, Any]) -> list[str]:
    """Say how the trained model's classes and codes compare."""
    classes = compared["classes"]
    lines = [
        f"trained model        same class on {classes['frames'] - classes['differing']} of {classes['frames']} frames"
        + _explained(classes)
    ]
    for layer in compared["codes"]:
        lines.append(
            f"{layer['layer']!r:<20} {layer['codes'] - layer['differing']} of {layer['codes']} codes are the same on "
            f"{compared['sample']} frames{_explained(layer)}"
        )
    return lines


def _explained(entry: dict[str, Any]) -> str:
    if not entry["differing"] or "explained" not in entry:
        return ""
    return f"; {entry['explained']} of the {entry['differing']} others explained by float32 rounding at a step"
