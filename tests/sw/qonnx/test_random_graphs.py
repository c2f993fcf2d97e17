"""Random graphs: imports equal the exact evaluation, and that equals ONNX's reference evaluator where it is exact."""

from fractions import Fraction

import numpy as np
import pytest

from signfold.sw.errors import CompileError
from signfold.sw.qonnx.evaluate import evaluate
from signfold.sw.qonnx.importer import import_onnx
from signfold.sw.qonnx.read import read_graph
from signfold.sw.qonnx.streamline import Pixels

PIXELS = Pixels(8, Fraction(1, 64), Fraction(-2))


def import_random(chain, seed, path):
    """Import a random chain; None where it names an operation that does not fold."""
    rng = np.random.default_rng(seed)
    file = chain(rng, dyadic=bool(seed % 2)).save(path / "net.onnx")
    try:
        return import_onnx(file, pixels=PIXELS, score_bits=62), rng
    except CompileError as refusal:
        assert str(refusal).startswith("node '"), f"seed {seed}: {refusal}"
        return None, rng


def check(chain, seeds, path):
    imported = 0
    for seed in seeds:
        result, rng = import_random(chain, seed, path)
        if result is None:
            continue
        imported += 1
        frames = rng.integers(0, 256, (24, *result.network.input.shape), dtype=np.uint8)
        try:
            agreement = result.compare(frames)
        except CompileError as error:
            raise AssertionError(f"seed {seed}: {error}") from None
        assert agreement.equal == agreement.scores or result.report["scores"]["kind"] == "rounded", f"seed {seed}"
    # Most chains fold; what does not is named.
    assert imported > len(seeds) // 2


def test_imports_equal_the_graph(chain, tmp_path):
    check(chain, range(40), tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("first", range(1000, 3000, 250))
def test_many_imports_equal_the_graph(chain, first, tmp_path):
    check(chain, range(first, first + 250), tmp_path)


@pytest.mark.parametrize("seed", range(1, 31, 2))
def test_evaluation_is_that_of_onnx(chain, oracle, seed, tmp_path):
    built = chain(np.random.default_rng(seed), dyadic=True)
    graph = read_graph(built.save(tmp_path / "net.onnx"))
    frames = np.random.default_rng(seed).integers(0, 256, (5, *graph.shape[1:]), dtype=np.uint8)
    theirs = oracle(built.model(), built.domain, frames / 64 - 2)
    tables = [table for _, table in evaluate(graph, frames, PIXELS.scale, PIXELS.offset)]
    ours = np.concatenate([np.array([float(n) for n in table.to_list()]).reshape(table.shape) for table in tables])
    np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs, f"seed {seed}")
