"""Networks by name: chains that are written as steps, and graphs that a function lays out. Free of torch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from signfold.sw.train.architectures.densely_connected import binary_dense_net
from signfold.sw.train.architectures.residual import bi_real, resnet18, resnet20, resnet_e
from signfold.sw.train.describe import describe
from signfold.sw.train.style import Style
from signfold.sw.train.topologies import TOPOLOGIES, Conv, parse_topology

__all__ = ["ARCHITECTURES", "NAMES", "begins_with_convolution", "lay_out"]

#: Graphs by name; each is called with shape, bits, classes and style.
ARCHITECTURES: dict[str, Callable[[Sequence[int], int, int, Style], tuple[tuple[int, ...], list[dict[str, Any]]]]] = {
    "resnet-18": resnet18,
    "resnet-20": resnet20,
    "bi-real-18": bi_real,
    "bi-real-34": partial(bi_real, groups=(6, 8, 12, 6)),
    "resnete-18": resnet_e,
    "resnete-34": partial(resnet_e, groups=(6, 8, 12, 6)),
    "binary-densenet-28": partial(binary_dense_net, blocks=(6, 6, 6, 5), reductions=(2.7, 2.7, 2.2)),
    "binary-densenet-37": partial(binary_dense_net, blocks=(6, 8, 12, 6), reductions=(3.3, 3.3, 4)),
    "binary-densenet-45": partial(binary_dense_net, blocks=(6, 12, 14, 8), reductions=(2.7, 3.3, 4)),
}

#: Names of all networks.
NAMES = (*TOPOLOGIES, *ARCHITECTURES)


def lay_out(
    topology: str, shape: Sequence[int], bits: int, classes: int, style: Style
) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
    """Lay out a network as a checkpoint stores it.

    Parameters
    ----------
    topology : str
        A name in `NAMES`, or steps as `topologies.parse_topology` reads them.
    shape : sequence of int
        Shape of a picture: height and width, or channels before them.
    bits : int
        Width of a pixel's code.
    classes : int
        Outputs.
    style : Style
        What the topology leaves open; of graphs only the binary convolutions are styled, see `residual`.

    Returns
    -------
    tuple of tuple and list of dict
        As of `describe.describe`.

    Raises
    ------
    ValueError
        The topology is neither, or does not fit the picture or the style.
    """
    if topology not in ARCHITECTURES:
        return describe(shape, bits, parse_topology(topology), classes, style)
    if style.activation == "decoupled":
        raise ValueError(f"activation is 'decoupled', allowed with {topology!r}: the others")
    if style.norm == "none":
        raise ValueError(f"norm is 'none', allowed with {topology!r}: the others")
    return ARCHITECTURES[topology](shape, bits, classes, style)


def begins_with_convolution(topology: str) -> bool:
    """Whether the first layer of a network is a convolution.

    Parameters
    ----------
    topology : str
        As for `lay_out`.

    Returns
    -------
    bool
        False where it is a dense layer.

    Raises
    ------
    ValueError
        The topology cannot be read.
    """
    return topology in ARCHITECTURES or isinstance(parse_topology(topology)[0], Conv)
