"""Imports a QONNX file: read, streamline, compare with the graph; nothing is handed out that was not compared."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version

import numpy as np

from signfold.sw.compile.accuracy import Accuracy
from signfold.sw.errors import CompileError, NetworkError
from signfold.sw.network import Network
from signfold.sw.network.container import read_bytes
from signfold.sw.network.types import shown
from signfold.sw.qonnx.compare import Agreement, compare
from signfold.sw.qonnx.graph import Graph
from signfold.sw.qonnx.read import MAX_FILE, read_graph
from signfold.sw.qonnx.streamline import Pixels, Streamlined, streamline

__all__ = ["RANDOM_FRAMES", "SCORE_BITS", "Import", "import_graph", "import_onnx", "measured"]

#: Width of scores that are no raw sums, unless another is asked for.
SCORE_BITS = 24
#: Random frames on which every import is compared with its graph.
RANDOM_FRAMES = 8


@dataclass(frozen=True, eq=False)
class Import:
    """An imported network.

    Parameters
    ----------
    network : Network
        The integer network.
    graph : Graph
        The original graph.
    streamlined : Streamlined
        How it was folded.
    pixels : Pixels
        What the codes of its frames stand for.
    report : dict
        JSON object: ``folds`` (of each operation what became of it), ``scores`` (``kind``, ``scale``, ``offset``: the
        graph's score is scale*score + offset), ``agreement`` with the graph, ``tail`` (operations left out).
    """

    network: Network
    graph: Graph
    streamlined: Streamlined
    pixels: Pixels
    report: dict[str, object]

    def compare(self, frames: np.ndarray) -> Agreement:
        """Compare with the exact evaluation of the graph; see `compare.compare`."""
        return compare(self.graph, self.streamlined, self.network, self.pixels, frames)


def import_graph(
    graph: Graph, pixels: Pixels | None = None, score_bits: int = SCORE_BITS, metadata: dict | None = None
):
    """Make an integer network of a graph.

    Parameters
    ----------
    graph : Graph
        The graph.
    pixels : Pixels, optional
        What codes stand for; without it 8 bits, 0 to 1 where the graph takes floats and 0 to 255 where it takes
        integers.
    score_bits : int
        Width of signed scores that are no raw sums, 8 to 62.
    metadata : dict, optional
        Facts to store.

    Returns
    -------
    Import
        The network, compared with the graph on random frames.

    Raises
    ------
    CompileError
        The graph does not fold: names the operation and the reason.
    """
    if not 8 <= score_bits <= 62:
        raise ValueError(f"score_bits must be from 8 to 62, not {score_bits!r}")
    pixels = default_pixels(graph) if pixels is None else pixels
    try:
        streamlined = streamline(graph, pixels, score_bits)
        network = Network(streamlined.input, streamlined.nodes, streamlined.nodes[-1].name, metadata or {})
    except NetworkError as cause:
        raise CompileError(str(cause)) from None
    scores = streamlined.scores
    report: dict[str, object] = {
        "format": "signfold-import-report",
        "producer": graph.producer,
        "pixels": {"bits": pixels.bits, "scale": str(pixels.scale), "offset": str(pixels.offset)},
        "folds": [{"node": o.name, "op": o.op, "becomes": words} for o, words in streamlined.folds],
        "tail": [{"node": operation.name, "op": operation.op} for operation in streamlined.tail],
        "scores": {"kind": scores.kind, "scale": float(scores.scale), "offset": float(scores.offset)},
    }
    result = Import(network, graph, streamlined, pixels, report)
    generator = np.random.default_rng(0)
    shape = (RANDOM_FRAMES, *network.input.shape)
    result.compare(generator.integers(0, 1 << pixels.bits, shape, dtype=np.uint8))
    return result


def default_pixels(graph: Graph) -> Pixels:
    """Return what codes usually stand for: 0 to 1, or themselves where the graph takes integers."""
    top = (1 << graph.bits) - 1
    return Pixels(graph.bits, Fraction(1) if graph.integers else Fraction(1, top))


def import_onnx(
    path: str | os.PathLike[str],
    *,
    pixels: Pixels | None = None,
    score_bits: int = SCORE_BITS,
    name: str | None = None,
    on_pass: Callable[[str], object] | None = None,
) -> Import:
    """Import an ONNX file; parameters are those of `import_graph`, and errors those of `read_graph` too.

    The network's metadata are functions of the file and the arguments alone.
    """
    tell = on_pass or (lambda _: None)
    tell("read")
    graph = read_graph(path)
    data = read_bytes(path, error=CompileError, limit=MAX_FILE)
    pixels = default_pixels(graph) if pixels is None else pixels
    metadata = {
        "name": name or os.path.splitext(os.path.basename(os.fspath(path)))[0][:80] or "onnx",
        "onnx": {
            "sha256": hashlib.sha256(data).hexdigest(),
            "producer": graph.producer,
            "pixels": [str(pixels.scale), str(pixels.offset)],
        },
        "signfold": version("signfold"),
    }
    tell("streamline")
    try:
        return import_graph(graph, pixels, score_bits, metadata)
    except MemoryError:
        raise CompileError(f"{shown(os.fspath(path))}: more memory is needed than there is") from None


def measured(imported: Import, dataset: str, split: str, accuracy: Accuracy, agreement: Agreement) -> Import:
    """Return the import with what a data set showed in its metadata and report."""
    entry = {"split": split, "frames": accuracy.frames, "integer": accuracy.fraction}
    old = imported.network
    network = Network(old.input, old.nodes, old.output, {**old.metadata, "dataset": dataset, "accuracy": entry})
    report = {
        **imported.report,
        "accuracy": entry,
        "agreement": {
            "frames": agreement.frames,
            "scores": agreement.scores,
            "equal": agreement.equal,
            "classes": agreement.classes,
        },
    }
    return replace(imported, network=network, report=report)
