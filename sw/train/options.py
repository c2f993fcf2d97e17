"""Choices of a training run. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from signfold.sw.train.allowed import GROUPS, NAMED
from signfold.sw.train.architectures import begins_with_convolution
from signfold.sw.train.choices import Decay, Penalty, Progressive, Teacher, read_group, refuse
from signfold.sw.train.method import Method
from signfold.sw.train.optimizer_choice import OptimizerChoice
from signfold.sw.train.style import Style

__all__ = ["TrainingOptions"]


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that decides, together with the data, what comes out of a run.

    Attributes
    ----------
    dataset : str
        Name of the data set.
    topology : str
        Name or steps, see `architectures.lay_out`.
    epochs : int
        Passes over the training set.
    batch : int
        Pictures a step, at least 2; the pictures left over at the end of an epoch are not used in it.
    lr : float
        Highest learning rate.
    schedule : str
        How it falls, one of `schedules.SCHEDULES`, over the whole run.
    warmup : int
        Epochs over which the learning rate rises first.
    loss : str
        One of `allowed.LOSSES`.
    head : str
        One of `style.HEADS`.
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
        One of `style.FIRST`: what the first layer reads; "auto" is "codes" before a convolution, else "bits".
    weights : str
        One of `style.WEIGHTS`: bits of a weight, "ternary", or "real".
    first_weights, last_weights : str
        The same for the first layer and the classifier; "same" is `weights`.
    activations : int
        Bits of an activation, 1 to 8.
    signed : bool
        Whether activations of several bits stand for -1..1 instead of 0..1.
    pad : str
        One of `style.PADS`: what stands in the padded places of convolutions.
    pool : str
        One of `style.POOL_ORDERS`: whether pooling comes before normalization or after the activation.
    precision : str
        One of `allowed.PRECISIONS`: the type of activations and products in training.
    initial : str or None
        Folder of a run with the same layers whose best model this run begins with.
    weight_method, weight_scale, bases, k_map, norm
        As in `style.Style`.
    activation, activation_scale, activation_shift, reduction, stochastic
        As in `style.Style`.
    method : Method
        What only training sees of a method.
    optimizer : OptimizerChoice
        What changes the parameters.
    binary_optimizer : OptimizerChoice or None
        Another one for few-level weights; None: `optimizer`.
    decay : Decay
        The rest of the schedule.
    label_smoothing : float
        Share of a label that all classes have alike, in [0, 1); cross-entropy only.
    teacher : Teacher or None
        A network whose scores this one learns from.
    penalty : Penalty
        What is added to the loss for weights.
    progressive : Progressive
        When weights and activations become binary.
    device : str
        One of `allowed.DEVICES`. A run may go on on another one, though not in the same bits.
    processes : int
        Processes that share each batch (`torchrun`). Part of the options, because each normalizes by its own share.

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
    weight_method: str | None = None
    weight_scale: str | None = None
    bases: int = 3
    k_map: bool = False
    norm: str = "batch"
    activation: str = "bits"
    activation_scale: str | None = None
    activation_shift: str | None = None
    reduction: int = 16
    stochastic: bool = False
    method: Method = field(default_factory=Method)
    optimizer: OptimizerChoice = field(default_factory=OptimizerChoice)
    binary_optimizer: OptimizerChoice | None = None
    decay: Decay = field(default_factory=Decay)
    label_smoothing: float = 0.0
    teacher: Teacher | None = None
    penalty: Penalty = field(default_factory=Penalty)
    progressive: Progressive = field(default_factory=Progressive)
    device: str = "auto"
    processes: int = 1

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        begins_with_convolution(self.topology)  # refuses what is no topology
        smooth = 0 <= self.label_smoothing < 1 and (self.label_smoothing == 0 or self.loss == "cross-entropy")
        rules = {
            "epochs": (self.epochs >= 1, "1 or more"),
            "batch": (self.batch >= 2, "2 or more"),
            "lr": (0 < self.lr <= 1, "above 0 and at most 1"),
            "warmup": (0 <= self.warmup < self.epochs, "0 or more, and fewer than epochs"),
            "threshold": (self.threshold is None or self.threshold >= 0, "0 or more"),
            "shift": (self.shift >= 0, "0 or more"),
            "noise": (self.noise >= 0, "0 or more"),
            "dropout": (0 <= self.dropout < 1, "from 0 to below 1"),
            "momentum": (0 < self.momentum <= 1, "above 0 and at most 1"),
            "seed": (0 <= self.seed < 1 << 63, "0 to 2**63 - 1"),
            "threads": (self.threads >= 1, "1 or more"),
            "activations": (1 <= self.activations <= 8, "1 to 8"),
            "label_smoothing": (smooth, "from 0 to below 1, and 0 unless loss is cross-entropy"),
            "optimizer": (self.optimizer.name != "bop", "any but bop, which is for binary_optimizer"),
            "binary_optimizer": (self._takes_bop(), "bop for plain signs alone, with method.clip none or 1 or more"),
            "processes": (self._shares_batches(), "a divisor of batch that leaves each 2 pictures or more"),
        }
        for name, values in NAMED.items():
            rules[name] = (getattr(self, name) in values, ", ".join(str(value) for value in values))
        refuse("", self, rules)
        self.style(None)

    def _shares_batches(self) -> bool:
        """Whether every process gets equal parts of batches, large enough to be normalized by."""
        return self.processes >= 1 and self.batch % self.processes == 0 and self.batch // self.processes >= 2

    def _takes_bop(self) -> bool:
        """Whether all few-level weights are plain signs, where Bop is chosen: it leaves nothing but -1 and +1."""
        if self.binary_optimizer is None or self.binary_optimizer.name != "bop":
            return True
        signs = {self.weights, self.first_weights, self.last_weights} <= {"1", "same", "real"}
        clip = self.method.clip
        wide = clip is None or (not isinstance(clip, str) and clip >= 1)
        return signs and self.weight_method in (None, "sign") and wide and not self.method.centre

    def style(self, thresholds: tuple[int, ...] | None) -> Style:
        """Return what a topology leaves open.

        Parameters
        ----------
        thresholds : tuple of int or None
            Thresholds of the pixels, or None where the first layer reads the pixels themselves.

        Returns
        -------
        Style
            For `describe.describe`.
        """
        chosen = {each.name: getattr(self, each.name) for each in fields(Style) if each.name != "thresholds"}
        for name in ("first_weights", "last_weights"):
            chosen[name] = self.weights if chosen[name] == "same" else chosen[name]
        return Style(**chosen, thresholds=thresholds)

    @property
    def reads_codes(self) -> bool:
        """Whether the first layer reads the pixels themselves instead of bits."""
        return self.first == "codes" or (self.first == "auto" and begins_with_convolution(self.topology))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self) | {"method": self.method.to_json()}

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
        read = dict(values)
        for name in ("weights", "first_weights", "last_weights"):
            if isinstance(read.get(name), int):
                read[name] = str(read[name])  # bits, as a number is natural to write them
        for name, kind in GROUPS.items():
            if read.get(name) is not None:
                read[name] = read_group(kind, name, read[name])
        if isinstance(read.get("method"), Mapping):
            read["method"] = Method.from_json(read["method"])
        try:
            return cls(**read)
        except TypeError as error:
            raise ValueError(f"training options are incomplete or of a wrong type: {error}") from error
