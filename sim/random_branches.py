"""Random integer networks with shortcuts and dense connections, for tests that compare golden model and gateware."""

import numpy as np

from signfold.sw.network import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    InputType,
    MaxPool,
    Network,
    Node,
    PadChannels,
    Quantize,
    Scale,
    SumPool,
    Threshold,
    ValueType,
)
from signfold.sw.network.nodes.levels import code_type

__all__ = ["random_branch_network"]

#: Fraction bits of fixed-point values.
_FRACTION = 4


class _Graph:
    """A network under construction: its nodes, and the type of every value."""

    def __init__(self, rng: np.random.Generator, frames: InputType):
        self.rng, self.nodes, self.input = rng, [], frames
        self.types: dict[str, ValueType] = {"input": frames.value}

    def add(self, kind: type[Node], sources: str | tuple[str, ...], *values: object, **options: object) -> str:
        node = kind(f"{kind.op}{len(self.nodes)}", sources, *values, **options)
        self.types[node.name] = node.infer(*(self.types[name] for name in node.inputs))
        self.nodes.append(node)
        return node.name

    def spread(self, source: str) -> int:
        """Return about how far values lie from 0: less than their type allows, most of all where that is much."""
        value = self.types[source]
        return max(1, int((value.high - value.low) ** 0.75 / 4))

    def signs(self, source: str, bits: int = 1) -> str:
        """Add thresholds near the middle of the values, each channel's own."""
        rng, value = self.rng, self.types[source]
        rows = rng.normal(0, self.spread(source), (value.shape[0], (1 << bits) - 1)).round().astype(np.int64)
        rows = np.sort((rows - value.low) // value.step, axis=1).clip(0, (value.high - value.low) // value.step + 1)
        return self.add(Threshold, source, rows * value.step + value.low)

    def convolution(self, source: str, channels: int, kernel: int, stride: int, levels: int = 2) -> str:
        value = self.types[source]
        # Eight bits become nine to sixteen now and then, by a generator of its own: other choices stay what they were.
        own = self.rng.spawn(1)[0]
        if levels == 256 and own.random() < 0.2:
            levels = 1 << int(own.integers(9, 17))
        weights = self.rng.integers(0, levels, (channels, value.shape[0], kernel, kernel)).astype(code_type(levels))
        around = (kernel // 2,) * 4
        pad = None if self.rng.integers(2) else int(self.rng.integers(0, value.high + 1))
        return self.add(Conv, source, weights, (stride, stride), around, pad, levels=levels)

    def scale(self, source: str, *, saturated: bool = False) -> str:
        """Add a fixed-point scale to about 16 bits; multipliers of any sign, also powers of two."""
        rng, value = self.rng, self.types[source]
        channels, shift = value.shape[0], int(rng.integers(0, 9))
        most = max(1, (1 << (10 + shift)) // max(1, self.spread(source)))
        factors = rng.integers(-most, most + 1, channels)
        if rng.integers(2):
            factors = np.sign(factors) * (1 << rng.integers(0, most.bit_length(), channels))
        limits = (-int(rng.integers(1, 400)), int(rng.integers(1, 400))) if saturated else (None, None)
        offsets = rng.integers(-1 << (shift + 6), 1 << (shift + 6), channels)
        return self.add(Scale, source, factors, offsets, shift, *limits, _FRACTION)

    def quantize(self, source: str, bits: int) -> str:
        """Add a quantizer whose codes cover the values that are to be expected."""
        rng, spread = self.rng, self.spread(source)
        shift = max(0, (spread >> bits).bit_length())
        count = self.types[source].shape[0]
        offsets = rng.integers(0, max(2, 2 * spread), count)
        return self.add(Quantize, source, np.ones(count, np.int64), offsets, shift, bits)


def random_branch_network(rng: np.random.Generator, *, side: int = 6, widest: int = 6, blocks: int = 2) -> Network:
    """Return a graph of convolutions with residual and dense connections.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    side : int
        Rows and columns of the input, at least 2.
    widest : int
        Channels after the first convolution, at most.
    blocks : int
        Blocks: each a residual one (the shortcut as it is; subsampled, or summed over 2x2 windows, with zero channels;
        or a convolution of 8-bit weights over 8-bit codes), a dense one (channels beside channels, sums of other
        ranges), or a transition (codes of several bits into weights of several bits, pooled).

    Returns
    -------
    Network
        Ends with a dense layer on codes of 1 to 8 bits of all positions, or of their sums a channel.
    """
    graph = _Graph(rng, InputType((int(rng.integers(1, 4)), side, side), int(rng.integers(1, 9))))
    channels = int(rng.integers(1, widest + 1))
    value = graph.convolution("input", channels, 3, 1, int(rng.choice([2, 4, 256])))
    if rng.integers(3):
        value = graph.scale(value)
    for _ in range(blocks):
        value = (_residual, _residual, _dense, _transition)[int(rng.integers(4))](graph, value)
    if rng.integers(2):
        value = graph.add(SumPool, value, graph.types[value].shape[1:], graph.types[value].shape[1:])
    bits = int(rng.choice([1, 1, 4, 8]))
    value = graph.signs(value) if bits == 1 else graph.quantize(value, bits)
    classes, levels = int(rng.integers(2, 6)), int(rng.choice([2, 256]))
    weights = rng.integers(0, levels, (classes, graph.types[value].elements)).astype(code_type(levels))
    value = graph.add(Dense, value, weights, levels)
    if rng.integers(2):
        value = graph.add(Affine, value, rng.integers(1, 99, classes), rng.integers(-9999, 9999, classes), _FRACTION)
    return Network(graph.input, tuple(graph.nodes), value)


def _residual(graph: _Graph, value: str) -> str:
    """Add a block whose result is its input, or what has become of it, plus a scaled convolution."""
    rng = graph.rng
    channels, side, _ = graph.types[value].shape
    stride = 2 if side >= 4 and rng.integers(3) == 0 else 1
    more = channels * 2 if stride == 2 and channels <= 8 else channels
    main = graph.convolution(graph.signs(value, int(rng.choice([1, 1, 2]))), more, int(rng.choice([1, 3])), stride)
    main = graph.scale(main, saturated=bool(rng.integers(3) == 0))
    shortcut = value
    if stride == 2 and side % 2 == 0 and rng.integers(2):
        shortcut = graph.add(SumPool, shortcut, (2, 2), (2, 2))
    elif stride == 2:
        shortcut = graph.add(MaxPool, shortcut, (1, 1), (2, 2))
    if more > channels:
        if rng.integers(2):
            before = int(rng.integers(0, more - channels + 1))
            shortcut = graph.add(PadChannels, shortcut, before, more - channels - before)
        else:
            shortcut = graph.scale(graph.convolution(graph.quantize(shortcut, 8), more, 1, 1, 256))
    return graph.add(Add, (main, shortcut) if rng.integers(2) else (shortcut, main))


def _dense(graph: _Graph, value: str) -> str:
    """Add channels to those that are there; sometimes scaled ones, sometimes raw sums of other steps and ranges."""
    rng = graph.rng
    more = graph.convolution(graph.signs(value), int(rng.integers(1, 4)), int(rng.choice([1, 3])), 1)
    if rng.integers(2):
        more = graph.scale(more)
    return graph.add(Concat, (value, more))


def _transition(graph: _Graph, value: str) -> str:
    """Add a layer of fewer channels with weights and codes of several bits, and a pool."""
    rng = graph.rng
    channels, side, _ = graph.types[value].shape
    codes = graph.quantize(value, int(rng.choice([2, 8])))
    value = graph.convolution(codes, max(1, channels // 2), 1, 1, int(rng.choice([4, 256])))
    if side >= 4 and side % 2 == 0:
        value = graph.add(SumPool if rng.integers(2) else MaxPool, value, (2, 2), (2, 2))
    return graph.scale(value) if rng.integers(2) else value
