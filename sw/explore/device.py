"""What a study builds for: a board, an FPGA, or a fabric alone."""

from dataclasses import dataclass
from typing import Any

from signfold.sw.cost.model import FABRICS
from signfold.sw.errors import StudyError
from signfold.sw.planner.devices import BOARDS, DEVICES, budget

__all__ = ["CLOCK_MHZ", "Target", "find_target"]

#: Clock where there is no oscillator.
CLOCK_MHZ = 100.0


@dataclass(frozen=True)
class Target:
    """A device of a study.

    Parameters
    ----------
    name : str
        Name of a board, an FPGA or a fabric.
    fabric : str
        Fabric of the cost model.
    clock_mhz : float
        Clock that is planned and built for.
    board : str or None
        Board, which brings a host link and can be placed and routed.
    logic, brams, sprams : int or None
        What a plan may use; None: as much as it takes.
    """

    name: str
    fabric: str
    clock_mhz: float
    board: str | None = None
    logic: int | None = None
    brams: int | None = None
    sprams: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what a plan depends on: not the name."""
        return {
            "fabric": self.fabric,
            "clock_mhz": self.clock_mhz,
            "hosted": self.board is not None,
            "logic": self.logic,
            "brams": self.brams,
            "sprams": self.sprams,
        }


def find_target(name: str, clock_mhz: float | None = None) -> Target:
    """Return a device by name.

    Parameters
    ----------
    name : str
        One of `planner.devices.BOARDS`, of `planner.devices.DEVICES`, or of `cost.model.FABRICS`.
    clock_mhz : float, optional
        Clock; the board's oscillator by default, elsewhere `CLOCK_MHZ`.

    Raises
    ------
    StudyError
        If there is none; the message lists them.
    """
    if name in BOARDS:
        board = BOARDS[name]
        return Target(name, board.device.fabric, clock_mhz or board.clock_mhz, board=name, **budget(board.device))
    if name in DEVICES:
        return Target(name, DEVICES[name].fabric, clock_mhz or CLOCK_MHZ, **budget(DEVICES[name]))
    if name in FABRICS:
        return Target(name, name, clock_mhz or CLOCK_MHZ)
    raise StudyError(f"device must be one of {', '.join((*BOARDS, *DEVICES, *FABRICS))}, not {name!r}")
