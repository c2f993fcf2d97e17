"""Learning rates over the course of a run. Free of torch."""

import math

__all__ = ["SCHEDULES", "rate"]

#: Shapes of the learning rate's decay.
SCHEDULES = ("constant", "cosine", "exponential", "step")

#: The exponential schedule ends at this share of the first rate (three decades, as in arXiv:1511.00363 for MNIST).
EXPONENTIAL_END = 1e-3

#: The step schedule multiplies the rate by a tenth at these shares of the run.
STEP_FACTOR, STEP_AT = 0.1, (0.5, 0.75, 0.9)


def rate(schedule: str, progress: float, warmup: float = 0.0) -> float:
    """Factor on the base learning rate.

    Parameters
    ----------
    schedule : str
        One of `SCHEDULES`.
    progress : float
        Share of the run that is done, in [0, 1).
    warmup : float, default: 0.0
        Share of the run over which the rate rises in proportion from 0, before the schedule begins; in [0, 1).

    Returns
    -------
    float
        The factor, in [0, 1].

    Raises
    ------
    ValueError
        `schedule` is none of `SCHEDULES`.
    """
    if progress < warmup:
        return progress / warmup
    done = (progress - warmup) / (1 - warmup)
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "exponential":
            return EXPONENTIAL_END**done
        case "step":
            return STEP_FACTOR ** sum(done >= at for at in STEP_AT)
        case _:
            raise ValueError(f"schedule is {schedule!r}, allowed: {', '.join(SCHEDULES)}")
