"""BinaryDenseNet (Bethge et al., arXiv:1906.08637): each convolution's channels are put behind those that it read.

Its stem and transitions have the style's first weights, real in the paper.
"""

from collections.abc import Sequence
from typing import Any

from signfold.sw.train.architectures.graph import Graph
from signfold.sw.train.architectures.residual import LARGE
from signfold.sw.train.style import Style

__all__ = ["binary_dense_net"]

#: Channels of the stem, and channels that each convolution adds.
CHANNELS = 64


def binary_dense_net(
    shape: Sequence[int],
    bits: int,
    classes: int,
    style: Style,
    *,
    blocks: Sequence[int],
    reductions: Sequence[float],
) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
    """Lay out a BinaryDenseNet.

    Parameters
    ----------
    shape : sequence of int
        Shape of a picture: height and width, or channels before them.
    bits : int
        Width of a pixel's code.
    classes : int
        Outputs.
    style : Style
        Weights and activations of the binary convolutions.
    blocks : sequence of int
        Convolutions of each block.
    reductions : sequence of float
        What each transition divides the channels by; the quotient is rounded to a multiple of 32.

    Returns
    -------
    tuple of tuple and list of dict
        As of `describe.describe`.
    """
    graph = Graph(shape, bits, style)
    if graph.frame[1] < LARGE:
        x = graph.conv("stem", CHANNELS, 3, padding=1, weights=graph.style.first_weights)
    else:
        graph.conv("stem", CHANNELS, 7, stride=2, padding=3, weights=graph.style.first_weights)
        graph.norm("stem_norm")
        graph.real("relu", "stem_relu")
        x = graph.pool("maxpool", "stem_pool", 3, 2, 1)
    for block, count in enumerate(blocks):
        for layer in range(count):
            name = f"block{block}_{layer}"
            graph.activation(f"{name}_sign", norm=True, source=x)
            grown = graph.conv(f"{name}_conv", CHANNELS, 3, padding=1)
            x = graph.concat(name, x, grown)
        if block < len(blocks) - 1:
            name = f"transition{block}"
            channels = round(graph.shape(x)[0] // reductions[block] / 32) * 32
            graph.norm(f"{name}_norm")
            graph.pool("maxpool", f"{name}_pool", 2, 2)
            graph.real("relu", f"{name}_relu")
            x = graph.conv(f"{name}_conv", channels, 1, weights=graph.style.first_weights)
    graph.norm("norm")
    graph.real("relu", "relu")
    graph.mean("mean")
    return graph.head(classes)
