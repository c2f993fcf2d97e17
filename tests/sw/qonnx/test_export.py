"""Export and import again, and qonnx's executor between: the same scores for every network."""

import re

import numpy as np
import pytest

from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_network
from signfold.sw import zoo
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine
from signfold.sw.qonnx.evaluate import evaluate
from signfold.sw.qonnx.importer import import_onnx
from signfold.sw.qonnx.write import FORMS, encode_onnx, export_onnx


def fraction(network):
    node = network.node(network.output)
    return node.fraction if isinstance(node, Affine) else 0


def check_round_trip(network, form, path, count=6, seed=0):
    """Import an exported network, and compare the scores of both by the common scale that the import states."""
    export_onnx(network, path, form)
    back = import_onnx(path, score_bits=62)
    frames = random_frames(np.random.default_rng(seed), network, count)
    ours = back.network.evaluate(frames.reshape(count, *back.network.input.shape)).scores
    meaning, unit = back.streamlined.scores, 2 ** fraction(network)
    assert meaning.kind in ("sums", "exact")
    returned = [(meaning.scale * score + meaning.offset) * unit for score in ours.ravel().tolist()]
    assert returned == network.evaluate(frames).scores.ravel().tolist(), f"seed {seed}"
    return back


#: Shipped networks that do not branch.
CHAINS = [name for name in zoo.names() if name != "resnet20-cifar10"]


def test_networks_that_branch_are_refused(tmp_path):
    with pytest.raises(CompileError, match="scale has no exact counterpart in QONNX"):
        export_onnx(zoo.load("resnet20-cifar10"), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CHAINS)
def test_shipped_networks_return(name, form, tmp_path):
    network = zoo.load(name)
    back = check_round_trip(network, form, tmp_path / "net.onnx", count=2)
    assert back.network.types[back.network.output] == network.types[network.output]
    # Inverted channels come back as flipped weights of what reads them.
    if not any(getattr(node, "inverted", None) is not None for node in network.nodes):
        assert back.network.content_hash == network.content_hash


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CHAINS)
def test_shipped_networks_in_qonnx(name, form, tmp_path):
    pytest.importorskip("qonnx", reason="qonnx's executor is compared with signfold[interop]")
    import onnx
    import onnxruntime
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    # onnxruntime refuses files newer than itself; ours are old enough, qonnx's own pieces are not under a newer onnx.
    if tuple(map(int, re.findall(r"\d+", onnx.__version__)[:2])) > (1, 20):
        pytest.skip(f"onnx {onnx.__version__} is too new for qonnx on onnxruntime {onnxruntime.__version__}")
    network = zoo.load(name)
    export_onnx(network, tmp_path / "net.onnx", form)
    frames = random_frames(np.random.default_rng(4), network, 3)
    model = ModelWrapper(str(tmp_path / "net.onnx"))
    output = model.graph.output[0].name
    theirs = [execute_onnx(model, {"pixels": frames[place : place + 1]})[output] for place in range(len(frames))]
    scores = np.concatenate(theirs).reshape(len(frames), -1) * 2.0 ** fraction(network)
    np.testing.assert_array_equal(scores, network.evaluate(frames).scores)


def random_one(seed):
    rng = np.random.default_rng(seed)
    return random_network(rng) if seed % 3 == 0 else random_conv_network(rng)


@pytest.mark.parametrize("form", FORMS)
def test_random_networks_return(form, tmp_path):
    for seed in range(15):
        check_round_trip(random_one(seed), form, tmp_path / "net.onnx", seed=seed)


@pytest.mark.sweep
@pytest.mark.parametrize("first", range(1000, 1500, 100))
@pytest.mark.parametrize("form", FORMS)
def test_many_random_networks_return(form, first, tmp_path):
    for seed in range(first, first + 100):
        check_round_trip(random_one(seed), form, tmp_path / "net.onnx", seed=seed)


@pytest.mark.parametrize("form", FORMS)
def test_exported_graphs_evaluate_to_the_scores(form, tmp_path):
    from signfold.sw.qonnx.read import read_graph

    network = zoo.load("digits")
    export_onnx(network, tmp_path / "net.onnx", form)
    graph = read_graph(tmp_path / "net.onnx")
    assert graph.integers and graph.bits == network.input.bits
    frames = random_frames(np.random.default_rng(1), network, 5)
    (_, first), (_, rest) = evaluate(graph, frames, 1, 0)
    assert first.to_list() + rest.to_list() == network.evaluate(frames).scores.ravel().tolist()


def test_the_same_network_gives_the_same_bytes():
    network = zoo.load("digits")
    assert encode_onnx(network) == encode_onnx(network)
    with pytest.raises(ValueError, match="^form must be one of quant, multithreshold, not 'finn'$"):
        encode_onnx(network, "finn")


def test_onnx_checks_what_is_written():
    import onnx

    for form in FORMS:
        onnx.checker.check_model(encode_onnx(zoo.load("conv-mnist"), form))
