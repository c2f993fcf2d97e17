"""Say where a simulation first differs from the network, in the network's terms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signfold.sim.job import Job, JobResult
from signfold.sw.errors import MismatchError
from signfold.sw.network.types import shown

__all__ = ["STEADY_AFTER", "compare_results", "first_wrong_frame", "measure_timing"]

#: Frames before the pipeline is taken to be in its steady state, in which the interval is measured.
STEADY_AFTER = 20


def first_wrong_frame(job: Job, result: JobResult) -> int | None:
    """Return the first frame whose scores or class differ or are missing; None if all are right."""
    done = min(len(result.classes), len(job.classes))
    scores = np.asarray(result.scores, np.int64).reshape(-1, job.scores.shape[1])
    wrong = (scores[:done] != job.scores[:done]).any(axis=1) | (np.asarray(result.classes[:done]) != job.classes[:done])
    if wrong.any():
        return int(np.flatnonzero(wrong)[0])
    return done if done < len(job.classes) else None


def compare_results(job: Job, result: JobResult, taps: Sequence[Mapping[str, Any]], *, offset: int = 0) -> None:
    """Refuse a result that differs from what the job expects.

    Parameters
    ----------
    job : Job
        What was expected.
    result : JobResult
        What came out.
    taps : sequence of mapping
        The sidecar's description of the watched stages.
    offset : int
        Number of the job's first frame in the whole run, for messages.

    Raises
    ------
    MismatchError
        Naming the frame, the first layer in which it differs, the channel and both values; or why results are missing.
    """
    wrong = first_wrong_frame(job, result)
    if wrong is None and result.failure is None and not result.differences:
        return
    parts = []
    if result.differences:
        first = min(result.differences, key=lambda difference: (difference["frame"], difference["stage"]))
        parts.append(_tell_difference(first, taps, offset))
    if result.failure is not None:
        parts.append(result.failure)
    if wrong is not None and wrong < len(result.classes):
        parts.append(_tell_result(job, result, wrong, offset))
    elif wrong is not None and not parts:
        parts.append(f"frame {offset + wrong}: no result")
    raise MismatchError(f"simulation and network differ (seed {job.seed}): {'; '.join(parts)}")


def _tell_difference(difference: Mapping[str, Any], taps: Sequence[Mapping[str, Any]], offset: int) -> str:
    tap = taps[difference["stage"]]
    position, channel = divmod(difference["index"], tap["channels"])
    values = []
    for value in (difference["expected"], difference["found"]):
        if isinstance(value, int) and tap["kind"] == "sums":
            value = tap["step"] * value - tap["origin"]
        values.append(value)
    instance = tap["instance"]
    layer = f"layer {instance.rpartition('_')[2]}"
    if instance == "pixels":
        layer = "input" if tap["node"] == "input" else "input thresholds"
    where = f"position {channel // tap['lanes']} of the stream"
    if tap["height"] * tap["width"] > 1:
        where = f"row {position // tap['width']}, column {position % tap['width']}"
    what = "sum" if tap["kind"] == "sums" else "code"
    return (
        f"frame {offset + difference['frame']}: first difference in {layer} ({instance}, node {shown(tap['node'])}), "
        f"channel {channel}, {where}: expected {what} {values[0]}, simulated {values[1]} in cycle {difference['cycle']}"
    )


def _tell_result(job: Job, result: JobResult, frame: int, offset: int) -> str:
    expected, found = job.scores[frame], np.asarray(result.scores[frame])
    parts = []
    if (expected != found).any():
        channel = int(np.flatnonzero(expected != found)[0])
        parts.append(f"score of class {channel} expected {expected[channel]}, simulated {found[channel]}")
    if job.classes[frame] != result.classes[frame]:
        parts.append(f"class expected {job.classes[frame]}, simulated {result.classes[frame]}")
    return f"frame {offset + frame}: {', '.join(parts)}"


def measure_timing(sidecar: Mapping[str, Any], result: JobResult) -> dict[str, int | None]:
    """Measure latency and interval of a run without stalls and hold them to the prediction.

    Parameters
    ----------
    sidecar : mapping
        Contents of `accelerator.json`.
    result : JobResult
        A run without stalls.

    Returns
    -------
    dict of str to int or None
        `latency` of the first frame and `interval` from frame to frame after the first `STEADY_AFTER`; None where there
        are too few frames.

    Raises
    ------
    MismatchError
        If a measurement differs from the prediction.
    """
    last = np.asarray(result.last)
    latency = int(last[0]) - int(result.first[0])
    if latency != sidecar["latency"]:
        raise MismatchError(f"latency: predicted {sidecar['latency']} cycles, simulated {latency}")
    gaps = np.diff(last[STEADY_AFTER:])
    if len(gaps) == 0:
        return {"latency": latency, "interval": None}
    odd = np.flatnonzero(gaps != sidecar["interval"])
    if len(odd):
        frame = STEADY_AFTER + int(odd[0])
        raise MismatchError(
            f"interval: predicted {sidecar['interval']} cycles, simulated {int(gaps[odd[0]])} between the results of "
            f"frames {frame} and {frame + 1}"
        )
    return {"latency": latency, "interval": sidecar["interval"]}
