"""Verifier: checks the integer nodes against the float network, sharing nothing with the passes that made them.

Everything rests on one exact predicate, the sign of ``p + q*sqrt(v)`` for rational numbers: x*abs(x) is increasing, so
it is the sign of ``p*abs(p) + q*abs(q)*v``. The bit of a channel is monotone in its sum, hence two evaluations, just
below the threshold and at it, prove the whole channel.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from signfold.sw.compile.float_network import BatchNorm, FloatDense, FloatNetwork
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Dense, Node, Threshold
from signfold.sw.network.types import shown

__all__ = ["sign_with_root", "verify_body", "verify_head"]


def sign_with_root(p: Fraction, q: Fraction, v: Fraction) -> int:
    """Return the sign, -1, 0 or 1, of ``p + q*sqrt(v)`` for ``v >= 0``."""
    value = p * abs(p) + q * abs(q) * v
    return (value > 0) - (value < 0)


def verify_body(network: FloatNetwork, nodes: Sequence[Node]) -> None:
    """Prove that `nodes` compute the bits and last sums of `network` for every input.

    Raises
    ------
    CompileError
        Naming the layer and channel that differ, the sum at which they do, and both bits.
    """
    expected = 2 + 2 * len(network.hidden)
    if len(nodes) != expected:
        raise CompileError(f"verify: {len(nodes)} nodes for a network of {expected}")
    _pixels(network, nodes[0])
    for index, (dense, norm) in enumerate(network.hidden):
        weights, thresholds = nodes[1 + 2 * index], nodes[2 + 2 * index]
        _bits(dense, norm, weights, thresholds)
    last = nodes[-1]
    if not isinstance(last, Dense):
        raise CompileError(f"verify: layer {shown(network.last.name)} became {last.op}")
    _same_weights(network.last, last.weights, np.zeros(len(network.last.weights), bool))
    _chain(nodes)


def verify_head(network: FloatNetwork, nodes: Sequence[Node]) -> None:
    """Prove that the scores are the raw sums, or an affine of them rounded correctly in each class.

    Raises
    ------
    CompileError
        Naming the layer, class and number that is off.
    """
    _chain(nodes)
    head = network.head
    if not isinstance(head, BatchNorm):
        if not isinstance(nodes[-1], Dense):
            raise CompileError(f"verify: layer {shown(network.last.name)}: scores must be its sums, not {nodes[-1].op}")
        return
    node = nodes[-1]
    if not isinstance(node, Affine) or len(node.scale) != head.channels:
        raise CompileError(f"verify: layer {shown(head.name)} must become an affine of {head.channels} classes")
    half = Fraction(1, 2)
    for channel in range(head.channels):
        gamma, beta, mean, spread = _channel(head, channel)
        # Both roundings after multiplying by sqrt(spread): c - 1/2 <= value*2**fraction < c + 1/2.
        for what, stored, rational, rooted in (
            ("scale", node.scale, gamma, Fraction(0)),
            ("offset", node.offset, -gamma * mean, beta),
        ):
            number = int(stored[channel])
            unit = 1 << node.fraction
            low = sign_with_root(rational * unit, rooted * unit - (number - half), spread)
            high = sign_with_root(rational * unit, rooted * unit - (number + half), spread)
            if low < 0 or high >= 0:
                raise CompileError(
                    f"verify: layer {shown(head.name)}: {what} {number} of class {channel} is not the rounded value"
                )


def _channel(norm: BatchNorm, channel: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Return gamma, beta, mean and variance + eps of a channel as rationals."""
    gamma, beta, mean, variance = (
        Fraction(float(values[channel])) for values in (norm.gamma, norm.beta, norm.mean, norm.variance)
    )
    return gamma, beta, mean, variance + Fraction(norm.eps)


def _pixels(network: FloatNetwork, node: Node) -> None:
    layer = network.pixels
    if not isinstance(node, Threshold) or node.thresholds.shape != (len(layer.thresholds), 1):
        raise CompileError(f"verify: layer {shown(layer.name)} must become {len(layer.thresholds)} thresholds")
    for channel, (trained, folded) in enumerate(
        zip(layer.thresholds.tolist(), node.thresholds[:, 0].tolist(), strict=True)
    ):
        for pixel in range(1 << network.input.bits):
            if (pixel >= trained) != (pixel >= folded):
                raise CompileError(
                    f"verify: layer {shown(layer.name)} channel {channel}: threshold {folded} differs from {trained} "
                    f"at pixel {pixel}"
                )


def _bits(dense: FloatDense, norm: BatchNorm, weights: Node, thresholds: Node) -> None:
    """Check a hidden layer channel by channel."""
    channels = len(dense.weights)
    if not isinstance(weights, Dense):
        raise CompileError(f"verify: layer {shown(dense.name)} became {weights.op}")
    if not isinstance(thresholds, Threshold) or thresholds.thresholds.shape != (channels, 1):
        raise CompileError(f"verify: layer {shown(norm.name)} must become {channels} thresholds")
    flipped = _same_weights(dense, weights.weights, norm.gamma < 0)
    fan_in = dense.fan_in
    for channel in range(channels):
        gamma, beta, mean, spread = _channel(norm, channel)
        threshold = int(thresholds.thresholds[channel, 0])
        if not -fan_in <= threshold <= fan_in + 2 or (threshold - fan_in) % 2:
            raise CompileError(
                f"verify: layer {shown(norm.name)} channel {channel}: threshold {threshold} must be one of {-fan_in}, "
                f"{2 - fan_in}, ..., {fan_in + 2}"
            )
        # Attainable sums around the threshold, and the ends, which also settle constant channels.
        for folded_sum in {threshold - 2, threshold, -fan_in, fan_in}:
            if not -fan_in <= folded_sum <= fan_in:
                continue
            trained_sum = -folded_sum if flipped[channel] else folded_sum
            trained = sign_with_root(gamma * (trained_sum - mean), beta, spread) >= 0
            if trained != (folded_sum >= threshold):
                raise CompileError(
                    f"verify: layer {shown(norm.name)} channel {channel}: threshold {threshold} gives bit "
                    f"{int(not trained)} at sum {folded_sum}, the trained parameters give {int(trained)}"
                )


def _same_weights(dense: FloatDense, weights: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """Check weight bits against the signs of the latent weights; return which channels are flipped."""
    if weights.shape != dense.weights.shape:
        raise CompileError(f"verify: layer {shown(dense.name)}: weights {weights.shape} of {dense.weights.shape}")
    # -0.0 is not less than 0: it is +1.
    wanted = np.where(dense.weights < 0, 0, 1) != flipped[:, None]
    wrong = np.argwhere(weights != wanted)
    if len(wrong):
        channel, position = (int(index) for index in wrong[0])
        raise CompileError(
            f"verify: layer {shown(dense.name)} channel {channel}: weight {position} is "
            f"{int(weights[channel, position])}, latent {float(dense.weights[channel, position])}, "
            f"flipped {bool(flipped[channel])}"
        )
    return flipped


def _chain(nodes: Sequence[Node]) -> None:
    previous = "input"
    for node in nodes:
        if node.input != previous:
            raise CompileError(f"verify: node {shown(node.name)} reads {shown(node.input)}, not {shown(previous)}")
        previous = node.name
