"""A second, slow evaluation of integer networks: plain integer sums, sharing nothing with the golden model.

For checks: it follows the number contract word by word and is read more easily than it runs.
"""

import numpy as np

from signfold.sw.network.nodes import Affine, Dense, Threshold

__all__ = ["reference_trace"]


def reference_trace(network, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate every node of `network` with integer matrix products.

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
    top_codes = {"input": 2**network.input.bits - 1}
    for node in network.nodes:
        value = values[node.input]
        if isinstance(node, Threshold):
            rows = np.moveaxis(value, 1, -1)[..., None] >= node.thresholds
            values[node.name] = np.moveaxis(rows.sum(axis=-1), -1, 1)
            top_codes[node.name] = node.thresholds.shape[1]
        elif isinstance(node, Dense):
            bipolar = 2 * value.reshape(len(value), -1) - top_codes[node.input]
            values[node.name] = bipolar @ (2 * node.weights.astype(np.int64) - 1).T
        elif isinstance(node, Affine):
            values[node.name] = node.scale * value + node.offset
        else:
            raise TypeError(f"no reference for {type(node).__name__}")
    del values["input"]
    return values
