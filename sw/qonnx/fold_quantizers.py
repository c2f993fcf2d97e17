"""Folds of quantizers: their steps become thresholds."""

import numpy as np

from signfold.sw.network import Threshold
from signfold.sw.qonnx.graph import Operation, refuse
from signfold.sw.qonnx.line import Line
from signfold.sw.qonnx.operators_numbers import channel_axis
from signfold.sw.qonnx.signal import Signal
from signfold.sw.qonnx.steps import bipolar_steps, fold_steps, quant_steps, threshold_steps
from signfold.sw.qonnx.walk import Walk

__all__ = ["bipolar", "quant", "thresholds"]


def bipolar(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """BipolarQuant."""
    steps = {number: bipolar_steps(operation, number) for number in walk.numbers(operation, 1, signal)}
    return _quantize(walk, operation, signal, [steps[n] for n in walk.numbers(operation, 1, signal)])


def quant(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """Quant and IntQuant."""
    scales, zeros = (walk.numbers(operation, place, signal) for place in (1, 2))
    bits = walk.numbers(operation, 3, signal)[0]
    count = max(len(scales), len(zeros))
    pairs = [(scales[c % len(scales)], zeros[c % len(zeros)]) for c in range(count)]
    steps = {pair: quant_steps(operation, *pair, bits) for pair in dict.fromkeys(pairs)}
    return _quantize(walk, operation, signal, [steps[pair] for pair in pairs])


def thresholds(walk: Walk, operation: Operation, signal: Signal) -> Signal:
    """MultiThreshold."""
    tensor = walk.given(operation, 1)
    axis = channel_axis(operation, len(signal.layout.shape) + 1) - 1
    if tensor is None or len(tensor.shape) != 2 or tensor.shape[0] not in (1, signal.layout.shape[axis]):
        raise refuse(operation, "thresholds must be one row, or one a channel")
    rows = [threshold_steps(operation, tensor.table.at(row).to_list()) for row in tensor.table.index]
    if len(rows) > 1:
        index = np.arange(len(rows)).reshape(-1, *(1,) * (len(signal.layout.shape) - 1 - axis))
        index = np.broadcast_to(index, signal.layout.shape)
        rows = [rows[row] for row in signal.layout.channels_of(operation, index, signal.channels)]
    return _quantize(walk, operation, signal, rows)


def _quantize(walk: Walk, operation: Operation, signal: Signal, steps: list) -> Signal:
    lines = tuple(line.settled(signal.value) for line in signal.lines)
    complemented = steps[0].slope < 0
    if any((step.slope < 0) != complemented or step.top != steps[0].top for step in steps):
        raise refuse(operation, "some channels' scales are negative, others' positive")
    pooled = signal.linear is None
    negative, thresholds = fold_steps(operation, lines, steps, signal.value, pooled=pooled)
    if not pooled and negative.any():
        walk.negate(signal, negative)
    inverted = (negative if pooled else np.zeros_like(negative)) ^ complemented
    node = Threshold(walk.name(operation.name), signal.source, thresholds, inverted if inverted.any() else None)
    value = walk.append(node, signal)
    out = []
    for step in steps:
        if complemented:
            # The code is top - q.
            out.append(Line(-step.slope, step.shift + step.slope * step.top))
        else:
            out.append(Line(step.slope, step.shift))
    what = "flipped" if not pooled else "inverted"
    walk.words = f"thresholds, codes of {value.bits} bits; {int(negative.sum())} channels {what}"
    return Signal(node.name, value, signal.layout, tuple(out))
