"""Choices of a training run. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from signfold.sw.train.allowed import GROUPS, OPTIONAL, rules_of
from signfold.sw.train.architectures import ARCHITECTURES, begins_with_convolution
from signfold.sw.train.choices import Decay, Penalty, Progressive, Teacher, read_group, refuse
from signfold.sw.train.layer_choices import LayerChoices
from signfold.sw.train.method import Method
from signfold.sw.train.optimizer_choice import OptimizerChoice
from signfold.sw.train.style import Style

__all__ = ["TrainingOptions"]


@dataclass(frozen=True)
class TrainingOptions(LayerChoices):
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
    rotate : float
        Largest random rotation of training pictures, in degrees.
    zoom : float
        Largest random change of their height and width, as a share of it, in [0, 1).
    elastic : float
        Standard deviation of their pixels' random displacements, in pixels.
    dropout : float
        Share of hidden activations dropped, in [0, 1).
    momentum : float
        Weight of the newest batch in the running statistics, in (0, 1].
    seed : int
        Seed of initial weights, order, shifts, distortions, noise and dropout.
    threads : int
        Threads of torch. Part of the options, because sums over another number of threads round differently.
    first : str
        One of `style.FIRST`: what the first layer reads; "auto" is "codes" before a convolution, else "bits".
    weights : str
        One of `style.WEIGHTS`: bits of a weight, "ternary", or "real".
    first_weights, last_weights : str
        The same for the first layer (of graphs, also shortcuts and transitions) and the classifier; "same" is
        `weights`, of graphs "real".
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
    weight_method, weight_scale, bases, k_map, norm, epsilon, bias, activation, ...
        See `LayerChoices`.
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
    rotate: float = 0.0
    zoom: float = 0.0
    elastic: float = 0.0
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
        refuse("", self, rules_of(self))
        self.style(None)

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
            # Graphs have real ones there in their papers.
            same = "real" if self.topology in ARCHITECTURES else self.weights
            chosen[name] = same if chosen[name] == "same" else chosen[name]
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
            if name in read and (read[name] is not None or name not in OPTIONAL):
                read[name] = read_group(kind, name, read[name])
        if not isinstance(read.get("method", {}), Method):
            read["method"] = Method.from_json(read.get("method", {}))
        try:
            return cls(**read)
        except TypeError as error:
            raise ValueError(f"training options are incomplete or of a wrong type: {error}") from error
