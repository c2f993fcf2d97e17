"""What place and route reports: use of the FPGA and the clock that it reaches."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from signfold.sw.errors import BuildError

__all__ = ["Resource", "Timing", "check_fit", "read_report"]

#: Resources worth telling, with their names for people and what makes a design need fewer.
_RESOURCES = {
    "ICESTORM_LC": ("logic cells", "fewer columns or shorter words (cols, simd) in the plan"),
    "ICESTORM_RAM": (
        "block RAMs",
        "fewer columns in the plan, whose weights then share memories, or a smaller network",
    ),
    "ICESTORM_SPRAM": (
        "SPRAMs",
        "weights that are loaded on at most cols x simd = 64 bits, or a smaller network",
    ),
    "TRELLIS_COMB": ("LUTs", "fewer columns or shorter words (cols, simd) in the plan"),
    "TRELLIS_FF": ("flip-flops", "fewer columns or shorter words (cols, simd) in the plan"),
    "LUT4": ("LUTs", "fewer columns or shorter words (cols, simd) in the plan"),
    "ALU": ("carry cells", "fewer columns or shorter words (cols, simd) in the plan"),
    "DFF": ("flip-flops", "fewer columns or shorter words (cols, simd) in the plan"),
    "RAM16SDP4": ("LUT RAMs", "smaller queues: fewer columns in the plan"),
    "BSRAM": ("block RAMs", "fewer columns in the plan, whose weights then share memories, or a smaller network"),
    "DP16KD": ("block RAMs", "fewer columns in the plan, whose weights then share memories, or a smaller network"),
}

_UTILIZATION = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%")


@dataclass(frozen=True)
class Resource:
    """Use of one kind of cell."""

    name: str
    title: str
    used: int
    available: int


@dataclass(frozen=True)
class Timing:
    """Clock that the routed design reaches, in megahertz, and the clock asked for."""

    achieved: float
    wanted: float

    @property
    def met(self) -> bool:
        """Whether the design runs at the clock asked for."""
        return self.achieved >= self.wanted


def check_fit(log: str) -> None:
    """Refuse a design that needs more of a resource than there is.

    Parameters
    ----------
    log : str
        Text of nextpnr's log, which counts the resources before it places them.

    Raises
    ------
    BuildError
        Naming each such resource and what would help.
    """
    problems = []
    for name, used, available in _UTILIZATION.findall(log):
        if int(used) > int(available):
            title, remedy = _RESOURCES.get(name, (name, "a smaller network"))
            problems.append(f"it needs {used} {title} ({name}) of {available}; what helps: {remedy}")
    if problems:
        raise BuildError(f"the design does not fit: {'; '.join(dict.fromkeys(problems))}")


def read_report(path: Path) -> tuple[list[Resource], Timing]:
    """Return the use of the FPGA and the timing of the slowest clock.

    Parameters
    ----------
    path : path
        File that nextpnr's --report wrote.

    Raises
    ------
    BuildError
        If the report cannot be understood, or names no clock.
    """
    try:
        content = json.loads(path.read_bytes())
        utilization, clocks = content["utilization"], content["fmax"]
        resources = [
            Resource(name, title, int(utilization[name]["used"]), int(utilization[name]["available"]))
            for name, (title, _) in _RESOURCES.items()
            if name in utilization
        ]
        timings = [Timing(float(clock["achieved"]), float(clock["constraint"])) for clock in clocks.values()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(f"report {str(path)!r} of place and route cannot be read: {error!r}") from None
    if not timings:
        raise BuildError(f"report {str(path)!r} of place and route names no clock")
    return resources, min(timings, key=lambda timing: timing.achieved / timing.wanted)
