"""Choices of a training run that come in groups: decay, teacher, penalty, stages. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

__all__ = [
    "FORMS",
    "PENALTIES",
    "Decay",
    "Penalty",
    "Progressive",
    "Teacher",
    "read_group",
    "refuse",
]

#: Penalties on latent weights, see `regularizers`.
PENALTIES = ("none", "manhattan", "euclidean")

#: What stands in the place of binary values before these are used, as in `method.STAGES`.
FORMS = ("real", "tanh")


def refuse(owner: str, values: Any, rules: Mapping[str, tuple[bool, str]]) -> None:
    """Refuse the first value that its rule does not allow.

    Parameters
    ----------
    owner : str
        What stands before the names in a message, such as "decay."; may be empty.
    values : object
        Where the values are attributes.
    rules : mapping
        By name, whether the value is allowed, and what is.

    Raises
    ------
    ValueError
        A value is not allowed; the message names it.
    """
    for name, (allowed, rule) in rules.items():
        if not allowed:
            raise ValueError(f"{owner}{name} is {getattr(values, name)!r}, allowed: {rule}")


@dataclass(frozen=True)
class Decay:
    """How a learning rate falls, beyond the name of the schedule.

    Attributes
    ----------
    end : float or None
        Share of the first rate that a linear, cosine or exponential schedule ends at; None: 0, 0 and a thousandth.
    factor : float or tuple of float
        What a step schedule multiplies the rate by at each step; or, one for each of `at`, the share of the first rate
        that holds from there on.
    at : tuple of float
        Shares of the run where a step schedule steps.
    by : str
        "step": the rate changes with every step; "epoch": at the beginning of epochs alone.

    Raises
    ------
    ValueError
        A value is not allowed.
    """

    end: float | None = None
    factor: float | tuple[float, ...] = 0.1
    at: tuple[float, ...] = (0.5, 0.75, 0.9)
    by: str = "step"

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        object.__setattr__(self, "at", tuple(self.at))
        if not isinstance(self.factor, (int, float)):
            object.__setattr__(self, "factor", tuple(self.factor))
        factors = self.factor if isinstance(self.factor, tuple) else (self.factor,)
        counted = len(factors) == (len(self.at) if isinstance(self.factor, tuple) else 1)
        rules = {
            "end": (self.end is None or 0 <= self.end <= 1, "from 0 to 1"),
            "factor": (
                counted and all(0 < one <= 1 for one in factors),
                "above 0 and at most 1, one, or one for each at",
            ),
            "at": (list(self.at) == sorted(self.at) and all(0 < at < 1 for at in self.at), "rising, between 0 and 1"),
            "by": (self.by in ("step", "epoch"), "step, epoch"),
        }
        refuse("decay.", self, rules)


@dataclass(frozen=True)
class Teacher:
    """Another network whose scores this one learns from (Hinton et al., arXiv:1503.02531).

    Attributes
    ----------
    run : str
        Folder of a run, whose best model teaches; or "twin": the same network with real-valued weights and activations,
        which is trained first, in the folder `teacher` of this run.
    weight : float
        Share of the teacher in the loss; the labels have the rest.
    temperature : float
        What the scores of both are divided by.

    Raises
    ------
    ValueError
        A value is not allowed.
    """

    run: str
    weight: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        rules = {
            "run": (bool(self.run), "a run folder, or 'twin'"),
            "weight": (0 < self.weight <= 1, "above 0 and at most 1"),
            "temperature": (self.temperature > 0, "above 0"),
        }
        refuse("teacher.", self, rules)


@dataclass(frozen=True)
class Penalty:
    """What is added to the loss for latent weights and scales.

    Attributes
    ----------
    name : str
        One of `PENALTIES`, on latent weights.
    strength : float
        Its factor.
    scales : float
        Factor of the sum of squares of trained weight scales (Xu and Cheung, arXiv:1909.11366).

    Raises
    ------
    ValueError
        A value is not allowed.
    """

    name: str = "none"
    strength: float = 0.0
    scales: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        rules = {
            "name": (self.name in PENALTIES, ", ".join(PENALTIES)),
            "strength": (self.strength > 0 if self.name != "none" else self.strength == 0, "above 0 with a name"),
            "scales": (self.scales >= 0, "0 or more"),
        }
        refuse("penalty.", self, rules)


@dataclass(frozen=True)
class Progressive:
    """When weights and activations become binary: before, training computes with real numbers between -1 and 1.

    Attributes
    ----------
    activations : float
        Share of the run from which activations are binarized.
    weights : float
        Share of the run from which weights are.
    form : str
        One of `FORMS`: the latents themselves and sums clipped to [-1, 1]; or the hyperbolic tangent of both, the first
        stage of Bitwise Neural Networks (Kim and Smaragdis, arXiv:1601.06071).
    restart : bool
        Whether the learning rate's schedule begins anew at each of the two.

    Raises
    ------
    ValueError
        A value is not allowed.
    """

    activations: float = 0.0
    weights: float = 0.0
    form: str = "real"
    restart: bool = False

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        rules = {
            "activations": (0 <= self.activations < 1, "from 0 to below 1"),
            "weights": (0 <= self.weights < 1, "from 0 to below 1"),
            "form": (self.form in FORMS, ", ".join(FORMS)),
        }
        refuse("progressive.", self, rules)


Group = TypeVar("Group")


def read_group(kind: type[Group], name: str, values: Any) -> Group:
    """Read one group of choices from JSON or TOML.

    Parameters
    ----------
    kind : type
        One of this module's dataclasses.
    name : str
        Name of the group, for messages.
    values : object
        A mapping of its attributes, or an object of that kind.

    Returns
    -------
    object
        The group.

    Raises
    ------
    ValueError
        A name is unknown, or a required one is missing, or a value is not allowed.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is {values!r}, allowed: a table of {', '.join(field.name for field in fields(kind))}")
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"unknown training options {sorted(f'{name}.{one}' for one in unknown)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{name} is incomplete or of a wrong type: {error}") from error
