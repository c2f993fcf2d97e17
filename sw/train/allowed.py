"""What options of a training run may be: names, tables of their own, ranges. Free of torch."""

from typing import TYPE_CHECKING

from signfold.sw.train.choices import Decay, Penalty, Progressive, Teacher
from signfold.sw.train.optimizer_choice import OptimizerChoice
from signfold.sw.train.schedules import SCHEDULES
from signfold.sw.train.style import (
    ACTIVATION_SCALES,
    ACTIVATION_SHIFTS,
    ACTIVATIONS,
    BIASES,
    FIRST,
    HEADS,
    NORMS,
    PADS,
    POOL_ORDERS,
    WEIGHT_METHODS,
    WEIGHT_SCALES,
    WEIGHTS,
)

if TYPE_CHECKING:
    from signfold.sw.train.options import TrainingOptions

__all__ = ["DEVICES", "GROUPS", "LOSSES", "NAMED", "OPTIONAL", "PRECISIONS", "rules_of"]

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

#: Those of them that may be left out.
OPTIONAL = ("binary_optimizer", "teacher")

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
    "bias": (None, *BIASES),
    "activation": ACTIVATIONS,
    "activation_scale": (None, *ACTIVATION_SCALES),
    "activation_shift": (None, *ACTIVATION_SHIFTS),
    "device": DEVICES,
}


def rules_of(options: "TrainingOptions") -> dict[str, tuple[bool, str]]:
    """Return the rules that options are under, each by itself and some together.

    Parameters
    ----------
    options : TrainingOptions
        The options.

    Returns
    -------
    dict of tuple
        By name, whether the value is allowed and what is, for `choices.refuse`.
    """
    smooth = 0 <= options.label_smoothing < 1 and (options.label_smoothing == 0 or options.loss == "cross-entropy")
    rules = {
        "epochs": (options.epochs >= 1, "1 or more"),
        "batch": (options.batch >= 2, "2 or more"),
        "lr": (0 < options.lr <= 1, "above 0 and at most 1"),
        "warmup": (0 <= options.warmup < options.epochs, "0 or more, and fewer than epochs"),
        "threshold": (options.threshold is None or options.threshold >= 0, "0 or more"),
        "shift": (options.shift >= 0, "0 or more"),
        "noise": (options.noise >= 0, "0 or more"),
        "rotate": (0 <= options.rotate <= 180, "0 to 180"),
        "zoom": (0 <= options.zoom < 1, "from 0 to below 1"),
        "elastic": (0 <= options.elastic <= 100, "0 to 100"),
        "dropout": (0 <= options.dropout < 1, "from 0 to below 1"),
        "momentum": (0 < options.momentum <= 1, "above 0 and at most 1"),
        "seed": (0 <= options.seed < 1 << 63, "0 to 2**63 - 1"),
        "threads": (options.threads >= 1, "1 or more"),
        "activations": (1 <= options.activations <= 8, "1 to 8"),
        "label_smoothing": (smooth, "from 0 to below 1, and 0 unless loss is cross-entropy"),
        "optimizer": (options.optimizer.name != "bop", "any but bop, which is for binary_optimizer"),
        "binary_optimizer": (
            _takes_bop(options),
            "bop for plain signs alone, with method.clip none or 1 or more, and a method.weight_estimator whose "
            "gradient at -1 and +1 is above 0",
        ),
        "processes": (_shares_batches(options), "a divisor of batch that leaves each 2 pictures or more"),
    }
    for name, values in NAMED.items():
        rules[name] = (getattr(options, name) in values, ", ".join(str(value) for value in values))
    return rules


def _shares_batches(options: "TrainingOptions") -> bool:
    """Whether every process gets equal parts of batches, large enough to be normalized by."""
    count = options.processes
    return count >= 1 and options.batch % count == 0 and options.batch // count >= 2


def _takes_bop(options: "TrainingOptions") -> bool:
    """Whether all few-level weights are plain signs that gradients reach, where Bop is chosen: it leaves -1 and +1."""
    if options.binary_optimizer is None or options.binary_optimizer.name != "bop":
        return True
    signs = {options.weights, options.first_weights, options.last_weights} <= {"1", "same", "real"}
    method, clip = options.method, options.method.clip
    wide = clip is None or (not isinstance(clip, str) and clip >= 1)
    estimator = method.weight_estimator or {"name": "identity"}
    reached = estimator["name"] not in ("approx", "swish")  # 0 there, and below 0 for most betas
    if estimator["name"] == "clipped":
        reached = estimator["t_clip"] > 1 or (estimator["t_clip"] == 1 and estimator["inclusive"])
    return signs and options.weight_method in (None, "sign") and wide and not method.centre and reached
