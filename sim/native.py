"""Run whole test sets through the verilated accelerator: no Python in the loop, frames back to back."""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from signfold.sim.verilator import build
from signfold.sw.errors import ToolError

__all__ = ["NativeHarness", "NativeRun"]

_HARNESS = Path(__file__).with_name("native.cpp")
#: Records that are read from the harness at once.
_CHUNK = 64
#: Exit status of the harness when the design failed.
_FAILURE = 3


@dataclass(frozen=True)
class NativeRun:
    """What came out of the simulated accelerator.

    Parameters
    ----------
    scores : numpy.ndarray
        int64, frames x classes.
    classes : numpy.ndarray
        int64, one a frame.
    first, last : numpy.ndarray
        Cycle of each frame's first input transfer and of its last output transfer; cycle 0 is the first after reset.
    seconds : float
        Wall time of the simulation, without building.
    failure : str or None
        Why the run ended early: the design broke a rule of its output stream or stopped giving results.
    """

    scores: np.ndarray
    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    seconds: float
    failure: str | None = None


class NativeHarness:
    """A compiled simulator of one design; building is skipped when it has been done before.

    Parameters
    ----------
    sidecar : mapping
        Contents of `accelerator.json`.
    verilog : sequence of path
        Design files.
    folder : path
        Where the build goes.
    defines : mapping of str to str
        Macros of the design.

    Raises
    ------
    ToolError
        If Verilator or a compiler is missing.
    BuildError
        If the design cannot be built.
    """

    def __init__(
        self,
        sidecar: Mapping[str, Any],
        verilog: Sequence[Path],
        folder: Path,
        *,
        defines: Mapping[str, str] | None = None,
    ):
        self._elements, self._classes = sidecar["input"]["elements"], sidecar["output"]["classes"]
        sizes = {
            "ELEMENTS": self._elements,
            "BITS": sidecar["input"]["bits"],
            "LANES": sidecar["input"]["lanes"],
            "CLASSES": self._classes,
            "SCORE_WIDTH": sidecar["output"]["score_width"],
            "CLASS_WIDTH": sidecar["output"]["class_width"],
        }
        macros = {**(defines or {}), **{name: str(value) for name, value in sizes.items()}}
        if "load" in sidecar:
            macros |= {"LOADS": str(sidecar["load"]["chunks"]), "LOAD_BYTES": str(sidecar["load"]["bytes"])}
        if "reload" in sidecar:
            macros["STATUSES"] = ""
        self._program = build(verilog, [_HARNESS], folder, top=sidecar["top"], defines=macros)

    def run(
        self,
        frames: np.ndarray,
        *,
        limit: int,
        settling: int = 0,
        extra: int = 0,
        seed: int = 0,
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        cwd: Path | None = None,
        loads: bytes = b"",
        progress: Callable[[int], object] | None = None,
    ) -> NativeRun:
        """Simulate frames.

        Parameters
        ----------
        frames : numpy.ndarray
            uint8 codes in the order of the stream, frames x elements.
        limit : int
            Cycles without a result after which the run is given up.
        settling : int
            Cycles to wait after reset before the first frame.
        extra : int
            Cycles to go on after the last result; one more result in them is a failure.
        seed : int
            Seed of the stalls and of what registers and memories hold before the reset.
        stall_in, stall_out : float
            Probability that source or sink pauses in a cycle.
        cwd : pathlib.Path, optional
            Folder of the `.mem` files, if the design reads them.
        loads : bytes
            Chunks of weights, one after another, that go in after the reset, before cycle 0.
        progress : callable, optional
            Called with the number of frames done since the last call.

        Returns
        -------
        NativeRun
            What came out; nothing is compared here.

        Raises
        ------
        ToolError
            If the simulator cannot be run or ends for a reason of its own.
        """
        frames = np.ascontiguousarray(frames.reshape(len(frames), -1), dtype=np.uint8)
        if frames.shape[1] != self._elements:
            raise ValueError(f"frames must have {self._elements} elements, not {frames.shape[1]!r}")
        stalls = [str(round(stall * 2**32)) for stall in (stall_in, stall_out)]
        command = [str(self._program), str(len(frames)), str(seed), *stalls, str(limit), str(settling), str(extra)]
        began = time.monotonic()
        try:
            process = subprocess.Popen(
                command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise ToolError(f"cannot run the simulator {str(self._program)!r}: {error.strerror}") from None
        with process:
            problems: list[bytes] = []
            helpers = [
                threading.Thread(target=_feed, args=(process.stdin, loads, frames), daemon=True),
                threading.Thread(target=lambda: problems.append(process.stderr.read()), daemon=True),
            ]
            for helper in helpers:
                helper.start()
            record = np.dtype("<i8").itemsize * (3 + self._classes)
            data = bytearray()
            while part := process.stdout.read(_CHUNK * record):
                done = len(data) // record
                data += part
                if progress is not None:
                    progress(len(data) // record - done)
            process.wait()
            for helper in helpers:
                helper.join()
        told = b"".join(problems).decode(errors="replace").strip()
        if process.returncode not in (0, _FAILURE):
            raise ToolError(f"the simulator {str(self._program)!r} ended with status {process.returncode}: {told}")
        data = data[: len(data) // record * record]
        records = np.frombuffer(bytes(data), "<i8").reshape(-1, 3 + self._classes).astype(np.int64)
        failure = told if process.returncode == _FAILURE else None
        seconds = time.monotonic() - began
        return NativeRun(records[:, 3:], records[:, 2], records[:, 0], records[:, 1], seconds, failure)


def _feed(pipe: Any, loads: bytes, frames: np.ndarray) -> None:
    """Write weights and frames; a simulator that ends early closes the pipe."""
    try:
        with pipe:
            pipe.write(loads)
            pipe.write(frames.data)
    except BrokenPipeError:
        pass
