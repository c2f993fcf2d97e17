"""The quantizer that a layer list's `weights` entry and a method ask for."""

from collections.abc import Mapping
from typing import Any

from signfold.sw.train.estimators import Estimator, make_estimator
from signfold.sw.train.method import ESTIMATORS, Method
from signfold.sw.train.quantizers.base import WeightQuantizer
from signfold.sw.train.quantizers.bitwise import BitwiseWeights
from signfold.sw.train.quantizers.dorefa import DoReFaWeights
from signfold.sw.train.quantizers.multibase import MAX_BASES, MultiBaseWeights
from signfold.sw.train.quantizers.signs import SignWeights
from signfold.sw.train.quantizers.ternary import TernaryConnect, TernaryWeights

__all__ = ["LEVELS", "OWN_ESTIMATORS", "make_weight_quantizer", "weight_estimator"]

#: Levels that DoReFa rounds to.
_POWERS = tuple(1 << bits for bits in range(2, 17))

#: Methods and the levels that they make; 0 are the latents themselves.
LEVELS: dict[str, tuple[int, ...]] = {
    "sign": (2,),
    "stochastic": (0, 2),
    "bitwise": (2, 3),
    "ternary": (3,),
    "ternary-connect": (0, 3),
    "dorefa": _POWERS,
    "libra": (2,),
    "wsd": (2,),
    "multibase": (2,),
    "real": (0,),
}

#: Estimators that methods were published with.
OWN_ESTIMATORS = {
    "sign": "clipped",
    "stochastic": "identity",
    "bitwise": "identity",
    "ternary": "identity",
    "ternary-connect": "identity",
    "dorefa": "identity",
    "libra": "ede",
    "wsd": "ede",
    "multibase": "identity",
    "real": "identity",
}


def weight_estimator(name: str, method: Method) -> Estimator:
    """Return the estimator of a layer's weights.

    Parameters
    ----------
    name : str
        Method of the weights, one of `LEVELS`.
    method : Method
        Choices of training; those of `weight_estimator` come before what the weights were published with.

    Returns
    -------
    Estimator
        With a draw where the weights are stochastic.
    """
    own = OWN_ESTIMATORS[name]
    choice = method.weight_estimator or {"name": own, **ESTIMATORS[own], "draw": None}
    if name == "stochastic" and choice["draw"] is None:
        choice = {**choice, "draw": "hard-sigmoid"}
    return make_estimator(choice)


def make_weight_quantizer(weights: Mapping[str, Any], method: Method, span: float) -> WeightQuantizer | None:
    """Make the quantizer of a layer.

    Parameters
    ----------
    weights : mapping
        The layer's `weights` entry: `levels`, `method` and parameters.
    method : Method
        Choices of training.
    span : float
        Range of the latents, H.

    Returns
    -------
    WeightQuantizer or None
        None for real weights that training does not draw either.

    Raises
    ------
    ValueError
        The entry names no known method, or one that does not make so many levels.
    """
    levels = weights.get("levels", 2)
    name = weights.get("method", "sign" if levels else "real")
    if levels not in LEVELS.get(name, ()):
        known = "; ".join(f"{each!r} of {', '.join(map(str, made))} levels" for each, made in LEVELS.items())
        raise ValueError(f"weights are {dict(weights)!r}, allowed: {known}")
    if name in ("real", "dorefa"):
        return DoReFaWeights(levels) if levels else None
    estimator = weight_estimator(name, method)
    match name:
        case "bitwise":
            return BitwiseWeights(levels, method.sparsity, estimator)
        case "ternary":
            return TernaryWeights(weights.get("delta", 0.7), estimator)
        case "ternary-connect":
            return TernaryConnect(span, estimator)
        case "multibase":
            bases = weights.get("bases")
            if not isinstance(bases, int) or not 1 <= bases <= MAX_BASES:
                raise ValueError(f"weights are {dict(weights)!r}, allowed for bases: 1 to {MAX_BASES}")
            return MultiBaseWeights(bases, weights.get("scale") == "channel", estimator)
    return SignWeights(estimator, span)
