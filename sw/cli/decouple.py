"""`signfold decouple`: BinaryDuo's coupled activations become pairs of bits that compute the same."""

from pathlib import Path
from typing import Annotated

import typer

from signfold.sw.cli.output import emit, print_lines
from signfold.sw.compile.checkpoint import EPOCHS
from signfold.sw.compile.decoupled_run import decouple_run

__all__ = ["decouple"]


def decouple(
    run: Annotated[Path, typer.Argument(help="run folder trained with `--activation coupled`")],
    out: Annotated[Path, typer.Option("--out", "-o", help="run folder to write")],
    epoch: Annotated[
        str | None, typer.Option(help=f"tensors to take: {', '.join(EPOCHS)}", show_default="best, else last")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Decouple a run's activations, proving that each pair of bits computes the same.

    Fine-tune what comes out with `signfold train ... --activation decoupled --initial OUT`.
    """
    if epoch is not None and epoch not in EPOCHS:
        raise typer.BadParameter(f"epoch is {epoch!r}, allowed: {', '.join(EPOCHS)}")
    made = decouple_run(run, out, epoch=epoch)
    proof = "every pair computes its coupled activation at every attainable sum"
    if made.unproven is not None:
        proof = f"not proven, biases are rounded: {made.unproven}"
    lines = [
        f"run        {out}",
        f"decoupled  {', '.join(made.layers)}",
        f"biases     {made.moved} moved by units in the last place",
        f"proof      {proof}",
    ]
    result = {"run": str(out), "layers": list(made.layers), "moved": made.moved, "unproven": made.unproven}
    emit(result, as_json=as_json, render=lambda output: print_lines(output, lines))
