"""Estimators by the names that options and recipes use."""

from collections.abc import Mapping
from typing import Any

from signfold.sw.train.estimators.base import Estimator
from signfold.sw.train.estimators.ede import ErrorDecay
from signfold.sw.train.estimators.polynomial import ApproxSign, Tight
from signfold.sw.train.estimators.smooth import SwishSign, Tanh
from signfold.sw.train.estimators.straight_through import Clipped, Identity, SigmoidScaled

__all__ = ["CLASSES", "make_estimator"]

#: Those of `method.ESTIMATORS`.
CLASSES: dict[str, type[Estimator]] = {
    "identity": Identity,
    "sigmoid": SigmoidScaled,
    "clipped": Clipped,
    "approx": ApproxSign,
    "tanh": Tanh,
    "swish": SwishSign,
    "ede": ErrorDecay,
    "tight": Tight,
}


def make_estimator(choice: Mapping[str, Any]) -> Estimator:
    """Make the estimator that a method names.

    Parameters
    ----------
    choice : mapping
        `name`, one of `CLASSES`, and parameters; see `signfold.sw.train.method.Method`.

    Returns
    -------
    Estimator
        At the beginning of a run.
    """
    return CLASSES[choice["name"]](**{key: value for key, value in choice.items() if key != "name"})
