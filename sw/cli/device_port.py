"""Ports of devices whose network can be replaced: serial ports, and simulations of a generated folder."""

import contextlib
from pathlib import Path

from signfold.sw.cli.output import console
from signfold.sw.design_folder import DesignFolder
from signfold.sw.errors import ToolError
from signfold.sw.generate import BUILD_FOLDER
from signfold.sw.link import Link, SerialLink

__all__ = ["SIMULATED", "open_port", "simulated_folder"]

#: Ports that begin so are simulations of what follows, a folder.
SIMULATED = "sim:"


def simulated_folder(port: str) -> Path | None:
    """Return the folder of a simulated port, or None."""
    return Path(port.removeprefix(SIMULATED)) if port.startswith(SIMULATED) else None


def open_port(port: str, baud: int, design: DesignFolder | None) -> Link:
    """Open a port; the simulator of a generated design is built first where that has not been done.

    Raises
    ------
    LinkError
        If there is no such port.
    ToolError
        If a package or a tool is missing.
    """
    folder = simulated_folder(port)
    if folder is None:
        return SerialLink(port, baud)
    try:
        from signfold.sim import link as simulated
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("signfold"):
            raise
        raise ToolError("simulation needs more packages: install signfold[sim]") from None
    if design is not None and design.network is not None:
        folder = folder / BUILD_FOLDER / "device"
        waiting = console.status("building the simulator") if console.is_terminal else contextlib.nullcontext()
        with waiting:
            simulated.build_simulated_device(
                design.network, folder, design.plan, divisor=design.divisor, reloadable=True
            )
    return simulated.SimulatedLink(folder)
