"""Random integer networks on images, for tests that compare the golden model, torch and gateware."""

from collections.abc import Collection

import numpy as np

from signfold.sw.network import Affine, Conv, Dense, InputType, MaxPool, Network, Node, SumPool, Threshold, ValueType

__all__ = ["FEATURES", "random_conv_network"]

#: What a caller may do without.
FEATURES = (
    "input codes",  # layers that read the network's input without thresholds between
    "input planes",  # input thresholds of several levels
    "planes",  # codes of several bits between layers
    "weight planes",  # weights of 4 to 16 levels
    "ternary",
    "depthwise",
    "stride",
    "zero padding",  # real zero
    "code padding",
    "max of sums",
    "max of codes",
    "sum of sums",
    "sum of codes",
    "inverted",
    "dense",
    "affine",
)


class _Chain:
    """A network under construction: nodes one after the other, each with the type of its result."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], bits: int, without: Collection[str]) -> None:
        self.rng, self.nodes, self.without = rng, [], without
        self.input = InputType(shape, bits)
        self.value: ValueType = self.input.value
        # Of the sums read next, roughly: trained thresholds lie within a few deviations of the mean.
        self.mean = self.spread = 0.0

    @property
    def source(self) -> str:
        return self.nodes[-1].name if self.nodes else "input"

    @property
    def image(self) -> bool:
        return len(self.value.shape) == 3

    def chance(self, feature: str, probability: float) -> bool:
        """Draw whether to use a feature; one that is excluded takes its number from the generator all the same."""
        return bool(self.rng.random() < probability) and feature not in self.without

    def add(self, node: Node) -> None:
        self.value = node.infer(self.value)
        self.nodes.append(node)

    def name(self, what: str) -> str:
        return f"{what}{len(self.nodes)}"

    def threshold(self, bits: int, *, inverted: bool = False) -> None:
        """Append thresholds: around the middle, anywhere, equal, always and never; one row for all channels or each."""
        rng, value = self.rng, self.value
        channels = int(rng.choice([1, value.shape[0]], p=[0.2, 0.8]))
        size = (channels, (1 << bits) - 1)
        last = (value.high - value.low) // value.step + 1
        middle = last / 2 if value.kind == "code" else (self.mean - value.low) / value.step
        wide = last / 4 if value.kind == "code" else self.spread / value.step
        kinds = [
            rng.normal(middle, max(wide, 0.7), size).round().clip(0, last).astype(np.int64),
            rng.integers(0, last + 1, size),
            rng.choice([0, last], size),
            np.broadcast_to(rng.integers(0, last + 1, (channels, 1)), size),
        ]
        # One row that fires always or never would make all that follows constant.
        odd = 0.07 if channels > 1 else 0.01
        kind = rng.choice(4, (channels, 1), p=[1 - 3 * odd, odd, odd, odd])
        rows = np.sort(np.choose(kind, kinds), axis=1) * value.step + value.low
        flags = rng.random(channels) < 0.5 if inverted else None
        self.add(Threshold(self.name("threshold"), self.source, rows, flags))

    def weights(self, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
        """Return random weight codes and their levels."""
        rng = self.rng
        levels = 2
        if self.chance("weight planes", 0.2):
            levels = int(rng.choice([4, 8, 16]))
        elif self.chance("ternary", 0.15):
            levels = 3
        return rng.integers(0, levels, shape).astype(np.uint8), levels

    def products(self, fan_in: int, levels: int) -> None:
        """Note how far the sums of a layer with this fan-in spread."""
        top = self.value.high
        self.mean, self.spread = 0.0, (fan_in * top * (top + 2) / 3 * max(1.0, (levels**2 - 1) / 3)) ** 0.5

    def padding(self, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return none, equal, or any padding."""
        down, across = (size - 1 for size in kernel)
        match int(self.rng.integers(4)):
            case 0:
                return 0, 0, 0, 0
            case 1:
                return down // 2, down // 2, across // 2, across // 2
        return tuple(int(self.rng.integers(0, most + 1)) for most in (down, down, across, across))

    def strides(self, kernel: tuple[int, int]) -> tuple[int, int]:
        """Return strides 1 to 3, mostly 1 and mostly equal."""
        first, second = (int(step) for step in self.rng.choice([1, 1, 2, 3], 2))
        if not self.chance("stride", 1.0):
            return 1, 1
        return (first, second) if self.chance("stride", 0.3) else (first, first)


def _convolution(chain: _Chain, widest: int, most: int, work: int, channels: int | None = None) -> None:
    """Append a convolution whose sums and products stay within bounds, of so many channels if given."""
    rng, (inputs, *image) = chain.rng, chain.value.shape
    for attempt in range(200):
        kernel = tuple(int(size) for size in rng.integers(1, 6, 2))
        if rng.integers(2):
            kernel = (kernel[0], kernel[0])
        depthwise = channels is None and inputs > 1 and chain.chance("depthwise", 0.25)
        outputs = inputs if depthwise else channels or int(rng.integers(1, widest + 1))
        if attempt > 100:
            kernel, depthwise, outputs = (1, 1), False, channels or 1
        padding, stride = chain.padding(kernel), chain.strides(kernel)
        zero, code = chain.chance("zero padding", 0.5), int(rng.integers(0, chain.value.high + 1))
        if not zero and "code padding" in chain.without:
            padding = (0, 0, 0, 0)
        if any(size + sum(padding[2 * axis :][:2]) < kernel[axis] for axis, size in enumerate(image)):
            continue
        weights, levels = chain.weights((outputs, 1 if depthwise else inputs, *kernel))
        groups, pad = outputs if depthwise else 1, None if zero else code
        node = Conv(chain.name("conv"), chain.source, weights, stride, padding, pad, groups, levels)
        sums = node.infer(chain.value).elements
        if sums <= most and sums * node.fan_in * chain.value.bits * max(1, (levels - 1).bit_length()) <= work:
            chain.products(node.fan_in, levels)
            chain.add(node)
            return
    raise ValueError(f"largest is too small for a convolution of {chain.value.shape}")


def _pool(chain: _Chain, kind: type[MaxPool] | type[SumPool], *, everywhere: bool = False) -> None:
    """Append a pool of 1 to 3 positions a side, or of the whole image."""
    rng, image = chain.rng, chain.value.shape[1:]
    kernel = image if everywhere else tuple(int(min(size, rng.integers(1, 4))) for size in image)
    padding = chain.padding(kernel) if not everywhere and rng.integers(3) == 0 else (0, 0, 0, 0)
    stride = kernel if rng.integers(2) else chain.strides(kernel)
    count = kernel[0] * kernel[1]
    if kind is SumPool and chain.value.kind == "code":
        chain.mean, chain.spread = 0.0, chain.value.high * (count / 3) ** 0.5
    elif kind is SumPool:
        chain.spread *= count**0.5
    else:
        # The largest of a few independent values.
        chain.mean += chain.spread * (count - 1) / count
    node = kind(chain.name(kind.op), chain.source, kernel, stride, padding)
    if node.infer(chain.value).elements > chain.value.elements:
        node = kind(node.name, node.input, kernel, stride)
    chain.add(node)


def _dense(chain: _Chain, channels: int, work: int) -> None:
    """Append a dense layer whose products stay within bounds, where that is possible."""
    channels = max(1, min(channels, work // (chain.value.elements * chain.value.bits)))
    weights, levels = chain.weights((channels, chain.value.elements))
    chain.products(weights.shape[1], levels)
    chain.add(Dense(chain.name("dense"), chain.source, weights, levels))


def random_conv_network(
    rng: np.random.Generator,
    *,
    largest: int = 200,
    widest: int = 9,
    depth: int | None = None,
    classes: int | None = None,
    without: Collection[str] = (),
) -> Network:
    """Return a chain of layers on images with everything that folding can produce.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    largest : int
        Most elements of any value, at least 16; a layer has at most 60 times as many products of bits a frame.
    widest : int
        Most channels of an image and most scores.
    depth : int, optional
        Convolutions before the last layer; 0 to 2 by default.
    classes : int, optional
        Scores, unless that were too many products; 1 to `widest` by default.
    without : collection of str
        `FEATURES` that the network must not have.

    Returns
    -------
    Network
        Images of odd sizes, also 1x1, in 1 to 8 bits; convolutions of kernels 1 to 5, strides 1 to 3, any padding by
        real zero or by any code, also depthwise; pools before and after thresholds; codes of 1 to 4 bits; at the end a
        dense layer, or a convolution and the sum over the image, with or without scales and offsets.
    """
    unknown = sorted(set(without) - set(FEATURES))
    if unknown:
        raise ValueError(f"without must name features of {FEATURES}, not {unknown}")
    if largest < 16:
        raise ValueError(f"largest must be at least 16, not {largest}")
    work = 60 * largest
    channels = int(rng.integers(1, min(widest, largest) + 1))
    side = max(1, int((largest / channels) ** 0.5))
    shape = (channels, *(int(size) for size in rng.integers(1, min(side, 13) + 1, 2)))
    if rng.integers(10) == 0:
        shape = (channels, 1, 1)
    chain = _Chain(rng, shape, int(rng.integers(1, 9)), frozenset(without))
    depth = int(rng.integers(0, 3)) if depth is None else depth

    def code_bits(feature: str, most: int) -> int:
        bits = int(rng.integers(2, most + 1))
        return bits if chain.chance(feature, 0.4) else 1

    if not chain.chance("input codes", 0.5):
        chain.threshold(code_bits("input planes", 3))
    for _ in range(depth):
        _convolution(chain, widest, largest, work)
        inverted = False
        if chain.chance("max of sums", 0.3):
            _pool(chain, MaxPool)
            inverted = chain.chance("inverted", 0.6)
        elif chain.chance("sum of sums", 0.15):
            _pool(chain, SumPool, everywhere=bool(rng.integers(4) == 0))
        chain.threshold(code_bits("planes", 4), inverted=inverted)
        if chain.chance("max of codes", 0.3):
            _pool(chain, MaxPool)
        elif chain.chance("sum of codes", 0.15):
            _pool(chain, SumPool, everywhere=bool(rng.integers(4) == 0))
            chain.threshold(code_bits("planes", 4))
    classes = classes or int(rng.integers(1, widest + 1))
    if chain.chance("dense", 0.6):
        if chain.chance("dense", 0.3):
            _dense(chain, int(rng.integers(1, min(2 * widest, largest) + 1)), work)
            chain.threshold(code_bits("planes", 4))
        _dense(chain, classes, work)
    else:
        _convolution(chain, widest, largest, work, classes)
        if chain.value.shape[1:] != (1, 1):
            _pool(chain, SumPool, everywhere=True)
    if chain.chance("affine", 0.3):
        count = chain.value.shape[0]
        chain.add(Affine("scores", chain.source, rng.integers(-40, 200, count), rng.integers(-3000, 3000, count), 6))
    return Network(chain.input, tuple(chain.nodes), chain.source)
