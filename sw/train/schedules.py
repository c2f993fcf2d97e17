"""Learning rates over the course of a run. Free of torch."""

import math

from signfold.sw.train.choices import Decay

__all__ = ["SCHEDULES", "rate"]

#: Shapes of the learning rate's decay.
SCHEDULES = ("constant", "cosine", "exponential", "linear", "step")

#: The exponential schedule ends at this share of the first rate unless the decay says otherwise (three decades, about
#: those of arXiv:1511.00363 for MNIST).
EXPONENTIAL_END = 1e-3


def rate(schedule: str, progress: float, warmup: float = 0.0, decay: Decay | None = None) -> float:
    """Factor on the base learning rate.

    Parameters
    ----------
    schedule : str
        One of `SCHEDULES`.
    progress : float
        Share of the run that is done, in [0, 1).
    warmup : float, default: 0.0
        Share of the run over which the rate rises in proportion from 0, before the schedule begins; in [0, 1).
    decay : Decay, optional
        The numbers of the schedule; a step schedule's `at` counts from the end of the warm-up.

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
    decay = decay or Decay()
    done = (progress - warmup) / (1 - warmup)
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            return _towards(decay.end, 0.5 * (1 + math.cos(math.pi * done)))
        case "linear":
            return _towards(decay.end, 1 - done)
        case "exponential":
            return (EXPONENTIAL_END if decay.end is None else decay.end) ** done
        case "step":
            steps = sum(done >= at for at in decay.at)
            if isinstance(decay.factor, tuple):
                return decay.factor[steps - 1] if steps else 1.0
            return decay.factor**steps
        case _:
            raise ValueError(f"schedule is {schedule!r}, allowed: {', '.join(SCHEDULES)}")


def _towards(end: float | None, share: float) -> float:
    """Return a fall from 1 to 0 as one to `end`."""
    return share if end is None else end + (1 - end) * share
