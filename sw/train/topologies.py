"""Shapes of networks: names and short texts to the steps that `describe` lays out. Free of torch."""

import re
from dataclasses import dataclass

__all__ = ["NAMES", "TOPOLOGIES", "Conv", "Dense", "GlobalPool", "Pool", "Step", "parse_topology"]

#: Networks by name. tfc, sfc, lfc and cnv are those of FINN (Umuroglu et al., arXiv:1612.07119) and BNN-PYNQ; bnn-cifar
#: is that of BinaryConnect and BNN (arXiv:1511.00363, arXiv:1602.02830); vgg-small that of LQ-Net and IR-Net
#: (arXiv:1807.10029, arXiv:1909.10788); conv-s is this house's, for pictures of 28x28 and small FPGAs. mlp-2048 is
#: BinaryConnect's on MNIST, mlp-4096 BNN's, bnn-svhn theirs on SVHN; few-multiplications is that of arXiv:1510.03009;
#: lenet-5, nin (for CIFAR-10) and alexnet (for ImageNet) are those of XNOR-Net (arXiv:1603.05279) and its PyTorch port;
#: tiny-vgg7 is BinaryDuo's, coupled (arXiv:2002.06517); dorefa-svhn that of DoReFa-Net (arXiv:1606.06160, pictures of
#: 40x40). All are without biases, which batch normalization has no need of.
TOPOLOGIES = {
    "tfc": "64,64,64",
    "sfc": "256,256,256",
    "lfc": "1024,1024,1024",
    "cnv": "64c3,64c3,p2,128c3,128c3,p2,256c3,256c3,512,512",
    "conv-s": "16c3,32c3,p2,32c3,p2,64c3,64",
    "bnn-cifar": "128c3p1,128c3p1,p2,256c3p1,256c3p1,p2,512c3p1,512c3p1,p2,1024,1024",
    "vgg-small": "128c3p1,128c3p1,p2,256c3p1,256c3p1,p2,512c3p1,512c3p1,p2",
    "mlp-2048": "2048,2048,2048",
    "mlp-4096": "4096,4096,4096",
    "bnn-svhn": "64c3p1,64c3p1,p2,128c3p1,128c3p1,p2,256c3p1,256c3p1,p2,1024,1024",
    "few-multiplications": "128c3,128c3,p2,256c2,256c2,p2,512c2,512c2,p2,1024c2,1024",
    "lenet-5": "20c5,p2,50c5,p2,500",
    "nin": "192c5p2,160c1,96c1,p3s2p1,192c5p2,192c1,192c1,a3s2p1,192c3p1,192c1,gap",
    "alexnet": "96c11s4p2,p3s2,256c5p2,p3s2,384c3p1,384c3p1,256c3p1,p3s2,4096,4096",
    "tiny-vgg7": "45c3p1,45c3p1,p2,90c3p1,p2,90c3p1,p2,336c4s4,512c1",
    "dorefa-svhn": "48c5,p2,64c3p1,64c3p1,p2,128c3,128c3p1,128c3,512c5",
}

NAMES = ", ".join(TOPOLOGIES)

#: Kernel, then optional stride and padding, both for height and width.
_WINDOW = r"(?P<kernel>\d+)(s(?P<stride>\d+))?(p(?P<padding>\d+))?"
_CONV = re.compile(rf"(?P<channels>\d+)c{_WINDOW}")
_DEPTHWISE = re.compile(rf"d{_WINDOW}")
_POOL = re.compile(rf"(?P<kind>[pa]){_WINDOW}")


@dataclass(frozen=True)
class Dense:
    """A fully connected hidden layer.

    Attributes
    ----------
    channels : int
        Its outputs.
    """

    channels: int


@dataclass(frozen=True)
class Conv:
    """A hidden convolution.

    Attributes
    ----------
    channels : int or None
        Its outputs; None: depthwise, as many as come in.
    kernel, stride, padding : int
        The same for height and width.
    """

    channels: int | None
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Pool:
    """Pooling of the convolution before.

    Attributes
    ----------
    kind : str
        "maxpool" or "avgpool".
    kernel, stride, padding : int
        The same for height and width.
    """

    kind: str
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class GlobalPool:
    """The end of a network without dense layers: a 1x1 convolution to the classes, and its mean over the picture."""


Step = Dense | Conv | Pool | GlobalPool


def parse_topology(topology: str) -> tuple[Step, ...]:
    """Read what lies between the pixels and the classifier.

    Parameters
    ----------
    topology : str
        A name in `TOPOLOGIES`, or steps separated by commas:

        * `64` : a dense layer of 64 channels;
        * `64c3`, `64c3s2p1` : a convolution to 64 channels, kernel 3x3, here with stride 2 and padding 1;
        * `d3`, `d3s2p1` : the same depthwise, channel by channel;
        * `p2`, `p3s2p1` : MaxPool of 2x2, or of 3x3 with stride 2 and padding 1; the stride is else the kernel;
        * `a2` : the same with means;
        * `gap` : at the end, a 1x1 convolution to the classes and its mean over all positions, instead of the dense
          classifier that ends every other network.

    Returns
    -------
    tuple of Step
        Steps, first to last; convolutions and pools before dense layers.

    Raises
    ------
    ValueError
        It is neither; the message says what is allowed, or where the order is wrong.
    """
    steps = tuple(_step(text, topology) for text in TOPOLOGIES.get(topology, topology).split(","))
    for index, step in enumerate(steps):
        before = steps[index - 1] if index else None
        if isinstance(step, Pool) and not isinstance(before, Conv):
            raise ValueError(f"topology is {topology!r}, allowed: pools directly after a convolution")
        if isinstance(step, (Conv, GlobalPool)) and isinstance(before, Dense):
            raise ValueError(f"topology is {topology!r}, allowed: convolutions only before dense layers")
        if isinstance(before, GlobalPool) or (step == GlobalPool() and before is None):
            raise ValueError(f"topology is {topology!r}, allowed: 'gap' only at the end of a convolutional network")
    return steps


def _step(text: str, topology: str) -> Step:
    if text == "gap":
        return GlobalPool()
    if re.fullmatch(r"\d+", text) and int(text) > 0:
        return Dense(int(text))
    for pattern in (_CONV, _DEPTHWISE, _POOL):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        kernel, padding = int(match["kernel"]), int(match["padding"] or 0)
        stride = int(match["stride"] or (kernel if pattern is _POOL else 1))
        if kernel < 1 or stride < 1 or padding >= kernel:
            break
        if pattern is _POOL:
            return Pool("maxpool" if match["kind"] == "p" else "avgpool", kernel, stride, padding)
        if pattern is _DEPTHWISE:
            return Conv(None, kernel, stride, padding)
        if int(match["channels"]) > 0:
            return Conv(int(match["channels"]), kernel, stride, padding)
    raise ValueError(
        f"topology is {topology!r}, allowed: {NAMES}, hidden widths such as '256,256,256', "
        f"or steps such as '16c3,p2,32c3p1,p2,128'"
    )
