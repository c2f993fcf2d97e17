"""Progressive binarization: what training computes with, and where its schedule stands. Free of torch."""

from dataclasses import replace

from signfold.sw.train.choices import Progressive
from signfold.sw.train.method import Method

__all__ = ["stage_method", "stage_progress"]


def stage_method(method: Method, progressive: Progressive, progress: float) -> Method:
    """Return the method that holds at a point of a run.

    Parameters
    ----------
    method : Method
        That of the whole run.
    progressive : Progressive
        When weights and activations become binary.
    progress : float
        Share of the run that is done, in [0, 1).

    Returns
    -------
    Method
        With `weights_as` and `activations_as` of the progressive form as long as these are not binary.
    """
    changes = {}
    if progress < progressive.weights:
        changes["weights_as"] = progressive.form
    if progress < progressive.activations:
        changes["activations_as"] = progressive.form
    return replace(method, **changes) if changes else method


def stage_progress(progressive: Progressive, progress: float) -> float:
    """Return how much of its schedule a run has behind it.

    Parameters
    ----------
    progressive : Progressive
        When weights and activations become binary, and whether the schedule begins anew there.
    progress : float
        Share of the run that is done, in [0, 1).

    Returns
    -------
    float
        The same; with `restart`, the share of the present stage that is done.
    """
    if not progressive.restart:
        return progress
    edges = sorted({0.0, progressive.weights, progressive.activations, 1.0})
    begin = max(edge for edge in edges if edge <= progress)
    end = min(edge for edge in edges if edge > progress)
    return (progress - begin) / (end - begin)
