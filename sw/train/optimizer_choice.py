"""Which optimizer, with which numbers. Free of torch."""

from dataclasses import dataclass, fields

from signfold.sw.train.choices import refuse

__all__ = ["OPTIMIZERS", "ROLES", "SCALES", "OptimizerChoice"]

#: Optimizers, each with the fields of `OptimizerChoice` that it reads besides `lr` and the weight decay.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "adam": ("beta1", "beta2", "eps", "scale"),
    "adamw": ("beta1", "beta2", "eps", "scale"),
    "radam": ("beta1", "beta2", "eps", "scale"),
    "adamax": ("beta1", "beta2", "eps", "scale"),
    "shift-adamax": ("beta1", "beta2", "scale"),
    "sgd": ("momentum", "nesterov", "scale"),
    "bop": ("threshold",),
}

#: What a parameter is to an optimizer: a few-level weight, a real-valued weight, anything else (norms, scales, slopes).
ROLES = ("binary", "real", "other")

#: Factors on the learning rate of few-level weights.
SCALES = ("none", "glorot")


@dataclass(frozen=True)
class OptimizerChoice:
    """An optimizer and its numbers.

    Attributes
    ----------
    name : str
        One of `OPTIMIZERS`.
    lr : float or None
        Highest learning rate; None is that of the run. For "bop" it is the adaptivity rate gamma.
    beta1, beta2, eps : float
        Of the Adam family.
    momentum : float
        Of "sgd".
    nesterov : bool
        Of "sgd".
    threshold : float
        Of "bop": gradient averages up to this flip nothing.
    scale : str
        One of `SCALES`: "glorot" multiplies the rate of few-level weights by sqrt((n_in + n_out) / 1.5), as
        BinaryConnect (arXiv:1511.00363) does; "shift-adamax" takes the nearest power of two of it.
    weight_decay : float
        Share of a weight that is taken away a step, times the learning rate ("adamw"), or added to the gradient.
    decays : tuple of str
        Which of `ROLES` the weight decay is for.
    decay_until : float
        Share of the run after which there is no weight decay.

    Raises
    ------
    ValueError
        A value is not allowed, or the optimizer does not read it.
    """

    name: str = "adam"
    lr: float | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    momentum: float = 0.0
    nesterov: bool = False
    threshold: float = 1e-8
    scale: str = "none"
    weight_decay: float = 0.0
    decays: tuple[str, ...] = ("real",)
    decay_until: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        object.__setattr__(self, "decays", tuple(self.decays))
        rules = {
            "name": (self.name in OPTIMIZERS, ", ".join(OPTIMIZERS)),
            "lr": (self.lr is None or 0 < self.lr <= 1, "above 0 and at most 1"),
            "beta1": (0 <= self.beta1 < 1, "from 0 to below 1"),
            "beta2": (0 <= self.beta2 < 1, "from 0 to below 1"),
            "eps": (self.eps > 0, "above 0"),
            "momentum": (0 <= self.momentum < 1, "from 0 to below 1"),
            "nesterov": (not self.nesterov or self.momentum > 0, "false without momentum"),
            "threshold": (self.threshold >= 0, "0 or more"),
            "scale": (self.scale in SCALES, ", ".join(SCALES)),
            "weight_decay": (
                self.weight_decay == 0 or (self.weight_decay > 0 and self.name not in ("bop", "shift-adamax")),
                "0 or more, and 0 for bop and shift-adamax",
            ),
            "decays": (set(self.decays) <= set(ROLES), f"some of {', '.join(ROLES)}"),
            "decay_until": (0 <= self.decay_until <= 1, "from 0 to 1"),
        }
        refuse("optimizer.", self, rules)
        known = {"name", "lr", "weight_decay", "decays", "decay_until", *OPTIMIZERS[self.name]}
        for field in fields(self):
            if field.name not in known and getattr(self, field.name) != field.default:
                raise ValueError(f"optimizer.{field.name} is {getattr(self, field.name)!r}, but {self.name} has none")
