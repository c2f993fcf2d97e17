"""The verifier accepts what the passes make and names whatever a faulty pass makes instead."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from signfold.sw.compile import compile_network, driver
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.verify_norm import sign_with_root
from signfold.sw.errors import CompileError


@pytest.fixture
def trained(make_run, tmp_path):
    """Return a float network with both signs of gamma, ties, constant channels, and per-class scores."""
    run = make_run(np.random.default_rng(8), [9, 6, 5, 3], head="batchnorm")
    # Channel 1 never fires, 5 always; 3 and 4 are exactly 0 at an attainable sum.
    run.tensors["model.norm0.weight"][:] = [-0.5, 0.0, 0.7, 1.0, -1.0, 0.0]
    run.tensors["model.norm0.bias"][1:] = [-1, 0.1, 0, 0, 1]
    run.tensors["model.norm0.running_mean"][3:5] = [1, -1]
    return import_model(read_model(run.write(tmp_path / "run")))


def change(array, place, value):
    changed = array.copy()
    changed[place] = value(changed[place])
    return changed


def fault(index, parameter, place, value):
    """Return a pass that does its work and then damages one number."""

    def damage(nodes):
        array = change(getattr(nodes[index], parameter), place, value)
        return (*nodes[:index], replace(nodes[index], **{parameter: array}), *nodes[index + 1 :])

    return damage


# Nodes: 0 pixels, 1 dense0, 2 norm0, 3 dense1, 4 norm1, 5 dense2 (last), 6 norm2 (scores).
FOLD_FAULTS = [
    *[
        (fault(2, "thresholds", (channel, 0), lambda t, step=step: t + step), f"'norm0' channel {channel}")
        for channel in range(6)
        for step in (-2, -1, 1, 2, 1 << 40)
    ],
    (fault(4, "thresholds", (4, 0), lambda t: -t - 1), "'norm1' channel 4"),
    (fault(1, "weights", (0, 3), lambda w: 1 - w), "'dense0' channel 0: weight 3"),
    (fault(1, "weights", 0, lambda w: 1 - w), "'dense0' channel 0"),  # gamma < 0 without the flip
    (fault(1, "weights", 1, lambda w: 1 - w), "'dense0' channel 1"),  # gamma = 0 flipped
    (fault(1, "weights", 2, lambda w: 1 - w), "'dense0' channel 2"),  # gamma > 0 flipped
    (fault(5, "weights", (2, 0), lambda w: 1 - w), "'dense2' channel 2"),
    (fault(0, "thresholds", (0, 0), lambda t: t + 1), "'input_threshold' channel 0"),
    (fault(0, "thresholds", (0, 0), lambda t: t - 1), "'input_threshold' channel 0"),
    (lambda nodes: nodes[:-1], "nodes"),
    (lambda nodes: (nodes[0], nodes[3], nodes[4], nodes[1], nodes[2], nodes[5]), "'dense1' reads 'norm0'"),
    (lambda nodes: (*nodes[:3], replace(nodes[3], input="pixels"), *nodes[4:]), "'dense1'"),
    (lambda nodes: (*nodes[:2], nodes[4], nodes[3], nodes[2], nodes[5]), "'norm1' reads 'dense1'"),
]


@pytest.mark.parametrize(("damage", "words"), FOLD_FAULTS)
def test_a_fault_in_the_fold_is_named(damage, words, trained, monkeypatch) -> None:
    compile_network(trained)
    fold = driver.fold_body

    def damaged(network):
        folded = fold(network)
        return replace(folded, nodes=damage(folded.nodes))

    monkeypatch.setattr(driver, "fold_body", damaged)
    with pytest.raises(CompileError) as caught:
        compile_network(trained)
    assert str(caught.value).startswith("verify: ") and words in str(caught.value)


HEAD_FAULTS = [
    *[
        (fault(6, parameter, channel, lambda v, step=step: v + step), f"'norm2': {parameter}")
        for parameter in ("scale", "offset")
        for channel in range(3)
        for step in (-1, 1)
    ],
    (fault(6, "scale", 0, lambda v: -v), "'norm2': scale"),
    (lambda nodes: nodes[:-1], "'norm2'"),
    (lambda nodes: (*nodes[:-1], replace(nodes[-1], fraction=nodes[-1].fraction + 1)), "'norm2': scale"),
    (lambda nodes: (*nodes[:-1], replace(nodes[-1], input="dense1")), "'norm2'"),
]


@pytest.mark.parametrize(("damage", "words"), HEAD_FAULTS)
def test_a_fault_in_the_head_is_named(damage, words, trained, monkeypatch) -> None:
    head = driver.add_head
    monkeypatch.setattr(driver, "add_head", lambda *arguments: damage(head(*arguments)))
    with pytest.raises(CompileError) as caught:
        compile_network(trained)
    assert str(caught.value).startswith("verify: ") and words in str(caught.value)


@pytest.mark.parametrize(("parameter", "wrong"), [("scale", [4, -4]), ("scale", [5, -5]), ("offset", [0, 0])])
def test_a_half_rounded_down_is_named(parameter, wrong, make_run, tmp_path, monkeypatch) -> None:
    """Slopes of 4.5 and -4.5 units and offsets of 0.5 and -0.5 are 5, -4, 1 and 0."""
    run = make_run(np.random.default_rng(0), [6, 15, 2], head="batchnorm", eps=0.25)
    columns = {"weight": [2.25, -2.25], "bias": [0.25, -0.25], "running_mean": [0, 0], "running_var": [0.75, 0.75]}
    for name, values in columns.items():
        run.tensors[f"model.norm1.{name}"] = np.array(values, np.float32)
    network = import_model(read_model(run.write(tmp_path / "run")))
    node = compile_network(network, score_bits=8).nodes[-1]
    assert (node.fraction, node.scale.tolist(), node.offset.tolist()) == (1, [5, -4], [1, 0])
    head = driver.add_head
    damaged = replace(node, **{parameter: np.array(wrong)})
    monkeypatch.setattr(driver, "add_head", lambda *arguments: (*head(*arguments)[:-1], damaged))
    with pytest.raises(CompileError, match=f"'norm1': {parameter}"):
        compile_network(network, score_bits=8)


def test_raw_sums_need_no_affine(make_run, tmp_path, monkeypatch) -> None:
    network = import_model(read_model(make_run(np.random.default_rng(1), [4, 3]).write(tmp_path / "run")))
    assert len(compile_network(network).nodes) == 2
    monkeypatch.setattr(driver, "add_head", lambda trained, folded, bits: folded.nodes[:-1])
    with pytest.raises(CompileError, match="'scale'"):
        compile_network(network)


def test_sign_with_root() -> None:
    rng = np.random.default_rng(4)
    for _ in range(500):
        p, q = (Fraction(int(rng.integers(-20, 21)), int(rng.integers(1, 9))) for _ in range(2))
        root = Fraction(int(rng.integers(0, 12)), int(rng.integers(1, 9)))
        value = p + q * root
        assert sign_with_root(p, q, root * root) == (value > 0) - (value < 0)
    # sqrt(2) lies between its convergents 1.41421356 and 1.41421357.
    assert sign_with_root(Fraction(-141421356, 10**8), Fraction(1), Fraction(2)) == 1
    assert sign_with_root(Fraction(-141421357, 10**8), Fraction(1), Fraction(2)) == -1
