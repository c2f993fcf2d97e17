"""Convolutions, pools and codes of several bits against sums written out in NumPy."""

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.activations import BatchNormQuant  # noqa: E402
from signfold.sw.train.describe import describe  # noqa: E402
from signfold.sw.train.estimators import Clipped, replace_through, round_through  # noqa: E402
from signfold.sw.train.layers import AvgPool, InputCodes, MaxPool  # noqa: E402
from signfold.sw.train.models import BinaryNet  # noqa: E402
from signfold.sw.train.style import Style  # noqa: E402
from signfold.sw.train.topologies import parse_topology  # noqa: E402
from signfold.sw.train.weights import BinaryConv, BinaryDense  # noqa: E402


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def conv_entry(**changes: object) -> dict:
    """Describe a convolution as a checkpoint does."""
    entry = {"in": 3, "out": 4, "kernel": [3, 2], "stride": [2, 1], "padding": [1, 2, 0, 1], "pad": "zero", "groups": 1}
    return entry | changes


def convolve(x: np.ndarray, weights: np.ndarray, entry: dict, pad: float) -> np.ndarray:
    """Sum products place by place."""
    (height, width), (down, right), (top, bottom, left, end) = entry["kernel"], entry["stride"], entry["padding"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, end)), constant_values=pad)
    rows, columns = (x.shape[2] - height) // down + 1, (x.shape[3] - width) // right + 1
    sums = np.zeros((len(x), entry["out"], rows, columns))
    for channel, row, column in product(range(entry["out"]), range(rows), range(columns)):
        inputs = slice(None) if entry["groups"] == 1 else slice(channel, channel + 1)
        window = x[:, inputs, row * down : row * down + height, column * right : column * right + width]
        sums[:, channel, row, column] = (window * weights[channel]).sum((1, 2, 3))
    return sums


@pytest.mark.parametrize("pad", [0.0, -1.0, 1.0])
@pytest.mark.parametrize(
    "changes",
    [{}, {"padding": [1, 1, 1, 1]}, {"padding": [0, 0, 0, 0], "stride": [1, 1]}, {"out": 3, "groups": 3}],
)
def test_convolutions_sum_products_of_signs(changes: dict, pad: float) -> None:
    entry = conv_entry(**changes)
    layer = BinaryConv(entry, pad, generator())
    x = torch.where(torch.rand(2, 3, 6, 5, generator=generator(2)) < 0.5, -1.0, 1.0)
    signs = np.where(layer.weight.detach().numpy() >= 0, 1, -1)
    assert layer(x).tolist() == convolve(x.numpy(), signs, entry, pad).tolist()


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_dorefa_weights_are_those_of_their_codes(bits: int) -> None:
    top = (1 << bits) - 1
    layer = BinaryDense(40, 6, generator(), {"levels": top + 1, "method": "dorefa"})
    bent = np.tanh(layer.weight.detach().double().numpy())
    codes = np.round(top * (bent / (2 * np.abs(bent).max()) + 0.5))
    assert layer.codes.dtype == torch.uint8 and layer.codes.tolist() == codes.tolist()
    assert {0, top} & set(codes.flatten())  # the largest latent takes an end of the range
    values = layer.values(torch.float32)
    assert torch.equal(values.detach(), (2 * layer.codes.float() - top) / top)
    assert torch.equal(layer.eval().values(torch.float32), values.detach())
    values.sum().backward()
    assert layer.weight.grad.abs().min() > 0


def test_ternary_weights_are_zero_below_their_threshold() -> None:
    layer = BinaryDense(5, 1, generator(), {"levels": 3, "method": "ternary", "delta": 0.5})
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0, -0.25, 0.0, 0.25, 1.0]]))  # mean magnitude 1/2: the threshold is 1/4
    layer.refresh()
    assert layer.codes.tolist() == [[0, 1, 1, 1, 2]]
    values = layer.values(torch.float32)
    assert values.tolist() == [[-1, 0, 0, 0, 1]] == layer.eval().values(torch.float32).tolist()
    (values * torch.arange(1.0, 6.0)).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 2, 3, 4, 5]]


def test_evaluation_uses_the_stored_codes() -> None:
    layer = BinaryDense(5, 2, generator(), {"levels": 4, "method": "dorefa"}).eval()
    layer.codes.fill_(3)
    assert layer(torch.ones(1, 5)).tolist() == [[5, 5]]
    layer.refresh()
    assert layer.codes.float().mean() < 3


@pytest.mark.parametrize("weights", [{"levels": 3}, {"levels": 4}, {"levels": 5, "method": "dorefa"}, {"method": "x"}])
def test_unknown_weights_are_refused(weights: dict) -> None:
    with pytest.raises(ValueError, match="weights are"):
        BinaryDense(5, 2, generator(), weights)


def norm(signed: bool, bits: int) -> BatchNormQuant:
    """Make a normalization that changes nothing."""
    layer = BatchNormQuant(1, 0.0, 0.1, bits, signed).eval()
    layer.requires_grad_(False)
    return layer


def test_activations_round_halves_to_even_codes_and_clip() -> None:
    x = torch.tensor([[-0.1], [0.0], [0.5 / 3], [0.51 / 3], [1.5 / 3], [0.9], [1.0], [1.7]], requires_grad=True)
    y = norm(False, 2)(x)
    assert (y * 3).round().flatten().tolist() == [0, 0, 0, 1, 2, 3, 3, 3]
    y.sum().backward()
    assert x.grad.flatten().tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    x = torch.tensor([[-1.2], [-1.0], [-0.6], [0.1], [1.0], [1.1]], requires_grad=True)
    y = norm(True, 2)(x)
    assert (y * 3).round().flatten().tolist() == [-3, -3, -1, 1, 3, 3]
    y.sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0, 1, 1, 1, 1, 0])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("signed", [False, True])
def test_activations_are_values_of_codes(bits: int, signed: bool) -> None:
    x = torch.linspace(-1.5, 1.5, 3001).reshape(-1, 1)
    top = (1 << bits) - 1
    values = norm(signed, bits)(x).numpy()
    codes = np.arange(top + 1, dtype=np.float32)
    expected = (2 * codes - top) / np.float32(top) if signed else codes / np.float32(top)
    assert set(values.flatten()) == set(expected)


def test_estimators_pass_gradients_and_give_exact_values() -> None:
    x = torch.tensor([0.3, -0.7, 2.5], requires_grad=True)
    value = torch.tensor([1.0, -1.0, 0.1])
    assert torch.equal(replace_through(x, value), value)
    assert round_through(x).tolist() == [0, -1, 2]
    (round_through(x) * value).sum().backward()
    assert torch.equal(x.grad, value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_clip_of_the_sign_ends_after_one_in_every_type(dtype: "torch.dtype") -> None:
    one = torch.ones((), dtype=dtype)
    above = one + torch.finfo(dtype).eps
    x = torch.stack([one, -one, above, -above]).requires_grad_()
    y = Clipped().apply(x)
    assert y.dtype == dtype and y.tolist() == [1, -1, 1, -1]
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 0, 0]


def test_pools_ignore_or_count_padded_places() -> None:
    x = -torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    window = ([2, 2], [2, 2], [1, 0, 0, 1])
    assert MaxPool(*window)(x).tolist() == [[[[-1, -3], [-4, -6]]]]
    assert AvgPool(*window)(x).tolist() == [[[[-0.75, -0.75], [-6, -3.75]]]]


def test_pixels_are_normalized_by_channel() -> None:
    codes = torch.tensor([[[[0, 255]], [[51, 102]]]], dtype=torch.uint8)
    assert InputCodes(8, [0.5], [0.5])(codes).flatten().tolist() == pytest.approx([-1, 1, -0.6, -0.2])
    assert InputCodes(8, [0.0, 0.2], [1.0, 0.2])(codes).flatten().tolist() == pytest.approx([0, 1, 0, 1])
    assert InputCodes(8, [0.5], [0.5])(codes.flatten(1)).shape == (1, 4)


@pytest.mark.parametrize("topology", ["4c3p1,p2,6c3,8", "4c3p1,p2,d3p1,6c3,gap", "9"])
@pytest.mark.parametrize(
    "style",
    [
        {"pad": "low", "pool": "after"},
        {"activations": 2, "weights": "2", "pad": "high", "head": "batchnorm"},
        {"activations": 3, "signed": True, "weights": "ternary", "first_weights": "4", "thresholds": (100,)},
    ],
)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_networks_train_and_evaluate(topology: str, style: dict, precision: "torch.dtype") -> None:
    shape, layers = describe((3, 12, 12), 8, parse_topology(topology), 5, Style(**style))
    network = BinaryNet(layers, generator(), shape=shape, dropout=0.1, precision=precision)
    codes = torch.randint(0, 256, (7, 3, 12, 12), dtype=torch.uint8, generator=generator(3))
    scores = network(codes)
    assert scores.shape == (7, 5) and scores.dtype == torch.float32
    scores.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    network.refresh()
    network.eval()
    assert torch.equal(network(codes), network(codes.flatten(1)))


def test_what_pads_follows_the_layer_before() -> None:
    def pads(**style: object) -> list[float]:
        shape, layers = describe((12, 12), 8, parse_topology("4c3p1,p2,6c3p1,8"), 5, Style(pad="high", **style))
        network = BinaryNet(layers, generator(), shape=shape)
        return [module._pad for module in network.children() if isinstance(module, BinaryConv)]

    assert pads() == [1, 1]
    assert pads(activations=2) == [1, 1]
    assert pads(thresholds=(128,)) == [1, 1]
    _, layers = describe((12, 12), 8, parse_topology("4c3p1,6c3p1,8"), 5, Style(activations=2, signed=True, pad="low"))
    layers[3]["pad"] = {"code": 1}
    network = BinaryNet(layers, generator(), shape=(1, 12, 12))
    assert (network.conv0._pad, network.conv1._pad) == (-1, pytest.approx(-1 / 3))
    layers[0] |= {"mean": [0.4, 0.5, 0.6]}
    with pytest.raises(ValueError, match="a code of pixels"):
        BinaryNet(layers, generator(), shape=(1, 12, 12))


def test_bfloat16_sums_of_bits_are_exact_up_to_256() -> None:
    layer = BinaryConv(conv_entry(**{"in": 28, "kernel": [3, 3]}), 0.0, generator())  # 252 products
    x = torch.where(torch.rand(2, 28, 6, 5, generator=generator(2)) < 0.5, -1.0, 1.0)
    assert torch.equal(layer(x.bfloat16()).float(), layer(x))
