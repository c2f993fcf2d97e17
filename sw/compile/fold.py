"""Pass: batch normalization and sign become one integer threshold a channel, exactly.

The bit of a channel is ``gamma*(s - mean)/sqrt(v) + beta >= 0`` with ``v = variance + eps``. All parameters are
float32, that is, multiples of 2**-149, so after multiplying by sqrt(v) > 0 the comparison is decided in integers by
comparing squares; no square root is taken and nothing is rounded. The bit is monotone in s, so one threshold says all.

A negative gamma reverses the comparison: the channel's weight bits are flipped, which negates s, and ">=" stays.
"""

from fractions import Fraction

import numpy as np

from signfold.sw.compile.float_network import BatchNorm, FloatNetwork
from signfold.sw.network import Dense, Node, Threshold

__all__ = ["fold_body", "fold_channel", "fold_norm"]

#: float32 numbers are multiples of 2**-UNIT.
UNIT = 149


def _units(value: float) -> int:
    """Return a float32 `value` as a multiple of 2**-149."""
    scaled = Fraction(value) * (1 << UNIT)
    if scaled.denominator != 1:
        raise ValueError(f"{value!r} is not a float32 number")
    return scaled.numerator


def fold_channel(gamma: float, beta: float, mean: float, variance: float, eps: float, fan_in: int) -> tuple[bool, int]:
    """Fold one channel.

    Parameters
    ----------
    gamma, beta, mean, variance, eps : float
        float32 numbers, finite, ``variance + eps > 0``.
    fan_in : int
        Products in the sum s: it is ``2*p - fan_in`` with p from 0 to `fan_in`.

    Returns
    -------
    bool
        Flip the channel's weight bits (gamma < 0).
    int
        Canonical threshold T for the sum after the flip: ``-fan_in`` fires always, ``fan_in + 2`` never.
    """
    if gamma == 0:
        return False, -fan_in if beta >= 0 else fan_in + 2
    flip = gamma < 0
    scale, offset, spread = abs(_units(gamma)), _units(beta), _units(variance) + _units(eps)
    center = -_units(mean) if flip else _units(mean)
    # p >= -q*sqrt(v): p counts 2**-298, q*q*v counts 2**-447 and is brought to the 2**-596 of p*p.
    reach = offset * offset * spread << UNIT

    def fires(ones: int) -> bool:
        product = scale * (((2 * ones - fan_in) << UNIT) - center)
        if offset >= 0:
            return product >= 0 or product * product <= reach
        return product > 0 and product * product >= reach

    low, high = 0, fan_in + 1  # smallest p that fires, or fan_in + 1
    while low < high:
        middle = (low + high) // 2
        if fires(middle):
            high = middle
        else:
            low = middle + 1
    return flip, 2 * low - fan_in


def fold_norm(norm: BatchNorm, fan_in: int) -> tuple[np.ndarray, np.ndarray]:
    """Fold a layer's batch normalization and sign.

    Returns
    -------
    numpy.ndarray
        bool ``[channels]``: flip the channel's weight bits.
    numpy.ndarray
        int64 ``[channels]``: canonical thresholds.
    """
    parameters = (norm.gamma, norm.beta, norm.mean, norm.variance)
    rows = zip(*(values.tolist() for values in parameters), strict=True)
    folded = [fold_channel(*row, norm.eps, fan_in) for row in rows]
    return np.array([flip for flip, _ in folded], bool), np.array([threshold for _, threshold in folded], np.int64)


def fold_body(network: FloatNetwork) -> tuple[Node, ...]:
    """Fold everything up to the sums of the last dense layer.

    Pixel thresholds keep their meaning and become canonical: 0 (always) to ``2**bits`` (never).
    """
    thresholds = np.clip(network.pixels.thresholds, 0, 1 << network.input.bits)
    # One threshold for all channels, or one an element: frames are flat.
    nodes: list[Node] = [Threshold(network.pixels.name, "input", thresholds[:, None])]
    for dense, norm in network.hidden:
        flip, thresholds = fold_norm(norm, dense.fan_in)
        nodes.append(Dense(dense.name, nodes[-1].name, dense.bits ^ flip[:, None].astype(np.uint8)))
        nodes.append(Threshold(norm.name, dense.name, thresholds[:, None]))
    nodes.append(Dense(network.last.name, nodes[-1].name, network.last.bits))
    return tuple(nodes)
