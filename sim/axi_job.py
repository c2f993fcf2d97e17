"""What the bench of an AXI wrapper is asked to do and what it answers: a list of steps, and an answer to each."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from signfold.sim.stalls import Stall
from signfold.sw.files import write_whole

__all__ = ["AxiJob", "AxiResult", "cut", "load", "read", "stream", "write"]

_JOB, _RESULT = "axi_job.json", "axi_result.json"

Step = dict[str, Any]


def stream(packets: list[list[int]], count: int | None = None) -> Step:
    """Send packets of TDATA, each ended by TLAST, and take `count` packets, as many as are sent by default.

    The answer is `packets`, what came, and `cycles`, those of all transfers of `s_axis` and of `m_axis`.
    """
    return {"do": "stream", "packets": packets, "expected": len(packets) if count is None else count}


def cut(packet: list[int], at: int, taken: int) -> Step:
    """Send a packet; once `at` beats of it have come and `taken` beats of results have left, give a soft reset.

    Source and sink pause meanwhile, and then go on: the source with the rest of the packet. The answer is `beats`,
    TDATA and TLAST of all that leaves until the wrapper is idle.
    """
    return {"do": "cut", "packet": packet, "at": at, "taken": taken}


def load(packets: list[list[int]]) -> Step:
    """Send packets of bytes on the stream of weights."""
    return {"do": "load", "packets": packets}


def read(*addresses: int) -> Step:
    """Read registers; the answer is `data` and `resp` of each."""
    return {"do": "read", "addresses": list(addresses)}


def write(address: int, data: bytes) -> Step:
    """Write bytes from an address on; the answer is `resp`."""
    return {"do": "write", "address": address, "data": list(data)}


@dataclass(frozen=True)
class AxiJob:
    """Steps, one after another.

    Parameters
    ----------
    steps : tuple of dict
        See the functions of this module.
    seed : int
        Seed of the pauses.
    stall_in, stall_out : float, int or str
        Pauses of whoever drives a channel and of whoever takes from one, see `signfold.sim.stalls.stalls`.
    limit : int
        Cycles that a step may take.
    weights : bool
        Whether there is a stream of weights.
    """

    steps: tuple[Step, ...]
    seed: int = 0
    stall_in: Stall = 0.0
    stall_out: Stall = 0.0
    limit: int = 100_000
    weights: bool = False

    def save(self, folder: Path) -> None:
        """Write the job into a folder."""
        write_whole(folder / _JOB, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, folder: Path) -> "AxiJob":
        """Read a job from a folder."""
        return cls(**json.loads((folder / _JOB).read_bytes()))

    def result(self, folder: Path) -> "AxiResult | None":
        """Read what the bench has answered; None if it has not."""
        try:
            return AxiResult(**json.loads((folder / _RESULT).read_bytes()))
        except FileNotFoundError:
            return None


@dataclass
class AxiResult:
    """What the bench saw.

    Parameters
    ----------
    answers : list of dict
        One a step that was finished.
    failure : str or None
        Rule of AXI that was broken, or step that took too long.
    """

    answers: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None

    def save(self, folder: Path) -> None:
        """Write the result into a folder."""
        write_whole(folder / _RESULT, json.dumps(asdict(self)).encode())
