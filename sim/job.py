"""What a bench is asked to do and what it answers: plain files, because the bench runs inside a simulator's process."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from signfold.sim.stalls import Stall
from signfold.sw.files import write_whole

__all__ = ["Job", "JobResult", "Tap"]

_JOB, _ARRAYS = "job.json", "job.npz"
_RESULT = "result.json"


@dataclass(frozen=True)
class Tap:
    """A stage whose output stream a monitor compares with the network's own values.

    Parameters
    ----------
    instance : str
        Instance name in the top module.
    node : str
        Name of the network's node, for messages.
    channels, lanes, bits : int
        Values of a position, values of a beat, bits of a value; lane 0 in the low bits.
    positions : int
        Positions of a frame, a packet each.
    """

    instance: str
    node: str
    channels: int
    lanes: int
    bits: int
    positions: int = 1


@dataclass(frozen=True)
class Job:
    """Frames to send through an accelerator and everything that must come out.

    Parameters
    ----------
    elements, bits, lanes : int
        Codes of a frame, bits of a code, codes of a beat.
    score_width, class_width : int
        Bits of the fields of a result.
    frames : numpy.ndarray
        Codes in the order of the stream, frames x elements.
    scores, classes : numpy.ndarray
        Expected results, frames x classes and frames.
    taps : tuple of Tap
        Stages to watch, in stream order.
    values : tuple of numpy.ndarray
        Expected values of each tap, frames x (positions * channels), as they stand in the beats.
    seed : int
        Seed of the stalls.
    stall_in, stall_out : float, int or str
        Stalls of source and sink, see `signfold.sim.stalls.stalls`.
    settling : int
        Cycles to wait after reset before the first frame.
    limit : int
        Cycles without a result after which the run is given up.
    interrupt : int
        Beats of a frame to send before a reset in its middle; 0 for none. The frames follow after the reset.
    loads : str
        Chunks of weights that go in after the first reset, in hexadecimal, one after another.
    load_bytes : int
        Bytes of a chunk.
    """

    elements: int
    bits: int
    lanes: int
    score_width: int
    class_width: int
    frames: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    taps: tuple[Tap, ...] = ()
    values: tuple[np.ndarray, ...] = ()
    seed: int = 0
    stall_in: Stall = 0.0
    stall_out: Stall = 0.0
    settling: int = 0
    limit: int = 100_000
    interrupt: int = 0
    loads: str = ""
    load_bytes: int = 0

    @property
    def beats(self) -> int:
        """Input beats of a frame."""
        return -(-self.elements // self.lanes)

    def result(self, folder: Path) -> "JobResult | None":
        """Read what the bench has answered; None if it has not."""
        return JobResult.load(folder)

    def save(self, folder: Path) -> None:
        """Write the job into a folder."""
        plain = {
            name: getattr(self, name)
            for name in ("elements", "bits", "lanes", "score_width", "class_width", "seed")
            + ("stall_in", "stall_out", "settling", "limit", "interrupt", "loads", "load_bytes")
        }
        plain["taps"] = [asdict(tap) for tap in self.taps]
        write_whole(folder / _JOB, json.dumps(plain).encode())
        values = {f"tap_{index}": value for index, value in enumerate(self.values)}
        np.savez(folder / _ARRAYS, frames=self.frames, scores=self.scores, classes=self.classes, **values)

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """Read a job from a folder."""
        plain = json.loads((folder / _JOB).read_bytes())
        taps = tuple(Tap(**tap) for tap in plain.pop("taps"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            values = tuple(arrays[f"tap_{index}"] for index in range(len(taps)))
            named = {name: arrays[name] for name in ("frames", "scores", "classes")}
        return cls(**plain, **named, taps=taps, values=values)


@dataclass
class JobResult:
    """What a bench saw.

    Parameters
    ----------
    scores, classes : list
        Results a frame, in order.
    first, last : list of int
        Cycle of each frame's first input transfer and of its last output transfer; 0 is the first after reset.
    differences : list of dict
        Per stage the first value that differs: `stage` (index), `frame`, `index` (position * channels + channel),
        `expected`, `found`, `cycle`.
    failure : str or None
        Why the run could not be finished.
    """

    scores: list[list[int]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None

    def save(self, folder: Path) -> None:
        """Write the result into a folder."""
        write_whole(folder / _RESULT, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, folder: Path) -> "JobResult | None":
        """Read the result from a folder; None if there is none."""
        try:
            return cls(**json.loads((folder / _RESULT).read_bytes()))
        except FileNotFoundError:
            return None
