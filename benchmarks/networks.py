"""Networks of the operating points that BNN-PYNQ and FINN have published: shipped ones, or ones of random weights."""

import numpy as np

from signfold.sw import zoo
from signfold.sw.network import Dense, InputType, Network, Node, Threshold

__all__ = ["NETWORKS", "load", "random_mlp"]

#: Hidden channels of the dense networks; "cnv" is shipped whole.
NETWORKS = {"tfc": (64, 64, 64), "sfc": (256, 256, 256), "lfc": (1024, 1024, 1024), "cnv": ()}

_SHIPPED = {"sfc": "sfc-mnist-bits", "cnv": "cnv-cifar10"}


def load(name: str) -> Network:
    """Return a network: a shipped one where there is one of that shape, else one of random weights.

    Parameters
    ----------
    name : str
        "tfc", "sfc" or "lfc": 784 inputs of 8 bits, binarized, three dense layers and ten classes (Umuroglu et al.,
        FPGA 2017); "cnv": six convolutions and three dense layers on 3x32x32 pixels.
    """
    return zoo.load(_SHIPPED[name]) if name in _SHIPPED else random_mlp(NETWORKS[name])


def random_mlp(hidden: tuple[int, ...], *, seed: int = 1) -> Network:
    """Return a binary network of dense layers for 784 pixels, with thresholds around the middle."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = [Threshold("input_threshold", "input", np.full((1, 1), 128))]
    source, fan_in = "input_threshold", 784
    for k, channels in enumerate((*hidden, 10)):
        nodes.append(Dense(f"dense{k}", source, rng.integers(0, 2, (channels, fan_in), dtype=np.uint8)))
        source = nodes[-1].name
        if k < len(hidden):
            # Fan-ins are even, and so are the sums.
            nodes.append(Threshold(f"norm{k}", source, 2 * rng.integers(-15, 16, (channels, 1))))
            source, fan_in = nodes[-1].name, channels
    return Network(InputType((784,), 8), tuple(nodes), source)
