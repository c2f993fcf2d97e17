"""Gradients of the sign and of rounding: what makes a network of few levels trainable."""

from signfold.sw.train.estimators.base import Estimator, draw_uniform, sign
from signfold.sw.train.estimators.choose import CLASSES, make_estimator
from signfold.sw.train.estimators.ede import ErrorDecay
from signfold.sw.train.estimators.polynomial import ApproxSign, Tight
from signfold.sw.train.estimators.rounding import replace_through, round_through
from signfold.sw.train.estimators.smooth import SwishSign, Tanh
from signfold.sw.train.estimators.straight_through import Clipped, Identity, SigmoidScaled

__all__ = [
    "CLASSES",
    "ApproxSign",
    "Clipped",
    "ErrorDecay",
    "Estimator",
    "Identity",
    "SigmoidScaled",
    "SwishSign",
    "Tanh",
    "Tight",
    "draw_uniform",
    "make_estimator",
    "replace_through",
    "round_through",
    "sign",
]
