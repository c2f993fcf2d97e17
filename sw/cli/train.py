"""`signfold train`: from a data set to a run folder with the best network of the run."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from signfold.sw.cli.output import console, emit
from signfold.sw.cli.train_options import chosen, gather, is_first_process, list_recipes, resumed
from signfold.sw.data import Dataset, load, names
from signfold.sw.errors import ToolError
from signfold.sw.train.allowed import DEVICES, LOSSES, PRECISIONS
from signfold.sw.train.architectures import NAMES
from signfold.sw.train.optimizer_choice import OPTIMIZERS
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.schedules import SCHEDULES
from signfold.sw.train.style import (
    ACTIVATIONS,
    FIRST,
    HEADS,
    NORMS,
    PADS,
    POOL_ORDERS,
    WEIGHT_METHODS,
    WEIGHT_SCALES,
    WEIGHTS,
)

__all__ = ["train"]


def train(
    topology: Annotated[
        str | None,
        typer.Argument(
            help=f"{', '.join(NAMES)}, or steps such as 64,64 or 16c3,p2,32c3,64", show_default="by data set"
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help=f"data set: {', '.join(names())}", show_default="mnist")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="run folder", show_default="runs/DATA-TOPOLOGY")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in the run folder")] = False,
    epochs: Annotated[int | None, typer.Option(help="passes over the training set", show_default="by data set")] = None,
    batch: Annotated[int | None, typer.Option(help="pictures a step", show_default="by data set")] = None,
    lr: Annotated[float | None, typer.Option(help="highest learning rate", show_default="by data set")] = None,
    schedule: Annotated[str | None, typer.Option(help=f"decay: {', '.join(SCHEDULES)}", show_default="cosine")] = None,
    warmup: Annotated[int | None, typer.Option(help="epochs of rising learning rate", show_default="0")] = None,
    loss: Annotated[str | None, typer.Option(help=", ".join(LOSSES), show_default="cross-entropy")] = None,
    head: Annotated[
        str | None,
        typer.Option(help=f"after the last layer: {', '.join(HEADS)} a class", show_default="scale"),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(help="pixel threshold (1 where pixel >= it), or 'mean' of each", show_default="by data set"),
    ] = None,
    shift: Annotated[
        int | None, typer.Option(help="largest random shift in pixels", show_default="by data set")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option(help="mirror training pictures at random", show_default="by data set")
    ] = None,
    rotate: Annotated[float | None, typer.Option(help="largest random rotation in degrees", show_default="0")] = None,
    zoom: Annotated[
        float | None, typer.Option(help="largest random change of height and width, a share", show_default="0")
    ] = None,
    elastic: Annotated[
        float | None, typer.Option(help="deviation of pixels' smooth random displacements, pixels", show_default="0")
    ] = None,
    noise: Annotated[
        int | None, typer.Option(help="largest random change of training pixels", show_default="by data set")
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="share of activations dropped", show_default="0")] = None,
    momentum: Annotated[
        float | None, typer.Option(help="weight of a batch in running statistics", show_default="0.1")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="seed of everything random", show_default="1")] = None,
    threads: Annotated[int | None, typer.Option(help="threads of torch", show_default="1")] = None,
    precision: Annotated[
        str | None, typer.Option(help=f"of products in training: {', '.join(PRECISIONS)}", show_default="float32")
    ] = None,
    initial: Annotated[
        str | None, typer.Option(help="run folder whose best model is the first one", show_default="random")
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(help=f"what the first layer reads: {', '.join(FIRST)}", show_default="codes before a convolution"),
    ] = None,
    weights: Annotated[str | None, typer.Option(help=f"bits: {', '.join(WEIGHTS)}", show_default="1")] = None,
    first_weights: Annotated[str | None, typer.Option(help="of the first layer", show_default="weights")] = None,
    last_weights: Annotated[str | None, typer.Option(help="of the classifier", show_default="weights")] = None,
    activations: Annotated[int | None, typer.Option(help="bits, 1 to 8", show_default="1")] = None,
    signed: Annotated[
        bool | None, typer.Option(help="activations of several bits from -1 to 1", show_default="0 to 1")
    ] = None,
    pad: Annotated[
        str | None, typer.Option(help=f"in padded places: {', '.join(PADS)} code", show_default="zero")
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help=f"{', '.join(POOL_ORDERS)} the activation", show_default="before")
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help=", ".join(OPTIMIZERS), show_default="adam")] = None,
    binary_optimizer: Annotated[
        str | None, typer.Option(help="another one for few-level weights, such as bop", show_default="optimizer")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="of the optimizer, never on few-level weights unless set", show_default="0")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="share spread over classes", show_default="0")] = None,
    weight_method: Annotated[
        str | None, typer.Option(help=f"how weights are made: {', '.join(WEIGHT_METHODS)}", show_default="by weights")
    ] = None,
    weight_scale: Annotated[
        str | None, typer.Option(help=f"of weights: {', '.join(WEIGHT_SCALES)}", show_default="none")
    ] = None,
    activation: Annotated[str | None, typer.Option(help=f"kind: {', '.join(ACTIVATIONS)}", show_default="bits")] = None,
    norm: Annotated[str | None, typer.Option(help=f"normalization: {', '.join(NORMS)}", show_default="batch")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="run folder whose best model teaches, or 'twin'", show_default="none")
    ] = None,
    device: Annotated[str | None, typer.Option(help=", ".join(DEVICES), show_default="auto")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="any other option, such as optimizer.momentum=0.9; repeatable"
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="a published way of training; 'list' shows them", show_default="none")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Train a binarized network and keep the best epoch by validation accuracy.

    The test set is not read: see `signfold evaluate`. A run that was stopped goes on with --resume and ends in the
    same bits. Several processes: torchrun --nproc-per-node N --no-python signfold train ...
    """
    if recipe == "list":
        return list_recipes(as_json)
    given = gather(locals())
    try:
        options, run, history = resumed(given, out) if resume else (*chosen(given, recipe, out), [])
        dataset = load(options.dataset, data_dir)
        trainer = _run(options, dataset, run, history, resume)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not is_first_process():
        return
    result = {"run": str(run), "epochs": len(trainer.history), "best": trainer.best, "training": options.to_json()}

    def render(output: Console) -> None:
        best = trainer.best
        output.print(f"run folder           {run}", markup=False, highlight=False, soft_wrap=True)
        output.print(f"epochs               {len(trainer.history)}")
        output.print(f"validation accuracy  {best['validation_accuracy']:.4f} (epoch {best['epoch']})")
        output.print(f"next                 signfold compile {run}", markup=False, highlight=False, soft_wrap=True)

    emit(result, as_json=as_json, render=render)


def _run(options: TrainingOptions, dataset: Dataset, run: Path, history: list[dict[str, Any]], resume: bool) -> Any:
    try:
        from signfold.sw.train import loop
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ToolError("training needs PyTorch: install signfold[train]") from error
    progress = Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal or not is_first_process(),
    )
    done, best = len(history), max((entry["validation_accuracy"] for entry in history), default=0.0)
    with progress:
        task = progress.add_task("train", total=options.epochs, completed=done, status="")

        def on_step(share: float) -> None:
            progress.update(task, completed=done + share)

        def on_epoch(entry: dict[str, Any]) -> None:
            nonlocal best, done
            done, best = entry["epoch"], max(best, entry["validation_accuracy"])
            status = (
                f"loss {entry['loss']:.4f}  validation {entry['validation_accuracy']:.4f}  best {best:.4f}  "
                f"flips {entry['flip_ratio']:.2%}"
            )
            progress.update(task, completed=done, status=status)
            if not console.is_terminal:
                console.print(f"epoch {done}/{options.epochs}  {status}  {entry['seconds']:.1f} s", highlight=False)

        try:
            return loop.train(options, dataset, run, resume=resume, on_epoch=on_epoch, on_step=on_step)
        except KeyboardInterrupt:
            if done:
                message = f"stopped after epoch {done}; continue with: signfold train --resume --out {run}"
            else:
                message = "stopped before the first epoch was done; nothing was written"
            console.print(message, markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None
