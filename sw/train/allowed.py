"""What options of a training run may be: names, and tables of their own. Free of torch."""

from signfold.sw.train.choices import Decay, Penalty, Progressive, Teacher
from signfold.sw.train.optimizer_choice import OptimizerChoice
from signfold.sw.train.schedules import SCHEDULES
from signfold.sw.train.style import (
    ACTIVATION_SCALES,
    ACTIVATION_SHIFTS,
    ACTIVATIONS,
    FIRST,
    HEADS,
    NORMS,
    PADS,
    POOL_ORDERS,
    WEIGHT_METHODS,
    WEIGHT_SCALES,
    WEIGHTS,
)

__all__ = ["DEVICES", "GROUPS", "LOSSES", "NAMED", "PRECISIONS"]

#: Names of the losses in `signfold.sw.train.losses`.
LOSSES = ("cross-entropy", "squared-hinge", "bit-error")

#: Types of activations and products in training.
PRECISIONS = ("float32", "bfloat16")

#: Where a run computes; "auto" is "cuda" where there is one.
DEVICES = ("auto", "cpu", "cuda")

#: Options that are tables of their own.
GROUPS: dict[str, type] = {
    "optimizer": OptimizerChoice,
    "binary_optimizer": OptimizerChoice,
    "decay": Decay,
    "teacher": Teacher,
    "penalty": Penalty,
    "progressive": Progressive,
}

#: Options that are one of a few names.
NAMED: dict[str, tuple[str | None, ...]] = {
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "head": HEADS,
    "first": ("auto", *FIRST),
    "weights": WEIGHTS,
    "first_weights": ("same", *WEIGHTS),
    "last_weights": ("same", *WEIGHTS),
    "pad": PADS,
    "pool": POOL_ORDERS,
    "precision": PRECISIONS,
    "weight_method": (None, *WEIGHT_METHODS),
    "weight_scale": (None, *WEIGHT_SCALES),
    "norm": NORMS,
    "activation": ACTIVATIONS,
    "activation_scale": (None, *ACTIVATION_SCALES),
    "activation_shift": (None, *ACTIVATION_SHIFTS),
    "device": DEVICES,
}
