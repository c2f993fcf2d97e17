"""Scores: a common scale drops out, an affine a class is rounded correctly and cannot overflow."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from signfold.sw.compile import compile_network
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.float32 import evaluate_formula
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.head import fixed_point
from signfold.sw.compile.report import head_report
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Dense


def read(run, folder):
    return import_model(read_model(run.write(folder)))


@pytest.mark.parametrize("log_scale", [-200.0, -3.0, 0.0, 88.0])
def test_common_scale_drops_out(log_scale, make_run, tmp_path) -> None:
    run = make_run(np.random.default_rng(0), [8, 4, 3])
    run.tensors["model.scale.log_scale"] = np.array(log_scale, np.float32)
    assert isinstance(compile_network(read(run, tmp_path / "run")).nodes[-1], Dense)


@pytest.mark.parametrize("log_scale", [np.nan, np.inf])
def test_common_scale_must_be_finite(log_scale, make_run, tmp_path) -> None:
    run = make_run(np.random.default_rng(0), [8, 4, 3])
    run.tensors["model.scale.log_scale"] = np.array(log_scale, np.float32)
    with pytest.raises(CompileError, match="'scale': log_scale is"):
        read(run, tmp_path / "run")


def test_fixed_point_is_correctly_rounded() -> None:
    """Against roots that are rational, and against a root known to 60 digits."""
    rng = np.random.default_rng(1)
    for _ in range(2000):
        rational = Fraction(int(rng.integers(-99, 100)), int(rng.integers(1, 9)))
        root = Fraction(int(rng.integers(0, 99)), int(rng.integers(1, 9)))
        sign = int(rng.integers(-1, 2))
        assert fixed_point(rational, sign, root * root) == (rational + sign * root + Fraction(1, 2)).__floor__()
    digits = 141421356237309504880168872420969807856967187537694807317667
    assert fixed_point(Fraction(0), 1, Fraction(2 * 10**118)) == digits + 1  # ...667.97...
    assert fixed_point(Fraction(0), -1, Fraction(2 * 10**118)) == -digits - 1


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("score_bits", [8, 16, 24, 40, 62])
def test_scores_fit_and_are_close(seed, score_bits, make_run, tmp_path) -> None:
    """Every sum of every class: within the stated error of the real score, within the stated width."""
    rng = np.random.default_rng(seed)
    run = make_run(rng, [6, 15, 4], head="batchnorm")
    run.tensors["model.norm1.weight"][0] *= -1
    run.tensors["model.norm1.weight"][1] = 0
    trained = read(run, tmp_path / "run")
    network = compile_network(trained, score_bits=score_bits)
    node = network.nodes[-1]
    assert isinstance(node, Affine)
    assert network.types[node.name].bits <= score_bits
    norm = trained.head
    with localcontext(prec=60):
        for channel in range(4):
            gamma, beta, mean, variance = (
                Decimal(float(values[channel])) for values in (norm.gamma, norm.beta, norm.mean, norm.variance)
            )
            slope = gamma / (variance + Decimal(norm.eps)).sqrt()
            for s in range(-15, 16, 2):
                real = (slope * (s - mean) + beta) * (1 << node.fraction)
                score = int(node.scale[channel]) * s + int(node.offset[channel])
                # Half a unit for the offset, and half a unit for each of 15 products.
                assert abs(score - real) <= 8
    # One more fraction bit would not have fitted.
    if node.fraction < 62:
        bound = max(abs(2 * int(s)) * 15 + abs(2 * int(o)) for s, o in zip(node.scale, node.offset, strict=True))
        assert bound + 2 * 16 >= 1 << (score_bits - 1)


def test_scores_that_cannot_fit_are_refused(make_run, tmp_path) -> None:
    run = make_run(np.random.default_rng(0), [6, 15, 4], head="batchnorm")
    run.tensors["model.norm1.bias"][2] = 1e9
    trained = read(run, tmp_path / "run")
    with pytest.raises(CompileError, match=r"'norm1': scores up to \d+ need 31 bits, but score_bits is 24"):
        compile_network(trained)
    assert compile_network(trained, score_bits=31).types["norm1"].bits == 31
    with pytest.raises(ValueError, match="score_bits"):
        compile_network(trained, score_bits=63)


def test_the_widest_score_is_the_widest_number(make_run, tmp_path) -> None:
    """Slope 8 on 15 products and offset 7 reach 127, offset 8 reaches 128; slopes below a unit round to a unit."""
    run = make_run(np.random.default_rng(0), [6, 15, 3], head="batchnorm", eps=0.25)
    columns = {"weight": [8, 0.75, -0.75], "bias": [7, 0, 0], "running_mean": [0] * 3, "running_var": [0.75] * 3}
    for name, values in columns.items():
        run.tensors[f"model.norm1.{name}"] = np.array(values, np.float32)
    network = compile_network(read(run, tmp_path / "fits"), score_bits=8)
    node = network.nodes[-1]
    assert (node.fraction, node.scale.tolist(), node.offset.tolist()) == (0, [8, 1, -1], [7, 0, 0])
    assert network.types[node.name].high == 127
    run.tensors["model.norm1.bias"][0] = 8
    with pytest.raises(CompileError, match="up to 128 need 9 bits"):
        compile_network(read(run, tmp_path / "exceeds"), score_bits=8)


def test_huge_and_tiny_slopes(make_run, tmp_path) -> None:
    run = make_run(np.random.default_rng(0), [6, 15, 4], head="batchnorm")
    run.tensors["model.norm1.weight"][:] = 1e-40
    run.tensors["model.norm1.bias"][:] = 1e-40
    assert compile_network(read(run, tmp_path / "tiny")).nodes[-1].fraction == 62
    run.tensors["model.norm1.weight"][:] = 3e38
    with pytest.raises(CompileError, match="bits"):
        compile_network(read(run, tmp_path / "huge"), score_bits=62)


def test_cost_is_counted_frame_by_frame(make_run, tmp_path) -> None:
    """Eight-bit scores lose some classes; the report counts exactly those."""
    rng = np.random.default_rng(3)
    run = make_run(rng, [20, 40, 10], head="batchnorm")
    trained = read(run, tmp_path / "run")
    frames = rng.integers(0, 32, (400, 20)).astype(np.uint8)
    counts = {}
    for score_bits in (8, 24):
        network = compile_network(trained, score_bits=score_bits)
        report = head_report(trained, network, evaluate_formula, frames)
        sums = network.trace(frames)["dense1"]
        norm = trained.head
        real = norm.gamma * (sums - norm.mean) / np.sqrt(norm.variance + norm.eps) + norm.beta
        same = int((real.argmax(axis=1) == network.evaluate(frames).classes).sum())
        assert report["kind"] == "affine" and report["frames"] == 400 and report["error"] == 20.5
        assert report["agreement"] == same / 400
        counts[score_bits] = same
    assert counts[8] < counts[24] == 400
