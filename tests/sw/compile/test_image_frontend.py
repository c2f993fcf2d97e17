"""Layer lists of convolutional networks: what is read, what is refused and what the refusal says."""

import numpy as np
import pytest

from signfold.sw.compile import compile_network
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.describe import describe_layers
from signfold.sw.compile.frontend import import_model
from signfold.sw.errors import CheckpointError, CompileError

F = np.float32


@pytest.fixture
def run(make_image_run):
    return make_image_run(np.random.default_rng(2))


def load(run, tmp_path):
    return import_model(read_model(run.write(tmp_path / "run")))


def test_reads_every_kind(run, tmp_path) -> None:
    network = load(run, tmp_path)
    assert network.input.shape == (1, 8, 8) and network.widths == (64, 6, 6, 8, 10)
    shapes = [(6, 8, 8), (6, 4, 4), (6, 4, 4), (6, 4, 4), (6, 2, 2), (6, 2, 2), (8, 2, 2), (8, 2, 2), (8, 1, 1)]
    assert network.shapes == ((1, 8, 8), *shapes, (10,), (10,))
    conv = network.layers[7]
    assert conv.levels == 4 and (conv.codes == run.tensors["model.conv2.codes"]).all()
    assert set(np.unique(conv.integers).tolist()) == {-3, -1, 1, 3} and conv.divisor == 3
    assert [entry["text"] for entry in describe_layers(network)] == [
        "5-bit pixels",
        "conv 3x3 1 -> 6, padding 1, 1-bit weights, zero pads",
        "maxpool 2x2, stride 2",
        "batch normalization, sign",
        "conv depthwise 3x3 6 -> 6, padding 1, 1-bit weights, zero pads",
        "avgpool 2x2, stride 2",
        "batch normalization, 2-bit unsigned codes",
        "conv 3x3 6 -> 8, padding 1, 2-bit weights, zero pads",
        "batch normalization, 2-bit signed codes",
        "avgpool 2x2, stride 2",
        "dense 8 -> 10, ternary weights",
        "common scale of scores",
    ]


def layer(name, **values):
    return lambda run: run.layer(name).update(values)


def without(name):
    return lambda run: run.layers.remove(run.layer(name))


def tensor(name, make):
    def change(run):
        run.tensors[name] = make(run.tensors[name])

    return change


def insert(index, entry):
    return lambda run: run.layers.insert(index, entry)


POOL = {"kind": "avgpool", "name": "again", "kernel": [1, 1], "stride": [1, 1], "padding": [0, 0, 0, 0]}

REFUSED = [
    # Entries that say something impossible.
    (layer("conv0", kernel=[3]), "'conv0': kernel must be 2 integers"),
    (layer("conv0", kernel=[0, 3]), "'conv0': kernel"),
    (layer("conv0", kernel=[3.0, 3]), "'conv0': kernel"),
    (layer("conv0", stride=[0, 1]), "'conv0': stride"),
    (layer("conv0", stride=None), "'conv0': stride"),
    (layer("conv0", padding=[3, 0, 0, 0]), "'conv0': padding [3, 0, 0, 0] must be smaller than the kernel [3, 3]"),
    (layer("conv0", padding=[-1, 0, 0, 0]), "'conv0': padding"),
    (layer("conv0", padding=1), "'conv0': padding"),
    (layer("conv0", pad="reflect"), "'conv0': pad must be 'zero' or an object with a code, not 'reflect'"),
    (layer("conv0", pad={"code": 1.5}), "'conv0': pad"),
    (layer("conv0", pad={"value": 1}), "'conv0': pad"),
    (layer("conv0", groups=None), "'conv0': groups"),
    (layer("conv0", pad=None), "'conv0': pad must be"),
    (layer("conv0", groups=0), "'conv0': groups"),
    (layer("conv1", groups=2, **{"in": 2}), "'conv1'"),
    (layer("conv0", weights={"levels": 5}), "'conv0': weights must be levels 2"),
    (layer("conv0", weights={"levels": 4, "method": "ternary"}), "'conv0': weights must be levels 2"),
    (layer("conv0", weights={"levels": 2, "method": "dorefa"}), "'conv0': weights"),
    (layer("conv0", weights={"levels": True}), "'conv0': weights"),
    (layer("conv0", weights=4), "'conv0': weights"),
    (layer("conv0", weights={"levels": 4}), "tensor 'model.conv0.codes' is missing"),
    (layer("conv2", weights={"levels": 2}), "tensor 'model.conv2.codes' belongs to no layer"),
    (tensor("model.conv2.codes", lambda c: c.astype(np.int64)), "'model.conv2.codes' must be uint8"),
    (tensor("model.conv2.codes", lambda c: c + 2), "'conv2': code [0, "),
    (tensor("model.conv2.codes", lambda c: c[:4]), "'model.conv2.codes' must be uint8 [8, 6, 3, 3]"),
    (tensor("model.conv1.weight", lambda w: w.reshape(1, 6, 3, 3)), "must be float32 [6, 1, 3, 3]"),
    (layer("pool0", kernel=[2, 0]), "'pool0': kernel"),
    (layer("pool0", padding=[0, 0, 0, 2]), "'pool0': padding"),
    (layer("norm1", bits=9), "'norm1': bits must be from 1 to 8"),
    (layer("norm1", bits=None), "'norm1': bits"),
    (layer("norm1", signed=1), "'norm1': bits must be from 1 to 8 and signed true or false, not 2 and 1"),
    (layer("pixels", mean="0.5"), "'pixels': mean"),
    (layer("pixels", std=[]), "'pixels': std"),
    (layer("pixels", std=[0.0]), "'pixels': std[0] is 0.0, must be positive"),
    (layer("pixels", std=[-1.0]), "'pixels': std[0]"),
    (layer("pixels", mean=[0.1, 0.2]), "'pixels': 2 numbers in mean, must be 1 or one for each of 1 channels"),
    # Shapes and orders.
    (layer("pool1", kernel=[5, 5]), "'pool1': kernel [5, 5] does not fit 4x4 positions with padding [0, 0, 0, 0]"),
    (layer("pool2", kernel=[1, 1], stride=[1, 1]), "'dense0': fan-in 8, but 32 values come in"),
    (lambda run: run.input.update(shape=[64]), "'conv0': a convolution reads (channels, height, width), not (64,)"),
    (lambda run: run.input.update(shape=[2, 4, 8]), "'conv0': 1 channels wanted, but 2 channels come in"),
    (without("norm0"), "belongs to no layer"),
    (insert(1, {"kind": "maxpool", "name": "first", "kernel": [1, 1], "stride": [1, 1], "padding": [0] * 4}), None),
    (insert(11, POOL), "'again': pooling reads (channels, height, width), not (10,)"),
    (insert(0, POOL), "model: the first layer must be an 'input_threshold' or 'input_codes'"),
    (lambda run: run.layers.__delitem__(slice(10, None)), "belongs to no layer"),
    # What does not fold, and what would.
    (layer("pixels", mean=[0.25]), "'conv0': pads are the real number 0, which lies at code 7.75 of 0 to 31"),
    (layer("pixels", mean=[0.25]), "pad with a code, such as {'code': 8}, or, for pixels, normalize by mean 0.5"),
    (layer("conv0", pad={"code": 32}), "'conv0': pad is code 32, but its input is codes from 0 to 31"),
    (layer("conv1", pad={"code": 2}), "'conv1': pad is code 2, but its input is codes from 0 to 1"),
    (layer("norm2", bits=7), "'pool2': its means take 509 values, which need 9 bits, but 'dense0' can read"),
    (layer("pool2", padding=[0, 0, 0, 0], kernel=[2, 2]), None),
]


@pytest.mark.parametrize(("damage", "words"), REFUSED)
def test_names_what_is_wrong(damage, words, run, tmp_path) -> None:
    """Words None: nothing is wrong."""
    damage(run)
    if words is None:
        compile_network(load(run, tmp_path))
        return
    with pytest.raises((CheckpointError, CompileError)) as caught:
        compile_network(load(run, tmp_path))
    assert words in str(caught.value), str(caught.value)


def image(run, shape) -> None:
    """Give a run pictures of three channels."""
    run.input["shape"] = shape
    run.layer("conv0")["in"] = shape[0]
    run.tensors["model.conv0.weight"] = np.resize(run.tensors["model.conv0.weight"], (6, shape[0], 3, 3))


def test_a_scale_a_channel_is_refused_and_means_a_channel_are_not(run, tmp_path) -> None:
    image(run, [3, 8, 8])
    run.layer("conv0").update(padding=[0, 0, 0, 0])
    run.layer("pool0").update(stride=[1, 1], kernel=[1, 1], padding=[0, 0, 0, 0])
    run.layer("pool1").update(kernel=[3, 3], stride=[3, 3])
    run.layer("pixels").update(mean=[0.4, 0.5, 0.6], std=[0.25, 0.25, 0.25])
    compile_network(load(run, tmp_path))
    run.layer("pixels").update(std=[0.25, 0.25, 0.26])
    with pytest.raises(CompileError, match=r"'pixels': std is \[0.25, 0.25, .*must be one number common to all"):
        compile_network(load(run, tmp_path))


def test_zero_pads_that_differ_from_channel_to_channel_are_refused(run, tmp_path) -> None:
    image(run, [3, 8, 8])
    run.layer("pixels").update(mean=[0.4, 0.5, 0.6], std=[0.25])
    with pytest.raises(CompileError, match="'conv0': pads are the real number 0, which differs from channel to chan"):
        compile_network(load(run, tmp_path))
    # A code is a value in every channel, whatever it stands for.
    run.layer("conv0")["pad"] = {"code": 16}
    assert compile_network(load(run, tmp_path)).node("conv0").pad == 16


def test_padded_means_of_unsigned_codes_are_refused(run, tmp_path) -> None:
    """Of bits they fold: the zero in the mean is v = 0."""
    run.layer("pool2").update(padding=[1, 1, 0, 0], kernel=[2, 2], stride=[2, 2])
    run.layer("dense0")["in"] = 16
    run.tensors["model.dense0.weight"] = np.resize(run.tensors["model.dense0.weight"], (10, 16))
    run.tensors["model.dense0.codes"] = np.resize(run.tensors["model.dense0.codes"], (10, 16))
    network = compile_network(load(run, tmp_path))
    assert network.types["pool2"].step == 1 and network.node("pool2.codes").levels == 15
    run.layer("norm2")["signed"] = False
    with pytest.raises(CompileError, match=r"'pool2': padding \[1, 1, 0, 0\] averages zeros in.*no padding"):
        compile_network(load(run, tmp_path))


def test_pads_out_of_reach_are_none(run, tmp_path) -> None:
    """A stride of 2 over 4 rows and a pad leaves the pad alone: nothing is read of it, whatever it stands for."""
    run.layer("conv2").update(padding=[0, 1, 0, 1], kernel=[2, 2], stride=[2, 2])
    for what in ("weight", "codes"):
        name = f"model.conv2.{what}"
        run.tensors[name] = np.ascontiguousarray(run.tensors[name][:, :, :2, :2])
    run.layer("pool2").update(kernel=[1, 1], stride=[1, 1])
    node = compile_network(load(run, tmp_path)).node("conv2")
    assert node.padding == (0, 0, 0, 0) and node.pad is None


def test_pads_of_unsigned_codes_are_code_0_and_of_bits_none(run, tmp_path) -> None:
    network = compile_network(load(run, tmp_path))
    assert [network.node(f"conv{index}").pad for index in range(3)] == [None, None, 0]


def test_a_head_over_a_picture_is_refused(run, tmp_path) -> None:
    for name in ("pool2", "dense0"):
        run.layers.remove(run.layer(name))
    for what in ("weight", "codes"):
        del run.tensors[f"model.dense0.{what}"]
    run.layers.remove(run.layer("norm2"))
    for what in ("weight", "bias", "running_mean", "running_var"):
        del run.tensors[f"model.norm2.{what}"]
    with pytest.raises(CompileError, match=r"scores of shape \(8, 2, 2\) must be one number a class; an 'avgpool' of"):
        compile_network(load(run, tmp_path))
    run.layers.insert(-1, {"kind": "avgpool", "name": "mean", "kernel": [2, 2], "stride": [2, 2], "padding": [0] * 4})
    assert compile_network(load(run, tmp_path)).classes == 8
