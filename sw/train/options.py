"""Choices of a training run and what they default to. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from signfold.sw.train.describe import FIRST, HEADS, PADS, POOL_ORDERS, WEIGHTS
from signfold.sw.train.schedules import SCHEDULES
from signfold.sw.train.topologies import Conv, parse_topology

__all__ = ["LOSSES", "PRECISIONS", "RECIPES", "TrainingOptions", "recipe"]

#: Names of the losses in `signfold.sw.train.losses`.
LOSSES = ("cross-entropy", "squared-hinge")

#: Types of activations and products in training.
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that decides, together with the data, what comes out of a run.

    Attributes
    ----------
    dataset : str
        Name of the data set.
    topology : str
        Name or steps, see `topologies.parse_topology`.
    epochs : int
        Passes over the training set.
    batch : int
        Pictures a step, at least 2; the pictures left over at the end of an epoch are not used in it.
    lr : float
        Highest learning rate of Adam.
    schedule : str
        Its decay, one of `schedules.SCHEDULES`, step by step over the whole run.
    warmup : int
        Epochs over which the learning rate rises first.
    loss : str
        One of `LOSSES`.
    head : str
        One of `topologies.HEADS`.
    threshold : int or None
        Pixel threshold where pixels become bits; None takes each pixel's mean over the training set, rounded to the
        nearest integer.
    shift : int
        Largest random shift of training pictures, in pixels.
    flip : bool
        Whether training pictures are mirrored at random.
    noise : int
        Largest random change of a training picture's pixel codes.
    dropout : float
        Share of hidden activations dropped, in [0, 1).
    momentum : float
        Weight of the newest batch in the running statistics, in (0, 1].
    seed : int
        Seed of initial weights, order, shifts, noise and dropout.
    threads : int
        Threads of torch. Part of the options, because sums over another number of threads round differently.
    first : str
        One of `describe.FIRST`: what the first layer reads; "auto" is "codes" before a convolution, else "bits".
    weights : str
        One of `describe.WEIGHTS`: bits of a weight, or "ternary".
    first_weights, last_weights : str
        The same for the first layer and the classifier; "same" is `weights`.
    activations : int
        Bits of an activation, 1 to 8.
    signed : bool
        Whether activations of several bits stand for -1..1 instead of 0..1.
    pad : str
        One of `describe.PADS`: what stands in the padded places of convolutions.
    pool : str
        One of `describe.POOL_ORDERS`: whether pooling comes before normalization or after the activation.
    precision : str
        One of `PRECISIONS`: the type of activations and products in training.
    initial : str or None
        Folder of a run with the same layers whose best model this run begins with.

    Raises
    ------
    ValueError
        A value is outside what is allowed.
    """

    dataset: str
    topology: str
    epochs: int
    batch: int
    lr: float
    schedule: str = "cosine"
    warmup: int = 0
    loss: str = "cross-entropy"
    head: str = "scale"
    threshold: int | None = None
    shift: int = 0
    noise: int = 0
    dropout: float = 0.0
    momentum: float = 0.1
    seed: int = 1
    threads: int = 1
    flip: bool = False
    first: str = "auto"
    weights: str = "1"
    first_weights: str = "same"
    last_weights: str = "same"
    activations: int = 1
    signed: bool = False
    pad: str = "zero"
    pool: str = "before"
    precision: str = "float32"
    initial: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        parse_topology(self.topology)
        rules = {
            "epochs": (self.epochs >= 1, "1 or more"),
            "batch": (self.batch >= 2, "2 or more"),
            "lr": (0 < self.lr <= 1, "above 0 and at most 1"),
            "schedule": (self.schedule in SCHEDULES, ", ".join(SCHEDULES)),
            "warmup": (0 <= self.warmup < self.epochs, "0 or more, and fewer than epochs"),
            "loss": (self.loss in LOSSES, ", ".join(LOSSES)),
            "head": (self.head in HEADS, ", ".join(HEADS)),
            "threshold": (self.threshold is None or self.threshold >= 0, "0 or more"),
            "shift": (self.shift >= 0, "0 or more"),
            "noise": (self.noise >= 0, "0 or more"),
            "dropout": (0 <= self.dropout < 1, "from 0 to below 1"),
            "momentum": (0 < self.momentum <= 1, "above 0 and at most 1"),
            "seed": (0 <= self.seed < 1 << 63, "0 to 2**63 - 1"),
            "threads": (self.threads >= 1, "1 or more"),
            "first": (self.first in ("auto", *FIRST), ", ".join(("auto", *FIRST))),
            "weights": (self.weights in WEIGHTS, ", ".join(WEIGHTS)),
            "first_weights": (self.first_weights in ("same", *WEIGHTS), ", ".join(("same", *WEIGHTS))),
            "last_weights": (self.last_weights in ("same", *WEIGHTS), ", ".join(("same", *WEIGHTS))),
            "activations": (1 <= self.activations <= 8, "1 to 8"),
            "pad": (self.pad in PADS, ", ".join(PADS)),
            "pool": (self.pool in POOL_ORDERS, ", ".join(POOL_ORDERS)),
            "precision": (self.precision in PRECISIONS, ", ".join(PRECISIONS)),
        }
        for name, (allowed, rule) in rules.items():
            if not allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}, allowed: {rule}")

    @property
    def reads_codes(self) -> bool:
        """Whether the first layer reads the pixels themselves instead of bits."""
        convolutional = isinstance(parse_topology(self.topology)[0], Conv)
        return self.first == "codes" or (self.first == "auto" and convolutional)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingOptions":
        """Read what `to_json` wrote.

        Parameters
        ----------
        values : mapping
            Options by name.

        Returns
        -------
        TrainingOptions
            The options.

        Raises
        ------
        ValueError
            A name is unknown, or a required one is missing, or a value is not allowed.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown training options {sorted(unknown)}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"training options are incomplete or of a wrong type: {error}") from error


#: What the command line takes where an option is not given, by data set; "conv" after the name: for networks that begin
#: with a convolution, where dense ones are trained otherwise.
RECIPES: dict[str, dict[str, Any]] = {
    "digits": {"topology": "128,96", "epochs": 300, "batch": 64, "lr": 0.02, "noise": 3},
    "mnist": {"topology": "sfc", "epochs": 400, "batch": 128, "lr": 0.02, "threshold": 128, "shift": 1},
    "mnist conv": {"topology": "conv-s", "epochs": 25, "batch": 50, "lr": 0.02, "shift": 1},
    "fashion-mnist": {"topology": "sfc", "epochs": 400, "batch": 128, "lr": 0.02},
    "fashion-mnist conv": {"topology": "conv-s", "epochs": 20, "batch": 50, "lr": 0.02, "shift": 1, "flip": True},
    "cifar10": {"topology": "cnv", "epochs": 60, "batch": 50, "lr": 0.02, "shift": 2, "flip": True},
}


def recipe(dataset: str, topology: str | None = None) -> dict[str, Any]:
    """Look up the options that a data set's networks are trained with.

    Parameters
    ----------
    dataset : str
        Name of the data set.
    topology : str, optional
        Topology, where one is chosen.

    Returns
    -------
    dict
        Options by name, those of `TrainingOptions`.

    Raises
    ------
    ValueError
        The topology cannot be read.
    """
    chosen = RECIPES[dataset]
    if topology is not None and isinstance(parse_topology(topology)[0], Conv):
        chosen = RECIPES.get(f"{dataset} conv", chosen)
    return {"dataset": dataset} | chosen | ({} if topology is None else {"topology": topology})
