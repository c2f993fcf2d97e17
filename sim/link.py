"""Simulated link: the host driver's line into a Verilator simulation of a board's design, bit by bit."""

import json
import struct
import subprocess
from math import ceil
from pathlib import Path

from signfold.sim.cells import cell_models
from signfold.sim.verilator import build
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import LinkError
from signfold.sw.files import write_whole
from signfold.sw.hosted import TOP, generate_hosted
from signfold.sw.link import Link
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.sidecar import LOAD_FILE

__all__ = ["DIVISOR", "SimulatedLink", "build_simulated_device", "build_simulated_netlist"]

#: Clock cycles a bit of a simulated line: the least that a receiver takes, so that little time is simulated.
DIVISOR = 4

#: A simulated second is as many cycles as a line of a million bits a second takes.
_BAUD = 1_000_000

_DESCRIPTION = "device.json"
_HARNESS = Path(__file__).with_name("link.cpp")


def build_simulated_device(
    network: Network,
    folder: Path,
    plan: Plan | None = None,
    *,
    divisor: int = DIVISOR,
    reloadable: bool = False,
) -> None:
    """Build a simulator of a network's accelerator with its serial line; nothing is done where it exists already.

    Parameters
    ----------
    network : Network
        What the accelerator computes.
    folder : path
        Where the simulator goes; created if absent.
    plan : Plan, optional
        Arrays; `default_plan` by default.
    divisor : int
        Clock cycles a bit of the serial line.
    reloadable : bool
        Let the host replace the network while the device runs; each simulation begins with `network`.

    Raises
    ------
    PlanError
        If plan, network and protocol do not fit together, or `reloadable` is asked of weights that no image replaces.
    ToolError, BuildError
        If Verilator or a compiler is missing or fails.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plan = default_plan(network) if plan is None else plan
    design = generate_hosted(network, plan, divisor, reloadable=reloadable)
    verilog = folder / f"{TOP}.v"
    write_whole(verilog, design.verilog.encode())
    if design.parameters.config.loads:
        write_whole(folder / LOAD_FILE, b"".join(design.parameters.config.chunks))
    _build([verilog], folder, divisor)


def build_simulated_netlist(netlist: Path, family: str, folder: Path, *, divisor: int) -> None:
    """Build a simulator of a device's netlist, with Yosys's models of the FPGA's cells.

    Parameters
    ----------
    netlist : path
        Verilog file with the top module and ports of `signfold.sw.hosted`, made of cells.
    family : str
        FPGA: "ice40", "ecp5" or "gowin".
    folder : path
        Where the simulator goes; created if absent.
    divisor : int
        Clock cycles a bit of the serial line that the design was made for.

    Raises
    ------
    ToolError, BuildError
        If the models, Verilator or a compiler are missing or fail.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _build([netlist, cell_models(family, folder)], folder, divisor)


def _build(verilog: list[Path], folder: Path, divisor: int) -> None:
    build(verilog, [_HARNESS], folder / "simulator", top=TOP, defines={"DIVISOR": str(divisor)})
    description = {"format": "signfold-simulated-device", "version": 1, "divisor": divisor}
    write_whole(folder / _DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())


class SimulatedLink(Link):
    """Line to a simulated device; time is simulated time, so that no run depends on the speed of the machine.

    Time passes only in `read` and `reset`, a million bits a second.

    Parameters
    ----------
    folder : path
        A folder that `build_simulated_device` wrote.

    Raises
    ------
    LinkError
        If there is no simulator in the folder, or it does not start.
    """

    def __init__(self, folder: Path):
        folder = Path(folder)
        program = (folder / "simulator" / "simulator").resolve()
        try:
            description = json.loads((folder / _DESCRIPTION).read_bytes())
            divisor = description["divisor"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LinkError(f"no simulated device in {str(folder)!r}: {error}") from None
        if not isinstance(divisor, int) or divisor < 1:
            raise LinkError(f"no simulated device in {str(folder)!r}: divisor must be an integer, not {divisor!r}")
        #: Clock frequency in simulated hertz.
        self.frequency = divisor * _BAUD
        try:
            self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise LinkError(f"simulated device {str(program)!r} does not start: {error.strerror}") from None

    @property
    def byte_time(self) -> float:
        """Simulated seconds that one byte takes."""
        return 10 / _BAUD

    def write(self, data: bytes) -> None:
        """Queue bytes for the device; they leave one after another while time passes."""
        self._command("W", len(data), data)

    def read(self, timeout: float) -> bytes:
        """Return the next byte that the device sends, or nothing after `timeout` simulated seconds."""
        # Rounded up, so that a wait until some time ends no sooner.
        self._command("R", min(max(0, ceil(timeout * self.frequency)), 0xFFFFFFFF))
        (count,) = struct.unpack("<I", self._answer(4))
        return self._answer(count)

    def reset(self, cycles: int = 2) -> None:
        """Hold the device in reset for so many cycles; bytes on the line go on meanwhile."""
        self._command("X", cycles)

    @property
    def cycles(self) -> int:
        """Cycles simulated so far."""
        self._command("T")
        return struct.unpack("<Q", self._answer(8))[0]

    def clock(self) -> float:
        """Return simulated seconds."""
        return self.cycles / self.frequency

    def close(self) -> None:
        """End the simulation."""
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait()
        self._process.stdout.close()

    def _command(self, name: str, argument: int | None = None, data: bytes = b"") -> None:
        message = name.encode() + (b"" if argument is None else struct.pack("<I", argument)) + data
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except (OSError, ValueError):  # ValueError: the pipe is closed
            raise LinkError("the simulated device has ended") from None

    def _answer(self, count: int) -> bytes:
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise LinkError("the simulated device has ended")
        return data
