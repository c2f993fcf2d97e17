"""Network files: round trips, same bytes, and nothing but NetworkError whatever the file holds."""

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signfold.sim.random_branches import random_branch_network
from signfold.sim.random_conv import random_conv_network
from signfold.sw import zoo
from signfold.sw.errors import NetworkError
from signfold.sw.network import Affine, Conv, Dense, InputType, MaxPool, Network, SumPool, Threshold

NAMES = ["a\nb", "nul\0", "quote\"'`\\", "endmodule", "x\n  connect \\leak 4'1111 #", "$system", "🚀", " ", "n" * 65536]


def raw(network, path):
    """Return header object and tensors of a saved network."""
    network.save(path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["signfold"])
    return header, safetensors.numpy.load(data)


def write(path, header, tensors) -> None:
    text = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(safetensors.numpy.save(tensors, metadata={"signfold": text}))


def same(left, right) -> None:
    assert left.content_hash == right.content_hash
    assert [node.name for node in left.nodes] == [node.name for node in right.nodes]
    assert dict(left.metadata) == dict(right.metadata) and left.output == right.output and left.input == right.input


@pytest.mark.parametrize("seed", range(20))
def test_round_trip(seed, make_network, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 70, int(rng.integers(2, 5))).tolist()
    network = make_network(rng, widths, 8, rng.choice([1, 2], 5).tolist(), affine=bool(seed % 2))
    network.save(tmp_path / "a")
    loaded = Network.load(tmp_path / "a")
    same(network, loaded)
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    frames = rng.integers(0, 256, (20, widths[0])).astype(np.uint8)
    assert (network.evaluate(frames).scores == loaded.evaluate(frames).scores).all()
    for node in loaded.nodes:
        for array in vars(node).values():
            assert not isinstance(array, np.ndarray) or not array.flags.writeable


#: Content hashes of version 1, before there was another.
SMALL = "83f40c3c24349055903799fd796d03edd01a97609943c47a5e01ec31f77d64e6"
SHIPPED = {
    "digits": "d5cb7ea720a90322f98ebf75bbe33b945015bb38e1a5c1562a62e99c514a00aa",
    "sfc-mnist-bits": "ca05731fa83446ec183b886e17504c5ba651e3770aaf9ea8e10b439358a1b396",
}


def test_version_1_is_read_and_hashes_stay(small_network, tmp_path) -> None:
    header, tensors = raw(small_network, tmp_path / "a")
    assert header["version"] == 2
    write(tmp_path / "b", header | {"version": 1}, tensors)
    loaded = Network.load(tmp_path / "b")
    same(small_network, loaded)
    assert loaded.content_hash == SMALL
    loaded.save(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    for name, content_hash in SHIPPED.items():
        assert zoo.load(name).content_hash == content_hash


@pytest.mark.parametrize("key", ["conv", "levels", "inverted"])
def test_version_1_knew_nothing_of_this(key, image_network, tmp_path) -> None:
    header, tensors = raw(image_network, tmp_path / "a")
    nodes = header["nodes"] if key == "conv" else [entry for entry in header["nodes"] if key in entry][-1:]
    if key == "levels":
        tensors = {"node.0.weights": np.zeros((2, 1), np.uint8)}
        nodes = [{"op": "dense", "name": "d", "inputs": [-1], "fan_in": 4, "levels": 4}]
    elif key == "inverted":
        tensors = {"node.0.thresholds": np.zeros((1, 1), np.int64), "node.0.inverted": np.ones(1, np.uint8)}
        nodes = [{"op": "threshold", "name": "t", "inputs": [-1], "inverted": True}]
    write(tmp_path / "b", header | {"version": 1, "nodes": nodes}, tensors)
    with pytest.raises(NetworkError, match=f"'{key}' is not"):
        Network.load(tmp_path / "b")


@pytest.mark.parametrize("op", ["add", "concat", "padchannels", "quantize", "scale"])
def test_version_2_knew_nothing_of_this(op, branch_network, tmp_path) -> None:
    header, tensors = raw(branch_network, tmp_path / "a")
    assert header["version"] == 3
    place = next(place for place, entry in enumerate(header["nodes"]) if entry["op"] == op)
    write(tmp_path / "b", header | {"version": 2, "nodes": header["nodes"][place:]}, tensors)
    with pytest.raises(NetworkError, match=f"operation '{op}' is not one of"):
        Network.load(tmp_path / "b")


@pytest.mark.parametrize(("levels", "version"), [(2, 2), (256, 2), (512, 4), (1 << 16, 4)])
@pytest.mark.parametrize("dense", [False, True])
def test_version_3_knew_weights_of_8_bits_at_most(levels, version, dense, tmp_path) -> None:
    weights = (np.arange(6).reshape(2, 3) * 99 % levels).astype(np.uint8 if levels <= 256 else np.uint16)
    node = Dense("last", "input", weights, levels)
    if not dense:
        node = Conv("last", "input", weights[:, :, None, None], levels=levels)
    shape = (3,) if dense else (3, 1, 1)
    Network(InputType(shape, 8), (node,), "last").save(tmp_path / "a")
    header, tensors = raw(Network.load(tmp_path / "a"), tmp_path / "b")
    assert header["version"] == version and (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    if version == 4:
        write(tmp_path / "c", header | {"version": 3}, tensors)
        with pytest.raises(NetworkError, match=r"levels must be one of 2, 3, 4, .*, 256, not"):
            Network.load(tmp_path / "c")


@pytest.mark.parametrize("make", [random_conv_network, random_branch_network])
@pytest.mark.parametrize("seed", range(40))
def test_round_trip_of_images(seed, make, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    network = make(rng)
    network.save(tmp_path / "a")
    loaded = Network.load(tmp_path / "a")
    same(network, loaded)
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for node, other in zip(network.nodes, loaded.nodes, strict=True):
        assert type(node) is type(other) and vars(node).keys() == vars(other).keys()
        for name, value in vars(node).items():
            found = getattr(other, name)
            assert type(value) is type(found) and np.array_equal(value, found), (name, value, found)


@pytest.mark.parametrize("levels", [2, 3, 4, 8, 256, 512, 1 << 16])
def test_weights_of_several_levels_are_packed(levels, tmp_path) -> None:
    weights = np.random.default_rng(1).integers(0, levels, (64, 32, 3, 3))
    weights = weights.astype(np.uint8 if levels <= 256 else np.uint16)
    network = Network(InputType((32, 3, 3), 1), (Conv("conv", "input", weights, levels=levels),), "conv")
    network.save(tmp_path / "a")
    exact = weights.size * (levels - 1).bit_length() // 8
    assert exact < (tmp_path / "a").stat().st_size < exact + 1000
    # Bit j of weight i is bit i*bits + j of the row.
    row = int.from_bytes(raw(network, tmp_path / "a")[1]["node.0.weights"][5].tobytes(), "little")
    bits = (levels - 1).bit_length()
    assert [row >> i * bits & (1 << bits) - 1 for i in range(288)] == weights[5].ravel().tolist()


def test_hash_is_of_every_parameter(tmp_path) -> None:
    """Each parameter of the nodes for images changes the hash, its default spelled out does not."""
    thresholds = np.array([[0, 2], [0, 2], [0, 2]])

    def variant(pool=MaxPool, kernel=(2, 2), steps=(1, 1), around=(0, 0, 0, 0), inverted=None, levels=2, **conv) -> str:
        weights = np.ones((3, 3, 2, 2), np.uint8)
        nodes = (
            Conv("conv", "input", weights[:, : 1 if conv.get("groups") == 3 else 3], **conv),
            pool("pool", "conv", kernel, steps, around),
            Threshold("codes", "pool", thresholds, inverted),
            SumPool("values", "codes", (1, 1), (1, 1)),
            Threshold("bits", "values", np.array([[0]])),
            SumPool("sum", "bits", (9, 9), (9, 9), (8, 8, 8, 8)),
            Threshold("last", "sum", np.array([[0]])),
            Dense("dense", "last", np.ones((2, 3 * 2 * 2), np.uint8), levels),
        )
        return Network(InputType((3, 9, 9), 2), nodes, "dense").content_hash

    changes = [
        {},
        {"pool": SumPool, "around": (0, 0, 0, 0)},
        {"kernel": (2, 1)},
        {"steps": (1, 2)},
        {"around": (0, 1, 0, 0)},
        {"around": (0, 0, 0, 1)},
        {"inverted": np.array([False, True, False])},
        {"inverted": np.array([True, False, False])},
        {"levels": 4},
        {"stride": (2, 1)},
        {"padding": (0, 1, 0, 0), "pad": 0},
        {"padding": (0, 0, 1, 0), "pad": 0},
        {"padding": (0, 1, 0, 0), "pad": 1},
        {"groups": 3},
    ]
    assert len({variant(**change) for change in changes}) == len(changes)
    assert variant() == variant(stride=(1, 1), padding=(0, 0, 0, 0), pad=3, groups=1, levels=2)
    assert variant() == variant(inverted=np.zeros(3, bool))


def test_weights_are_packed(make_network, tmp_path) -> None:
    network = make_network(np.random.default_rng(0), [784, 256, 10])
    network.save(tmp_path / "a")
    thresholds = sum(node.thresholds.nbytes for node in network.nodes if isinstance(node, Threshold))
    exact = (784 * 256 + 256 * 10) // 8 + thresholds
    assert exact < (tmp_path / "a").stat().st_size < exact + 2000


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.one_of(st.text(min_size=1), st.sampled_from(NAMES)), min_size=3, max_size=3, unique=True))
def test_any_name_is_only_text(names, tmp_path) -> None:
    if "input" in names:
        return
    nodes = (
        Threshold(names[0], "input", np.array([[1]])),
        Dense(names[1], names[0], np.eye(2, dtype=np.uint8)),
        Affine(names[2], names[1], np.array([1, 2]), np.array([3, 4]), 5),
    )
    network = Network(InputType((2,), 1), nodes, names[2], {"names": names})
    network.save(tmp_path / "a")
    same(network, Network.load(tmp_path / "a"))
    assert sorted(raw(network, tmp_path / "a")[1]) == [
        "node.0.thresholds",
        "node.1.weights",
        "node.2.offset",
        "node.2.scale",
    ]


def drop(*path):
    def change(header, tensors):
        target = header
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


def put(value, *path):
    def change(header, tensors):
        target = header
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def tensor(name, value):
    def change(header, tensors):
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value(tensors.get(name))

    return change


# Node 0 thresholds [1|5, 1], node 1 weights [3, 5], node 2 thresholds [3, 1], node 3 weights [2, 3], node 4 affine.
DAMAGES = [
    (put("other", "format"), "format"),
    (put(5, "version"), "version 5"),
    (put(0, "version"), "version 0"),
    (put(True, "version"), "version True"),
    (put("1", "version"), "version '1'"),
    (drop("version"), "version None"),
    (drop("input"), "'input' is missing"),
    (drop("metadata"), "'metadata' is missing"),
    (put(1, "extra"), "'extra' is not known"),
    (put([5], "input"), "input must be an object"),
    (put([1 << 40], "input", "shape"), "shape"),
    (put("5", "input", "shape"), "shape"),
    (put([5.0], "input", "shape"), "5.0"),
    (put(99, "input", "bits"), "99"),
    (put({}, "nodes"), "nodes must be a list"),
    (put([], "nodes"), "tensor 'node.0.thresholds' belongs to no node"),
    (put("x", "nodes", 1), "node 1"),
    (put(7, "nodes", 1, "name"), "node 1"),
    (put("pixels", "nodes", 1, "name"), "'pixels': the name occurs twice"),
    (put("input", "nodes", 1, "name"), "'input'"),
    (put("", "nodes", 1, "name"), "name"),
    (put("\ud800", "nodes", 1, "name"), "Unicode"),
    (put("pool", "nodes", 1, "op"), "'pool'"),
    (put(["dense"], "nodes", 1, "op"), "['dense']"),
    (put(9, "nodes", 1, "stride"), "'stride' is not known"),
    (drop("nodes", 1, "fan_in"), "'fan_in' is missing"),
    (put(0, "nodes", 1, "inputs"), "inputs"),
    (put([], "nodes", 1, "inputs"), "inputs"),
    (put([0, 0], "nodes", 1, "inputs"), "inputs"),
    (put([1], "nodes", 1, "inputs"), "node 1 'dense0': inputs: value 1"),
    (put([3], "nodes", 2, "inputs"), "node 2 'sign0': inputs: value 3"),
    (put([-2], "nodes", 1, "inputs"), "value -2"),
    (put(["0"], "nodes", 1, "inputs"), "'0'"),
    (put([-1], "nodes", 2, "inputs"), "'sign0'"),
    (put(99, "output"), "output: value 99"),
    (put(None, "output"), "output: value None"),
    (put(-1, "output"), "output"),
    (put(0, "output"), "'pixels'"),
    (put([], "metadata"), "metadata"),
    (put(8, "nodes", 1, "fan_in"), "fan-in 8"),
    (put(9, "nodes", 1, "fan_in"), "fan-in 9"),
    (put(1 << 60, "nodes", 1, "fan_in"), "fan_in"),
    (put(True, "nodes", 1, "fan_in"), "True"),
    (put(-1, "nodes", 4, "fraction"), "-1"),
    (put(1.5, "nodes", 4, "fraction"), "1.5"),
    (tensor("node.1.weights", None), "'node.1.weights' is missing"),
    (tensor("node.9.weights", lambda _: np.zeros(1, np.uint8)), "'node.9.weights' belongs to no node"),
    (tensor("dense0", lambda _: np.zeros(1, np.uint8)), "'dense0' belongs to no node"),
    (tensor("node.1.weights", lambda w: w.astype(np.int64)), "int64"),
    (tensor("node.1.weights", lambda w: w.astype(np.float16)), "F16"),
    (tensor("node.1.weights", lambda w: w.ravel()), "(3,)"),
    (tensor("node.1.weights", lambda w: w[:0]), "(0, 1)"),
    (tensor("node.1.weights", lambda w: w | 128), "channel 0 have bits beyond fan-in 5"),
    (tensor("node.1.weights", lambda w: w[:2]), "'sign0'"),
    (tensor("node.2.thresholds", lambda t: t.astype(np.int32)), "int32"),
    (tensor("node.2.thresholds", lambda t: t.astype(np.float64)), "float64"),
    (tensor("node.2.thresholds", lambda t: t + 1), "'sign0': threshold"),
    (tensor("node.2.thresholds", lambda t: t + (1 << 62)), "'sign0': threshold"),
    (tensor("node.2.thresholds", lambda t: t[:2]), "2 channels"),
    (tensor("node.2.thresholds", lambda t: t[:, :0]), "(3, 0)"),
    (tensor("node.4.scale", lambda s: s[:1]), "1 channels"),
    (tensor("node.4.scale", lambda s: s + (1 << 61)), "channel 0"),
]


@pytest.mark.parametrize(("change", "words"), DAMAGES)
def test_names_what_is_wrong(change, words, small_network, tmp_path) -> None:
    header, tensors = raw(small_network, tmp_path / "good")
    change(header, tensors)
    write(tmp_path / "bad", header, tensors)
    with pytest.raises(NetworkError) as caught:
        Network.load(tmp_path / "bad")
    assert words in str(caught.value)


# Node 0 conv [3, 2, 2, 2] of 4 levels, node 1 maxpool, node 2 thresholds [3, 3] inverted, node 3 sumpool, node 4
# thresholds [1, 1], node 5 dense [2, 6] of 3 levels.
IMAGE_DAMAGES = [
    (put([2, 2], "nodes", 0, "shape"), "shape must be three integers"),
    (put([2, 2, -2], "nodes", 0, "shape"), "-2"),
    (put([2, 2, 2.0], "nodes", 0, "shape"), "2.0"),
    (put([2, 2, True], "nodes", 0, "shape"), "True"),
    (put("222", "nodes", 0, "shape"), "'222'"),
    (put([1 << 40, 1 << 40, 1], "nodes", 0, "shape"), "more than 16777216 elements"),
    (put([2, 2, 3], "nodes", 0, "shape"), "fan-in 12"),
    (put([2, 4, 1], "nodes", 0, "shape"), "'conv'"),
    (put([1, 2, 4], "nodes", 0, "shape"), "read 1 channels, but 'input' gives 2"),
    (put(2, "nodes", 0, "levels"), "fan-in 8"),
    (put(5, "nodes", 0, "levels"), "levels must be one of 2, 3, 4, 8"),
    (put(None, "nodes", 0, "levels"), "levels"),
    (put([], "nodes", 0, "levels"), "levels"),
    (put(3, "nodes", 0, "levels"), "weight 3"),
    (drop("nodes", 0, "levels"), "'levels' is missing"),
    (drop("nodes", 0, "pad"), "'pad' is missing"),
    (drop("nodes", 1, "kernel"), "'kernel' is missing"),
    (put(4, "nodes", 0, "pad"), "pad 4"),
    (put("zero", "nodes", 0, "pad"), "'zero'"),
    (put(3, "nodes", 0, "groups"), "'conv'"),
    (put([1], "nodes", 0, "stride"), "stride"),
    (put([1, 1 << 70], "nodes", 0, "stride"), "stride"),
    (put([1, 1, 1, 2], "nodes", 0, "padding"), "from 0 to 1"),
    (put([1 << 30, 1 << 30], "nodes", 1, "kernel"), "kernel"),
    (put([4096, 4096], "nodes", 1, "kernel"), "more rows"),
    (put({}, "nodes", 1, "kernel"), "kernel"),
    (put(9, "nodes", 1, "fan_in"), "'fan_in' is not known"),
    (put(False, "nodes", 2, "inverted"), "inverted must be true"),
    (put(None, "nodes", 2, "inverted"), "inverted must be true"),
    (drop("nodes", 2, "inverted"), "'node.2.inverted' belongs to no node"),
    (tensor("node.2.inverted", None), "'node.2.inverted' is missing"),
    (tensor("node.2.inverted", lambda i: i | 8), "bits beyond 3 channels"),
    (tensor("node.2.inverted", lambda i: np.zeros(2, np.uint8)), "inverted must be"),
    (tensor("node.2.inverted", lambda i: i[None]), "inverted must be"),
    (tensor("node.2.inverted", lambda i: i.astype(bool)), "bool"),
    (tensor("node.2.inverted", lambda i: np.array(1, np.uint8)), "inverted must be"),
    (tensor("node.2.thresholds", lambda t: np.array(1)), "'codes'"),
    (tensor("node.2.thresholds", lambda t: t[:0]), "'codes'"),
    (tensor("node.0.weights", lambda w: w.ravel()), "(6,)"),
    (tensor("node.0.weights", lambda w: w[:2]), "'codes'"),
    (tensor("node.5.weights", lambda w: w | 3), "weight 3"),
    (tensor("node.5.weights", lambda w: w | 128), "bits beyond fan-in 6"),
    (put(4, "nodes", 5, "fan_in"), "fan-in 4"),
    (put(16, "nodes", 5, "levels"), "fan-in 6"),
]


@pytest.mark.parametrize(("change", "words"), IMAGE_DAMAGES)
def test_names_what_is_wrong_with_images(change, words, image_network, tmp_path) -> None:
    header, tensors = raw(image_network, tmp_path / "good")
    change(header, tensors)
    write(tmp_path / "bad", header, tensors)
    with pytest.raises(NetworkError) as caught:
        Network.load(tmp_path / "bad")
    assert words in str(caught.value)


# Node 0 conv, 1 scale [2] of shift 3 saturated to -20..20, 2 thresholds, 3 conv, 4 padchannels 0 and 1 of node 1, 5 add
# of 3 and 4, 6 concat of 5 and 1, 7 quantize [1] to 2 bits, 8 dense.
BRANCH_DAMAGES = [
    (put([3], "nodes", 5, "inputs"), "2 to 1024 indices"),
    (put([3] * 1025, "nodes", 5, "inputs"), "2 to 1024 indices"),
    (put([3, 5], "nodes", 5, "inputs"), "value 5"),
    (put([3, 1], "nodes", 5, "inputs"), "has shape (2, 2, 2) and 'c3' (3, 2, 2)"),
    (put([3, 2], "nodes", 5, "inputs"), "'t2' gives codes"),
    (put([5, 2], "nodes", 6, "inputs"), "may differ in channels alone"),
    (put([1, 1], "nodes", 4, "inputs"), "one index"),
    (put([2], "nodes", 4, "inputs"), "must read sums"),
    (put([2], "nodes", 1, "inputs"), "value 2"),
    (put(-1, "nodes", 4, "before"), "before must be"),
    (put(1 << 60, "nodes", 4, "after"), "after must be"),
    (put(1 << 23, "nodes", 4, "after"), "more than 16777216 elements"),
    (put(0, "nodes", 4, "after"), "must not both be 0"),
    (drop("nodes", 4, "before"), "'before' is missing"),
    (put(63, "nodes", 1, "shift"), "shift"),
    (put(True, "nodes", 1, "shift"), "shift"),
    (put(None, "nodes", 1, "low"), "(None, 20)"),
    (put(20, "nodes", 1, "low"), "(20, 20)"),
    (put(1 << 62, "nodes", 1, "high"), "at most 62 bits"),
    (put(-1, "nodes", 1, "fraction"), "fraction"),
    (put(0, "nodes", 7, "bits"), "bits must be an integer from 1 to 8"),
    (put(9, "nodes", 7, "bits"), "bits must be an integer from 1 to 8"),
    (put(3, "nodes", 7, "low"), "'low' is not known"),
    (tensor("node.1.multiplier", None), "'node.1.multiplier' is missing"),
    (tensor("node.1.multiplier", lambda m: m[:1]), "multiplier has 1 channels and offset 2"),
    (tensor("node.1.multiplier", lambda m: m + (1 << 61)), "exceed 62 bits"),
    (tensor("node.1.offset", lambda o: o - (1 << 62)), "exceed 62 bits"),
    (tensor("node.1.offset", lambda o: o.astype(np.int32)), "int32"),
    (put(7, "nodes", 4, "after"), "(9, 2, 2)"),
]


@pytest.mark.parametrize(("change", "words"), BRANCH_DAMAGES)
def test_names_what_is_wrong_with_branches(change, words, branch_network, tmp_path) -> None:
    header, tensors = raw(branch_network, tmp_path / "good")
    change(header, tensors)
    write(tmp_path / "bad", header, tensors)
    with pytest.raises(NetworkError) as caught:
        Network.load(tmp_path / "bad")
    assert words in str(caught.value)


def test_every_truncation(small_network, tmp_path) -> None:
    small_network.save(tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    for size in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(NetworkError):
            Network.load(tmp_path / "cut")


@pytest.mark.parametrize("which", ["small_network", "image_network", "branch_network"])
def test_every_byte_changed(which, request, tmp_path) -> None:
    """A damaged file is refused, or is a valid network (a name, say, or a weight, has changed)."""
    request.getfixturevalue(which).save(tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for position in range(len(data)):
        for value in {data[position] ^ 1, int(rng.integers(256))} - {data[position]}:
            (tmp_path / "b").write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            try:
                loaded = Network.load(tmp_path / "b")
            except NetworkError:
                refused += 1
            else:
                loaded.evaluate(np.zeros((1, loaded.input.elements), np.uint8))
    assert refused > len(data)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("which", ["small_network", "image_network", "branch_network"])
def test_any_value_anywhere_in_the_header(data, which, request, tmp_path) -> None:
    network = request.getfixturevalue(which)
    header, tensors = raw(network, tmp_path / "good")
    target, depth = header, data.draw(st.integers(0, 3))
    for _ in range(depth):
        keys = sorted(target) if isinstance(target, dict) else range(len(target))
        inner = [key for key in keys if isinstance(target[key], (dict, list)) and target[key]]
        if not inner:
            break
        target = target[data.draw(st.sampled_from(inner))]
    keys = sorted(target) if isinstance(target, dict) else list(range(len(target)))
    target[data.draw(st.sampled_from(keys))] = data.draw(JSON)
    write(tmp_path / "bad", header, tensors)
    try:
        Network.load(tmp_path / "bad").evaluate(np.zeros((1, *network.input.shape), np.uint8))
    except NetworkError:
        pass
    except ValueError as error:
        # Only an input shape that was changed into another valid one lets such a file load.
        assert "frames" in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000 + "]" * 100_000, "JSON"),
        ('{"format": "signfold-network", "version": ' + "9" * 10_000 + "}", "JSON"),
        ('{"version": NaN}', "NaN"),
        ('{"version": 1, "version": 1}', "'version' occurs twice"),
        ("", "JSON"),
        ("null", "format"),
        ("[]", "format"),
    ],
)
def test_refuses_descriptions(text, words, small_network, tmp_path) -> None:
    write(tmp_path / "bad", text, raw(small_network, tmp_path / "good")[1])
    with pytest.raises(NetworkError) as caught:
        Network.load(tmp_path / "bad")
    assert words in str(caught.value)


def file_of(header: dict | bytes, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\xff" * 64,
        (1 << 62).to_bytes(8, "little") + b"{}",
        (100 << 20).to_bytes(8, "little") + b"{}",
        file_of(b"[" * 200_000),
        file_of(b'{"a":{},"a":{}}'),
        file_of({}),
        file_of({"__metadata__": None}),
        file_of({"__metadata__": {"signfold": 1}}),
        file_of({"t": {"dtype": "U8", "shape": [1 << 40], "data_offsets": [0, 1 << 40]}}),
        file_of({"t": {"dtype": "F64", "shape": [1 << 61, 1 << 61], "data_offsets": [0, 8]}}, b"\0" * 8),
        file_of({"t": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, b"123"),
        file_of({"t": {"dtype": "U8", "shape": [2], "data_offsets": [2, 0]}}, b"12"),
        file_of({"t": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"12"),
        file_of({"t": {"dtype": "XX", "shape": [1], "data_offsets": [0, 2]}}, b"12"),
        b"PK\x03\x04" + b"\0" * 60,
        b"\x80\x04\x95" + b"." * 60,
    ],
)
def test_refuses_files_that_lie(content, tmp_path) -> None:
    (tmp_path / "bad").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(NetworkError):
            Network.load(tmp_path / "bad")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_refuses_what_is_not_a_file(tmp_path, small_network) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "pipe", "nul\0", tmp_path / "x" / "y"):
        with pytest.raises(NetworkError):
            Network.load(path)


@pytest.mark.parametrize("size", [(64 << 20) + 1, 1 << 34])
def test_refuses_a_sparse_giant_without_reading_it_into_memory(size, tmp_path) -> None:
    with open(tmp_path / "giant", "wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        with pytest.raises(NetworkError, match="longer than"):
            Network.load(tmp_path / "giant")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_a_failed_save_leaves_the_old_file(small_network, tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.safetensors"
    small_network.save(path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        small_network.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.safetensors"]


def test_same_bytes_whatever_the_hash_seed(tmp_path) -> None:
    program = (
        "import numpy as np, sys\n"
        "from signfold.sw.network import *\n"
        "t = Threshold('t', 'input', np.array([[1]]))\n"
        "d = Dense('d', 't', np.eye(9, dtype=np.uint8))\n"
        "Network(InputType((9,), 4), (t, d), 'd', {k: {k: 1} for k in 'zyxabc'}).save(sys.argv[1])\n"
        "assert 'torch' not in sys.modules and 'amaranth' not in sys.modules\n"
    )
    contents = set()
    for seed in ("0", "1", "2"):
        path = tmp_path / f"{seed}.safetensors"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", program, path], check=True, env=environment, cwd=tmp_path)
        contents.add(path.read_bytes())
    assert len(contents) == 1
