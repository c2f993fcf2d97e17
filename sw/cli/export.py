"""`signfold export`: from an integer network to a QONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from signfold.sw import zoo
from signfold.sw.cli.output import emit, print_lines
from signfold.sw.errors import CompileError
from signfold.sw.qonnx.write import FORMS, export_onnx

__all__ = ["export"]


def export(
    network: Annotated[str, typer.Argument(help="network file, or the name of a shipped one")],
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write")],
    form: Annotated[
        str,
        typer.Option(help="quant: BipolarQuant, as Brevitas writes; multithreshold: integers, as FINN's streamlining"),
    ] = "quant",
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Write an integer network as QONNX: any executor in float32 computes it exactly."""
    if form not in FORMS:
        raise typer.BadParameter(f"form is {form!r}, allowed: {', '.join(FORMS)}")
    loaded = zoo.load(network)
    try:
        export_onnx(loaded, out, form)
    except OSError as cause:
        raise CompileError(f"cannot write {cause.filename!r}: {cause.strerror}") from None
    result = {"network": network, "file": str(out), "form": form, "bytes": out.stat().st_size}
    emit(
        result,
        as_json=as_json,
        render=lambda output: print_lines(output, [f"{out}: {result['bytes']} bytes, {form} form of {network}"]),
    )
