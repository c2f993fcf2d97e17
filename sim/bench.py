"""cocotb bench of an accelerator: drives both streams with random stalls and compares every value of every stage.

Run by `signfold.sim.runner` inside the simulator; the job is found through the environment variable `SIGNFOLD_JOB`.
"""

import os
import random
from itertools import count
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from signfold.sim.job import Job, JobResult, Tap
from signfold.sim.stalls import stalls

__all__ = ["JOB_VARIABLE", "PROGRESS", "accelerator"]

#: Environment variable with the folder of the job.
JOB_VARIABLE = "SIGNFOLD_JOB"
#: File in the job's folder that holds the number of frames done.
PROGRESS = "progress"

_RESET_CYCLES = 4


@cocotb.test()
async def accelerator(dut: Any) -> None:
    """Send the frames of the job and write down what came out; whether that is right is for the caller to say."""
    folder = Path(os.environ[JOB_VARIABLE])
    bench = _Bench(dut, Job.load(folder), folder)
    try:
        await bench.run()
    finally:
        bench.result.save(folder)


class _Monitor:
    """Compares the beats of one stage with the expected values, and keeps the first difference."""

    def __init__(self, dut: Any, stage: int, tap: Tap, expected: Any):
        instance = getattr(dut, tap.instance)
        self.payload, self.valid, self.ready = instance.o__payload, instance.o__valid, instance.o__ready
        self.stage, self.tap, self.expected = stage, tap, expected
        self.frame, self.beat = 0, 0
        self.beats = -(-tap.channels // tap.lanes)
        self.packets = self.beats * tap.positions
        self.difference: dict[str, Any] | None = None

    def sample(self, cycle: int) -> None:
        """Look at the stream in a settled cycle."""
        if self.difference is None and self.valid.value == 1 and self.ready.value == 1:
            self._compare(_bits(self.payload), cycle)

    def _compare(self, payload: str, cycle: int) -> None:
        tap = self.tap
        position, beat = divmod(self.beat, self.beats)
        first = beat * tap.lanes
        if self.frame >= len(self.expected):
            self._note(0, None, "one frame too many", cycle)
            return
        for lane in range(min(tap.lanes, tap.channels - first)):
            end = len(payload) - lane * tap.bits
            found = payload[end - tap.bits : end]
            index = position * tap.channels + first + lane
            expected = int(self.expected[self.frame][index])
            if found != f"{expected:0{tap.bits}b}":
                self._note(index, expected, int(found, 2) if set(found) <= {"0", "1"} else found, cycle)
                return
        last = beat == self.beats - 1
        if payload[0] != str(int(last)):
            self._note(position * tap.channels + first, f"last = {int(last)}", f"last = {payload[0]}", cycle)
        self.beat += 1
        if self.beat == self.packets:
            self.beat, self.frame = 0, self.frame + 1

    def _note(self, index: int, expected: Any, found: Any, cycle: int) -> None:
        self.difference = {
            "stage": self.stage,
            "frame": self.frame,
            "index": index,
            "expected": expected,
            "found": found,
            "cycle": cycle,
        }


class _Bench:
    """One run: source, sink and monitors step together, a cycle at a time."""

    def __init__(self, dut: Any, job: Job, folder: Path):
        self.dut, self.job, self.folder = dut, job, folder
        self.result = JobResult()
        self.monitors = [
            _Monitor(dut, stage, tap, expected)
            for stage, (tap, expected) in enumerate(zip(job.taps, job.values, strict=True))
        ]

    async def run(self) -> None:
        """Reset, send all frames, take all results, and see that no more come."""
        dut, job = self.dut, self.job
        dut.i__valid.value = 0
        dut.i__payload.value = 0
        dut.o__ready.value = 0
        if job.loads or hasattr(dut, "s__ready"):
            dut.w__valid.value = 0
            dut.w__payload.value = 0
        if hasattr(dut, "s__ready"):
            # Of accelerators whose network can be replaced: nobody does.
            dut.s__ready.value = 1
        Clock(dut.clk, 10, "ns").start()
        await self._reset()
        if job.loads:
            await self._load(bytes.fromhex(job.loads))
        if job.interrupt:
            for beat in range(job.interrupt):
                dut.i__valid.value = 1
                dut.i__payload.value = self._payload(0, beat % job.beats)
                dut.o__ready.value = 1
                await RisingEdge(dut.clk)
            dut.i__valid.value = 0
            await self._reset()
        self.result.failure = await self._stream()
        self.result.differences += [m.difference for m in self.monitors if m.difference]

    async def _reset(self) -> None:
        self.dut.rst.value = 1
        for _ in range(_RESET_CYCLES):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def _load(self, data: bytes) -> None:
        """Send all chunks of weights."""
        dut, edge, settled = self.dut, RisingEdge(self.dut.clk), ReadOnly()
        dut.w__valid.value = 1
        for number, byte in enumerate(data, start=1):
            dut.w__payload.value = byte | (number % self.job.load_bytes == 0) << 8
            while True:
                await settled
                taken = _bit(dut.w__ready) == "1"
                await edge
                if taken:
                    break
        dut.w__valid.value = 0

    def _payload(self, frame: int, beat: int) -> int:
        job = self.job
        codes = job.frames[frame][beat * job.lanes : (beat + 1) * job.lanes]
        payload = sum(int(code) << (lane * job.bits) for lane, code in enumerate(codes))
        return payload | (beat == job.beats - 1) << (job.lanes * job.bits)

    async def _stream(self) -> str | None:
        """Step until all results are there, or something is wrong."""
        dut, job, result = self.dut, self.job, self.result
        edge, settled = RisingEdge(dut.clk), ReadOnly()
        i_valid, i_ready, i_payload = dut.i__valid, dut.i__ready, dut.i__payload
        o_valid, o_ready, o_payload = dut.o__valid, dut.o__ready, dut.o__payload
        pause_in = stalls(job.stall_in, random.Random(f"{job.seed}/in"))
        pause_out = stalls(job.stall_out, random.Random(f"{job.seed}/out"))
        frame = beat = quiet = 0
        offering, held, scores = False, None, []
        extra = None
        for cycle in count():
            if not offering and frame < len(job.frames) and cycle >= job.settling and not next(pause_in):
                i_payload.value = self._payload(frame, beat)
                i_valid.value = 1
                offering = True
            ready = not next(pause_out)
            o_ready.value = int(ready)
            await settled
            for monitor in self.monitors:
                monitor.sample(cycle)
            if offering and _bit(i_ready) == "1":
                if beat == 0:
                    result.first.append(cycle)
                beat = 0 if beat == job.beats - 1 else beat + 1
                frame += beat == 0
                offering = False
            valid = _bit(o_valid)
            if valid not in ("0", "1"):
                return f"o__valid is {valid} in cycle {cycle}"
            if held is not None and (valid == "0" or _bits(o_payload) != held):
                return f"result {len(result.last)} taken back or changed before it was taken, in cycle {cycle}"
            held = None
            quiet = 0 if valid == "1" and ready else quiet + 1
            if valid == "1" and extra is not None:
                return f"a result too many in cycle {cycle}"
            if valid == "1" and not ready:
                held = _bits(o_payload)
            elif valid == "1":
                problem = self._take(_bits(o_payload), scores, cycle)
                if problem:
                    return problem
            if len(result.last) == len(job.frames) and extra is None:
                extra = 4 * len(job.scores[0]) + 2 * job.beats
            elif extra is not None:
                extra -= 1
                if not extra:
                    return None
            elif quiet > job.limit:
                places = ", ".join(f"{m.tap.instance} at frame {m.frame} beat {m.beat}" for m in self.monitors)
                return f"no result of frame {len(result.last)} for {job.limit} cycles ({places or 'no monitors'})"
            if self._told_enough():
                return None
            await edge
            if not offering:
                i_valid.value = 0
        return None

    def _take(self, payload: str, scores: list[int], cycle: int) -> str | None:
        """Take one result beat."""
        job, result = self.job, self.result
        frame = len(result.last)
        if not set(payload) <= {"0", "1"}:
            return f"result {payload} of frame {frame}, class {len(scores)} is undefined in cycle {cycle}"
        value = int(payload, 2)
        score = value & ((1 << job.score_width) - 1)
        scores.append(score - (score >> (job.score_width - 1) << job.score_width))
        last = value >> (job.score_width + job.class_width)
        if last != (len(scores) == job.scores.shape[1]):
            return f"last = {last} with score {len(scores) - 1} of frame {frame} in cycle {cycle}"
        if last:
            result.scores.append(scores.copy())
            result.classes.append(value >> job.score_width & ((1 << job.class_width) - 1))
            result.last.append(cycle)
            scores.clear()
            (self.folder / PROGRESS).write_text(str(len(result.last)))
        return None

    def _told_enough(self) -> bool:
        """Stop once the frame of the first difference is through: what follows says no more."""
        frames = [m.difference["frame"] for m in self.monitors if m.difference]
        return bool(frames) and len(self.result.last) > max(frames)


def _bit(handle: Any) -> str:
    return str(handle.value)


def _bits(handle: Any) -> str:
    """Return a value as text, most significant bit first; X and Z survive."""
    return str(handle.value)
