"""What only training sees of a method: estimators, latent ranges, stages, rounded gradients. Free of torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from signfold.sw.train.choices import refuse

__all__ = ["DRAWS", "ESTIMATORS", "INITIALS", "STAGES", "WEIGHT_GRADIENTS", "Method"]

#: Estimators of the sign's derivative by name, with their parameters and what these default to. Each takes `draw` too.
ESTIMATORS: dict[str, dict[str, Any]] = {
    "identity": {},
    "sigmoid": {},
    "clipped": {"t_clip": 1.0, "inclusive": True},
    "approx": {"t_clip": 1.0},
    "tanh": {"steepness": 1.0},
    "swish": {"beta": 5.0},
    "ede": {"t_min": 0.1, "t_max": 10.0, "t_clip": None},
    "tight": {},
}

#: How an estimator's bits are drawn in training: by the hard sigmoid (BinaryConnect, BNN) or the sigmoid (Bengio).
DRAWS = ("hard-sigmoid", "sigmoid")

#: What reaches latents behind scaled weights; see `Method`.
WEIGHT_GRADIENTS = ("scaled", "straight", "paper", "corrected", "program")

#: What training puts in the place of few-level weights or activations.
STAGES = ("quantized", "tanh", "real")

#: First latent weights.
INITIALS = ("uniform", "glorot", "he")


@dataclass(frozen=True)
class Method:
    """Choices of a training method that leave no trace in the network itself.

    What the network is (levels, scales, kinds of layers) stands in its layer list. The defaults are those of BNN
    (Hubara et al., arXiv:1602.02830) with deterministic signs.

    Attributes
    ----------
    weight_estimator, activation_estimator : mapping or None
        Gradient of the sign, for weights and for activations: `name`, one of `ESTIMATORS`, its parameters, and `draw`,
        one of `DRAWS` or None, where training draws bits instead of taking the sign. None: the one that the weights'
        or activations' method was published with.
    clip : float, "glorot" or None
        Latent weights are brought back to [-H, H] after every step, H this number; "glorot" is a layer's
        sqrt(6/(inputs + outputs))/2 (Lin et al., arXiv:1510.03009); None: never. Draws are of w/H (None: of w).
    initial : str
        One of `INITIALS`, first latents: uniform in [-H, H] (None: [-1, 1]); uniform up to sqrt(6/(inputs + outputs));
        normal of variance 2/inputs. Layers of real weights take the last one in place of "uniform".
    weight_gradient : str
        One of `WEIGHT_GRADIENTS`, for layers whose weights have a scale a that is a mean magnitude. With g the
        gradient of the product's weight and d the estimator's derivative: "scaled" g*a*d, a being a constant;
        "straight" g*d (Bi-Real, DoReFa); "paper" g*(1/n + a*d), as XNOR-Net prints it (arXiv:1603.05279), n the weights
        of the scale; "program" that times n*(1 - 1/inputs), as its program has it; "corrected" the sum of g*a*d and of
        sign(w)/n times the sum of g*sign over the n weights.
    centre : bool
        Whether each latent loses the mean over its input channels, where there are several, before it is clipped
        (XNOR-Net's program).
    weights_as, activations_as : str
        One of `STAGES`: what training computes with instead of few-level values; "tanh" is the first stage of Bitwise
        Neural Networks (arXiv:1601.06071), "real" the latents themselves, or activations between -1 and 1 (or 0 and
        1). Evaluation always uses what would be deployed.
    sparsity : float
        Share of zeros among weights of method "bitwise" with three levels, in [0, 1).
    gradient_bits : int or None
        Bits of the gradients of sums, rounded with noise (DoReFa, arXiv:1606.06160), in layers of few-level weights.
    quantized_backprop : bool
        Whether weight gradients are taken with inputs rounded to powers of two at random (arXiv:1510.03009).
    exponents : tuple of int or None
        Lowest and highest exponent of these; None: any.
    layers : mapping
        By layer name, fields of this class that differ there.

    Raises
    ------
    ValueError
        A value is not allowed; the message names it.
    """

    weight_estimator: Mapping[str, Any] | None = None
    activation_estimator: Mapping[str, Any] | None = None
    clip: float | str | None = 1.0
    initial: str = "uniform"
    weight_gradient: str = "scaled"
    centre: bool = False
    weights_as: str = "quantized"
    activations_as: str = "quantized"
    sparsity: float = 0.0
    gradient_bits: int | None = None
    quantized_backprop: bool = False
    exponents: tuple[int, int] | None = None
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is not allowed, and write estimators and exponents out."""
        for name in ("weight_estimator", "activation_estimator"):
            object.__setattr__(self, name, _estimator(name, getattr(self, name)))
        if isinstance(self.exponents, list):
            object.__setattr__(self, "exponents", tuple(self.exponents))
        rules = {
            "clip": (self.clip in ("glorot", None) or _positive(self.clip), "a positive number, 'glorot', or None"),
            "initial": (self.initial in INITIALS, ", ".join(INITIALS)),
            "weight_gradient": (self.weight_gradient in WEIGHT_GRADIENTS, ", ".join(WEIGHT_GRADIENTS)),
            "centre": (isinstance(self.centre, bool), "true or false"),
            "weights_as": (self.weights_as in STAGES, ", ".join(STAGES)),
            "activations_as": (self.activations_as in STAGES, ", ".join(STAGES)),
            "sparsity": (_number(self.sparsity) and 0 <= self.sparsity < 1, "from 0 to below 1"),
            "gradient_bits": (self.gradient_bits is None or _integer(self.gradient_bits, 1, 16), "1 to 16, or None"),
            "quantized_backprop": (isinstance(self.quantized_backprop, bool), "true or false"),
            "exponents": (_exponents(self.exponents), "two integers from -126 to 127, lowest first, or None"),
            "layers": (isinstance(self.layers, Mapping), "an object of objects by layer name"),
        }
        refuse("", self, rules)
        for layer in self.layers:
            self.of(layer)

    def of(self, layer: str) -> "Method":
        """Return the method of one layer.

        Parameters
        ----------
        layer : str
            Its name.

        Returns
        -------
        Method
            This method with the layer's own choices, and no `layers`.
        """
        changes = self.layers.get(layer, {})
        known = {each.name for each in fields(self)} - {"layers"}
        if not isinstance(changes, Mapping) or not set(changes) <= known:
            raise ValueError(f"layers is {dict(self.layers)!r}, allowed for {layer!r}: {', '.join(sorted(known))}")
        return replace(self, **changes, layers={}) if self.layers else self

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything that differs from the defaults, for a checkpoint."""
        values, usual = asdict(self), asdict(Method())
        if values["exponents"] is not None:
            values["exponents"] = list(values["exponents"])
        return {name: value for name, value in values.items() if value != usual[name]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Method":
        """Read what `to_json` wrote.

        Parameters
        ----------
        values : mapping
            Fields by name; what is missing is as by default.

        Returns
        -------
        Method
            The method.

        Raises
        ------
        ValueError
            A name is unknown or a value not allowed.
        """
        known = [each.name for each in fields(cls)]
        if not isinstance(values, Mapping):
            raise ValueError(f"method is {values!r}, allowed: an object of {', '.join(known)}")
        unknown = set(values) - set(known)
        if unknown:
            raise ValueError(f"unknown fields of a method {sorted(unknown)}")
        return cls(**values)


def _estimator(field_name: str, choice: Any) -> dict[str, Any] | None:
    """Check an estimator's choice and write its defaults out."""
    if choice is None:
        return None
    name = choice.get("name") if isinstance(choice, Mapping) else None
    usual = ESTIMATORS.get(name) if isinstance(name, str) else None
    if usual is None:
        raise ValueError(f"{field_name} is {choice!r}, allowed: an object whose name is one of {', '.join(ESTIMATORS)}")
    usual = {"name": name} | usual | {"draw": None}
    chosen = usual | dict(choice)
    if set(chosen) != set(usual):
        raise ValueError(f"{field_name} is {choice!r}, allowed for {name!r}: {', '.join(usual)}")
    for key, value in chosen.items():
        allowed = {
            "name": True,
            "draw": value in (None, *DRAWS),
            "inclusive": isinstance(value, bool),
        }.get(key, _positive(value) or (value is None and usual[key] is None))
        if not allowed:
            raise ValueError(f"{field_name}: {key} is {value!r}, which is not allowed for {name!r}")
    if name == "approx" and chosen["t_clip"] > 1:
        raise ValueError(f"{field_name}: t_clip is {chosen['t_clip']!r}, allowed for 'approx': at most 1")
    if name == "ede" and chosen["t_min"] > chosen["t_max"]:
        raise ValueError(f"{field_name}: t_min is {chosen['t_min']!r}, allowed: at most t_max, {chosen['t_max']!r}")
    return {
        key: float(value) if isinstance(value, int) and key != "inclusive" else value for key, value in chosen.items()
    }


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _integer(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _exponents(value: Any) -> bool:
    if value is None:
        return True
    pair = isinstance(value, tuple) and len(value) == 2
    return pair and all(_integer(each, -126, 127) for each in value) and value[0] <= value[1]
