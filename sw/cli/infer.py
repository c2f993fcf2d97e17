"""`signfold infer`: classify frames on a board, or on its simulation."""

import contextlib
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from signfold.hw.packet import Geometry
from signfold.hw.shared_loader import CHUNK_BYTES, INDEX_BYTES
from signfold.sw import zoo
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.data import SPLITS, load, names
from signfold.sw.errors import DataError, ImageError, MismatchError, ToolError
from signfold.sw.hosted import identity
from signfold.sw.link import Device, Link, SerialLink, compare_with_golden
from signfold.sw.lower import stream_order
from signfold.sw.network import Network

__all__ = ["infer"]

_SIMULATED = "sim:"


def infer(
    port: Annotated[
        str, typer.Option(help="serial port of the board, or sim:FOLDER for a simulated board that FOLDER is for")
    ],
    network: Annotated[
        str | None,
        typer.Argument(metavar="NETWORK", help="network that the device must compute; results are compared with it"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help=f"data set: {', '.join(names())}", show_default="that of the network")
    ] = None,
    split: Annotated[str, typer.Option(help=f"part of the data set: {', '.join(SPLITS)}")] = "test",
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
    ] = None,
    frames: Annotated[int, typer.Option(help="first pictures only; 0 for all", min=0)] = 100,
    baud: Annotated[int, typer.Option(help="bits a second that the bitstream was built for", min=1)] = 1_000_000,
    weights: Annotated[
        Path | None,
        typer.Option("--load", help="weights to load first, weights.bin of a build, for devices that hold none"),
    ] = None,
    timeout: Annotated[float, typer.Option(help="seconds to wait for an answer, beside the line's time")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Classify pictures on a device and compare its results with the golden model.

    Without a data set only the device's description is printed. With sim:FOLDER the board's design is simulated, with
    every bit of its serial port; the simulator is built in FOLDER when a network is given, and used again.
    """
    if split not in SPLITS:
        raise typer.BadParameter(f"split is {split!r}, allowed: {', '.join(SPLITS)}")
    if not timeout > 0:
        raise typer.BadParameter(f"timeout is {timeout!r}, allowed: a positive number of seconds")
    loaded = None if network is None else zoo.load(network)
    if data is None and loaded is not None:
        named = loaded.metadata.get("dataset")
        data = named if isinstance(named, str) else None
    with _open(port, baud, loaded) as link:
        device = Device(link, timeout=timeout)
        geometry = device.identify()
        if loaded is not None and geometry.identity != identity(loaded):
            raise MismatchError(
                f"the device computes another network: its content hash begins with {geometry.identity.hex()}, "
                f"that of {network!r} with {identity(loaded).hex()}"
            )
        if weights is not None:
            with Progress(console=console, transient=True) as progress:
                chunks = _chunks(weights)
                task = progress.add_task("load", total=len(chunks))
                device.load(chunks, progress=lambda done: progress.advance(task, done))
        result: dict[str, Any] = {"port": port, "device": _describe(geometry)}
        if data is not None:
            pictures, labels = _pictures(geometry, loaded, data, data_dir, split, frames)
            sent = pictures if loaded is None else stream_order(loaded, pictures)
            started = time.monotonic()
            with Progress(console=console, transient=True) as progress:
                task = progress.add_task("infer", total=len(pictures))
                results = device.infer(sent, progress=lambda done: progress.advance(task, done))
            seconds = time.monotonic() - started
            if loaded is not None:
                compare_with_golden(loaded, pictures, results, "the device")
            correct = int(np.count_nonzero(results.classes == labels))
            result |= {
                "data": data,
                "split": split,
                "frames": len(pictures),
                "correct": correct,
                "accuracy": correct / len(pictures),
                "equal_to_golden": len(pictures) if loaded is not None else None,
                "repeated_requests": device.repeated,
                "seconds": seconds,
                "classes": results.classes.tolist(),
            }
    emit(result, as_json=as_json, render=lambda output: _render(output, result))


def _open(port: str, baud: int, network: Network | None) -> Link:
    if not port.startswith(_SIMULATED):
        return SerialLink(port, baud)
    folder = Path(port.removeprefix(_SIMULATED))
    try:
        from signfold.sim import link as simulated
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("signfold"):
            raise
        raise ToolError("simulation needs more packages: install signfold[sim]") from None
    if network is not None:
        waiting = console.status("building the simulator") if console.is_terminal else contextlib.nullcontext()
        with waiting:
            simulated.build_simulated_device(network, folder)
    return simulated.SimulatedLink(folder)


def _chunks(file: Path) -> list[bytes]:
    """Read the chunks of weights of a build."""
    size = INDEX_BYTES + CHUNK_BYTES
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImageError(f"weights {str(file)!r}: {error.strerror}") from None
    if not content or len(content) % size:
        raise ImageError(f"weights {str(file)!r} must hold chunks of {size} bytes, not {len(content)} bytes")
    return [content[begin : begin + size] for begin in range(0, len(content), size)]


def _describe(geometry: Geometry) -> dict[str, Any]:
    return {
        "identity": geometry.identity.hex(),
        "elements": geometry.elements,
        "bits": geometry.bits,
        "classes": geometry.classes,
        "score_width": geometry.score_width,
        "window": geometry.window,
    }


def _pictures(
    geometry: Geometry, network: Network | None, data: str, data_dir: Path | None, split: str, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read the pictures of a data set that fits the device, flat, channels first."""
    dataset = load(data, data_dir)
    for what, ours, theirs in (
        ("pixels", geometry.elements, dataset.elements),
        ("bits a pixel", geometry.bits, dataset.bits),
    ):
        if ours != theirs:
            raise DataError(f"data set {data!r} has {theirs} {what}, but the device takes {ours}")
    if network is None and len(dataset.shape) == 3 and dataset.shape[0] > 1:
        raise DataError(
            f"data set {data!r} has {dataset.shape[0]} channels, whose order in a frame depends on the network: give "
            f"NETWORK too"
        )
    pictures, labels = dataset.split(split)
    count = count or len(pictures)
    return pictures[:count].reshape(len(pictures[:count]), -1), labels[:count]


def _render(output: Console, result: dict[str, Any]) -> None:
    device = result["device"]
    lines = [
        f"device    {device['elements']} codes of {device['bits']} bits, {device['classes']} classes, "
        f"network {device['identity']}"
    ]
    if "frames" in result:
        seconds = result["seconds"]
        lines += [
            f"data      {result['data']}, {result['split']} split",
            f"accuracy  {result['accuracy']:.4f} ({result['correct']} of {result['frames']})",
            f"repeated  {result['repeated_requests']} requests",
            f"time      {seconds:.2f} s, {result['frames'] / max(seconds, 1e-9):.0f} frames a second",
        ]
        if result["equal_to_golden"] is not None:
            lines.insert(3, f"golden    all scores and classes of {result['equal_to_golden']} frames are equal")
    print_lines(output, lines)
