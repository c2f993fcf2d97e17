"""Networks whose convolutions are bridged by shortcuts: sums of real values, which the compiler rounds to fixed point.

The stem and shortcuts with weights have the style's first weights, the classifier its last ones, real in the papers;
the 3x3 convolutions and what they read are the style's.
"""

from collections.abc import Sequence
from typing import Any

from signfold.sw.train.architectures.graph import Graph
from signfold.sw.train.style import Style

__all__ = ["bi_real", "resnet18", "resnet20", "resnet_e"]

#: Pictures at least so high begin with a 7x7 convolution of stride 2 and a pool, as those of ImageNet do.
LARGE = 50

Layout = tuple[tuple[int, ...], list[dict[str, Any]]]


def resnet20(shape: Sequence[int], bits: int, classes: int, style: Style) -> Layout:
    """Lay out ResNet-20 with a shortcut a convolution and hardtanh after each sum (IR-Net, arXiv:1909.10788).

    Shortcuts to more channels have no weights (option A of He et al., arXiv:1512.03385).

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

    Returns
    -------
    tuple of tuple and list of dict
        As of `describe.describe`.
    """
    graph = Graph(shape, bits, style)
    graph.conv("stem", 16, 3, padding=1, weights=graph.style.first_weights)
    graph.norm("stem_norm")
    x = graph.real("hardtanh", "stem_clip")
    for group, channels in enumerate((16, 32, 64)):
        for layer in range(6):
            name, stride = f"group{group}_{layer}", 2 if group and layer == 0 else 1
            shortcut = graph.subsample(f"{name}_shortcut", channels, stride, x) if stride > 1 else x
            summed = graph.add(f"{name}_sum", _convolution(graph, name, x, channels, stride), shortcut)
            x = graph.real("hardtanh", f"{name}_clip", summed)
    graph.mean("mean")
    graph.norm("mean_norm")
    return graph.head(classes)


def resnet18(shape: Sequence[int], bits: int, classes: int, style: Style) -> Layout:
    """Lay out ResNet-18 for small pictures with a shortcut every two convolutions, as IR-Net trained it on CIFAR-10.

    The arguments and the result are those of `resnet20`.
    """
    graph = Graph(shape, bits, style)
    graph.conv("stem", 64, 3, padding=1, weights=graph.style.first_weights)
    x = graph.norm("stem_norm")
    for group, channels in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"group{group}_{block}", 2 if group and block == 0 else 1
            first = _convolution(graph, f"{name}_a", x, channels, stride)
            clipped = graph.real("hardtanh", f"{name}_clip", first)
            second = _convolution(graph, f"{name}_b", clipped, channels, 1)
            shortcut = x
            if stride > 1:
                graph.conv(f"{name}_shortcut", channels, 1, stride=stride, weights=graph.style.first_weights, source=x)
                shortcut = graph.norm(f"{name}_shortcut_norm")
            summed = graph.add(f"{name}_sum", second, shortcut)
            x = graph.real("hardtanh", f"{name}_out", summed)
    graph.mean("mean")
    graph.norm("mean_norm")
    return graph.head(classes)


def bi_real(
    shape: Sequence[int], bits: int, classes: int, style: Style, *, groups: Sequence[int] = (4, 4, 4, 4)
) -> Layout:
    """Lay out a Bi-Real Net (Liu et al., arXiv:1808.00278): a shortcut a convolution.

    The arguments and the result are those of `resnet20`; `groups` are convolutions of 64, 128, 256 and 512 channels.
    """
    graph = Graph(shape, bits, style)
    _stem(graph, relu=False, norm=False)
    _shortcuts(graph, groups)
    graph.mean("mean")
    return graph.head(classes)


def resnet_e(
    shape: Sequence[int], bits: int, classes: int, style: Style, *, groups: Sequence[int] = (4, 4, 4, 4)
) -> Layout:
    """Lay out a ResNetE (Bethge et al., arXiv:1906.08637): a shortcut a convolution, with weights where channels grow.

    The arguments and the result are those of `bi_real`.
    """
    graph = Graph(shape, bits, style)
    _stem(graph, relu=True, norm=True)
    _shortcuts(graph, groups)
    graph.real("relu", "relu")
    graph.mean("mean")
    return graph.head(classes)


def _stem(graph: Graph, *, relu: bool, norm: bool) -> None:
    """Add the first convolution; of large pictures also what makes them small."""
    if graph.frame[1] < LARGE:
        graph.conv("stem", 64, 3, padding=1, weights=graph.style.first_weights)
        return
    graph.conv("stem", 64, 7, stride=2, padding=3, weights=graph.style.first_weights)
    graph.norm("stem_norm")
    if relu:
        graph.real("relu", "stem_relu")
    graph.pool("maxpool", "stem_pool", 3, 2, 1)
    if norm:
        graph.norm("pool_norm")


def _shortcuts(graph: Graph, groups: Sequence[int]) -> None:
    x = graph.last
    for group, (count, channels) in enumerate(zip(groups, (64, 128, 256, 512), strict=True)):
        for layer in range(count):
            name, stride = f"group{group}_{layer}", 2 if group and layer == 0 else 1
            shortcut = x
            if stride > 1:
                graph.pool("avgpool", f"{name}_mean", 2, 2, source=x)
                graph.conv(f"{name}_shortcut", channels, 1, weights=graph.style.first_weights)
                shortcut = graph.norm(f"{name}_shortcut_norm")
            x = graph.add(f"{name}_sum", _convolution(graph, name, x, channels, stride), shortcut)


def _convolution(graph: Graph, name: str, source: str, channels: int, stride: int) -> str:
    """Add activation, convolution and batch normalization."""
    graph.activation(f"{name}_sign", source=source)
    graph.conv(f"{name}_conv", channels, 3, stride=stride, padding=1)
    return graph.norm(f"{name}_norm")
