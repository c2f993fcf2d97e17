"""Powers of two, quantized back-propagation and gradients of k bits against their formulas."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from torch.nn import functional  # noqa: E402

from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.quantizers import (  # noqa: E402
    approximate_power,
    approximate_power_through,
    draw_power,
    quantize_gradient,
    rounded_gradient,
)
from signfold.sw.train.weights import BinaryConv, BinaryDense  # noqa: E402


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def test_the_nearest_power_of_two_is_exact_at_every_edge() -> None:
    half = torch.tensor(2**-0.5)  # rounded down from 0.70710678...: its square is below 1/2
    above = torch.nextafter(half, torch.tensor(1.0))
    below, above = (half, above) if half.double().square() < 0.5 else (torch.nextafter(half, torch.tensor(0.0)), half)
    cases = [
        (0.0, 0.0),
        (-0.0, 0.0),
        (1.0, 1.0),
        (-1.0, -1.0),
        (1.4, 1.0),
        (1.5, 2.0),
        (-3.0, -4.0),
        (0.3, 0.25),
        (float(below), 0.5),
        (float(above), 1.0),
        (1e-40, 2.0**-133),
        (-1e-45, -(2.0**-149)),
        (1e38, 2.0**126),
    ]
    x = torch.tensor([value for value, _ in cases], requires_grad=True)
    y = approximate_power_through(x)
    assert y.tolist() == [power for _, power in cases]
    y.backward(torch.arange(1.0, len(cases) + 1))
    assert x.grad.tolist() == list(range(1, len(cases) + 1))
    random = torch.randn(1000, generator=generator()) * 10
    expected = [math.copysign(2.0 ** round(math.log2(abs(v))), v) for v in random.tolist()]
    assert approximate_power(random).tolist() == expected
    assert approximate_power(random.bfloat16()).dtype == torch.bfloat16


def test_drawn_powers_have_the_number_as_their_mean() -> None:
    values = torch.tensor([0.0, -0.0, 1.0, -1.0, 1.5, -0.75, 3.25, 1e-40, 0.1])
    drawn = draw_power(values.expand(20000, 9), generator())
    sizes = drawn.abs()
    assert torch.equal(approximate_power(drawn), drawn)
    assert drawn[:, :2].abs().max() == 0 and set(drawn[:, 2].tolist()) == {1.0} and set(drawn[:, 3].tolist()) == {-1.0}
    assert set(drawn[:, 4].tolist()) == {1.0, 2.0} and set(drawn[:, 5].tolist()) == {-0.5, -1.0}
    assert set(drawn[:, 6].tolist()) == {2.0, 4.0} and set(sizes[:, 7].tolist()) == {2.0**-133, 2.0**-132}
    assert (drawn.double().mean(0) / values.double())[2:].tolist() == pytest.approx([1] * 7, rel=0.02)


def test_drawn_powers_stay_between_their_exponents() -> None:
    values = torch.tensor([0.0, 0.01, -0.0625, 0.09, 15.0, -100.0])
    drawn = draw_power(values.expand(2000, 6), generator(), (-4, 3))
    assert [sorted(set(column.tolist())) for column in drawn.T] == [
        [0.0],
        [0.0625],
        [-0.0625],
        [0.0625, 0.125],
        [8.0, 16.0],
        [-16.0],
    ]


def test_weight_gradients_are_taken_with_rounded_inputs() -> None:
    method = Method(quantized_backprop=True, weight_estimator={"name": "identity"})
    dense = BinaryDense(5, 3, generator(4), {}, method)
    x = torch.randn(6, 5, generator=generator(2)).requires_grad_()
    state = dense._generator.get_state()
    y = dense(x)
    dense._generator.set_state(state)
    rounded = draw_power(x.detach(), dense._generator)
    signs = torch.where(dense.weight.detach() >= 0, 1.0, -1.0)
    assert torch.equal(y, functional.linear(x, signs))
    g = torch.randn(6, 3, generator=generator(3))
    y.backward(g)
    assert torch.allclose(dense.weight.grad, g.T @ rounded, rtol=1e-6, atol=1e-6)
    assert torch.allclose(x.grad, g @ signs, rtol=1e-6)
    assert not torch.equal(rounded, x)
    assert torch.equal(dense.eval()(x), y)  # and draws nothing


def test_the_same_in_convolutions_with_groups_stride_and_pads() -> None:
    entry = {"in": 4, "out": 6, "kernel": [3, 2], "stride": [2, 1], "padding": [1, 0, 0, 1], "groups": 2}
    method = Method(quantized_backprop=True, exponents=(-4, 3), weight_estimator={"name": "identity"})
    layer, usual = BinaryConv(entry, 0.5, generator(4), method), BinaryConv(entry, 0.5, generator(4))
    powers = torch.randint(-3, 3, (2, 4, 6, 5), generator=generator(2))
    x = (2.0**powers).requires_grad_()  # powers of two are left as they are: the gradient is the usual one
    y, expected = layer(x), usual(x)
    assert torch.equal(y, expected)
    g = torch.randn(y.shape, generator=generator(3))
    (found,) = torch.autograd.grad(y, x, g)
    (wanted,) = torch.autograd.grad(expected, x, g, retain_graph=True)
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5)
    layer(x).backward(g)
    expected.backward(g)
    assert torch.allclose(layer.weight.grad, usual.weight.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gradients_of_k_bits_follow_the_formula(bits: int) -> None:
    d = torch.randn(7, 3, 4, generator=generator(2))
    d[3] = 0.0
    found = rounded_gradient(d, bits, generator(5)).double().numpy()
    top = 2**bits - 1
    noise = (torch.rand(d.shape, generator=generator(5)).double().numpy() - 0.5) / top
    x = d.double().numpy()
    most = np.abs(x).max(axis=(1, 2), keepdims=True)
    most[3] = 1
    expected = 2 * most * (np.round(np.clip(x / (2 * most) + 0.5 + noise, 0, 1) * top) / top - 0.5)
    expected[3] = 0
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert len({round(v, 5) for v in (found[0] / most[0]).flatten().tolist()}) <= top + 1


def test_rounded_gradients_keep_the_mean() -> None:
    d = torch.tensor([[1.0, 0.3, -0.2, 0.0, -0.0, 1e-40]]).expand(20000, 6)
    mean = rounded_gradient(d, 2, generator()).mean(0).tolist()
    # At the end of the range the clip takes half of the noise away.
    assert mean[1:] == pytest.approx([0.3, -0.2, 0, 0, 0], abs=0.02)
    assert rounded_gradient(torch.zeros(3, 2), 4, generator()).tolist() == [[0, 0]] * 3


def test_gradient_bits_act_on_sums_of_few_level_weights_alone() -> None:
    x = torch.randn(3, 5, generator=generator(2))
    method = Method(gradient_bits=2)
    for entry, rounds in (({}, True), ({"levels": 0}, False)):
        layer, usual = BinaryDense(5, 4, generator(), entry, method), BinaryDense(5, 4, generator(), entry)
        y = layer(x)
        assert torch.equal(y, usual(x))
        y.square().sum().backward()
        usual(x).square().sum().backward()
        assert torch.equal(layer.weight.grad, usual.weight.grad) != rounds
    z = x.clone().requires_grad_()
    quantize_gradient(z, 3, generator(9)).backward(x)
    assert torch.equal(z.grad, rounded_gradient(x, 3, generator(9)))
