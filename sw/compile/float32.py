"""What float32 arithmetic makes of a batch normalization: the trained model's own rounding, beside the exact fold.

The documented formula is that of framework kernels for inference, each operation rounded to float32::

    slope = gamma * (1 / sqrt(variance + eps))
    shift = beta - mean * slope
    y     = s * slope + shift

Shift-based batch normalization is ``y = (s - mean) * gamma + beta``. A static shift is added to y.
"""

import importlib.util
from collections.abc import Callable

import numpy as np

from signfold.sw.compile.activation import Activation
from signfold.sw.compile.batch_norm import BatchNorm

__all__ = ["FORMULA", "Evaluator", "add_shift", "choose_evaluator", "evaluate_formula", "round_codes"]

#: Name of the documented formula in reports.
FORMULA = "formula"

#: Maps a layer and float32 sums ``[n, channels]`` to float32 values of the same shape.
Evaluator = Callable[[BatchNorm, np.ndarray], np.ndarray]


def evaluate_formula(norm: BatchNorm, sums: np.ndarray) -> np.ndarray:
    """Evaluate the documented formula.

    Parameters
    ----------
    norm : BatchNorm
        The layer.
    sums : numpy.ndarray
        float32 ``[n, channels]``.

    Returns
    -------
    numpy.ndarray
        float32 ``[n, channels]``; overflows give infinities and NaN, as they would in a framework.
    """
    with np.errstate(all="ignore"):
        if norm.powers is not None:
            return add_shift(norm, (sums - norm.mean) * norm.gamma + norm.beta)
        slope = norm.gamma * (np.float32(1) / np.sqrt(norm.variance + np.float32(norm.eps)))
        shift = norm.beta - norm.mean * slope
        return add_shift(norm, sums * slope + shift)


def add_shift(norm: BatchNorm, values: np.ndarray) -> np.ndarray:
    """Add the static shift of a layer to float32 values ``[n, channels]``, if it has one."""
    return values if norm.shift is None else values + norm.shift


def round_codes(activation: Activation, values: np.ndarray) -> np.ndarray:
    """Return the codes that an activation makes of float32 values, each operation rounded to float32; NaN stays NaN."""
    levels, one = np.float32(activation.levels), np.float32(1)
    match activation.kind:
        case "sign":
            return np.where(np.isnan(values), values, (values >= 0).astype(np.float32))
        case "unsigned":
            return np.rint(np.clip(values, 0, one) * levels)
        case "coupled":
            met = (values > 0.25).astype(np.float32) + (values > 0.75)
            return np.where(np.isnan(values), values, met)
    return np.rint((np.clip(values, -one, one) + one) / np.float32(2) * levels)


def choose_evaluator() -> tuple[str, Evaluator]:
    """Return PyTorch's own kernel where PyTorch is installed, else the documented formula, and its name."""
    if importlib.util.find_spec("torch") is None:
        return FORMULA, evaluate_formula
    from signfold.sw.compile import torch_front

    return torch_front.NAME, torch_front.evaluate_batch_norm
