"""Networks whose layers join and branch, and networks of every method: built, trained, repeated."""

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from torch.nn import functional  # noqa: E402

from signfold.sw.train.checkpoint import write_best  # noqa: E402
from signfold.sw.train.describe import describe  # noqa: E402
from signfold.sw.train.k_map import KMapConv, KMapDense, magnitudes  # noqa: E402
from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.models import BinaryNet  # noqa: E402
from signfold.sw.train.real_layers import Subsample  # noqa: E402
from signfold.sw.train.saved import best_tensors  # noqa: E402
from signfold.sw.train.style import Style  # noqa: E402
from signfold.sw.train.topologies import parse_topology  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let these tiny tensors not wait for other threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def conv(name: str, channels: tuple[int, int], stride: int = 1, **more: object) -> dict:
    """Describe a 3x3 convolution that keeps the size."""
    entry = {"kind": "conv", "name": name, "in": channels[0], "out": channels[1], "kernel": [3, 3], "groups": 1}
    return entry | {"stride": [stride] * 2, "padding": [1] * 4, "pad": "zero"} | more


def norm(name: str, kind: str = "batchnorm", **more: object) -> dict:
    """Describe a batch normalization."""
    return {"kind": kind, "name": name, "eps": 1e-5} | more


PIXELS = {"kind": "input_codes", "name": "pixels", "mean": [0.5], "std": [0.5]}

#: Stem, a block with an option-A shortcut, a block whose result is appended, mean, classifier.
RESIDUAL = [
    PIXELS,
    conv("stem", (2, 4), weights={"levels": 0}),
    norm("stem_norm"),
    {"kind": "hardtanh", "name": "stem_act"},
    {"kind": "sign", "name": "bits1"},
    conv("conv1", (4, 6), 2),
    norm("norm1"),
    {"kind": "subsample", "name": "short", "input": "stem_act", "stride": 2, "out": 6},
    {"kind": "add", "name": "sum1", "inputs": ["norm1", "short"]},
    {"kind": "prelu", "name": "act1"},
    {"kind": "quant", "name": "bits2", "bits": 2},
    conv("conv2", (6, 3)),
    {"kind": "concat", "name": "grown", "inputs": ["act1", "conv2"]},
    norm("norm2", "batchnorm_relu"),
    {"kind": "avgpool", "name": "mean", "kernel": [4, 4], "stride": [4, 4], "padding": [0] * 4},
    {"kind": "dense", "name": "classifier", "in": 9, "out": 5, "weights": {"levels": 0}},
    {"kind": "scale", "name": "scale"},
]


def test_a_graph_computes_what_its_entries_say() -> None:
    network = BinaryNet(RESIDUAL, generator(), shape=(2, 8, 8)).eval()
    codes = torch.randint(0, 256, (3, 2, 8, 8), dtype=torch.uint8, generator=generator(2))
    with torch.no_grad():
        network.norm1.running_mean.fill_(0.25)
        layer = dict(network.named_children())
        x = (codes / 255 - 0.5) / 0.5
        real = functional.conv2d(x, network.stem.weight, padding=1) / (1 + 1e-5) ** 0.5
        real = real.clamp(-1, 1)
        bits = torch.where(real >= 0, 1.0, -1.0)
        signs = torch.where(network.conv1.weight >= 0, 1.0, -1.0)
        sums = (functional.conv2d(bits, signs, stride=2, padding=1) - 0.25) / (1 + 1e-5) ** 0.5
        sums[:, :4] += real[:, :, ::2, ::2]
        act = torch.where(sums >= 0, sums, 0.25 * sums)
        grown = torch.cat([act, layer["conv2"]((act.clamp(0, 1) * 3).round() / 3)], 1) / (1 + 1e-5) ** 0.5
        mean = grown.relu().mean((2, 3))
        expected = mean @ network.classifier.weight.T * network.scale.log_scale.exp()
        assert torch.allclose(network(codes), expected, rtol=1e-4, atol=1e-5)
    assert not network._done[4] and network._done[7] == ["stem_act"] and sorted(network._done[8]) == ["norm1", "short"]


def test_gradients_reach_every_parameter_of_a_graph() -> None:
    for precision in (torch.float32, torch.bfloat16):
        network = BinaryNet(RESIDUAL, generator(), shape=(2, 8, 8), dropout=0.2, precision=precision)
        codes = torch.randint(0, 256, (6, 2, 8, 8), dtype=torch.uint8, generator=generator(2))
        network(codes).square().sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_subsampling_appends_channels_of_zeros() -> None:
    x = torch.arange(2.0 * 3 * 3).reshape(1, 2, 3, 3).requires_grad_()
    y = Subsample(2, 3)(x)
    assert y.tolist() == [[[[0, 2], [6, 8]], [[9, 11], [15, 17]], [[0, 0], [0, 0]]]]
    y.sum().backward()
    assert x.grad.sum() == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "add", "name": "sum", "inputs": ["pixels", "later"]}, "reads \\['later'\\]"),
        ({"kind": "relu", "name": "act", "input": "nowhere"}, "reads \\['nowhere'\\]"),
        ({"kind": "add", "name": "sum", "inputs": []}, "reads \\[\\]"),
        ({"kind": "relu", "name": "pixels"}, "no other layer has"),
        (conv("second", (2, 2), pad={"code": 0}, input="act"), "it has no codes"),
        (conv("second", (2, 2), pad={"code": 0}, input="scaled"), "it has no codes"),
        (conv("second", (2, 4), k_map=True, groups=2), "groups is 2"),
    ],
)
def test_lists_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    layers = [PIXELS, {"kind": "sign", "name": "scaled", "scale": "trained"}, {"kind": "relu", "name": "act"}]
    with pytest.raises(ValueError, match=message):
        BinaryNet(layers[: 1 if change["name"] == "act" else 3] + [change], generator(), shape=(2, 8, 8))


def test_the_k_map_is_the_mean_magnitude_around_each_position() -> None:
    entry = conv("conv", (3, 4), 2, k_map=True)
    layer = KMapConv(entry, 0.0, generator(), Method(activation_estimator={"name": "identity"}))
    x = torch.randn(2, 3, 5, 5, generator=generator(2)).requires_grad_()
    with torch.no_grad():
        x[0, 0, 0, 0], x[0, 0, 0, 1] = 0.0, -0.0
    k = torch.ones(1, 1, 3, 3) / 9
    expected = functional.conv2d(x.detach().abs().mean(1, keepdim=True), k, stride=2, padding=1)
    found = magnitudes(x.detach(), (3, 3), (2, 2), (1, 1, 1, 1))
    assert torch.allclose(found, expected, rtol=1e-6)
    signs, bits = (torch.where(v.detach() >= 0, 1.0, -1.0) for v in (layer.weight, x))
    sums = functional.conv2d(bits, signs, stride=2, padding=1)
    y = layer(x)
    assert torch.equal(y, sums * found)
    g = torch.randn(y.shape, generator=generator(3))
    y.backward(g)
    # K is a constant: the gradient is that of the sums times K.
    wanted = functional.conv_transpose2d(g * found, signs, stride=2, padding=1)
    assert torch.allclose(x.grad, wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(layer.eval()(x), y)


def test_the_k_map_of_a_dense_layer_is_the_mean_magnitude_of_all_it_reads() -> None:
    layer = KMapDense(4, 2, generator(), {"levels": 2, "scale": "channel"})
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -0.5, 0.5, 0.5], [-1.0, 0.0, 0.25, -0.75]]))
    layer.refresh()
    x = torch.tensor([[0.0, -0.5, 2.5, -1.0], [-0.0, 1e-40, 1.0, -1.0]], requires_grad=True)
    # signs + - + - and + + + -; mean magnitudes 1 and 1/2; scales 1/2 both
    y = layer(x)
    assert y.tolist() == [[0.5 * 2, 0.5 * 0], [0.25 * 0, 0.25 * 2]]
    y.backward(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert x.grad.tolist() == [[0.5, -0.5, 0, 0.5], [-0.25, 0.25, 0.25, -0.25]]
    assert torch.equal(layer.eval()(x), y)
    layer.train().enter(Method(activations_as="tanh"), 0.0)
    assert (
        layer(x).tolist() == (functional.linear(x.tanh(), layer.values(x.dtype)) * torch.tensor([[1], [0.5]])).tolist()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"activations": 2},
        {"activation": "zero-one"},
        {"activation_scale": "trained"},
        {"activation_shift": "static"},
        {"stochastic": True},
    ],
)
def test_a_k_map_is_of_plain_signs(change: dict) -> None:
    with pytest.raises(ValueError, match="k_map is True, allowed: false unless activations are signs"):
        Style(k_map=True, **change)


#: Styles and methods that use every source of randomness and every kind of layer between them.
CHOICES = {
    "binaryconnect": ({"activation": "relu", "weight_method": "stochastic"}, {"initial": "glorot"}),
    "binaryconnect, real": ({"activation": "relu", "weights": "real", "weight_method": "stochastic"}, {}),
    "few multiplications": (
        {"activation": "relu", "weights": "ternary", "weight_method": "ternary-connect"},
        {"clip": "glorot", "quantized_backprop": True, "exponents": (-4, 3)},
    ),
    "bnn": ({"stochastic": True, "norm": "shift"}, {}),
    "bwn": ({"activation": "relu", "weight_scale": "channel"}, {"weight_gradient": "paper"}),
    "xnor-net": ({"weight_scale": "channel", "k_map": True}, {"weight_gradient": "corrected", "centre": True}),
    "dorefa": (
        {"activations": 2, "weight_scale": "layer"},
        {"gradient_bits": 4, "weight_gradient": "straight", "weight_estimator": {"name": "identity"}},
    ),
    "binaryduo, coupled": ({"activation": "coupled", "weight_scale": "layer"}, {"weight_gradient": "straight"}),
    "binaryduo, decoupled": ({"activation": "decoupled", "weight_scale": "layer"}, {}),
    "ir-net": (
        {"weight_method": "libra", "weight_scale": "shift"},
        {"clip": None, "activation_estimator": {"name": "ede"}},
    ),
    "sd-bnn": ({"weight_method": "wsd", "activation_shift": "se", "reduction": 2}, {}),
    "sd-bnn, static": ({"weight_method": "wsd", "activation_shift": "static"}, {}),
    "xu-cheung": (
        {"weight_scale": "trained", "activation_scale": "trained"},
        {"weight_estimator": {"name": "tight"}, "activation_estimator": {"name": "tight"}},
    ),
    "bitwise": (
        {"weights": "ternary", "weight_method": "bitwise"},
        {"sparsity": 0.3, "activation_estimator": {"name": "identity"}},
    ),
    "bitwise, biases": (
        {"weight_method": "bitwise", "norm": "none", "bias": "bits"},
        {"activation_estimator": {"name": "identity"}, "weight_estimator": {"name": "identity", "draw": "sigmoid"}},
    ),
    "abc-net": ({"weight_method": "multibase", "bases": 2}, {}),
    "abc-net, scales by channel": ({"weight_method": "multibase", "weight_scale": "channel", "bases": 3}, {}),
    "abc-net, activations": ({"weight_method": "multibase", "activation": "bases", "bases": 3}, {}),
    "bi-real": ({}, {"activation_estimator": {"name": "approx"}}),
    "bnn+": ({}, {"weight_estimator": {"name": "swish"}, "activation_estimator": {"name": "swish"}}),
    "neurons": ({"stochastic": True}, {"activation_estimator": {"name": "sigmoid", "draw": "sigmoid"}}),
}


def steps(network: BinaryNet, method: Method, first: int, last: int) -> None:
    """Descend for some steps on pictures whose brightness says their class."""
    network.train()
    for step in range(first, last):
        network.enter(method, step / 10)
        labels = torch.randint(0, 4, (8,), generator=generator(step))
        codes = torch.randint(0, 64, (8, 2, 6, 6), generator=generator(step)) + 64 * labels.view(-1, 1, 1, 1)
        network.zero_grad()
        functional.cross_entropy(network(codes.to(torch.uint8)), labels).backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.1 * parameter.grad
        network.clip()
    network.refresh()


@pytest.mark.parametrize("name", CHOICES)
def test_every_method_trains_and_goes_on_in_the_same_bits(name: str, tmp_path) -> None:
    style, choices = CHOICES[name]
    method = Method(**choices)
    shape, layers = describe((2, 6, 6), 8, parse_topology("4c3p1,p2,4c3p1,6"), 4, Style(**style))

    def build(seed: int) -> tuple[BinaryNet, "torch.Generator"]:
        source = generator(seed)
        return BinaryNet(layers, source, shape=shape, dropout=0.1, method=method), source

    whole, _ = build(1)
    before = {key: value.clone() for key, value in whole.state_dict().items()}
    steps(whole, method, 0, 4)
    first, source = build(1)
    steps(first, method, 0, 2)
    second, drawn = build(2)
    second.load_state_dict(first.state_dict())
    drawn.set_state(source.get_state())
    steps(second, method, 2, 4)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
        assert torch.isfinite(value.float()).all(), key
    changed = [key for key, value in whole.state_dict().items() if not torch.equal(value, before[key])]
    # A scale before a normalization changes nothing, and so has no gradient.
    trained = {key for key, _ in whole.named_parameters()}
    assert {key for key in trained if key.endswith((".weight", ".shift"))} <= set(changed)
    state = drawn.get_state()
    codes = torch.randint(0, 256, (3, 2, 6, 6), dtype=torch.uint8, generator=generator(5))
    with torch.no_grad():
        assert torch.equal(whole.eval()(codes), second.eval()(codes))
    assert torch.equal(drawn.get_state(), state)  # evaluation draws nothing
    # What a run's folder gives back computes the same.
    write_best(tmp_path, {f"model.{key}": value.numpy() for key, value in whole.state_dict().items()}, {})
    third, _ = build(3)
    third.load_state_dict(best_tensors(tmp_path))
    with torch.no_grad():
        assert torch.equal(whole(codes), third.eval()(codes))


@pytest.mark.parametrize("name", CHOICES)
def test_every_method_trains_in_bfloat16_and_in_stages(name: str) -> None:
    style, choices = CHOICES[name]
    shape, layers = describe((2, 6, 6), 8, parse_topology("4c3p1,p2,4c3p1,6"), 4, Style(**style))
    codes = torch.randint(0, 256, (8, 2, 6, 6), dtype=torch.uint8, generator=generator(5))
    network = BinaryNet(layers, generator(), shape=shape, method=Method(**choices), precision=torch.bfloat16)
    for stage in ("quantized", "tanh", "real"):
        network.enter(Method(**choices, weights_as=stage, activations_as=stage), 0.5)
        network.zero_grad()
        scores = network.train()(codes)
        assert scores.dtype == torch.float32
        scores.square().sum().backward()
        assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)
        assert all(getattr(network, each).weight.grad.abs().sum() > 0 for each in ("conv0", "conv1", "dense3"))
    with torch.no_grad():
        deployed = network.eval()(codes)
        network.enter(Method(**choices), 0.5)
        assert torch.equal(network(codes), deployed)  # stages are of training alone
