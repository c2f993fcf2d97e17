"""Pass: a graph of float layers becomes integer nodes; what does not fold is rounded once, to fixed-point numbers.

Sums of layers on codes keep their exact meaning (see `meaning`) until something reads them. An activation reads them
exactly: its thresholds are those of `fold`, whatever normalization is between, and so do joined channels, each with its
own. Where branches are added, or real numbers clipped, each value is brought to the common number of fraction bits
(`fixed_point`). A layer that reads real numbers reads codes of 8 bits: evenly spaced over what some frames reach.

Averages and normalizations are affine, so that they wait for each other; the largest of a window is taken of integers
that rise with what they stand for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.carried import Carried
from signfold.sw.compile.conversions import CODE_BITS, Conversions
from signfold.sw.compile.float_graph import FloatGraph, Step
from signfold.sw.compile.float_layers import AveragePooling, MaxPooling, PixelCodes, PixelThresholds
from signfold.sw.compile.fold import flipped, fold_norm
from signfold.sw.compile.graph_layers import Clip, Join, Shortcut, Total
from signfold.sw.compile.head import score_node
from signfold.sw.compile.linear_layers import FloatConv, FloatDense
from signfold.sw.compile.meaning import Meaning, average, code_for_pads, of_activation, of_pixels, weighted
from signfold.sw.errors import CompileError
from signfold.sw.network import (
    Add,
    Concat,
    Conv,
    Dense,
    MaxPool,
    Node,
    PadChannels,
    SumPool,
    Threshold,
)
from signfold.sw.network.types import shown

__all__ = ["FoldedGraph", "fold_graph"]


@dataclass(frozen=True, eq=False)
class FoldedGraph:
    """What a graph became.

    Parameters
    ----------
    nodes : tuple of Node
        Operations, the last of which gives the scores.
    values : dict of str to Carried
        Of each trained layer, what carries its result.
    reads : dict of str to tuple of Carried
        Of each trained layer, what it reads in the integer network: what its inputs gave, or that converted.
    complemented : frozenset of str
        Activations of which the integer network has the opposite codes.
    folds : dict of str to str
        Of each trained layer what became of it, in words.
    fraction : int
        Fraction bits.
    """

    nodes: tuple[Node, ...]
    values: dict[str, Carried]
    reads: dict[str, tuple[Carried, ...]]
    complemented: frozenset[str]
    folds: dict[str, str]
    fraction: int

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the trained layers that give codes, which are those of their nodes too."""
        return tuple(node.name for node in self.nodes if isinstance(node, Threshold) and node.name in self.values)


def fold_graph(graph: FloatGraph, frames: np.ndarray, fraction: int, score_bits: int) -> FoldedGraph:
    """Fold a graph.

    Parameters
    ----------
    graph : FloatGraph
        The trained network, its weights codes.
    frames : numpy.ndarray
        uint8 ``[n, *shape]``, at least one: real numbers that layers read are coded over the range that these reach;
        what lies beyond becomes the nearest code.
    fraction : int
        Fraction bits of values that are added or clipped.
    score_bits : int
        Width of the scores where they are rounded, see `head`.

    Raises
    ------
    CompileError
        A layer does not fold, saying what would.
    """
    folder = _Folder(graph, frames, fraction)
    for step in graph.body:
        folder.add(step)
    return folder.finish(score_bits)


class _Folder(Conversions):
    def __init__(self, graph: FloatGraph, frames: np.ndarray, fraction: int) -> None:
        super().__init__(graph.input, {step.layer.name for step in graph.steps}, frames, fraction)
        self._graph = graph
        self._values: dict[str, Carried] = {}
        self._reads: dict[str, tuple[Carried, ...]] = {}
        self._read: list[Carried] = []
        self._complemented: set[str] = set()
        self._folds: dict[str, str] = {}

    def add(self, step: Step) -> None:
        """Append what a step becomes."""
        layer, values = step.layer, [self._values[name] for name in step.inputs if name != "input"]
        self._read = values
        match layer:
            case PixelThresholds():
                thresholds = np.clip(layer.thresholds, 0, 1 << self._graph.input.bits)
                result = Carried(self.append(Threshold(layer.name, "input", thresholds[:, None])), Meaning())
                words = "thresholds"
            case PixelCodes():
                result = Carried("input", of_pixels(layer, self._graph.input))
                words = "integers; mean and std go into what reads the sums"
            case FloatDense() | FloatConv():
                result, words = self._weigh(layer, values[0], step.inputs[0])
            case BatchNorm(activation=None):
                self._read = [self.settled(step.inputs[0], values[0])]
                result = replace(self._read[0], norm=layer)
                words = "goes into what reads it"
            case BatchNorm():
                result, words = self._activate(layer, values[0], step.inputs[0])
            case Clip():
                result, words = values[0].cut(layer.low, layer.high), "goes into what reads it"
            case AveragePooling():
                result, words = self._average(layer, values[0], step.inputs[0]), "sum of integers"
            case MaxPooling():
                result, words = self._maximum(layer, values[0], step.inputs[0]), "maximum of integers"
            case Shortcut():
                result, words = self._shortcut(layer, values[0], step.inputs[0]), "some of the integers, and zeros"
            case Total():
                self._read = [self.fixed(*pair) for pair in zip(step.inputs, values, strict=True)]
                node = Add(layer.name, tuple(value.source for value in self._read))
                result = Carried(self.append(node), self.unit)
                words = f"sum of integers of {self.fraction} fraction bits"
            case Join():
                result, words = self._join(layer, step.inputs, values), "channels of integers, each with its meaning"
            case _:
                raise TypeError(f"no fold for {type(layer).__name__}")
        self._values[layer.name], self._reads[layer.name] = result, tuple(self._read)
        self._folds[layer.name] = words

    def finish(self, score_bits: int) -> FoldedGraph:
        """Append what makes the scores."""
        last = self._graph.body[-1].layer.name
        value = self._values[last]
        if value.clipped or self.types[value.source].kind != "sum":
            raise CompileError(f"layer {shown(last)}: it must give one sum a class, last or before a norm or scale")
        found = self.types[value.source]
        node = score_node(value.norm, value.meaning, found, value.source, score_bits)
        if node is not None:
            self.append(replace(node, name=self.new_name(node.name) if value.norm is None else node.name))
        if self._graph.head is not None:
            self._folds[self._graph.head.name] = "dropped: it changes no comparison of classes"
        nodes = tuple(self.needed())
        complemented = frozenset(self._complemented)
        return FoldedGraph(nodes, self._values, self._reads, complemented, self._folds, self.fraction)

    def _weigh(self, layer: FloatDense | FloatConv, value: Carried, name: str) -> tuple[Carried, str]:
        padded = isinstance(layer, FloatConv) and layer.window.reaches_padding(self.types[value.source].shape[1:])
        coded = self.coded(name, value, padded=padded)
        self._read = [coded]
        found = self.types[coded.source]
        meaning = weighted(layer, coded.meaning, found.shape)
        weights = flipped(layer.codes, layer.levels, layer.negative)
        if isinstance(layer, FloatDense):
            node: Node = Dense(layer.name, coded.source, weights, layer.levels)
        else:
            padding, pad = (0, 0, 0, 0), None
            if padded:
                padding = layer.window.padding
                opposite = name in self._complemented
                pad = code_for_pads(layer, coded.meaning, found, recoded=False, complemented=opposite)
            node = Conv(
                layer.name, coded.source, weights, layer.window.stride, padding, pad, layer.groups, layer.levels
            )
        words = "weights are codes" if layer.stored else "weights are the signs of the latents"
        if coded is not value:
            words += f"; reads codes of {CODE_BITS} bits"
        return Carried(self.append(node), meaning), words

    def _activate(self, layer: BatchNorm, value: Carried, name: str) -> tuple[Carried, str]:
        steps = [layer.activation.step(level)[0] for level in range(1, layer.activation.levels + 1)]
        bare = bool((layer.gamma == 1).all() and (layer.mean == 0).all() and (layer.variance + layer.eps == 1).all())
        inside = (value.low is None or value.low < steps[0]) and (value.high is None or steps[-1] < value.high)
        # A normalization waits no longer where another one follows, or where the trained network rounds its result.
        if value.norm is not None and not (bare and value.norm.fraction is None):
            value = self.fixed(name, value)
        elif inside and bare and not layer.constants.any():
            # No step lies at a clip or beyond, so that clips change no code.
            value = replace(value, low=None, high=None)
        elif value.clipped:
            value = self.fixed(name, value)
        self._read = [value]
        norm = layer
        if value.norm is not None:
            shift = layer.beta if layer.shift is None else layer.beta + layer.shift
            own = value.norm.shift
            norm = replace(
                value.norm,
                name=layer.name,
                activation=layer.activation,
                shift=shift if own is None else own + shift,
            )
        value = self.sums(value) if self.types[value.source].kind == "code" else value
        negative, thresholds = fold_norm(norm, value.meaning, self.types[value.source], pooled=True)
        inverted = negative ^ layer.activation.complemented
        if layer.activation.complemented:
            self._complemented.add(layer.name)
        node = Threshold(layer.name, value.source, thresholds, inverted if inverted.any() else None)
        exact = value.meaning != self.unit
        words = "exact thresholds" if exact else f"thresholds on integers of {self.fraction} fraction bits"
        return Carried(self.append(node), of_activation(layer.activation)), words

    def _average(self, layer: AveragePooling, value: Carried, name: str) -> Carried:
        window = layer.window
        padded = window.reaches_padding(self.types[value.source].shape[1:])
        if value.clipped or (value.norm is not None and (padded or value.norm.fraction is not None)):
            value = self.fixed(name, value)
        self._read = [value]
        meaning = average(layer, value.meaning, self.types[value.source].shape)
        padding = window.padding if padded else (0, 0, 0, 0)
        node = SumPool(layer.name, value.source, window.kernel, window.stride, padding)
        return replace(value, source=self.append(node), meaning=meaning)

    def _maximum(self, layer: MaxPooling, value: Carried, name: str) -> Carried:
        if value.norm is not None and (value.norm.gamma < 0).any():
            value = self.fixed(name, value)
        self._read = [value]
        window = layer.window
        padding = window.padding if window.reaches_padding(self.types[value.source].shape[1:]) else (0, 0, 0, 0)
        node = MaxPool(layer.name, value.source, window.kernel, window.stride, padding)
        return replace(value, source=self.append(node))

    def _shortcut(self, layer: Shortcut, value: Carried, name: str) -> Carried:
        value = self.fixed(name, value)
        self._read = [value]
        more = layer.channels - self.channels(value)
        if layer.stride > 1:
            picked = layer.name if not more else self.new_name(f"{layer.name}.picked")
            node = MaxPool(picked, value.source, (1, 1), (layer.stride, layer.stride))
            value = replace(value, source=self.append(node))
        if more:
            value = replace(value, source=self.append(PadChannels(layer.name, value.source, 0, more)))
        return value

    def _join(self, layer: Join, names: Sequence[str], values: Sequence[Carried]) -> Carried:
        settled = [self.sums(self.settled(*pair)) for pair in zip(names, values, strict=True)]
        self._read = settled
        offsets, scales = [], []
        for value in settled:
            for channel in range(self.channels(value)):
                offsets.append(value.meaning.offset(channel))
                scales.append(value.meaning.scale(channel) / value.meaning.divisor)
        node = Concat(layer.name, tuple(value.source for value in settled))
        return Carried(self.append(node), Meaning(tuple(offsets), Fraction(1), tuple(scales)))
