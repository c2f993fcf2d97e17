"""`signfold load`: another network goes into a running device."""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.hw.packet import Hashes
from signfold.sw import zoo
from signfold.sw.cli.device_port import open_port, simulated_folder
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.design_folder import DesignFolder, read_design_folder
from signfold.sw.errors import ImageError, LinkError, MismatchError, PlanError
from signfold.sw.hosted import identity, reloadable_parameters
from signfold.sw.link import Device, compare_with_golden
from signfold.sw.lower import stream_order
from signfold.sw.network import Network

__all__ = ["load"]


def load(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="network file, or name of a shipped network")],
    port: Annotated[
        str, typer.Option(help="serial port of the board, or sim:FOLDER for the simulation of a generated folder")
    ],
    design: Annotated[
        Path | None,
        typer.Option(help="folder of `signfold build --reloadable` that the device runs", show_default="that of sim:"),
    ] = None,
    baud: Annotated[int, typer.Option(help="bits a second that the bitstream was built for", min=1)] = 1_000_000,
    check: Annotated[
        int, typer.Option(metavar="FRAMES", help="compare so many random frames with the golden model after it", min=0)
    ] = 10,
    timeout: Annotated[float, typer.Option(help="seconds to wait for an answer, beside the line's time")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Replace the network of a running device, built with --reloadable, by another one of the same shape.

    The device goes on with the old network until all of the new one is there and its CRC-32 holds; then every table
    changes at once, between two frames. What is refused, damaged or cut off leaves the old network in force. Power-on
    brings back the network that the bitstream was built for.
    """
    if not timeout > 0:
        raise typer.BadParameter(f"timeout is {timeout!r}, allowed: a positive number of seconds")
    folder = design if design is not None else simulated_folder(port)
    if folder is None:
        raise typer.BadParameter("--design must name the folder that the device was built in")
    description = read_design_folder(folder)
    loaded = zoo.load(network)
    with console.status("image"):
        parameters = _parameters(loaded, description)
    image = parameters.reloadable.image
    with open_port(port, baud, description) as link:
        device = Device(link, timeout=timeout)
        before = device.identify_all()
        _check_device(before, parameters, folder)
        begun = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("load", total=image.chunks)
            _reload(device, parameters, lambda done: progress.advance(task, done))
        seconds = time.monotonic() - begun
        after = device.identify_all()
        if after is None or after.network != identity(loaded):
            raise LinkError("the device took the image, but does not run its network: was it reset to power-on?")
        if check:
            shape = (check, *loaded.input.shape)
            frames = np.random.default_rng(1).integers(0, 1 << loaded.input.bits, shape).astype(np.uint8)
            compare_with_golden(loaded, frames, device.infer(stream_order(loaded, frames)), "the device")
    result: dict[str, Any] = {
        "port": port,
        "before": before.network.hex(),
        "network": after.network.hex(),
        "plan": after.plan.hex(),
        "build": after.build.hex(),
        "bytes": image.size,
        "chunks": image.chunks,
        "repeated_requests": device.repeated,
        "seconds": seconds,
        "checked_frames": check,
    }
    emit(result, as_json=as_json, render=lambda output: _render(output, result))


def _parameters(network: Network, design: DesignFolder) -> HostedAcceleratorParameters:
    """Return the device with the new network."""
    try:
        return reloadable_parameters(network, design.plan, design.divisor)
    except PlanError as error:
        raise ImageError(f"network is of another shape than the device's: {error}") from None


def _check_device(hashes: Hashes | None, parameters: HostedAcceleratorParameters, folder: Path) -> None:
    """Refuse before anything is sent."""
    if hashes is None:
        raise ImageError("the device was built without --reloadable: its network cannot be replaced while it runs")
    plan, build = parameters.hashes
    if hashes.plan != plan:
        raise MismatchError(
            f"the device has another plan than {str(folder)!r}: its hash begins with {hashes.plan.hex()}, that of the "
            f"folder's with {plan.hex()}"
        )
    if hashes.build != build:
        raise ImageError(
            f"network is of another shape than the device's, or this release makes other logic of it: the device's "
            f"build is {hashes.build.hex()}, the image is for {build.hex()} (what no table holds stands in logic: one "
            "threshold for all pixels, widths and origins of scores)"
        )


def _reload(device: Device, parameters: HostedAcceleratorParameters, progress: Any) -> None:
    try:
        device.reload(parameters.reloadable.image.packets(), progress=progress)
    except LinkError:
        # The last answer alone may have been lost, and the network be there.
        hashes = device.identify_all()
        if hashes is None or hashes.network != parameters.identity:
            raise


def _render(output: Console, result: dict[str, Any]) -> None:
    lines = [
        f"before    {result['before']}",
        f"network   {result['network']}, in force until power is off",
        f"build     {result['build']}, plan {result['plan']}",
        f"image     {result['bytes']} bytes in {result['chunks']} chunks, {result['seconds']:.2f} s",
    ]
    if result["checked_frames"]:
        lines.append(f"golden    all scores and classes of {result['checked_frames']} random frames are equal")
    print_lines(output, lines)
