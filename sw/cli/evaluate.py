"""`signfold evaluate`: accuracy of an integer network by the golden model."""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from signfold.sw import zoo
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.compile.accuracy import Accuracy, frames_for, measure
from signfold.sw.compile.agreement import compare_classes
from signfold.sw.compile.checkpoint import EPOCHS, read_model
from signfold.sw.compile.frontend import import_model
from signfold.sw.data import SPLITS, load, names
from signfold.sw.errors import ToolError
from signfold.sw.network import Network

__all__ = ["evaluate"]

#: Differing frames listed one by one.
LISTED = 20


def evaluate(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="network file, or name of a shipped network")],
    data: Annotated[
        str | None, typer.Option(help=f"data set: {', '.join(names())}", show_default="that of the network")
    ] = None,
    split: Annotated[str, typer.Option(help=f"part of the data set: {', '.join(SPLITS)}")] = "test",
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="first pictures only", min=1, show_default="all")] = None,
    float_run: Annotated[
        Path | None, typer.Option("--float", metavar="RUN", help="compare with the trained float model of a run folder")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Classify a data set with the golden model, bit for bit what the accelerator computes."""
    if split not in SPLITS:
        raise typer.BadParameter(f"split is {split!r}, allowed: {', '.join(SPLITS)}")
    loaded = zoo.load(network)
    data = loaded.metadata.get("dataset") if data is None else data
    if not isinstance(data, str):
        raise typer.BadParameter("the network does not name its data set: give --data")
    dataset = load(data, data_dir)
    frames, labels = frames_for(loaded, dataset, split, limit)
    started = time.monotonic()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("evaluate", total=len(frames))
        accuracy = measure(loaded, frames, labels, progress=lambda done: progress.advance(task, done))
    seconds = time.monotonic() - started
    result: dict[str, Any] = {
        "network": network,
        "content_hash": loaded.content_hash,
        "data": data,
        "split": split,
        "note": dataset.note(split),
        "frames": accuracy.frames,
        "correct": accuracy.correct,
        "accuracy": accuracy.fraction,
        "classes": [
            {**entry, "name": name}
            for entry, name in zip(accuracy.by_class(loaded.classes), dataset.class_names, strict=True)
        ],
    }
    if float_run is not None:
        result["float"] = _compare(float_run, frames, accuracy, loaded)
    emit(result, as_json=as_json, render=lambda output: _render(output, result, seconds))


def _compare(run: Path, frames: np.ndarray, accuracy: Accuracy, network: Network) -> dict[str, Any]:
    """Compare with the float model, of the epoch that the network was compiled from where it says so.

    Where the network was compiled from this very model, each differing frame is explained or is not.
    """
    try:
        from signfold.sw.compile import torch_front
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ToolError("comparing with the float model needs PyTorch: install signfold[train]") from error
    checkpoint = network.metadata.get("checkpoint")
    checkpoint = checkpoint if isinstance(checkpoint, dict) else {}
    epoch, integer = checkpoint.get("epoch"), accuracy.evaluation.classes
    stored = read_model(run, epoch if epoch in EPOCHS else None)
    explanation = {}
    with console.status("float model"):
        model = torch_front.TorchModel(stored)
        trained = model.classes(frames)
        differing = np.flatnonzero(trained != integer)
        # Rounded weights explain differences that float32 does not.
        same = stored.sha256 == checkpoint.get("sha256") and "real_weights" not in network.metadata
        if len(differing) and same:
            compared = compare_classes(import_model(stored), network, model, frames[differing], integer[differing])
            explanation = {"explained": len(differing) - compared["differing"] + compared["explained"]}
    right = trained == accuracy.labels
    return {
        "run": str(run),
        "accuracy": int(np.count_nonzero(right)) / accuracy.frames,
        "agreement": (accuracy.frames - len(differing)) / accuracy.frames,
        "classes": [
            {"class": label, "correct": int(np.count_nonzero(right & (accuracy.labels == label)))}
            for label in range(network.classes)
        ],
        "differing": len(differing),
        **explanation,
        "first_differing": [
            {"frame": frame, "label": label, "float": ours, "integer": theirs}
            for frame, label, ours, theirs in np.stack(
                [differing, accuracy.labels[differing], trained[differing], integer[differing]], axis=1
            )[:LISTED].tolist()
        ],
    }


def _render(output: Console, result: dict[str, Any], seconds: float) -> None:
    lines = [
        f"network   {result['network']}",
        f"data      {result['data']}, {result['split']} split" + (f", {result['note']}" if result["note"] else ""),
        f"accuracy  {result['accuracy']:.4f} ({result['correct']} of {result['frames']})",
        f"by class  {'  '.join(_share(entry, entry['correct']) for entry in result['classes'])}",
    ]
    if "float" in result:
        compared = result["float"]
        explained = ""
        if "explained" in compared:
            explained = f"; {compared['explained']} of {compared['differing']} others explained by float32 rounding"
        shares = zip(compared["classes"], result["classes"], strict=True)
        lines += [
            f"float     {compared['accuracy']:.4f}, same class on {compared['agreement']:.4%} of the frames{explained}",
            f"by class  {'  '.join(_share(ours, entry['correct']) for entry, ours in shares)}",
        ]
        lines += [
            f"  frame {entry['frame']}: label {entry['label']}, float {entry['float']}, integer {entry['integer']}"
            for entry in compared["first_differing"]
        ]
    lines.append(f"time      {seconds:.2f} s, {result['frames'] / max(seconds, 1e-9):.0f} frames a second")
    print_lines(output, lines)


def _share(entry: dict[str, Any], correct: int) -> str:
    return f"{entry['name']}: {correct}/{entry['frames']}"
