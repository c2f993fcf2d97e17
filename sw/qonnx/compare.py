"""Compares an imported network with the exact evaluation of its graph, score by score."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from signfold.sw.errors import CompileError
from signfold.sw.network import Network
from signfold.sw.qonnx.evaluate import evaluate
from signfold.sw.qonnx.graph import Graph
from signfold.sw.qonnx.number import Number
from signfold.sw.qonnx.streamline import Pixels, Streamlined

__all__ = ["Agreement", "compare", "graph_frames"]


@dataclass(frozen=True)
class Agreement:
    """How the integer network compares with the graph.

    Parameters
    ----------
    frames : int
        Frames compared.
    scores : int
        Scores compared.
    equal : int
        Those that are the graph's exactly, by the common scale and offset; all, unless scores are rounded.
    classes : int
        Frames of the same class.
    """

    frames: int
    scores: int
    equal: int
    classes: int


def graph_frames(frames: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return frames of the integer network in the order of the graph's input, ``[n, elements]``."""
    flat = frames.reshape(len(frames), -1)
    moved = np.empty_like(flat)
    moved[:, order] = flat
    return moved


def compare(graph: Graph, streamlined: Streamlined, network: Network, pixels: Pixels, frames: np.ndarray) -> Agreement:
    """Evaluate both on some frames.

    Parameters
    ----------
    graph : Graph
        The original.
    streamlined : Streamlined
        What became of it.
    network : Network
        The integer network made of that.
    pixels : Pixels
        What the codes of frames stand for.
    frames : numpy.ndarray
        uint8 ``[n, *shape]`` as the network takes them.

    Raises
    ------
    CompileError
        A score is not the graph's: both are named.
    """
    scores, meaning = network.evaluate(frames), streamlined.scores
    rounded = meaning.kind == "rounded"
    # A rounded score is off by half a unit, and by half of one for each unit of the sum.
    allowed = _rounding(network) * meaning.scale if rounded else Fraction(0)
    given = graph_frames(frames, streamlined.order)
    equal = classes = 0
    for block, table in evaluate(graph, given, pixels.scale, pixels.offset, streamlined.tensor):
        ranks, ordered = table.ranks()
        ranks, ours = ranks.reshape(len(ranks), -1), scores.scores[block]
        if ranks.shape != ours.shape:
            raise CompileError(f"verify: the graph gives {ranks.shape[1]} scores, the network {ours.shape[1]}")
        known: dict[tuple[int, int], bool] = {}
        for frame, place in np.argwhere(ours == ours).tolist():
            pair = (int(ranks[frame, place]), int(ours[frame, place]))
            if pair not in known:
                difference: Number = ordered[pair[0]] - (meaning.scale * pair[1] + meaning.offset)
                known[pair] = difference == 0
                if not known[pair] and abs_of(difference) > allowed:
                    theirs = float(ordered[pair[0]])
                    raise CompileError(
                        f"verify: frame {block.start + frame}, class {place}: score {pair[1]} stands for "
                        f"{float(meaning.scale * pair[1] + meaning.offset)!r}, the graph gives {theirs!r}"
                    )
            equal += known[pair]
        classes += int(np.count_nonzero(ranks.argmax(axis=1) == scores.classes[block]))
    if not rounded and classes != len(frames):
        raise CompileError(
            f"verify: {len(frames) - classes} of {len(frames)} frames get another class than by the graph"
        )
    return Agreement(len(frames), int(scores.scores.size), equal, classes)


def abs_of(number: Number) -> Number:
    """Return the magnitude."""
    return -number if number < 0 else number


def _rounding(network: Network) -> Fraction:
    value = network.types[network.node(network.output).input]
    return Fraction(max(-value.low, value.high) + 1, 2)
