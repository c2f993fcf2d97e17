"""Compilation of a training run whose network branches: the passes on its model, its accuracy, its report."""

import os
from collections.abc import Callable

import numpy as np

from signfold.sw import data
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.compilation import Compilation, Validation, facts
from signfold.sw.compile.conversions import CODE_BITS
from signfold.sw.compile.describe import describe_graph
from signfold.sw.compile.float32 import FORMULA, choose_evaluator
from signfold.sw.compile.graph_driver import FRAMES, compile_graph, graph_agreement
from signfold.sw.errors import DataError
from signfold.sw.network import Network
from signfold.sw.network.types import shown

__all__ = ["compile_graph_run"]


def compile_graph_run(
    model: StoredModel,
    name: str | None,
    fraction: int | None,
    real_weights: int | None,
    *,
    score_bits: int,
    sample: int,
    data_dir: str | os.PathLike[str] | None,
    tell: Callable[[str], object],
) -> Compilation:
    """Compile a run's model that branches; see `driver.compile_run`."""
    tell("read training pictures")
    dataset = data.load(model.dataset, data_dir)
    frames = _frames(model, dataset.split("train")[0])
    compiled = compile_graph(
        model, frames, fraction=fraction, real_weights=real_weights, score_bits=score_bits, on_pass=tell
    )
    network = compiled.network
    tell("evaluate on the validation split")
    validation = Validation.of(network, model.dataset, data_dir)
    bits = (CODE_BITS if real_weights is None else real_weights) if compiled.rounded else None
    topology = model.training.get("topology")
    named = name or f"{model.dataset}-{topology if isinstance(topology, str) else 'graph'}"
    metadata = facts(named, model, model, validation, bits) | {"fraction": compiled.folded.fraction}
    network = Network(network.input, network.nodes, network.output, metadata)
    folds = compiled.folded.folds
    report: dict[str, object] = {
        "format": "signfold-compile-report",
        "network": {**network.metadata, "content_hash": network.content_hash},
        "fraction": compiled.folded.fraction,
        "chain": [entry | {"fold": folds[entry["layer"]]} for entry in describe_graph(compiled.graph)],
        "rounded": {"layers": compiled.rounded},
    }
    if validation.missing is not None:
        report["no_accuracy"] = validation.missing
    elif sample and choose_evaluator()[0] != FORMULA:
        tell("run the trained model")
        classes = validation.accuracy.evaluation.classes
        report["float_model"] = graph_agreement(model, compiled, validation.frames, classes, sample)
    return Compilation(network, report)


def _frames(model: StoredModel, pictures: np.ndarray) -> np.ndarray:
    """Return the pictures that ranges of codes are chosen by."""
    given = model.description.get("input")
    wanted = given.get("shape") if isinstance(given, dict) else None
    pictures = pictures[:FRAMES]
    if not isinstance(wanted, list) or pictures[0].size != np.prod(wanted, dtype=object):
        raise DataError(
            f"data set {model.dataset!r} has {pictures[0].size} pixels, but the model takes {shown(wanted)}"
        )
    return pictures
