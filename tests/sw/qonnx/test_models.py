"""Networks of others: the TFC models of the QONNX zoo, and what the current Brevitas writes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from signfold.sw.compile.accuracy import measure
from signfold.sw.data import load
from signfold.sw.errors import DataError
from signfold.sw.network import Conv, Dense, Threshold
from signfold.sw.qonnx.importer import import_onnx
from signfold.sw.qonnx.streamline import Pixels

MODELS = Path(__file__).parents[4] / "shared" / "models"


def tfc(name):
    path = MODELS / name
    if not path.exists():
        pytest.skip(f"no {path}: put the model of the QONNX model zoo there")
    try:
        return import_onnx(path), *load("mnist").split("test")
    except DataError:
        pytest.skip("no MNIST files: set SIGNFOLD_DATA to a folder made by `signfold data download mnist`")


def test_tfc_1w1a():
    imported, pictures, labels = tfc("TFC_1W1A.onnx")
    assert imported.report["scores"]["kind"] == "sums" and imported.report["scores"]["scale"] > 0
    assert [node.op for node in imported.network.nodes] == ["threshold", "dense"] * 4
    agreement = imported.compare(pictures)
    assert (agreement.equal, agreement.classes) == (100_000, 10_000)
    assert measure(imported.network, pictures, labels).correct == 9296


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.sweep)])
def test_tfc_1w2a(count):
    imported, pictures, labels = tfc("TFC_1W2A.onnx")
    assert {imported.network.types[node.name].bits for node in imported.network.nodes if node.op == "threshold"} == {2}
    agreement = imported.compare(pictures[:count])
    assert (agreement.equal, agreement.classes) == (10 * count, count)
    assert measure(imported.network, pictures, labels).correct == 9474


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["TFC_1W1A.onnx", "TFC_1W2A.onnx"])
def test_tfc_in_verilog(name, tmp_path):
    simulation = pytest.importorskip("signfold.sim.simulate", reason="needs signfold[sim]")
    from signfold.sw.default_plan import default_plan
    from signfold.sw.generate import generate

    imported, pictures, _ = tfc(name)
    artefacts = generate(imported.network, default_plan(imported.network), tmp_path / "design")
    # Every score and class, or it raises.
    report = simulation.simulate(artefacts, pictures[:1000].reshape(1000, 784))
    assert len(report.classes) == 1000


# What `brevitas.export.export_qonnx` writes of the module below; built by hand in `brevitas_graph` too.
SHIFT, STEP = Fraction(-255, 2), Fraction(1)


def parameters():
    rng = np.random.default_rng(5)
    return {
        "conv": rng.uniform(-1, 1, (8, 1, 3, 3)).astype(np.float32),
        "gamma": rng.uniform(-1, 1, 8).astype(np.float32),
        "beta": rng.uniform(-1, 1, 8).astype(np.float32),
        "mean": rng.uniform(-2, 2, 8).astype(np.float32),
        "variance": rng.uniform(0.5, 3, 8).astype(np.float32),
        "dense": rng.uniform(-1, 1, (5, 128)).astype(np.float32),
    }


def brevitas_graph(builder, path):
    """Latent weights of scale 0.1, a bipolar picture padded with zeros, one constant read by several nodes."""
    values = parameters()
    graph = builder((1, 1, 8, 8), opset=18)
    one, tenth = graph.constant([1.0]), graph.constant([0.1])
    graph.add("BipolarQuant", one)
    weights = graph.of_constant("BipolarQuant", values["conv"], tenth)
    graph.add("Conv", weights, group=1, pads=[1, 1, 1, 1], auto_pad="NOTSET", strides=[1, 1], dilations=[1, 1])
    norm = [values[name] for name in ("gamma", "beta", "mean", "variance")]
    graph.add("BatchNormalization", *norm, epsilon=1e-5, momentum=0.9)
    graph.add("BipolarQuant", one)
    graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0], ceil_mode=0, dilations=[1, 1])
    graph.add("Reshape", graph.constant([1, -1], np.int64), allowzero=1)
    weights = graph.of_constant("BipolarQuant", values["dense"], tenth)
    graph.add("Gemm", weights, alpha=1.0, beta=1.0, transB=1, transA=0)
    return graph.save(path)


def check_pattern(path):
    """Check the nodes, and return the import and frames."""
    imported = import_onnx(path, pixels=Pixels(8, STEP, SHIFT))
    kinds = [type(node).__name__ for node in imported.network.nodes]
    assert kinds == ["Threshold", "Conv", "Threshold", "MaxPool", "Dense"]
    conv = next(node for node in imported.network.nodes if isinstance(node, Conv))
    assert (conv.padding, conv.pad, conv.levels) == ((1, 1, 1, 1), None, 2)
    assert imported.report["scores"] == {"kind": "sums", "scale": float(np.float32(0.1)), "offset": 0.0}
    frames = np.random.default_rng(6).integers(0, 256, (400, 1, 8, 8), dtype=np.uint8)
    assert imported.compare(frames[:100]).equal == 500
    return imported, frames


def test_the_pattern_of_brevitas(builder, tmp_path):
    imported, _ = check_pattern(brevitas_graph(builder, tmp_path / "net.onnx"))
    values = parameters()
    threshold, dense = (imported.network.nodes[place] for place in (2, 4))
    conv = imported.network.nodes[1]
    assert isinstance(threshold, Threshold) and isinstance(dense, Dense)
    flipped = values["gamma"] < 0
    assert flipped.any()
    np.testing.assert_array_equal(conv.weights, (values["conv"] >= 0) ^ flipped.reshape(-1, 1, 1, 1))
    np.testing.assert_array_equal(dense.weights, values["dense"] >= 0)


@pytest.mark.parametrize("dynamo", [True, pytest.param(False, marks=pytest.mark.sweep)])
def test_what_brevitas_writes(dynamo, tmp_path):
    torch = pytest.importorskip("torch", reason="Brevitas needs signfold[train]")
    qnn = pytest.importorskip("brevitas.nn", reason="what Brevitas writes is tested with signfold[interop]")
    pytest.importorskip("onnxoptimizer", reason="Brevitas' export needs it, as in signfold[interop]")
    from brevitas.export import export_qonnx
    from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst

    weight = {"bias": False, "weight_quant": SignedBinaryWeightPerTensorConst}

    class Flat(torch.nn.Module):
        def forward(self, x):
            return x.reshape(x.shape[0], -1)

    net = torch.nn.Sequential(
        qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst),
        qnn.QuantConv2d(1, 8, 3, padding=1, **weight),
        torch.nn.BatchNorm2d(8),
        qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst),
        torch.nn.MaxPool2d(2),
        Flat(),
        qnn.QuantLinear(128, 5, **weight),
    )
    values = {name: torch.from_numpy(array) for name, array in parameters().items()}
    with torch.no_grad():
        net[1].weight.copy_(values["conv"])
        net[6].weight.copy_(values["dense"])
        for name, mine in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "mean"),
            ("running_var", "variance"),
        ):
            getattr(net[2], name).copy_(values[mine])
    net.eval()
    path = tmp_path / "net.onnx"
    export_qonnx(net, args=torch.zeros(1, 1, 8, 8), export_path=str(path), dynamo=dynamo)
    imported, frames = check_pattern(path)
    with torch.no_grad():
        theirs = net(torch.from_numpy(frames.astype(np.float32) - 127.5))
    theirs = getattr(theirs, "value", theirs).numpy()
    ours = imported.network.evaluate(frames)
    # Brevitas sums float32 numbers: its scores are ours times 0.1 up to their rounding.
    np.testing.assert_array_equal(np.rint(theirs / np.float32(0.1)), ours.scores)
