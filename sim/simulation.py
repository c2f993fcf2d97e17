"""What a simulation is asked for, and what it reports."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["HARNESSES", "Options", "Report"]

#: Harnesses; the first is the default.
HARNESSES = ("native", "cocotb")


@dataclass(frozen=True)
class Options:
    """How to simulate.

    Parameters
    ----------
    harness : str
        "native": compiled, for thousands of frames. "cocotb": every stage is watched.
    simulator : str
        Simulator of the cocotb bench, "verilator" or "icarus".
    seed : int
        Seed of the stalls.
    stall_in, stall_out : float
        Probability that the source and the sink pause in a cycle. Without any, latency and interval are measured and
        held to the prediction.
    memory : pathlib.Path, optional
        Folder with `.mem` files for the ROMs; by default they hold what stands in the Verilog.
    wave : bool
        Write a waveform (cocotb): VCD from Verilator, FST from Icarus.
    verilog : tuple of pathlib.Path
        Design files instead of the generated one, such as a netlist; they have no stages to watch.
    build : pathlib.Path, optional
        Folder for builds; by default `build` in the generated folder.
    """

    harness: str = "native"
    simulator: str = "verilator"
    seed: int = 0
    stall_in: float = 0.0
    stall_out: float = 0.0
    memory: Path | None = None
    wave: bool = False
    verilog: tuple[Path, ...] = ()
    build: Path | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        if self.harness not in HARNESSES:
            raise ValueError(f"harness must be one of {', '.join(HARNESSES)}, not {self.harness!r}")
        for name in ("stall_in", "stall_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class Report:
    """A simulation whose every result equals the network's.

    Parameters
    ----------
    scores, classes : numpy.ndarray
        Results, frames x classes and frames.
    cycles : int
        From the first input transfer to the last output transfer.
    latency, interval : int or None
        As measured, equal to the prediction; None where they were not measured: with stalls, or the interval with too
        few frames.
    seconds : float
        Wall time of the simulation, without building.
    build_seconds : float
        Wall time of building.
    wave : pathlib.Path or None
        The waveform.
    """

    scores: np.ndarray
    classes: np.ndarray
    cycles: int
    latency: int | None
    interval: int | None
    seconds: float
    build_seconds: float
    wave: Path | None = None
