"""Sizes of FPGAs, and boards that `signfold build` knows."""

from dataclasses import dataclass

from signfold.sw.errors import PlanError

__all__ = ["BOARDS", "DEVICES", "Device", "PlannedBoard", "budget", "find_planned_board"]


@dataclass(frozen=True)
class Device:
    """An FPGA.

    Parameters
    ----------
    name : str
        Name.
    fabric : str
        Fabric of the cost model.
    logic : int
        LUTs; logic cells on iCE40.
    brams : int
        Block RAMs; halves of 36 kbit on Xilinx.
    sprams : int
        Large RAMs of iCE40 UP.
    dsps : int
        Multiplier blocks that synthesis is told to use.
    """

    name: str
    fabric: str
    logic: int
    brams: int
    sprams: int = 0
    dsps: int = 0


#: From the vendors' data sheets; those that open tools know as a larger die count as that die.
DEVICES = {
    device.name: device
    for device in (
        Device("iCE40HX1K", "ice40", 1280, 16),
        Device("iCE40UP5K", "ice40", 5280, 30, 4),
        Device("iCE40HX8K", "ice40", 7680, 32),
        Device("LFE5U-25F", "ecp5", 24288, 56, dsps=28),
        Device("LFE5U-45F", "ecp5", 43848, 108, dsps=72),
        Device("LFE5U-85F", "ecp5", 83640, 208, dsps=156),
        Device("XC7Z010", "xilinx", 17600, 120, dsps=80),
        Device("XC7A35T", "xilinx", 20800, 100, dsps=90),
        Device("XC7Z020", "xilinx", 53200, 280, dsps=220),
        Device("XC7A100T", "xilinx", 63400, 270, dsps=240),
    )
}


@dataclass(frozen=True)
class PlannedBoard:
    """A board that `signfold build` knows, for planning without its tools.

    Parameters
    ----------
    name : str
        Name at the command line.
    device : Device
        FPGA.
    clock_mhz : float
        Its oscillator.
    """

    name: str
    device: Device
    clock_mhz: float


BOARDS = {
    board.name: board
    for board in (
        PlannedBoard("icebreaker", DEVICES["iCE40UP5K"], 12.0),
        PlannedBoard("ulx3s-85f", DEVICES["LFE5U-85F"], 25.0),
    )
}


def budget(device: Device) -> dict[str, int]:
    """Return the logic, block RAMs and large RAMs that a plan may use: what is nearly full can hardly be routed."""
    return {"logic": int(0.9 * device.logic), "brams": device.brams, "sprams": device.sprams}


def find_planned_board(name: str) -> PlannedBoard:
    """Return a board by name.

    Raises
    ------
    PlanError
        If there is no such board.
    """
    if name not in BOARDS:
        raise PlanError(f"board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]
