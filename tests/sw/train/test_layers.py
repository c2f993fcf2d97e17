"""Layers and whole networks against sums written out by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.activations import BatchNormSign  # noqa: E402
from signfold.sw.train.describe import describe  # noqa: E402
from signfold.sw.train.layers import InputThreshold, Scale  # noqa: E402
from signfold.sw.train.models import BinaryNet  # noqa: E402
from signfold.sw.train.style import Style  # noqa: E402
from signfold.sw.train.topologies import Dense  # noqa: E402
from signfold.sw.train.weights import BinaryDense  # noqa: E402


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def dense_layers(elements: int, widths: tuple[int, ...], classes: int, threshold: int, head: str) -> list[dict]:
    """Layer list of a dense network with one threshold for all pixels."""
    steps = tuple(Dense(width) for width in widths)
    return describe((1, elements), 4, steps, classes, Style(head, thresholds=(threshold,)))[1]


def test_pixel_thresholds_are_inclusive_and_reach_beyond_the_codes() -> None:
    codes = torch.tensor([[0, 127, 128, 255]], dtype=torch.uint8)
    assert InputThreshold([128])(codes).tolist() == [[-1, -1, 1, 1]]
    assert InputThreshold([0])(codes).tolist() == [[1, 1, 1, 1]]
    assert InputThreshold([256])(codes).tolist() == [[-1, -1, -1, -1]]
    assert InputThreshold([1, 127, 129, 255])(codes).tolist() == [[-1, 1, -1, 1]]


def test_dense_sums_products_of_signs() -> None:
    layer = BinaryDense(5, 3, generator())
    assert layer.weight.abs().max() <= 1 and layer.weight.std() > 0.3
    with torch.no_grad():
        layer.weight[0, 0], layer.weight[1, 1] = 0.0, -0.0
    signs = np.where(layer.weight.detach().numpy() >= 0, 1, -1)
    x = torch.where(torch.rand(7, 5, generator=generator()) < 0.5, -1.0, 1.0)
    assert layer(x).tolist() == (x.numpy() @ signs.T).tolist()


def test_clip_brings_latents_back_and_keeps_their_signs() -> None:
    layer = BinaryDense(4, 1, generator())
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.5, -1.0, 0.25, 7.0]]))
    layer.clip()
    assert layer.weight.tolist() == [[-1.0, -1.0, 0.25, 1.0]]


def test_norm_signs_by_running_statistics_outside_of_training() -> None:
    norm = BatchNormSign(2, 1e-5, 0.1).eval()
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([2.0, 2.0]))
        norm.running_var.copy_(torch.tensor([4.0, 4.0]))
        norm.weight.copy_(torch.tensor([1.0, -1.0]))
    # A tie (the sum equals the mean) is +1 whatever the direction.
    assert norm(torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])).tolist() == [[-1, 1], [1, 1], [1, -1]]


def test_norm_updates_running_statistics_by_its_momentum() -> None:
    norm = BatchNormSign(1, 1e-5, 0.25).train()
    norm(torch.tensor([[2.0], [6.0]]))
    assert norm.running_mean.item() == 1.0  # 0.75 * 0 + 0.25 * 4
    assert norm.running_var.item() == 2.75  # 0.75 * 1 + 0.25 * 8, the unbiased variance


def test_scale_is_positive_and_common() -> None:
    scale = Scale(256)
    with torch.no_grad():
        scale.log_scale.fill_(0.0)
    sums = torch.tensor([[4.0, -6.0]])
    assert scale(sums).tolist() == sums.tolist()
    assert scale.log_scale.shape == ()


@pytest.mark.parametrize(("head", "last"), [("scale", "scale.log_scale"), ("batchnorm", "norm2.running_var")])
def test_network_is_built_from_its_description(head: str, last: str) -> None:
    layers = dense_layers(12, (8, 6), 3, 7, head)
    network = BinaryNet(layers, generator())
    names = list(network.state_dict())
    assert names[0] == "dense0.weight" and last in names
    assert [tuple(network.state_dict()[f"dense{i}.weight"].shape) for i in range(3)] == [(8, 12), (6, 8), (3, 6)]
    codes = torch.randint(0, 16, (9, 12), dtype=torch.uint8, generator=generator())
    assert network.eval()(codes).shape == (9, 3)


def test_unknown_layer_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="'pool'"):
        BinaryNet([{"kind": "pool"}], generator())


def test_dropout_acts_in_training_only_and_never_on_pixels() -> None:
    network = BinaryNet(dense_layers(12, (64,), 3, 7, "scale"), generator(), dropout=0.5)
    codes = torch.randint(0, 16, (20, 12), dtype=torch.uint8, generator=generator())
    with torch.no_grad():
        network.eval()
        assert network(codes).tolist() == network(codes).tolist()
        network.train()
        assert network(codes).tolist() != network(codes).tolist()
    seen: list[torch.Tensor] = []
    network.dense0.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.dense1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(codes)
    assert sorted(set(seen[0].flatten().tolist())) == [-1, 1]
    assert sorted(set(seen[1].flatten().tolist())) == [-2, 0, 2]


def test_measure_takes_the_lowest_of_equal_classes() -> None:
    layers = dense_layers(4, (2,), 3, 0, "scale")
    network = BinaryNet(layers, generator())
    with torch.no_grad():
        network.dense1.weight.fill_(1.0)
    codes = torch.zeros(6, 4, dtype=torch.uint8)
    assert network.measure(codes, torch.zeros(6, dtype=torch.int64))[0] == 6
    assert network.measure(codes, torch.ones(6, dtype=torch.int64))[0] == 0
