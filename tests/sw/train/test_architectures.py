"""Networks by name: weights and parameters as published, graphs in order, a summary in numbers."""

from dataclasses import replace

import pytest

from signfold.sw.train.architectures import ARCHITECTURES, NAMES, lay_out
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.style import Style
from signfold.sw.train.summary import REAL, summarize_layers

CIFAR, MNIST, IMAGENET = (3, 32, 32), (28, 28), (3, 224, 224)


def summary(topology: str, shape: tuple[int, ...] = CIFAR, classes: int = 10, **style: object) -> dict:
    frame, layers = lay_out(topology, shape, 8, classes, Style(**style))
    return summarize_layers(frame, 8, layers)


@pytest.mark.parametrize(
    ("topology", "shape", "weights"),
    [
        # Sums of the layers' sizes as the papers give them.
        ("mlp-2048", MNIST, 784 * 2048 + 2 * 2048**2 + 2048 * 10),
        ("mlp-4096", MNIST, 36_806_656),
        ("bnn-svhn", CIFAR, 6_397_632),
        ("lenet-5", MNIST, 20 * 25 + 50 * 20 * 25 + 500 * 800 + 5000),
        ("nin", CIFAR, 192 * (75 + 160 + 96 * 25 + 2 * 192 + 9 * 192 + 192 + 10) + 96 * 160),
        ("tiny-vgg7", CIFAR, 45 * 27 + 45 * 45 * 9 + 90 * 45 * 9 + 90 * 90 * 9 + 336 * 90 * 16 + 512 * 336 + 5120),
        # 0.27 million in He et al. (arXiv:1512.03385), with batch normalization.
        ("resnet-20", CIFAR, 268_336),
        # The usual ResNet-18 of 3x3 stem without biases and batch normalization.
        ("resnet-18", CIFAR, 11_164_352),
    ],
)
def test_weights(topology, shape, weights) -> None:
    assert summary(topology, shape)["weights"] == weights


@pytest.mark.parametrize(
    ("topology", "parameters", "besides", "norm"),
    [
        # Of Larq Zoo's models (docs/index.md), which count biases of the classifier and 4 numbers a normalized channel;
        # XNOR-Net's has neither biases nor gammas, and normalizes the 96 channels of its stem twice.
        ("resnete-18", 11_699_368, 1000, 4),
        ("bi-real-18", 11_699_112, 1000, 4),
        ("binary-densenet-28", 5_150_504, 1000, 4),
        ("binary-densenet-37", 8_734_120, 1000, 4),
        ("binary-densenet-45", 13_939_240, 1000, 4),
        ("alexnet", 62_396_768, 3 * 96, 3),
    ],
)
def test_parameters_are_those_published(topology, parameters, besides, norm) -> None:
    found = summary(topology, IMAGENET, 1000)
    channels = sum(entry["shape"][0] for entry in found["layers"] if entry["kind"].startswith("batchnorm"))
    assert found["weights"] + norm * channels + besides == parameters


def test_share_of_binary_products_is_that_published() -> None:
    """Larq's summary of BinaryDenseNet-45: 6.67 billion products, 0.9634 of them of bits."""
    found = summary("binary-densenet-45", IMAGENET, 1000)
    assert round(found["products"] / 1e9, 2) == 6.67 and round(found["binary_share"], 4) == 0.9634


@pytest.mark.parametrize("topology", NAMES)
def test_entries_read_entries_before_them_and_shapes_agree(topology) -> None:
    shape = MNIST if topology in ("lenet-5", "conv-s") else (3, 40, 40) if topology == "dorefa-svhn" else CIFAR
    shape = IMAGENET if topology == "alexnet" else shape
    frame, layers = lay_out(topology, shape, 8, 10, Style(thresholds=None))
    found = summarize_layers(frame, 8, layers)
    shapes = {entry["name"]: entry["shape"] for entry in found["layers"]}
    names = [layer.get("name", layer["kind"]) for layer in layers]
    assert len(set(names)) == len(names) and all("." not in name for name in names)
    for layer, entry in zip(layers, found["layers"], strict=True):
        if layer["kind"] == "conv":
            assert layer["in"] == shapes[entry["inputs"][0]][0]
        if layer["kind"] == "add":
            assert all(shapes[name] == entry["shape"] for name in layer["inputs"])
    assert found["layers"][-1]["shape"] in ([10], [10, 1, 1])


@pytest.mark.parametrize("topology", ARCHITECTURES)
def test_styles_reach_the_binary_layers_of_graphs_and_no_others(topology) -> None:
    options = TrainingOptions("cifar10", topology, 1, 2, 0.1, weight_method="libra", weight_scale="shift")
    _, layers = lay_out(topology, CIFAR, 8, 10, options.style(None))
    methods = {layer["name"]: layer["weights"]["method"] for layer in layers if "weights" in layer}
    binary = [name for name, method in methods.items() if method == "libra"]
    assert methods["stem"] == methods["classifier"] == "real" and len(binary) >= 16
    # Weights of codes there make what the compiler need not round.
    coded = replace(options, first_weights="8", last_weights="4")
    _, layers = lay_out(topology, CIFAR, 8, 10, coded.style(None))
    levels = {layer["name"]: layer["weights"]["levels"] for layer in layers if "weights" in layer}
    assert levels["stem"] == 256 and levels["classifier"] == 16
    assert {levels[name] for name in binary} == {2} and set(levels.values()) == {2, 16, 256}
    assert all(layer["kernel"] == [3, 3] for layer in layers if layer["name"] in binary)
    with pytest.raises(ValueError, match="activation is 'decoupled', allowed with"):
        lay_out(topology, CIFAR, 8, 10, Style(activation="decoupled"))


def test_pictures_that_are_too_small() -> None:
    with pytest.raises(ValueError, match=r"does not fit: transition2_pool has a window of 2x2"):
        lay_out("binary-densenet-28", (1, 4, 4), 8, 10, Style())


def test_summary_of_one_network_worked_out_by_hand() -> None:
    found = summary("4c3,p2,6", (1, 6, 6), 3, first_weights="real", weight_scale="channel", activation_shift="static")
    rows = {entry["name"]: entry for entry in found["layers"]}
    assert rows["conv0"] | {"inputs": []} == {
        "name": "conv0",
        "kind": "conv",
        "inputs": [],
        "shape": [4, 4, 4],
        "bits": 0,
        "weights": 36,
        "weight_bits": REAL,
        "parameters": 0,
        "products": 36 * 16,
        "binary": 0,
    }
    assert (rows["norm0"]["shape"], rows["norm0"]["bits"], rows["norm0"]["parameters"]) == ([4, 2, 2], 1, 4 * 4 + 4)
    assert (rows["dense1"]["weights"], rows["dense1"]["binary"], rows["dense1"]["parameters"]) == (96, 96, 6)
    assert found["weights"] == 36 + 96 + 18 and found["size"] == 36 * 32 + 96 + 18
    assert found["binary_share"] == (96 + 18) / (36 * 16 + 96 + 18)


def test_summary_refuses_what_comes_later() -> None:
    layers = [{"kind": "input_codes", "name": "pixels"}, {"kind": "relu", "name": "relu", "input": "later"}]
    with pytest.raises(ValueError, match="'relu' reads 'later', allowed: a layer before it"):
        summarize_layers((4,), 8, layers)


@pytest.mark.parametrize(
    "style",
    [
        {"weight_scale": "shift", "weight_method": "libra"},
        {"weight_scale": "range", "weight_method": "ternary-connect", "weights": "ternary"},
        {"weight_method": "wsd"},
        {"weight_method": "multibase"},
        {"weight_method": "multibase", "weight_scale": "channel", "activation": "bases", "bases": 2},
        {"weight_method": "bitwise", "bias": "bits", "norm": "none"},
        {"k_map": True, "weight_scale": "channel"},
        {"activation_shift": "se", "reduction": 2, "activation_scale": "trained"},
    ],
)
def test_numbers_of_every_method_are_counted(style) -> None:
    torch = pytest.importorskip("torch", reason="training needs signfold[train]")
    from signfold.sw.train.models import BinaryNet

    frame, layers = lay_out("4c3,6,6", (8, 8), 8, 10, Style(thresholds=(3,), **style))
    network = BinaryNet(layers, torch.Generator().manual_seed(1), shape=frame)
    stored = {name: value for name, value in network.state_dict().items() if not name.endswith(".codes")}
    found = summarize_layers(frame, 8, layers)
    assert sum(value.numel() for value in stored.values()) == found["weights"] + found["parameters"]
    one_bit = style.get("weights") != "ternary" and "bases" not in style
    assert (found["binary_share"] == 1) == one_bit


@pytest.mark.parametrize("topology", ["resnet-20", "binary-densenet-28", "lenet-5"])
def test_a_step_of_training_and_the_numbers_that_it_changes(topology, request) -> None:
    """Every parameter gets a gradient, and the summary counts them."""
    torch = pytest.importorskip("torch", reason="training needs signfold[train]")
    from signfold.sw.train.models import BinaryNet

    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)
    shape = (1, 28, 28) if topology == "lenet-5" else (3, 8, 8)
    frame, layers = lay_out(topology, shape, 8, 10, Style(weight_scale="channel"))
    network = BinaryNet(layers, torch.Generator().manual_seed(1), shape=frame)
    pictures = torch.randint(0, 256, (4, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    torch.nn.functional.cross_entropy(network(pictures), torch.tensor([1, 2, 3, 4])).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    stored = {name: value for name, value in network.state_dict().items() if not name.endswith(".codes")}
    found = summarize_layers(frame, 8, layers)
    assert sum(value.numel() for value in stored.values()) == found["weights"] + found["parameters"]
