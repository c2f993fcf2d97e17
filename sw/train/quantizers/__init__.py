"""Quantizers of weights, activations and gradients, composed of estimators."""

from signfold.sw.train.quantizers.activations import CodeActivation, CoupledTernary
from signfold.sw.train.quantizers.base import WeightQuantizer, value_of
from signfold.sw.train.quantizers.bitwise import BitwiseWeights
from signfold.sw.train.quantizers.distribution import redistributed, standardized
from signfold.sw.train.quantizers.dorefa import DoReFaWeights
from signfold.sw.train.quantizers.gradients import quantize_gradient, rounded_gradient
from signfold.sw.train.quantizers.make import LEVELS, OWN_ESTIMATORS, make_weight_quantizer, weight_estimator
from signfold.sw.train.quantizers.multibase import MAX_BASES, MultiBaseWeights
from signfold.sw.train.quantizers.powers import approximate_power, approximate_power_through, draw_power
from signfold.sw.train.quantizers.scales import MEANS, SCALES, mean_magnitude, scale_of, scaled
from signfold.sw.train.quantizers.signs import SignWeights
from signfold.sw.train.quantizers.ternary import TernaryConnect, TernaryWeights

__all__ = [
    "LEVELS",
    "MAX_BASES",
    "MEANS",
    "OWN_ESTIMATORS",
    "SCALES",
    "BitwiseWeights",
    "CodeActivation",
    "CoupledTernary",
    "DoReFaWeights",
    "MultiBaseWeights",
    "SignWeights",
    "TernaryConnect",
    "TernaryWeights",
    "WeightQuantizer",
    "approximate_power",
    "approximate_power_through",
    "draw_power",
    "make_weight_quantizer",
    "mean_magnitude",
    "quantize_gradient",
    "redistributed",
    "rounded_gradient",
    "scale_of",
    "scaled",
    "standardized",
    "value_of",
    "weight_estimator",
]
