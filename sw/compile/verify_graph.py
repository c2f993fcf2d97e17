"""Verifier: computes every trained layer in double precision from what the integer network carries, and compares.

Each layer reads the real numbers that the integers before it stand for, so that a difference shows where it arises, and
no rounding adds up. Sums, pools, branches and activations must agree but for the noise of doubles; conversions to fixed
point and to codes within half a unit of theirs. It shares no arithmetic with the passes that made the nodes.
"""

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.carried import Carried
from signfold.sw.compile.float_graph import FloatGraph
from signfold.sw.compile.float_layers import AveragePooling, FloatLayer, MaxPooling, PixelCodes, PixelThresholds
from signfold.sw.compile.graph_fold import FoldedGraph
from signfold.sw.compile.graph_layers import Clip, Join, Shortcut, Total
from signfold.sw.compile.linear_layers import FloatConv, FloatDense
from signfold.sw.compile.window import Window
from signfold.sw.errors import CompileError
from signfold.sw.network import Network, Quantize, Scale
from signfold.sw.network.types import shown

__all__ = ["verify_graph"]

#: Noise of doubles, as a share of the largest number.
_NOISE = 1e-9


def verify_graph(graph: FloatGraph, folded: FoldedGraph, network: Network, frames: np.ndarray) -> None:
    """Compare all layers of a graph on frames, uint8 ``[n, *shape]``.

    Raises
    ------
    CompileError
        Naming the layer that differs, where it does, and both numbers.
    """
    frames = frames.reshape(-1, *network.input.shape)
    integers = {"input": frames.astype(np.int64), **network.trace(frames)}
    reals = _Reals(network, integers)
    for step in graph.body:
        layer = step.layer
        if layer.name not in folded.values or folded.values[layer.name].source not in integers:
            continue  # nothing reads it
        read = [reals.of(value) for value in folded.reads[layer.name]]
        for source, value, found in zip(step.inputs, folded.reads[layer.name], read, strict=False):
            _converted(source, folded.values[source], value, found, reals, network)
        wanted = _compute(layer, read, folded.reads[layer.name], frames, network)
        found = reals.of(folded.values[layer.name])
        _compare(layer.name, "gives", wanted, found, _NOISE * (1 + np.abs(wanted).max()), _edges(layer, read))


class _Reals:
    """Real numbers that integers stand for."""

    def __init__(self, network: Network, integers: dict[str, np.ndarray]) -> None:
        self._network, self._integers = network, integers

    def of(self, value: Carried) -> np.ndarray:
        """Return them, float64 ``[n, channels, ...]``."""
        kind, integers = self._network.types[value.source], self._integers[value.source]
        numbers = (2 * integers - kind.high if kind.kind == "code" else integers).astype(np.float64)
        channels, across = numbers.shape[1], (-1, *(1,) * (numbers.ndim - 2))
        offset = np.array([float(value.meaning.offset(channel)) for channel in range(channels)]).reshape(across)
        scale = np.array([float(value.meaning.scale(channel)) for channel in range(channels)]).reshape(across)
        numbers = scale * (numbers + offset) / float(value.meaning.divisor)
        if value.norm is not None:
            numbers = _normalize(value.norm, numbers)
        low = -np.inf if value.low is None else float(value.low)
        return numbers.clip(low, np.inf if value.high is None else float(value.high))


def _converted(name: str, before: Carried, after: Carried, found: np.ndarray, reals: _Reals, network: Network) -> None:
    """Check a value that was brought to fixed point, or to codes."""
    if before.source == after.source:
        return
    node, wanted = network.node(after.source), reals.of(before)
    if isinstance(node, (Scale, Quantize)):
        unit = 1 / float(after.meaning.divisor) * (2 if isinstance(node, Quantize) else 1)
        if isinstance(node, Quantize):
            # What lies beyond the codes becomes the nearest.
            ends = (np.array([-1, 1]) * network.types[node.name].high + float(after.meaning.offset(0))) * unit / 2
            wanted = wanted.clip(*ends)
        # Half a unit, and what rounded multipliers and offsets add.
        source = network.types[node.input]
        reach = (max(-source.low, source.high) + 1) / 2 ** (node.shift + 1)
        _compare(name, "is carried as", wanted, found, unit * (0.5 + reach) + _NOISE, None)
    else:
        _compare(name, "is carried as", wanted, found, _NOISE * (1 + np.abs(wanted).max()), None)


def _compare(
    name: str, verb: str, wanted: np.ndarray, found: np.ndarray, tolerance: float, edges: np.ndarray | None
) -> None:
    if wanted.shape != found.shape:
        raise CompileError(f"verify: layer {shown(name)} {verb} shape {found.shape[1:]}, not {wanted.shape[1:]}")
    wrong = np.abs(wanted - found) > tolerance
    if edges is not None:
        wrong &= ~edges
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise CompileError(
            f"verify: layer {shown(name)} {verb} {found[place]:.9g} at {list(place)}, where the trained layer gives "
            f"{wanted[place]:.9g}"
        )


def _edges(layer: FloatLayer, read: list[np.ndarray]) -> np.ndarray | None:
    """Return where an activation's argument lies so near to a step that doubles cannot tell the side."""
    if not isinstance(layer, BatchNorm) or layer.activation is None:
        return None
    numbers = _normalize(layer, read[0])
    steps = [float(layer.activation.step(level)[0]) for level in range(1, layer.activation.levels + 1)]
    return np.min([np.abs(numbers - step) for step in steps], axis=0) <= _NOISE * (1 + np.abs(numbers).max())


def _normalize(norm: BatchNorm, numbers: np.ndarray) -> np.ndarray:
    across = (-1, *(1,) * (numbers.ndim - 2))
    slopes, mean, constants = (v.reshape(across) for v in (norm.slopes, norm.mean.astype(float), norm.constants))
    return slopes * (numbers - mean) + constants


def _compute(
    layer: FloatLayer, read: list[np.ndarray], values: tuple[Carried, ...], frames: np.ndarray, network: Network
) -> np.ndarray:
    """Compute a trained layer."""
    match layer:
        case PixelThresholds():
            across = (-1, *(1,) * (frames.ndim - 2))
            return np.where(frames >= layer.thresholds.reshape(across), 1.0, -1.0)
        case PixelCodes():
            if layer.divisor is not None:
                return (2.0 * frames - network.types["input"].high) / layer.divisor
            across = (-1, *(1,) * (frames.ndim - 2))
            mean, std = (v.astype(float).reshape(across) for v in (layer.mean, layer.std))
            return (frames / network.types["input"].high - mean) / std
        case FloatDense():
            return read[0].reshape(len(frames), -1) @ _weights(layer).T
        case FloatConv():
            return _convolve(layer, read[0], _pad(layer, values[0], network))
        case BatchNorm(activation=None):
            return _normalize(layer, read[0])
        case BatchNorm():
            numbers, activation = _normalize(layer, read[0]), layer.activation
            codes = np.zeros(numbers.shape)
            for level in range(1, activation.levels + 1):
                step, inclusive = activation.step(level)
                codes += numbers >= float(step) if inclusive else numbers > float(step)
            opposite = activation.top - codes if activation.complemented else codes
            return (2 * opposite - activation.top + activation.offset) / float(activation.divisor)
        case Clip():
            low = -np.inf if layer.low is None else float(layer.low)
            return read[0].clip(low, np.inf if layer.high is None else float(layer.high))
        case AveragePooling():
            return _windows(read[0], layer.window, 0.0).mean(axis=(-2, -1))
        case MaxPooling():
            return _windows(read[0], layer.window, -np.inf).max(axis=(-2, -1))
        case Shortcut():
            picked = read[0][:, :, :: layer.stride, :: layer.stride]
            return np.pad(picked, [(0, 0), (0, layer.channels - picked.shape[1]), (0, 0), (0, 0)])
        case Total():
            return np.sum(read, axis=0)
        case Join():
            return np.concatenate(read, axis=1)
    raise TypeError(f"no check for {type(layer).__name__}")


def _weights(layer: FloatDense | FloatConv) -> np.ndarray:
    factors = np.resize([float(factor) for factor in layer.factors], layer.channels)
    integers = layer.integers.astype(np.float64) / layer.divisor
    return integers * factors.reshape(-1, *(1,) * (integers.ndim - 1))


def _pad(layer: FloatConv, value: Carried, network: Network) -> float:
    """Return the real number that pads are."""
    if layer.pad is None:
        return 0.0
    top = network.types[value.source].high
    return (2 * layer.pad - top + float(value.meaning.offset(0))) / float(value.meaning.divisor)


def _convolve(layer: FloatConv, image: np.ndarray, pad: float) -> np.ndarray:
    windows, weights = _windows(image, layer.window, pad), _weights(layer)
    if layer.groups > 1:
        return np.einsum("ncyxhw,chw->ncyx", windows, weights[:, 0])
    return np.einsum("ncyxhw,ochw->noyx", windows, weights, optimize=True)


def _windows(image: np.ndarray, window: Window, pad: float) -> np.ndarray:
    """Return views ``[n, channels, rows, columns, height, width]`` of the padded image."""
    top, bottom, left, right = window.padding
    padded = np.pad(image, [(0, 0), (0, 0), (top, bottom), (left, right)], constant_values=pad)
    views = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=(2, 3))
    return views[:, :, :: window.stride[0], :: window.stride[1]]
