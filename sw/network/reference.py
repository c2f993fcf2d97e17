"""A second, slow evaluation of integer networks: plain integer sums, sharing nothing with the golden model.

For checks: it follows the number contract word by word and is read more easily than it runs.
"""

import numpy as np

from signfold.sw.network.nodes import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    MaxPool,
    PadChannels,
    Quantize,
    Scale,
    SumPool,
    Threshold,
)

__all__ = ["reference_trace"]


def reference_trace(network, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate every node of `network` in int64, window by window.

    Parameters
    ----------
    network : Network
        The network.
    frames : numpy.ndarray
        Codes ``[n, *shape]`` within the range of the input.

    Returns
    -------
    dict of str to numpy.ndarray
        int64 result of every node by name.
    """
    values = {"input": np.asarray(frames).astype(np.int64).reshape(-1, *network.input.shape)}
    # Largest code of every value that is codes; sums are not in it.
    top_codes = {"input": 2**network.input.bits - 1}
    for node in network.nodes:
        value = values[node.inputs[0]]
        top = top_codes.get(node.inputs[0])
        if isinstance(node, Threshold):
            levels = node.thresholds.shape[1]
            rows = np.moveaxis(value, 1, -1)[..., None] >= node.thresholds
            codes = rows.sum(axis=-1)
            if node.inverted is not None:
                codes = np.where(node.inverted, levels - codes, codes)
            result = np.moveaxis(codes, -1, 1)
            top_codes[node.name] = levels
        elif isinstance(node, Dense):
            weights = 2 * node.weights.astype(np.int64) - (node.levels - 1)
            result = (2 * value.reshape(len(value), node.weights.shape[1]) - top) @ weights.T
        elif isinstance(node, Conv):
            result = _convolve(node, value, top)
        elif isinstance(node, MaxPool):
            result = _by_window(node, value, lambda window: window.max(axis=(2, 3)))
            if top is not None:
                top_codes[node.name] = top
        elif isinstance(node, SumPool):
            summands = value if top is None else 2 * value - top
            result = _by_window(node, summands, lambda window: window.sum(axis=(2, 3)))
        elif isinstance(node, Affine):
            result = node.scale * value.reshape(len(value), len(node.scale)) + node.offset
        elif isinstance(node, (Scale, Quantize)):
            # Python's integers, of any length, and its division, which rounds down.
            channel = (slice(None), *[None] * (value.ndim - 2))
            exact = value.astype(object) * node.multiplier.astype(object)[channel] + node.offset.astype(object)[channel]
            exact //= 2**node.shift
            low, high = (0, 2**node.bits - 1) if isinstance(node, Quantize) else (node.low, node.high)
            if low is not None:
                exact = np.minimum(np.maximum(exact, low), high)
            result = exact.astype(np.int64)
            if isinstance(node, Quantize):
                top_codes[node.name] = high
        elif isinstance(node, Add):
            result = sum(values[name] for name in node.sources)
        elif isinstance(node, Concat):
            result = np.concatenate([values[name] for name in node.sources], axis=1)
            if top is not None:
                top_codes[node.name] = top
        elif isinstance(node, PadChannels):
            result = np.zeros((len(value), node.before + value.shape[1] + node.after, *value.shape[2:]), np.int64)
            result[:, node.before : node.before + value.shape[1]] = value
        else:
            raise TypeError(f"no reference for {type(node).__name__}")
        values[node.name] = result
    del values["input"]
    return values


def _convolve(node: Conv, codes: np.ndarray, top: int) -> np.ndarray:
    """Sum products output by output, on an image that is really padded."""
    count, channels, height, width = codes.shape
    above, below, left, right = node.padding
    fill = 0 if node.pad is None else 2 * node.pad - top
    image = np.full((count, channels, above + height + below, left + width + right), fill, np.int64)
    image[:, :, above : above + height, left : left + width] = 2 * codes - top
    weights = 2 * node.weights.astype(np.int64) - (node.levels - 1)
    outputs, inputs, rows, columns = weights.shape
    lines = []
    for y in range(0, image.shape[2] - rows + 1, node.stride[0]):
        line = []
        for x in range(0, image.shape[3] - columns + 1, node.stride[1]):
            window = image[:, :, y : y + rows, x : x + columns]
            sums = []
            for channel in range(outputs):
                first = channel // (outputs // node.groups) * inputs
                products = window[:, first : first + inputs] * weights[channel]
                sums.append(products.sum(axis=(1, 2, 3)))
            line.append(np.stack(sums, axis=1))
        lines.append(np.stack(line, axis=2))
    return np.stack(lines, axis=2)


def _by_window(node: MaxPool | SumPool, image: np.ndarray, reduce) -> np.ndarray:
    """Reduce what of each window lies inside the image."""
    above, below, left, right = node.padding
    (rows, columns), (down, across) = node.kernel, node.stride
    height, width = image.shape[2:]
    lines = []
    for y in range(-above, height + below - rows + 1, down):
        line = []
        for x in range(-left, width + right - columns + 1, across):
            line.append(reduce(image[:, :, max(y, 0) : max(y + rows, 0), max(x, 0) : max(x + columns, 0)]))
        lines.append(np.stack(line, axis=2))
    return np.stack(lines, axis=2)
