"""Biases of -1 and +1 (Bitwise Neural Networks), forward and backward, by hand."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.optimizer_choice import OptimizerChoice  # noqa: E402
from signfold.sw.train.optimizers.assign import _scale, roles  # noqa: E402
from signfold.sw.train.style import Style  # noqa: E402
from signfold.sw.train.weights import BinaryConv, BinaryDense  # noqa: E402

#: Latents of biases, their signs, and whether they are inside of BNN's clip.
LATENTS = [0.0, -0.0, 1e-40, -1e-40, 1.0, -1.0, 1.25]
BITS = [1, 1, 1, -1, 1, -1, 1]
INSIDE = [1, 1, 1, 1, 1, 1, 0]


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def dense(choices: Method | None = None, **weights: object) -> BinaryDense:
    """Make a layer whose products are all 0."""
    layer = BinaryDense(2, 7, generator(), weights, choices, "bits")
    with torch.no_grad():
        layer.bias.copy_(torch.tensor(LATENTS))
        layer.weight.fill_(0.5)
    layer.refresh()
    return layer


X = torch.tensor([[1.0, -1.0]])


def test_signs_of_latents_are_added_and_learn_as_weights_do() -> None:
    for weights, passed in (({}, INSIDE), ({"levels": 2, "method": "bitwise"}, [1] * 7)):
        layer = dense(**weights)
        y = layer(X)
        assert y.tolist() == [BITS]
        y.backward(torch.arange(1.0, 8.0).view(1, 7))
        assert layer.bias.grad.tolist() == [g * p for g, p in zip(range(1, 8), passed, strict=True)]
        assert layer.eval()(X).tolist() == [BITS]


def test_stages_take_the_latents_or_their_tanh() -> None:
    layer = dense(Method(weights_as="tanh"), levels=2, method="bitwise")
    y = layer(X)
    assert y[0].tolist() == pytest.approx([math.tanh(b) for b in LATENTS], rel=1e-6)
    y.sum().backward()
    assert layer.bias.grad.tolist() == pytest.approx([1 - math.tanh(b) ** 2 for b in LATENTS], rel=1e-6)
    layer.enter(Method(weights_as="real"), 0.0)
    assert layer(X)[0].tolist() == torch.tensor(LATENTS).tolist()
    layer.enter(Method(), 0.5)
    assert layer(X).tolist() == [BITS] == layer.eval()(X).tolist()


def test_biases_are_clipped_drawn_and_optimized_as_weights_are() -> None:
    layer = dense(Method(clip=0.5))
    layer.clip()
    assert layer.bias.tolist() == [max(-0.5, min(0.5, v)) for v in torch.tensor(LATENTS).tolist()]
    free = dense(Method(clip=None))
    free.clip()
    assert free.bias.tolist() == torch.tensor(LATENTS).tolist()
    drawn = dense(levels=2, method="bitwise")
    drawn.enter(Method(weight_estimator={"name": "identity", "draw": "hard-sigmoid"}), 0.0)
    mean = torch.stack([drawn(X)[0] for _ in range(2000)]).mean(0).tolist()
    assert mean == pytest.approx([max(-1, min(1, v)) for v in LATENTS], abs=0.1)
    network = torch.nn.Sequential(layer)
    assert roles(network) == {"0.weight": "binary", "0.bias": "binary"}
    assert _scale(OptimizerChoice(scale="glorot"), "binary", layer.bias) == 1.0


def test_every_position_of_a_convolution_gets_its_channels_bias() -> None:
    entry = {"in": 1, "out": 2, "kernel": [1, 1], "stride": [1, 1], "padding": [0] * 4, "groups": 1, "bias": "bits"}
    layer = BinaryConv(entry, 0.0, generator())
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.25, -0.25]))
        layer.weight.fill_(1.0)
    y = layer(torch.tensor([[[[1.0, -1.0, 1.0]]]]))
    assert y.tolist() == [[[[2, 0, 2]], [[0, -2, 0]]]]
    y.sum().backward()
    assert layer.bias.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    "change",
    [{"weight_scale": "channel"}, {"weights": "2"}, {"weight_method": "multibase"}, {"k_map": True}],
)
def test_biases_are_of_the_unit_of_the_sums(change: dict) -> None:
    with pytest.raises(ValueError, match="bias is 'bits', allowed: none unless"):
        Style(bias="bits", **change)


def test_entries_that_make_no_sense_are_refused() -> None:
    for weights, bias in (({"levels": 2, "scale": "layer"}, "bits"), ({"levels": 0}, "bits"), ({}, "real")):
        with pytest.raises(ValueError, match=f"bias is '{bias}', allowed"):
            BinaryDense(2, 3, generator(), weights, None, bias)
    with pytest.raises(ValueError, match="norm is 'none', allowed: "):
        Style(norm="none", head="batchnorm")
