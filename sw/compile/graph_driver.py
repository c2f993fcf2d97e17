"""Compilation of networks that branch: real weights become codes, real numbers fixed-point ones; what that costs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from signfold.sw.compile.agreement import BLOCK
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.conversions import CODE_BITS
from signfold.sw.compile.fixed_point import FRACTIONS, suitable_fraction
from signfold.sw.compile.float_graph import FloatGraph, import_graph
from signfold.sw.compile.graph_fold import FoldedGraph, fold_graph
from signfold.sw.compile.real_weights import round_real_weights
from signfold.sw.compile.verify_graph import verify_graph
from signfold.sw.network import Network

__all__ = ["FRAMES", "GraphCompilation", "compile_graph", "graph_agreement"]

#: Frames whose values choose the ranges of codes, and frames on which every layer is verified.
FRAMES, VERIFIED = 128, 2


@dataclass(frozen=True, eq=False)
class GraphCompilation:
    """A compiled graph.

    Parameters
    ----------
    graph : FloatGraph
        The trained network, its real weights rounded.
    folded : FoldedGraph
        What it became.
    network : Network
        The integer network, verified.
    rounded : list of dict
        See `real_weights.round_real_weights`.
    """

    graph: FloatGraph
    folded: FoldedGraph
    network: Network
    rounded: list[dict[str, object]]


def compile_graph(
    model: StoredModel,
    frames: np.ndarray,
    *,
    fraction: int | None = None,
    real_weights: int | None = None,
    score_bits: int = 24,
    metadata: dict | None = None,
    on_pass: Callable[[str], object] | None = None,
) -> GraphCompilation:
    """Compile a model that branches.

    Parameters
    ----------
    model : StoredModel
        The trained model.
    frames : numpy.ndarray
        uint8 ``[n, *shape]``, at least one; see `graph_fold.fold_graph`. The first `FRAMES` are looked at.
    fraction : int, optional
        Fraction bits, one of `FRACTIONS`; without it `fixed_point.suitable_fraction`.
    real_weights : int, optional
        Bits that real weights are rounded to, 2 to 16; without it `CODE_BITS`.
    score_bits : int
        Width of rounded scores, 8 to 62.
    metadata : dict, optional
        Facts to store.
    on_pass : callable, optional
        Told what begins, in a few words.

    Raises
    ------
    CheckpointError, CompileError
        The model is damaged or does not fold, naming the layer.
    """
    if fraction is not None and fraction not in FRACTIONS:
        raise ValueError(f"fraction must be from {FRACTIONS[0]} to {FRACTIONS[-1]}, not {fraction!r}")
    if len(frames) == 0:
        raise ValueError("frames must be at least one")
    tell = on_pass or (lambda _: None)
    rounded, layers = round_real_weights(model, CODE_BITS if real_weights is None else real_weights)
    graph = import_graph(rounded)
    tell("fold")
    fraction = suitable_fraction(graph) if fraction is None else fraction
    folded = fold_graph(graph, frames[:FRAMES].reshape(-1, *graph.input.shape), fraction, score_bits)
    network = Network(graph.input, folded.nodes, folded.nodes[-1].name, metadata or {})
    tell("verify")
    verify_graph(graph, folded, network, frames[:VERIFIED])
    return GraphCompilation(graph, folded, network, layers)


def graph_agreement(
    model: StoredModel, compilation: GraphCompilation, frames: np.ndarray, classes: np.ndarray, sample: int
) -> dict[str, object]:
    """Compare the integer network with the trained model: classes, and on some frames all codes.

    Returns
    -------
    dict
        ``classes``: ``frames`` and ``differing``; ``sample``; ``codes``: ``layer``, ``codes`` and ``differing`` of each
        activation. What differs is due to rounding: of weights, of fixed-point numbers, and of float32.
    """
    from signfold.sw.compile.torch_front import TorchModel

    trained = TorchModel(model)
    activations = {step.layer.name: step.layer for step in compilation.graph.steps}
    names = compilation.folded.activations
    counts = {name: [0, 0] for name in names}
    for start in range(0, min(sample, len(frames)), BLOCK):
        block = frames[start : min(start + BLOCK, sample)]
        theirs, ours = trained.outputs(block, names), compilation.network.trace(block)
        for name in names:
            activation = activations[name].activation
            integers = np.round(theirs[name].astype(np.float64) * float(activation.divisor) - activation.offset)
            codes = (integers.astype(np.int64) + activation.top) // 2
            counts[name][0] += codes.size
            counts[name][1] += int(np.count_nonzero(codes != ours[name]))
    others = trained.classes(frames)
    return {
        "classes": {"frames": len(frames), "differing": int(np.count_nonzero(others != classes))},
        "sample": min(sample, len(frames)),
        "codes": [{"layer": name, "codes": all_, "differing": other} for name, (all_, other) in counts.items()],
    }
