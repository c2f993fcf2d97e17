"""`signfold id`: what a device runs."""

from typing import Annotated, Any

import typer
from rich.console import Console

from signfold.sw.artefacts import is_generated
from signfold.sw.cli.device_port import open_port, simulated_folder
from signfold.sw.cli.output import emit, print_lines
from signfold.sw.design_folder import read_design_folder
from signfold.sw.link import Device

__all__ = ["identify"]


def identify(
    port: Annotated[str, typer.Option(help="serial port of the board, or sim:FOLDER for the simulation of a folder")],
    baud: Annotated[int, typer.Option(help="bits a second that the bitstream was built for", min=1)] = 1_000_000,
    timeout: Annotated[float, typer.Option(help="seconds to wait for an answer, beside the line's time")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Ask a device which network, plan and build it runs, as the first 16 bytes of their hashes.

    Every device tells the network. Those of `signfold build --reloadable` tell the plan (SHA-256 of its file) and the
    build too (of all of the design but the contents of tables): an image fits devices of its build alone.
    """
    if not timeout > 0:
        raise typer.BadParameter(f"timeout is {timeout!r}, allowed: a positive number of seconds")
    folder = simulated_folder(port)
    design = read_design_folder(folder) if folder is not None and is_generated(folder) else None
    with open_port(port, baud, design) as link:
        device = Device(link, timeout=timeout)
        geometry, hashes = device.identify(), device.identify_all()
    result: dict[str, Any] = {
        "port": port,
        "network": geometry.identity.hex(),
        "plan": None if hashes is None else hashes.plan.hex(),
        "build": None if hashes is None else hashes.build.hex(),
        "reloadable": hashes is not None,
    }
    emit(result, as_json=as_json, render=lambda output: _render(output, result))


def _render(output: Console, result: dict[str, Any]) -> None:
    lines = [f"network   {result['network']}"]
    if result["reloadable"]:
        lines += [f"plan      {result['plan']}", f"build     {result['build']}", "reload    yes: signfold load"]
    else:
        lines += ["plan      not told", "build     not told", "reload    no: built without --reloadable"]
    print_lines(output, lines)
