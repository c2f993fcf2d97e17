"""Everything about a network's layers that its topology leaves open. Free of torch."""

from dataclasses import dataclass
from typing import Any

from signfold.sw.train.choices import refuse
from signfold.sw.train.layer_choices import LayerChoices

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_SCALES",
    "ACTIVATION_SHIFTS",
    "BIASES",
    "FIRST",
    "HEADS",
    "NORMS",
    "PADS",
    "POOL_ORDERS",
    "TERNARY_DELTA",
    "WEIGHTS",
    "WEIGHT_METHODS",
    "WEIGHT_SCALES",
    "Style",
]

#: What follows the last layer with weights: one scale common to all classes, or batch normalization a class.
HEADS = ("scale", "batchnorm")

#: What the first layer reads: bits at thresholds, or the pixels themselves.
FIRST = ("bits", "codes")

#: What stands in the padded places of convolutions: the real number 0, or what the lowest or highest code stands for.
PADS = ("zero", "low", "high")

#: Whether pooling comes before batch normalization or after the activation.
POOL_ORDERS = ("before", "after")

#: Weights by name: bits, three levels, or the latents themselves.
WEIGHTS = ("1", "2", "3", "4", "5", "6", "7", "8", "ternary", "real")

#: How few-level weights come from latents, each with the `WEIGHTS` that it makes.
WEIGHT_METHODS: dict[str, tuple[str, ...]] = {
    "sign": ("1",),
    # BinaryConnect: products of random signs in training; with "real" the latents themselves outside of it. So too
    # ternary connect.
    "stochastic": ("1", "real"),
    "bitwise": ("1", "ternary"),
    "ternary": ("ternary",),
    "ternary-connect": ("ternary", "real"),
    "dorefa": ("2", "3", "4", "5", "6", "7", "8"),
    "libra": ("1",),
    "wsd": ("1",),
    "multibase": ("1",),
    "real": ("real",),
}

#: What multiplies few-level weights: mean magnitude of a channel or a layer, a power of two a channel, a parameter, the
#: range of the latents.
WEIGHT_SCALES = ("channel", "layer", "shift", "trained", "range")

#: Batch normalization: the usual one, that of powers of two (shift-based), or none before activations.
NORMS = ("batch", "shift", "none")

#: Fraction bits that leave float32 exact: sums have 12 bits at most, and powers of two a few below 1.
MAX_FRACTION = 12

#: What is added to the sums of few-level weights: -1 or +1 a channel.
BIASES = ("bits",)

#: Activations: signs or codes of several bits; {0, 1}; the levels 0, 1/2, 1 (BinaryDuo, coupled); each of these as
#: a pair of {0, 1} (decoupled); several signs of each value with trained factors (ABC-Net); real numbers.
ACTIVATIONS = ("bits", "zero-one", "coupled", "decoupled", "bases", "relu")

#: What multiplies signs.
ACTIVATION_SCALES = ("trained",)

#: What is added before signs are taken: a constant a channel, or what a small network makes of each picture (SE block).
ACTIVATION_SHIFTS = ("static", "se")

#: Weights that biases go with.
_BIASED = ("1", "ternary")

#: Ternary weights are 0 up to this share of the layer's mean magnitude (arXiv:1605.04711).
TERNARY_DELTA = 0.7


@dataclass(frozen=True)
class Style(LayerChoices):
    """Everything about layers that a topology leaves open.

    Attributes
    ----------
    head : str
        One of `HEADS`.
    weights, first_weights, last_weights : str
        One of `WEIGHTS`: hidden layers, the first one, the classifier.
    activations : int
        Bits of an activation, 1 to 8; one bit is the sign.
    signed : bool
        Whether activations of several bits stand for -1..1 instead of 0..1.
    pad : str
        One of `PADS`.
    pool : str
        One of `POOL_ORDERS`.
    thresholds : tuple of int or None
        Thresholds of the pixels; None: the first layer reads the pixels themselves.
    weight_method, weight_scale, bases, k_map, norm, epsilon, bias, activation, ...
        See `LayerChoices`.

    Raises
    ------
    ValueError
        Choices exclude each other.
    """

    head: str = "scale"
    weights: str = "1"
    first_weights: str = "1"
    last_weights: str = "1"
    activations: int = 1
    signed: bool = False
    pad: str = "zero"
    pool: str = "before"
    thresholds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse choices that exclude each other."""
        made = WEIGHT_METHODS.get(self.weight_method or "", WEIGHTS)
        signs = self.activation == "bits" and self.activations == 1
        plain = signs and self.activation_scale is None and self.activation_shift is None and not self.stochastic
        rules = {
            "weight_method": (self.weights in made, f"one that makes weights {self.weights!r}"),
            "weight_scale": (self.weight_scale is None or self.weights != "real", "none for real weights"),
            "activation": (self.activation == "bits" or self.activations == 1, "'bits' where activations is above 1"),
            "activation_scale": (self.activation_scale is None or signs, "none unless activations are signs"),
            "activation_shift": (self.activation_shift is None or signs, "none unless activations are signs"),
            "stochastic": (not self.stochastic or signs, "false unless activations are signs"),
            "k_map": (not self.k_map or plain, "false unless activations are signs without scale, shift and draws"),
            "norm": (
                self.norm != "none" or self.head == "scale" and not self.k_map,
                "'none' with head 'scale', no k_map",
            ),
            "norm_fraction": (
                self.norm_fraction is None or (self.norm == "shift" and 0 <= self.norm_fraction <= MAX_FRACTION),
                f"none, or with norm 'shift' 0 to {MAX_FRACTION}",
            ),
            "epsilon": (0 < self.epsilon <= 1, "above 0 and at most 1"),
            "bias": (
                self.bias is None or self._takes_biases(),
                "none unless weights are '1' or 'ternary', without scale",
            ),
            "bases": (self.bases >= 1, "1 or more"),
            "reduction": (self.reduction >= 1, "1 or more"),
        }
        refuse("", self, rules)

    def weight_entry(self, weights: str) -> dict[str, Any]:
        """Return what a layer's entry says of weights called `weights`, and of biases: empty for plain signs alone."""
        method = self.weight_method
        if method is None or weights not in WEIGHT_METHODS[method]:
            method = {"1": "sign", "ternary": "ternary", "real": "real"}.get(weights, "dorefa")
        levels = {"ternary": 3, "real": 0}.get(weights) if not weights.isdigit() else 1 << int(weights)
        entry: dict[str, Any] = {"levels": levels, "method": method}
        if method == "ternary":
            entry["delta"] = TERNARY_DELTA
        if method == "multibase":
            entry["bases"] = self.bases
        if self.weight_scale is not None and weights == self.weights:
            entry["scale"] = self.weight_scale
        found: dict[str, Any] = {} if entry == {"levels": 2, "method": "sign"} else {"weights": entry}
        return found | ({"bias": self.bias} if self.bias is not None and weights in _BIASED else {})

    def _takes_biases(self) -> bool:
        """Whether biases of -1 and +1 are of the same unit as the sums that they are added to."""
        plain = self.weight_scale is None and self.weight_method != "multibase" and not self.k_map
        return plain and self.weights in _BIASED

    def norm_entry(self, kind: str, name: str) -> dict[str, Any]:
        """Return a batch normalization's entry."""
        entry: dict[str, Any] = {"kind": kind, "name": name, "eps": self.epsilon}
        if self.norm == "batch":
            return entry
        # Signs are exact whatever they are taken of; it is real results that are added and clipped.
        rounded = {} if self.norm_fraction is None or kind != "batchnorm" else {"fraction": self.norm_fraction}
        return entry | {"norm": self.norm} | rounded

    def activation_entry(self) -> tuple[str, dict[str, Any]]:
        """Return what an activation is called after "batchnorm_", and what its entry says besides."""
        if self.activation == "relu":
            return "relu", {}
        if self.activation == "bases":
            return "bases", {"bases": self.bases}
        if self.activation == "coupled":
            return "quant", {"levels": 3, "signed": False}
        if self.activation != "bits":
            return "quant", {"bits": 1, "signed": False}
        if self.activations > 1:
            return "quant", {"bits": self.activations, "signed": self.signed}
        entry: dict[str, Any] = {}
        if self.activation_scale is not None:
            entry["scale"] = self.activation_scale
        if self.activation_shift is not None:
            entry["shift"] = self.activation_shift
            if self.activation_shift == "se":
                entry["reduction"] = self.reduction
        if self.stochastic:
            entry["stochastic"] = True
        return "sign", entry

    @property
    def highest_code(self) -> int:
        """Highest code of an activation, 0 of real ones."""
        return {"relu": 0, "bases": 0, "coupled": 2}.get(self.activation, (1 << self.activations) - 1)
