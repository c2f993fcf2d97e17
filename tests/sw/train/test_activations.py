"""Activations, forward and backward, against values worked out by hand."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.activations import BatchNormQuant, BatchNormSign  # noqa: E402
from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.quantizers import CodeActivation, CoupledTernary  # noqa: E402
from signfold.sw.train.real_layers import HardTanh, PReLU, Rectifier  # noqa: E402
from signfold.sw.train.several_bits import BatchNormBases  # noqa: E402


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def sign_layer(channels: int, method: Method | None = None, **layer: object) -> BatchNormSign:
    """Make a sign without normalization."""
    return BatchNormSign(channels, 0.0, 0.1, None, generator(), layer, method)


EDGES = [-0.5, -0.0, 0.0, 1e-40, 0.25, 0.75, 1.0, 1.25]


def test_coupled_ternary_is_two_steps() -> None:
    x = torch.tensor(EDGES, requires_grad=True)
    y = CoupledTernary().apply(x)
    assert y.tolist() == [0, 0, 0, 0, 0, 0.5, 1, 1]
    y.backward(torch.arange(1.0, 9.0))
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 7, 0]
    above = torch.nextafter(torch.tensor([0.25, 0.75]), torch.tensor(1.0))
    assert CoupledTernary().apply(above).tolist() == [0.5, 1]


def test_the_coupled_activation_is_the_mean_of_a_decoupled_pair() -> None:
    x = torch.arange(-64, 129) / 64  # sums with 1/4 are exact
    bit = CodeActivation(1)
    assert torch.equal(CoupledTernary().apply(x), (bit.apply(x + 0.25) + bit.apply(x - 0.25)) / 2)


def test_zero_one_activations() -> None:
    x = torch.tensor([*EDGES, 0.5, 0.50001], requires_grad=True)
    y = BatchNormQuant(1, 0.0, 0.1, 1, False, norm=None)(x.view(-1, 1))
    assert y.flatten().tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 1, 1]


def test_levels_are_three_or_bits() -> None:
    layer = BatchNormQuant(1, 0.0, 0.1, 2, False, norm=None, levels=3)
    assert layer(torch.tensor([[0.3], [0.8]])).tolist() == [[0.5], [1.0]]
    with pytest.raises(ValueError, match="levels is 5"):
        BatchNormQuant(1, 0.0, 0.1, 2, False, levels=5)


def test_trained_scales_multiply_bits_and_learn() -> None:
    layer = sign_layer(2, scale="trained")
    with torch.no_grad():
        layer.scale.fill_(-0.75)
    x = torch.tensor([[0.5, -0.0], [-2.0, -1.0]], requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[-0.75, -0.75], [0.75, 0.75]]
    y.backward(torch.tensor([[1.0, 2.0], [4.0, 8.0]]))
    assert layer.scale.grad.tolist() == [1 + 2 - 4 - 8]
    assert x.grad.tolist() == [[-0.75, -1.5], [0, -6]]


def test_static_shifts_are_sigmoids_that_refresh_stores() -> None:
    layer = sign_layer(2, shift="static")
    assert layer.offset.tolist() == [0.5, 0.5]
    with torch.no_grad():
        layer.shift.copy_(torch.tensor([0.0, -2.0]))
    x = torch.tensor([[-0.5, -0.1], [-0.51, -0.15], [0.4, 0.9]], requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[1, 1], [-1, -1], [1, 1]]
    y.backward(torch.ones(3, 2))
    assert x.grad.tolist() == [[1, 1], [1, 1], [1, 0]]
    slope = 1 / (1 + math.exp(2)) * (1 - 1 / (1 + math.exp(2)))
    assert layer.shift.grad.tolist() == pytest.approx([3 * 0.25, 2 * slope], rel=1e-6)
    assert layer.eval()(x)[0].tolist() == [1, 1]  # still the old offsets
    assert layer(torch.tensor([[-0.4, -0.4]])).tolist() == [[1, 1]]
    layer.refresh()
    assert layer.offset.tolist() == [0.5, torch.tensor(-2.0).sigmoid().item()]
    assert layer(torch.tensor([[-0.4, -0.4]])).tolist() == [[1, -1]]
    pictures = torch.full((1, 2, 2, 2), -0.4)
    assert layer(pictures).flatten().tolist() == [1] * 4 + [-1] * 4


def test_squeeze_and_excitation_shifts_follow_the_means() -> None:
    layer = sign_layer(2, shift="se", reduction=1)
    assert layer.se_reduce.shape == (2, 2) and layer.se_expand.shape == (2, 2)
    with torch.no_grad():
        layer.se_reduce.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        layer.se_expand.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    x = torch.tensor([[[[1.0, 0.0]], [[1.0, 3.0]]], [[[-1.0, -1.0]], [[-0.6, -0.4]]]], requires_grad=True)
    # means (1/2, 2) and (-1, -1/2); hidden (1/2, 0) and (0, 1/2); gates s(1), s(0); s(0), s(1/2) = 0.62
    assert layer(x).flatten().tolist() == [1, 1, 1, 1, -1, -1, 1, 1]
    layer(x).sum().backward()
    s1 = 1 / (1 + math.exp(-1.0))
    gate = s1 * (1 - s1)
    # Of 1 + s(1) and 0 + s(1) one lies inside the clip; the slope of its gate, times the hidden 1/2 (or 2 * mean 1/2).
    assert layer.se_expand.grad[0, 0].item() == pytest.approx(gate * 0.5, rel=1e-5)
    assert layer.se_reduce.grad[0, 0].item() == pytest.approx(gate * 2.0 * 0.5, rel=1e-5)
    with pytest.raises(ValueError, match="reduction is 3"):
        sign_layer(2, shift="se", reduction=3)


def test_stochastic_signs_draw_in_training_alone() -> None:
    x = torch.tensor([[-1.0, -0.5, -0.0, 0.5, 1.0]]).expand(4000, 5)
    layer = sign_layer(5, stochastic=True)
    share = ((layer(x) + 1) / 2).mean(0).tolist()
    assert share == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.03)
    assert layer.eval()(x)[0].tolist() == [-1, -1, 1, 1, 1]
    neuron = sign_layer(5, Method(activation_estimator={"name": "identity", "draw": "sigmoid"}), stochastic=True)
    share = ((neuron(x) + 1) / 2).mean(0).tolist()
    assert share == pytest.approx([1 / (1 + math.exp(-v)) for v in x[0].tolist()], abs=0.03)


def test_estimators_and_stages_are_those_of_the_method() -> None:
    x = torch.tensor([[-0.5], [-0.0], [2.0]], requires_grad=True)
    layer = sign_layer(1, Method(activation_estimator={"name": "approx"}))
    layer(x).sum().backward()
    assert x.grad.flatten().tolist() == [1, 2, 0]
    layer.enter(Method(activations_as="tanh"), 0.0)
    assert layer(x).flatten().tolist() == pytest.approx([math.tanh(-0.5), 0, math.tanh(2)], rel=1e-6)
    layer.enter(Method(activations_as="real"), 0.0)
    assert layer(x).flatten().tolist() == [-0.5, 0, 1]
    assert layer.eval()(x).flatten().tolist() == [-1, 1, 1]
    layer.enter(Method(activation_estimator={"name": "ede", "t_min": 1.0, "t_max": 100.0}), 0.5)
    assert layer.estimator.t == pytest.approx(10)
    codes = BatchNormQuant(1, 0.0, 0.1, 1, False, norm=None, method=Method(activations_as="real"))
    assert codes(x).flatten().tolist() == [0, 0, 1] and codes(x.detach() / 8).flatten().tolist() == [0, 0, 0.25]


def test_real_activations() -> None:
    x = torch.tensor([[-2.0, -2.0], [0.5, 3.0], [-0.0, 0.0], [-1.0, 1.0]], requires_grad=True)
    y = Rectifier(2, 0.0, 0.1, None)(x)
    assert y.tolist() == [[0, 0], [0.5, 3], [0, 0], [0, 1]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 1]]
    x.grad = None
    HardTanh()(x).sum().backward()
    assert x.grad.tolist() == [[0, 0], [1, 0], [1, 1], [0, 0]]
    layer = PReLU(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -1.0]))
    y = layer(x)
    assert y.tolist() == [[-1, 2], [0.5, 3], [0, 0], [-0.5, 1]]
    y.sum().backward()
    assert layer.weight.grad.tolist() == [-3, -2]


def test_several_signs_of_each_value_are_summed() -> None:
    layer = BatchNormBases(1, 0.0, 0.1, None, bases=2)
    assert layer.shift.tolist() == [-1, 1] and layer.scale.tolist() == [0.5, 0.5]
    with torch.no_grad():
        layer.shift.copy_(torch.tensor([0.5, -0.25]))
        layer.scale.copy_(torch.tensor([2.0, -1.0]))
    # clip(x + 1/2, 0, 1) >= 1/2 from 0 on; clip(x - 1/4, 0, 1) >= 1/2 from 3/4 on.
    values = [-0.75, -0.5, -1e-40, -0.0, 0.0, 1e-40, 0.25, 0.5, 0.75, 1.25, 1.5]
    x = torch.tensor(values).view(-1, 1).requires_grad_()
    first = [1 if value >= 0 else -1 for value in values]
    second = [1 if value >= 0.75 else -1 for value in values]
    y = layer(x)
    assert y.flatten().tolist() == [2 * a - b for a, b in zip(first, second, strict=True)]
    g = torch.arange(1.0, 12.0).view(-1, 1)
    y.backward(g)
    # The gradient passes from -1/2 to 1/2, and from 1/4 to 5/4.
    inside = [[-0.5 <= value <= 0.5 for value in values], [0.25 <= value <= 1.25 for value in values]]
    up = g.flatten().tolist()
    assert x.grad.flatten().tolist() == [2 * u * a - u * b for u, a, b in zip(up, *inside, strict=True)]
    assert layer.shift.grad.tolist() == [
        2 * sum(u for u, a in zip(up, inside[0], strict=True) if a),
        -sum(u for u, b in zip(up, inside[1], strict=True) if b),
    ]
    assert layer.scale.grad.tolist() == [
        sum(u * a for u, a in zip(up, first, strict=True)),
        sum(u * b for u, b in zip(up, second, strict=True)),
    ]
    assert torch.equal(layer.eval()(x), y)
    layer.train().enter(Method(activations_as="real"), 0.0)
    assert layer(torch.tensor([[0.25]])).item() == 2 * (2 * 0.75 - 1) - (2 * 0.0 - 1)
    one = BatchNormBases(1, 0.0, 0.1, None, bases=1)
    assert one(torch.tensor([[-0.5], [-0.0], [2.0]])).flatten().tolist() == [-1, 1, 1]
    with pytest.raises(ValueError, match="bases is 0"):
        BatchNormBases(1, 0.0, 0.1, None, bases=0)


@pytest.mark.parametrize("layer", [{"shift": "moving"}, {"scale": "channel"}])
def test_unknown_choices_are_refused(layer: dict) -> None:
    with pytest.raises(ValueError, match="allowed"):
        sign_layer(2, **layer)
