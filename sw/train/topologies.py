"""Shapes of networks: names and widths to the layer list that a checkpoint stores. Free of torch."""

from collections.abc import Sequence
from typing import Any

__all__ = ["HEADS", "TOPOLOGIES", "dense_layers", "parse_widths"]

#: Hidden widths of the networks of FINN (Umuroglu et al., arXiv:1612.07119) and BNN-PYNQ.
TOPOLOGIES = {"tfc": (64, 64, 64), "sfc": (256, 256, 256), "lfc": (1024, 1024, 1024)}

#: What follows the last dense layer: one scale common to all classes, or batch normalization a class.
HEADS = ("scale", "batchnorm")

#: Added to variances; stored in every layer, so that files do not depend on this constant.
EPSILON = 1e-5


def parse_widths(topology: str) -> tuple[int, ...]:
    """Read hidden widths.

    Parameters
    ----------
    topology : str
        A name in `TOPOLOGIES`, or positive integers separated by commas.

    Returns
    -------
    tuple of int
        Widths of the hidden layers, first to last.

    Raises
    ------
    ValueError
        It is neither.
    """
    if topology in TOPOLOGIES:
        return TOPOLOGIES[topology]
    try:
        widths = tuple(int(width) for width in topology.split(","))
    except ValueError:
        widths = ()
    if not widths or min(widths) < 1:
        raise ValueError(
            f"topology is {topology!r}, allowed: {', '.join(TOPOLOGIES)}, or hidden widths such as '256,256,256'"
        )
    return widths


def dense_layers(
    elements: int, widths: Sequence[int], classes: int, thresholds: Sequence[int], head: str
) -> list[dict[str, Any]]:
    """Describe a dense network as a checkpoint stores it.

    Parameters
    ----------
    elements : int
        Pixels of a picture.
    widths : sequence of int
        Hidden widths.
    classes : int
        Outputs.
    thresholds : sequence of int
        Pixel thresholds, one or `elements` of them.
    head : str
        One of `HEADS`.

    Returns
    -------
    list of dict
        One entry a layer: `kind`, `name` where it has tensors, and its parameters.
    """
    layers: list[dict[str, Any]] = [{"kind": "input_threshold", "thresholds": list(thresholds)}]
    fan_in = elements
    for index, channels in enumerate((*widths, classes)):
        layers.append({"kind": "dense", "name": f"dense{index}", "in": fan_in, "out": channels})
        if index < len(widths):
            layers.append({"kind": "batchnorm_sign", "name": f"norm{index}", "eps": EPSILON})
        elif head == "batchnorm":
            layers.append({"kind": "batchnorm", "name": f"norm{index}", "eps": EPSILON})
        else:
            layers.append({"kind": "scale", "name": "scale"})
        fan_in = channels
    return layers
