"""What layers are of a method: weights, activations and normalizations of a whole network. Free of torch."""

from dataclasses import dataclass

__all__ = ["EPSILON", "LayerChoices"]

#: Added to variances unless a network says otherwise; stored in every layer, so that files do not depend on it.
EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class LayerChoices:
    """Choices that the options of a run and the style of a layer list have alike; `style.Style` checks them.

    Attributes
    ----------
    weight_method : str or None
        One of `style.WEIGHT_METHODS`, for all layers whose weights it makes; None: what `style.WEIGHTS` say by
        themselves.
    weight_scale : str or None
        One of `style.WEIGHT_SCALES`, for all layers with the hidden layers' weights; None: no scale.
    bases : int
        Bases of "multibase" weights, and signs of "bases" activations.
    k_map : bool
        Whether hidden layers with weights are multiplied by the mean magnitude of what they read (XNOR-Net).
    norm : str
        One of `style.NORMS`, for all batch normalizations; a head's cannot be left out.
    norm_fraction : int or None
        Fraction bits that shift-based normalizations of graphs round their offsets and results to; None: they do not.
    epsilon : float
        What these add to variances.
    bias : str or None
        One of `style.BIASES`, for layers of signs or ternary weights; None: no biases.
    activation : str
        One of `style.ACTIVATIONS`.
    activation_scale : str or None
        One of `style.ACTIVATION_SCALES`, for signs.
    activation_shift : str or None
        One of `style.ACTIVATION_SHIFTS`, for signs.
    reduction : int
        Channels a hidden channel of the SE block.
    stochastic : bool
        Whether signs are drawn at random in training.
    """

    weight_method: str | None = None
    weight_scale: str | None = None
    bases: int = 3
    k_map: bool = False
    norm: str = "batch"
    norm_fraction: int | None = None
    epsilon: float = EPSILON
    bias: str | None = None
    activation: str = "bits"
    activation_scale: str | None = None
    activation_shift: str | None = None
    reduction: int = 16
    stochastic: bool = False
