"""`signfold mismatch`: how far the gradients of a training run are from those of its loss."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from signfold.sw.cli.output import console, emit
from signfold.sw.data import load
from signfold.sw.errors import ToolError
from signfold.sw.files import write_whole

__all__ = ["mismatch"]


def mismatch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders of `signfold train`")],
    out: Annotated[
        Path | None, typer.Option(help="folder of the table and the plot", show_default="the first run")
    ] = None,
    pictures: Annotated[int, typer.Option(help="training pictures that the loss is of", min=2)] = 1000,
    coordinates: Annotated[int, typer.Option(help="weights a layer that are compared")] = 100,
    step: Annotated[float, typer.Option(help="change of a weight, as a share of the layer's mean magnitude")] = 1.0,
    estimator: Annotated[str, typer.Option(help="coordinate or smoothed")] = "coordinate",
    samples: Annotated[int, typer.Option(help="random directions of 'smoothed'")] = 1000,
    seed: Annotated[int, typer.Option(help="of the choice of weights")] = 1,
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    plot: Annotated[bool, typer.Option(help="draw mismatch.svg too")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Compare the gradients that training follows with differences of the loss, layer by layer.

    Writes mismatch.json and mismatch.svg. A cosine of 1 means that back-propagation points where the loss falls
    fastest; the estimators of binary activations lower it, the more of them lie between a layer and the loss.
    """
    try:
        from signfold.sw.train.mismatch import MismatchEstimator
        from signfold.sw.train.mismatch_plot import plot_mismatch
        from signfold.sw.train.mismatch_run import measure_run
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ToolError("this needs PyTorch: install signfold[train]") from error
    try:
        chosen = MismatchEstimator(coordinates, step, estimator, samples, seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    measured: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        with console.status(str(run)) as status:
            layers = measure_run(run, chosen, pictures, lambda name: load(name, data_dir), status.update)
        measured[str(run)] = [asdict(layer) for layer in layers]
    folder = out or runs[0]
    folder.mkdir(parents=True, exist_ok=True)
    result = {"estimator": asdict(chosen), "pictures": pictures, "runs": measured}
    write_whole(folder / "mismatch.json", (json.dumps(result, indent=1) + "\n").encode())
    if plot:
        plot_mismatch(folder / "mismatch.svg", f"gradient mismatch ({estimator}, step {step:g})", measured)
    emit(result, as_json=as_json, render=lambda output: _render(output, measured))


def _render(output: Console, measured: dict[str, list[dict[str, Any]]]) -> None:
    for run, layers in measured.items():
        table = Table("layer", "weights", "compared", "cosine", "back-propagation", "difference", title=run)
        for column in table.columns[1:]:
            column.justify = "right"
        for layer in layers:
            table.add_row(
                layer["layer"],
                f"{layer['weights']:,}",
                f"{layer['coordinates']:,}",
                f"{layer['cosine']:.3f}",
                f"{layer['straight']:.3g}",
                f"{layer['discrete']:.3g}",
            )
        output.print(table)
