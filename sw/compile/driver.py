"""The compiler: runs the passes in order, a verifier after each, and writes nothing that was not proven."""

import os
from collections.abc import Callable

import numpy as np

from signfold.sw.compile.accuracy import Accuracy
from signfold.sw.compile.agreement import compare_classes, compare_codes
from signfold.sw.compile.checkpoint import StoredModel, read_model
from signfold.sw.compile.compilation import SAMPLE, SCORE_BITS, Compilation, Validation, facts
from signfold.sw.compile.describe import describe_layers
from signfold.sw.compile.float32 import FORMULA, choose_evaluator
from signfold.sw.compile.float_graph import branches
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import fold_body
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.graph_run import compile_graph_run
from signfold.sw.compile.head import add_head
from signfold.sw.compile.how import describe_folds
from signfold.sw.compile.real_weights import round_real_weights
from signfold.sw.compile.report import head_report, layer_report
from signfold.sw.compile.verify import verify_body, verify_head
from signfold.sw.errors import CompileError
from signfold.sw.network import Network

__all__ = ["SAMPLE", "SCORE_BITS", "Compilation", "compile_network", "compile_run"]


def compile_network(
    float_network: FloatNetwork, *, score_bits: int = SCORE_BITS, metadata: dict | None = None
) -> Network:
    """Compile a float network, proving every pass.

    Parameters
    ----------
    float_network : FloatNetwork
        The trained network.
    score_bits : int
        Width of signed scores where the head is an affine a class, 8 to 62.
    metadata : dict, optional
        Facts to store in the network.

    Raises
    ------
    CompileError
        The network does not fold, or a pass made something else of it; names layer and channel.
    """
    folded = fold_body(float_network)
    lines = verify_body(float_network, folded.nodes)
    nodes = add_head(float_network, folded, score_bits)
    verify_head(float_network, folded.nodes, nodes, lines)
    return Network(float_network.input, nodes, nodes[-1].name, metadata or {})


def compile_run(
    run: str | os.PathLike[str],
    *,
    epoch: str | None = None,
    name: str | None = None,
    score_bits: int | None = None,
    sample: int = SAMPLE,
    data_dir: str | os.PathLike[str] | None = None,
    real_weights: int | None = None,
    fraction: int | None = None,
    on_pass: Callable[[str], object] | None = None,
) -> Compilation:
    """Compile a training run.

    The network's metadata are functions of the checkpoint, the arguments, this version of Signfold and, where it can be
    read, the validation split: not of time, path or machine.

    Parameters
    ----------
    run : path
        Folder of the run.
    epoch : {"best", "last"}, optional
        Tensors to take; without it the best epoch's where there are any, else the last.
    name : str, optional
        Name in the metadata; without it data set and widths.
    score_bits : int, optional
        See `compile_network`; without it `SCORE_BITS`, and a bit more for each beyond 8 that real weights are rounded
        to: sums of finer weights need finer scores.
    sample : int
        First frames of the validation split on which every code is compared with the trained model's; with 0 its
        classes are not compared either.
    data_dir : path, optional
        Folder of data sets. Without it, and without data in the usual place, accuracy is left out and the report says
        why.
    real_weights : int, optional
        Bits that real weights are rounded to, 2 to 16 (see `real_weights`); without it they are refused in a chain, and
        rounded to 8 bits in a network that branches.
    fraction : int, optional
        Fraction bits of a network that branches; without it `fixed_point.suitable_fraction`.
    on_pass : callable, optional
        Told what begins, in a few words.

    Raises
    ------
    CheckpointError, CompileError
        The run cannot be read or does not fold.
    DataError
        `data_dir` was given and does not hold the validation split; or the network branches, and there are no training
        pictures to choose the ranges of its codes by.
    """
    tell = on_pass or (lambda _: None)
    if score_bits is None:
        score_bits = SCORE_BITS + max(0, (real_weights or 0) - 8)
    tell("read checkpoint")
    trained = model = read_model(run, epoch)
    if branches(model):
        return compile_graph_run(
            model, name, fraction, real_weights, score_bits=score_bits, sample=sample, data_dir=data_dir, tell=tell
        )
    if fraction is not None:
        raise CompileError("fraction bits are for networks that branch: this one is a chain, whose codes are exact")
    rounded: list[dict[str, object]] = []
    if real_weights is not None:
        model, rounded = round_real_weights(trained, real_weights)
    float_network = import_model(model)
    tell("fold and verify")
    network = compile_network(float_network, score_bits=score_bits)
    tell("evaluate on the validation split")
    validation = Validation.of(network, model.dataset, data_dir)
    frames, integer = validation.frames, validation.accuracy
    metadata = facts(
        name or _name(model.dataset, float_network), model, trained, validation, real_weights if rounded else None
    )
    network = Network(network.input, network.nodes, network.output, metadata)
    tell("compare with float32")
    report = _report(float_network, network, frames, integer, validation.missing)
    if integer is not None and sample and report["evaluator"] != FORMULA:
        tell("run the trained model")
        report["float_model"] = _agreement(model, float_network, network, frames, integer, sample)
    if rounded:
        report["rounded"] = {"layers": rounded}
        if "float_model" in report:
            report["rounded"] |= _cost(trained, frames, integer)
    return Compilation(network, report)


def _name(dataset: str, network: FloatNetwork) -> str:
    """Return data set and widths: pixels (channels x height x width where the picture has them) and channels."""
    pixels, *channels = network.widths
    picture = "x".join(map(str, network.input.shape)) if len(network.input.shape) > 1 else str(pixels)
    return "-".join([dataset, picture, *map(str, channels)])


def _agreement(
    model: StoredModel,
    float_network: FloatNetwork,
    network: Network,
    frames: np.ndarray,
    integer: Accuracy,
    sample: int,
) -> dict[str, object]:
    from signfold.sw.compile.torch_front import TorchModel

    trained = TorchModel(model)
    return {
        "classes": compare_classes(float_network, network, trained, frames, integer.evaluation.classes),
        "sample": min(sample, len(frames)),
        "codes": compare_codes(float_network, network, trained, frames[:sample]),
    }


def _cost(trained: StoredModel, frames: np.ndarray, integer: Accuracy) -> dict[str, object]:
    """Count the frames that the network classifies otherwise than the model before its weights were rounded."""
    from signfold.sw.compile.torch_front import TorchModel

    classes = TorchModel(trained).classes(frames)
    return {"frames": len(frames), "differing": int(np.count_nonzero(classes != integer.evaluation.classes))}


def _report(
    float_network: FloatNetwork,
    network: Network,
    frames: np.ndarray | None,
    integer: Accuracy | None,
    missing: str | None,
) -> dict[str, object]:
    evaluator, evaluate = choose_evaluator()
    scores = None if integer is None else integer.evaluation.scores
    report: dict[str, object] = {
        "format": "signfold-compile-report",
        "network": {**network.metadata, "content_hash": network.content_hash},
        "evaluator": evaluator,
        "chain": [
            entry | {"fold": fold}
            for entry, fold in zip(describe_layers(float_network), describe_folds(float_network, network), strict=True)
        ],
        "layers": layer_report(float_network, network, evaluate),
        "head": head_report(float_network, network, evaluate, frames, scores),
    }
    if missing is not None:
        report["no_accuracy"] = missing
    return report
