"""Topologies by name and by text, and the layer lists that they are laid out as."""

from math import prod

import pytest

from signfold.sw.train.describe import describe
from signfold.sw.train.style import Style
from signfold.sw.train.topologies import TOPOLOGIES, Conv, Dense, GlobalPool, Pool, parse_topology

CIFAR, MNIST = (3, 32, 32), (28, 28)


def layers_of(topology: str, shape: tuple[int, ...] = CIFAR, **style: object) -> list[dict]:
    """Lay out a topology for ten classes of 8-bit pixels."""
    return describe(shape, 8, parse_topology(topology), 10, Style(**style))[1]


def weights_of(topology: str, shape: tuple[int, ...] = CIFAR) -> int:
    """Count the weights of a network."""
    count = 0
    for layer in layers_of(topology, shape):
        if layer["kind"] in ("conv", "dense"):
            count += layer["out"] * layer["in"] // layer.get("groups", 1) * prod(layer.get("kernel", [1]))
    return count


@pytest.mark.parametrize(
    ("topology", "shape", "weights"),
    [
        ("tfc", MNIST, 59_008),
        ("sfc", MNIST, 334_336),
        ("lfc", MNIST, 2_910_208),
        ("cnv", CIFAR, 1_542_848),
        ("bnn-cifar", CIFAR, 14_022_016),
        ("64c3p1,64c3p1,p2,128c3p1,128c3p1,p2,256c3p1,256c3p1,p2,1024,1024", CIFAR, 6_397_632),
        ("vgg-small", CIFAR, 4_656_512),
        ("conv-s", MNIST, 69_904),
    ],
)
def test_networks_have_the_weights_that_are_known_of_them(topology: str, shape: tuple[int, ...], weights: int) -> None:
    assert weights_of(topology, shape) == weights


def test_every_name_is_a_network() -> None:
    for name in TOPOLOGIES:
        assert parse_topology(name) == parse_topology(TOPOLOGIES[name])


def test_epsilon_is_that_of_every_normalization() -> None:
    layers = layers_of("8,8", MNIST, epsilon=1e-4, head="batchnorm")
    assert [layer["eps"] for layer in layers if layer["kind"].startswith("batchnorm")] == [1e-4] * 3
    with pytest.raises(ValueError, match="epsilon is 0.0, allowed: above 0"):
        Style(epsilon=0.0)


def test_steps_are_read() -> None:
    assert parse_topology("5,70") == (Dense(5), Dense(70))
    assert parse_topology("16c3,p2,32c5s2p1,d3p1,a3s2p1,gap") == (
        Conv(16, 3, 1, 0),
        Pool("maxpool", 2, 2, 0),
        Conv(32, 5, 2, 1),
        Conv(None, 3, 1, 1),
        Pool("avgpool", 3, 2, 1),
        GlobalPool(),
    )


@pytest.mark.parametrize(
    "topology",
    "|xfc|5,|5,0|-1|1.5|5;6|0c3|8c0|8c3s0|8c3p3|p2|64,p2|64,8c3|8c3,p2,p2|gap|64,gap|8c3,gap,64|8c3,P2|8 c3|c3".split(
        "|"
    ),
)
def test_wrong_topologies_are_refused(topology: str) -> None:
    with pytest.raises(ValueError, match="topology is"):
        parse_topology(topology)


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="pool0 has a window of 3x3"):
        layers_of("4c3,p3", (1, 4, 4))
    with pytest.raises(ValueError, match="conv1 has a window of 5x5 and padding 0, but a picture of 4x3"):
        layers_of("4c3,4c5", (1, 6, 5))


def test_cnv_is_laid_out_as_published() -> None:
    frame, layers = describe(CIFAR, 8, parse_topology("cnv"), 10, Style())
    assert frame == CIFAR
    before = (
        "input_codes conv batchnorm_sign conv maxpool batchnorm_sign conv batchnorm_sign conv maxpool batchnorm_sign"
    )
    after = "conv batchnorm_sign conv batchnorm_sign dense batchnorm_sign dense batchnorm_sign dense scale"
    assert [layer["kind"] for layer in layers] == f"{before} {after}".split()
    assert layers[0] == {"kind": "input_codes", "name": "pixels", "mean": [0.5], "std": [0.5]}
    assert layers[1] == {
        "kind": "conv",
        "name": "conv0",
        "in": 3,
        "out": 64,
        "kernel": [3, 3],
        "stride": [1, 1],
        "padding": [0, 0, 0, 0],
        "pad": "zero",
        "groups": 1,
    }
    assert layers[4] == {
        "kind": "maxpool",
        "name": "pool1",
        "kernel": [2, 2],
        "stride": [2, 2],
        "padding": [0, 0, 0, 0],
    }
    assert [(layer["in"], layer["out"]) for layer in layers if layer["kind"] == "dense"] == [
        (256, 512),
        (512, 512),
        (512, 10),
    ]
    assert len({layer["name"] for layer in layers}) == len(layers)


def test_style_decides_what_a_topology_leaves_open() -> None:
    style = {"weights": "2", "first_weights": "8", "last_weights": "ternary", "activations": 3, "signed": True}
    layers = layers_of("8c3p1,p2,d3p1,16,4", MNIST, pad="high", pool="after", **style)
    kinds = [layer["kind"] for layer in layers]
    quant = "batchnorm_quant"
    assert kinds == f"input_codes conv {quant} maxpool conv {quant} dense {quant} dense {quant} dense scale".split()
    assert [layer["pad"] for layer in layers if layer["kind"] == "conv"] == [{"code": 255}, {"code": 7}]
    assert [layer["groups"] for layer in layers if layer["kind"] == "conv"] == [1, 8]
    two = {"levels": 4, "method": "dorefa"}
    assert [layer["weights"] for layer in layers if "weights" in layer] == [
        {"levels": 256, "method": "dorefa"},
        two,
        two,
        two,
        {"levels": 3, "method": "ternary", "delta": 0.7},
    ]
    assert layers[2] == {"kind": quant, "name": "norm0", "eps": 1e-5, "bits": 3, "signed": True}


def test_bits_of_pixels_before_a_convolution() -> None:
    layers = layers_of("8c3p1,4", MNIST, thresholds=(128,), pad="low")
    assert layers[0] == {"kind": "input_threshold", "thresholds": [128]}
    assert layers[1]["pad"] == {"code": 0}
    with pytest.raises(ValueError, match="an integer for all pixels"):
        layers_of("8c3p1,4", MNIST, thresholds=(128,) * 784)


def test_means_are_taken_before_the_activation_and_at_the_end() -> None:
    layers = layers_of("8c3,a2,16c3,gap", MNIST, pool="after", head="batchnorm")
    kinds = "input_codes conv avgpool batchnorm_sign conv batchnorm_sign conv avgpool batchnorm"
    assert [layer["kind"] for layer in layers] == kinds.split()
    assert layers[-2]["kernel"] == layers[-2]["stride"] == [11, 11] and layers[-3]["kernel"] == [1, 1]
