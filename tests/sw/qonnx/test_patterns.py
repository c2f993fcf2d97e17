"""Patterns that exporters write, one by one: what each becomes, and what is refused by name and reason."""

from fractions import Fraction

import numpy as np
import onnx
import pytest

from signfold.sw.errors import CompileError
from signfold.sw.network import Affine, Conv, Dense, SumPool, Threshold
from signfold.sw.qonnx.importer import import_onnx
from signfold.sw.qonnx.streamline import Pixels

from .conftest import DOMAINS

RNG = np.random.default_rng(11)
SIGNS = {size: RNG.choice([-1.0, 1.0], size) for size in ((4, 3), (12, 3), (2, 2, 3, 3), (2, 1, 3, 3), (18, 3), (2, 3))}


def imported(graph, path, **options):
    result = import_onnx(graph.save(path / "net.onnx"), **options)
    frames = np.random.default_rng(2).integers(0, 256, (60, *result.network.input.shape), dtype=np.uint8)
    agreement = result.compare(frames)
    assert agreement.classes == 60
    return result


def refused(graph, path, words, **options):
    with pytest.raises(CompileError) as caught:
        import_onnx(graph.save(path / "net.onnx"), **options)
    assert words in str(caught.value) and str(caught.value).startswith("node '"), str(caught.value)


def bits(builder, shape=(1, 4), **options):
    """Begin with bits of pixels, the upper half +1."""
    graph = builder(shape, **options)
    graph.add("Sub", np.array(0.5))
    graph.add("BipolarQuant", np.array(1.0))
    return graph


def kinds(result):
    return [node.op for node in result.network.nodes]


@pytest.mark.parametrize("domain", DOMAINS)
def test_all_domains(builder, domain, tmp_path):
    graph = bits(builder, domain=domain)
    graph.add("MatMul", SIGNS[4, 3])
    result = imported(graph, tmp_path)
    assert kinds(result) == ["threshold", "dense"]
    # 2*(q/255) - 1 >= 0: the first pixel at or above half.
    assert result.network.nodes[0].thresholds.tolist() == [[128]]


def test_another_domain_is_refused(builder, tmp_path):
    graph = bits(builder, domain="my.domain")
    graph.add("MatMul", SIGNS[4, 3])
    with pytest.raises(CompileError, match="domain 'my.domain' is not known"):
        import_onnx(graph.save(tmp_path / "net.onnx"))


def test_open_number_of_pictures_and_shape_preamble(builder, tmp_path):
    graph = builder((1, 1, 2, 6))
    shape = graph.add("Shape")
    first = graph.add("Gather", graph.constant(0, np.int64), source=shape, axis=0)
    first = graph.add("Unsqueeze", graph.constant([0], np.int64), source=first)
    whole = graph.add("Concat", graph.constant([-1], np.int64), source=first, axis=0)
    graph.add("Reshape", whole, source="x")
    graph.add("BipolarQuant", np.array(1.0))
    graph.add("MatMul", SIGNS[12, 3])
    model = graph.model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    result = import_onnx(tmp_path / "net.onnx")
    assert result.network.input.shape == (12,)


def test_pictures_with_channels_last(builder, tmp_path):
    graph = builder((1, 3, 3, 2))
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("BipolarQuant", np.array(1.0))
    graph.add("Conv", SIGNS[2, 2, 3, 3], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    graph.add("BipolarQuant", np.array(1.0))
    graph.add("Transpose", perm=[0, 2, 3, 1])
    graph.add("MultiThreshold", np.array([[0.0]]), out_scale=2.0, out_bias=-1.0, data_layout="NHWC")
    graph.add("Flatten", axis=1)
    graph.add("MatMul", SIGNS[18, 3])
    result = imported(graph, tmp_path)
    # Frames are handed over channels first; the weights follow the order of the flattened tensor.
    assert result.network.input.shape == (2, 3, 3)
    weights = next(node for node in result.network.nodes if isinstance(node, Dense)).weights
    wanted = (SIGNS[18, 3].reshape(3, 3, 2, 3) > 0).transpose(3, 2, 0, 1).reshape(3, 18)
    np.testing.assert_array_equal(weights, wanted)


def test_thresholds_as_finn_leaves_them(builder, tmp_path):
    graph = builder((1, 4), integers=True, domain=DOMAINS[1])
    graph.add("Cast", to=1)
    graph.add("MultiThreshold", np.array([[64.0, 128.0, 192.0]]), out_dtype="UINT2", data_layout="NC")
    graph.add("MatMul", SIGNS[4, 3])
    graph.add("Mul", np.array(0.125))
    graph.add("Add", np.array([[1.0, 1.0, 1.0]]))
    result = imported(graph, tmp_path)
    assert result.network.nodes[0].thresholds.tolist() == [[64, 128, 192]]
    # Codes 0 to 3 are v = 2*q - 3: the scores differ from the sums by the sums of weights.
    assert isinstance(result.network.nodes[-1], Affine) and result.report["scores"]["kind"] == "exact"


def test_xnor_popcount(builder, tmp_path):
    graph = builder((1, 4))
    graph.add("MultiThreshold", np.array([[0.5]]), data_layout="NC")
    graph.add("XnorPopcountMatMul", (SIGNS[4, 3] > 0).astype(float))
    result = imported(graph, tmp_path)
    assert kinds(result) == ["threshold", "dense"]
    assert result.report["scores"] == {"kind": "sums", "scale": 0.5, "offset": 2.0}


def test_tails_that_choose_a_class(builder, tmp_path):
    for op, options in (
        ("ArgMax", {"axis": 1, "keepdims": 0}),
        ("Softmax", {"axis": 1}),
        ("LogSoftmax", {"axis": 1}),
        ("TopK", {"axis": 1, "outputs": 2}),
    ):
        graph = bits(builder)
        graph.add("MatMul", SIGNS[4, 3])
        graph.add(op, *([graph.constant([1], np.int64)] if op == "TopK" else []), **options)
        assert [entry["op"] for entry in imported(graph, tmp_path).report["tail"]] == [op]
    graph.nodes[-1].attribute.add().CopyFrom(onnx.helper.make_attribute("largest", 0))
    refused(graph, tmp_path, "largest score wins")
    graph = bits(builder)
    graph.add("MatMul", SIGNS[4, 3])
    graph.add("ArgMax")
    refused(graph, tmp_path, "axis 0 must be that of the classes")


def test_what_follows_the_class_is_left_out(builder, tmp_path):
    graph = bits(builder)
    graph.add("MatMul", SIGNS[4, 3])
    graph.add("Reshape", graph.constant([1, 3], np.int64))
    graph.add("ArgMax", axis=-1, keepdims=1)
    graph.add("Squeeze", graph.constant([1], np.int64))
    graph.add("Cast", to=6)
    result = imported(graph, tmp_path)
    assert [entry["op"] for entry in result.report["tail"]] == ["ArgMax", "Squeeze", "Cast"]
    # An operation that reads its own result, and nothing else.
    graph.nodes[-1].input[0] = graph.nodes[-1].output[0]
    with pytest.raises(CompileError, match="comes from nowhere"):
        import_onnx(graph.save(tmp_path / "net.onnx"))


@pytest.mark.parametrize("opset", [13, 18])
def test_means_of_the_whole_picture(builder, opset, tmp_path):
    for op in ("GlobalAveragePool", "ReduceMean"):
        graph = bits(builder, (1, 2, 5, 5), opset=opset)
        graph.add("Conv", SIGNS[2, 2, 3, 3], kernel_shape=[3, 3])
        if op == "GlobalAveragePool":
            graph.add(op)
            graph.add("Flatten", axis=1)
        elif opset == 13:
            graph.add(op, axes=[2, 3], keepdims=0)
        else:
            graph.add(op, graph.constant([-1, 2], np.int64), keepdims=0)
        result = imported(graph, tmp_path)
        assert kinds(result) == ["threshold", "conv", "sumpool"]
        assert isinstance(result.network.nodes[-1], SumPool)
        assert result.report["scores"]["scale"] == float(Fraction(1, 9))


def test_means_of_normalized_sums(builder, tmp_path):
    graph = bits(builder, (1, 2, 5, 5))
    graph.add("Conv", SIGNS[2, 2, 3, 3], kernel_shape=[3, 3])
    graph.add("BatchNormalization", [-1.0, 1.0], [0.5, 0.5], [0.0, 1.0], [2.0, 3.0])
    graph.add("GlobalAveragePool")
    result = imported(graph, tmp_path)
    assert kinds(result) == ["threshold", "conv", "sumpool", "affine"]
    assert result.report["scores"]["kind"] == "rounded"


def test_padded_means_count_their_pads(builder, tmp_path):
    def graph(**options):
        graph = bits(builder, (1, 2, 4, 4))
        graph.add("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], **options)
        graph.add("BipolarQuant", np.array(1.0))
        graph.add("Conv", SIGNS[2, 2, 3, 3][:, :, :2, :2], kernel_shape=[2, 2])
        return graph

    imported(graph(count_include_pad=1), tmp_path)
    refused(graph(), tmp_path, "count_include_pad")


def test_scores_of_tensor_norm_and_of_a_norm_a_class(builder, tmp_path):
    graph = bits(builder)
    graph.add("MatMul", SIGNS[4, 3])
    graph.add("Sub", np.array([0.25]))
    deviation = graph.of_constant("Pow", np.array([318.2]), np.array(0.5))
    graph.add("Div", deviation)
    result = imported(graph, tmp_path)
    assert result.report["scores"]["kind"] == "sums"
    graph.add("BatchNormalization", [1.0, -2.0, 0.5], [0.0, 1.0, 0.25], [0.1, 0.2, 0.3], [2.0, 3.0, 5.0])
    result = imported(graph, tmp_path)
    assert result.report["scores"]["kind"] == "rounded"
    assert result.network.types[result.network.output].bits <= 24


def test_scales_a_class_are_exact_where_they_fit(builder, tmp_path):
    graph = bits(builder)
    graph.add("MatMul", SIGNS[4, 3] * [0.5, 0.75, 1.5])
    graph.add("Add", np.array([[0.25, 0.0, -1.0]]))
    result = imported(graph, tmp_path)
    node = result.network.nodes[-1]
    assert result.report["scores"] == {"kind": "exact", "scale": 0.25, "offset": 0.25}
    assert (node.scale.tolist(), node.offset.tolist()) == ([2, 3, 6], [0, -1, -5])


def test_zero_pads_of_ternary_codes_and_of_pixels(builder, tmp_path):
    def graph(*steps):
        graph = builder((1, 2, 4, 4))
        for op, constants, attributes in steps:
            graph.add(op, *map(np.array, constants), **attributes)
        graph.add("Conv", SIGNS[2, 2, 3, 3], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        graph.add("GlobalAveragePool")
        return graph

    # Codes 0, 1, 2 stand for -1, 0, 1: zero is code 1.
    quant = ("Quant", (1.0, 0.0, 2.0), {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"})
    conv = next(node for node in imported(graph(quant), tmp_path).network.nodes if isinstance(node, Conv))
    assert (conv.pad, conv.padding) == (1, (1, 1, 1, 1))
    # Pixels 0 to 1: zero is code 0. Moved by a half: zero is v = 0.
    conv = next(node for node in imported(graph(), tmp_path).network.nodes if isinstance(node, Conv))
    assert conv.pad == 0
    conv = next(node for node in imported(graph(("Sub", (0.5,), {})), tmp_path).network.nodes if isinstance(node, Conv))
    assert conv.pad is None
    refused(graph(("Sub", (0.3,), {})), tmp_path, "pads are the real number 0")


def test_pixels_of_other_meaning(builder, tmp_path):
    graph = builder((1, 4))
    graph.add("Quant", np.array(0.5), np.array(0.0), np.array(3.0), signed=1, narrow=0, rounding_mode="FLOOR")
    graph.add("MatMul", SIGNS[4, 3])
    pixels = Pixels(4, Fraction(1, 4), Fraction(-2))
    result = import_onnx(graph.save(tmp_path / "net.onnx"), pixels=pixels)
    assert result.network.input.bits == 4
    # -2 + q/4 reaches -1.5, -1, ...: codes change every second pixel.
    assert result.network.nodes[0].thresholds.tolist() == [[2, 4, 6, 8, 10, 12, 14]]


def test_a_negative_scale_before_a_maximum(builder, tmp_path):
    graph = bits(builder, (1, 2, 5, 5))
    graph.add("Conv", SIGNS[2, 2, 3, 3], kernel_shape=[3, 3])
    graph.add("Mul", np.array([1.0, -1.0]).reshape(1, 2, 1, 1))
    graph.add("MaxPool", kernel_shape=[2, 2], strides=[1, 1])
    graph.add("BatchNormalization", [-1.0, 1.0], [0.5, 0.5], [0.0, 1.0], [1.0, 2.0])
    graph.add("BipolarQuant", np.array(1.0))
    graph.add("Mul", np.array([-1.0, 1.0]).reshape(1, 2, 1, 1))
    graph.add("MaxPool", kernel_shape=[2, 2], strides=[1, 1])
    graph.add("Conv", SIGNS[2, 2, 3, 3][:, :, :1, :1])
    result = imported(graph, tmp_path)
    threshold = [node for node in result.network.nodes if isinstance(node, Threshold)][1]
    # Inverted for gamma, and once more for the factor -1 before the second maximum.
    assert threshold.inverted is None


def test_pads_after_a_negative_scale(builder, tmp_path):
    def graph(*added):
        graph = builder((1, 2, 4, 4))
        graph.add("MultiThreshold", np.array([[0.25, 0.5, 0.75]]), data_layout="NCHW")
        graph.add("Mul", np.array([1.0, -1.0]).reshape(1, 2, 1, 1))
        graph.add("Add", np.array(added).reshape(1, 2, 1, 1))
        graph.add("Conv", SIGNS[2, 2, 3, 3], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        graph.add("GlobalAveragePool")
        return graph

    # Both channels are 0 at code 0: the sign goes into the weights.
    threshold, conv, _ = imported(graph(0.0, 0.0), tmp_path).network.nodes[:3]
    assert threshold.inverted is None and conv.pad == 0
    # At code 0 and at code 3: the second channel is inverted, so that one code stands for the pads.
    threshold, conv, _ = imported(graph(0.0, 3.0), tmp_path).network.nodes[:3]
    assert threshold.inverted.tolist() == [False, True] and conv.pad == 0


def test_refusals(builder, tmp_path):
    def block(*steps, shape=(1, 2, 5, 5)):
        graph = bits(builder, shape)
        for op, constants, attributes in steps:
            graph.add(op, *constants, **attributes)
        return graph

    conv = ("Conv", [SIGNS[2, 2, 3, 3]], {"kernel_shape": [3, 3]})
    dense = ("MatMul", [SIGNS[4, 3]], {})
    branch = block(conv)
    branch.add("Add", branch.last)
    cases = [
        (branch, "two tensors of pictures meet"),
        (block(conv, ("Sigmoid", [], {})), "real numbers"),
        (block(conv, ("Exp", [], {})), "does not become integers"),
        (block(conv, ("Relu", [], {}), conv), "real numbers"),
        (block(("MatMul", [np.arange(12.0).reshape(4, 3)], {}), shape=(1, 4)), "sums of bit planes"),
        (block(("Mul", [np.array([1.0, 2.0]).reshape(1, 2, 1, 1)], {}), conv), "one number other than 0"),
        (block(("Conv", [SIGNS[2, 2, 3, 3]], {"dilations": [2, 2]})), "dilations"),
        (block(("Conv", [np.ones((4, 1, 3, 3))], {"group": 2})), "group is 2"),
        (
            block(conv, ("Add", [np.arange(9.0).reshape(1, 1, 3, 3)], {}), ("BipolarQuant", [np.array(1.0)], {})),
            "position",
        ),
        (block(dense, ("BipolarQuant", [np.array(1.0)], {}), shape=(1, 4)), "one sum a class"),
        (block(dense, ("Mul", [np.array(0.0)], {}), shape=(1, 4)), "all scales are 0"),
        (block(("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})), "ceil_mode"),
        (block(conv, ("Quant", [1.0, 0.0, 9.0], {})), "at most 8"),
        (block(conv, ("Quant", [1.0, 0.0, 2.0], {"rounding_mode": "ODD"})), "rounding mode"),
        (block(conv, ("Reshape", [np.array([2.0, -1.0])], {})), "pictures first"),
    ]
    norm = ("BatchNormalization", [[1.0, 1.0], [0.5, 0.5], [0.0, 1.0], [2.0, 3.0]], {})
    again = ("BatchNormalization", [[1.0, 1.0], [0.5, 0.5], [0.0, 1.0], [5.0, 7.0]], {})
    cases.append((block(conv, norm, again, ("BipolarQuant", [np.array(1.0)], {})), "two batch normalizations"))
    negative = ("BatchNormalization", [[1.0, 1.0], [0.5, 0.5], [0.0, 1.0], [-2.0, 3.0]], {})
    cases.append((block(conv, negative), "must be positive"))
    for graph, words in cases:
        refused(graph, tmp_path, words)
