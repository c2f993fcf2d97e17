"""Factors of weights: what they are, and what reaches the latents, by each paper's formula."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.estimators import Clipped  # noqa: E402
from signfold.sw.train.method import WEIGHT_GRADIENTS, Method  # noqa: E402
from signfold.sw.train.quantizers import mean_magnitude, scale_of, scaled  # noqa: E402
from signfold.sw.train.weights import BinaryConv, BinaryDense  # noqa: E402


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


#: Two channels of four weights; mean magnitudes 3/4 and 1/2.
LATENTS = [[1.0, -1.25, 0.75, -0.0], [0.0, 1e-40, -2.0, 0.0]]
SIGNS = [[1, -1, 1, 1], [1, 1, -1, 1]]
INSIDE = [[1, 0, 1, 1], [1, 1, 0, 1]]
UPSTREAM = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


def gradient(kind: str, rule: str) -> list[list[float]]:
    """Gradient of the latents, after a look at the product."""
    w = torch.tensor(LATENTS, requires_grad=True)
    scale = scale_of(kind, w, 1.0)
    product = scaled(w, Clipped().apply(w), scale, rule)
    expected = torch.tensor(SIGNS) * scale.view(-1, 1)
    assert torch.equal(product, expected)
    product.backward(torch.tensor(UPSTREAM))
    return w.grad.tolist()


def test_scales_are_mean_magnitudes() -> None:
    w = torch.tensor(LATENTS)
    assert mean_magnitude(w, True).tolist() == [0.75, 0.5]
    assert scale_of("channel", w, 1.0).tolist() == [0.75, 0.5]
    assert scale_of("layer", w, 1.0).tolist() == [0.625]
    assert scale_of("shift", w, 1.0).tolist() == [1, 0.5]  # 3/4 is nearer to 1 in the logarithm
    assert scale_of("range", w, 0.25).tolist() == [0.25]
    # XNOR-Net: the scale that brings the signs nearest to w
    errors = [(w - a * torch.tensor(SIGNS)).square().sum().item() for a in (0.6, 0.625, 0.65)]
    assert min(errors) == errors[1]


@pytest.mark.parametrize(("kind", "scales", "n"), [("channel", (0.75, 0.5), 4), ("layer", (0.625, 0.625), 8)])
def test_gradients_of_the_latents_follow_their_rule(kind: str, scales: tuple[float, float], n: int) -> None:
    def each(rule: str) -> list[list[float]]:
        found = []
        for row in range(2):
            a = scales[row]
            rows = [row] if kind == "channel" else [0, 1]
            total = sum(UPSTREAM[r][i] * SIGNS[r][i] for r in rows for i in range(4))
            for g, s, d in zip(UPSTREAM[row], SIGNS[row], INSIDE[row], strict=True):
                found.append(
                    {
                        "straight": g * d,
                        "scaled": g * a * d,
                        "paper": g * (1 / n + a * d),
                        "program": g * (1 / n + a * d) * n * (1 - 1 / 4),
                        "corrected": g * a * d + s / n * total,
                    }[rule]
                )
        return [found[:4], found[4:]]

    for rule in WEIGHT_GRADIENTS:
        assert gradient(kind, rule) == each(rule), rule


def test_one_input_channel_learns_by_the_programs_gradient_too() -> None:
    w = torch.tensor([[[[0.5, -0.25], [0.25, 1.0]]]], requires_grad=True)
    scaled(w, Clipped().apply(w), scale_of("channel", w, 1.0), "program").backward(torch.ones(1, 1, 2, 2))
    assert w.grad.flatten().tolist() == [4 * (1 / 4 + 0.5)] * 4


def test_the_corrected_gradient_is_the_chain_rule() -> None:
    w = torch.randn(3, 5, generator=generator(), dtype=torch.float64).requires_grad_()
    g = torch.randn(3, 5, generator=generator(2), dtype=torch.float64)
    scaled(w, Clipped(10.0).apply(w), mean_magnitude(w.detach(), True), "corrected").backward(g)
    other = w.detach().clone().requires_grad_()
    # sign by the derivative of the identity, alpha by torch
    signs = other.sign().detach() + other - other.detach()
    (signs * other.abs().mean(1, keepdim=True)).backward(g)
    assert torch.allclose(w.grad, other.grad, rtol=1e-12)


def test_trained_scales_learn_with_the_weights() -> None:
    layer = BinaryDense(4, 2, generator(), {"levels": 2, "scale": "trained"})
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(LATENTS))
        layer.scale.fill_(-0.5)
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    y = layer(x)
    assert y.tolist() == [[-3, 0.5 * -(1 + 2 - 3 + 4)]]
    y.backward(torch.tensor([[1.0, 10.0]]))
    assert layer.scale.grad.tolist() == [(1 - 2 + 3 + 4) + 10 * (1 + 2 - 3 + 4)]
    assert layer.weight.grad.tolist() == [[-0.5, 0, -1.5, -2], [-5, -10, 0, -20]]
    assert layer.eval()(x).tolist() == y.tolist()
    first = BinaryDense(4, 2, generator(), {"levels": 2, "scale": "trained"})
    assert first.scale.item() == first.weight.abs().mean().item()


@pytest.mark.parametrize("kind", ["trained", "shift", "range"])
def test_scales_that_are_no_means_pass_the_gradient_times_the_scale(kind: str) -> None:
    for rule in WEIGHT_GRADIENTS:
        layer = BinaryDense(4, 2, generator(), {"levels": 2, "scale": kind}, Method(weight_gradient=rule, clip=0.5))
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(LATENTS))
        layer.refresh()
        layer(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).backward(torch.ones(1, 2))
        scales = [1.0, 0.5] if kind == "shift" else layer.scale.tolist() * 2
        expected = [
            [g * a * d for g, d in zip([1, 2, 3, 4], row, strict=True)] for a, row in zip(scales, INSIDE, strict=True)
        ]
        assert layer.weight.grad.tolist() == expected, rule
        if kind == "trained":
            assert layer.scale.grad is not None, rule


@pytest.mark.parametrize("kind", ["channel", "layer", "shift", "range"])
@pytest.mark.parametrize(
    "entry", [{"levels": 2}, {"levels": 3, "method": "ternary"}, {"levels": 4, "method": "dorefa"}]
)
def test_evaluation_uses_stored_scales_and_sums_of_integers(kind: str, entry: dict) -> None:
    layer = BinaryConv(
        {"in": 3, "out": 4, "kernel": [3, 3], "stride": [1, 1], "padding": [1, 1, 1, 1], "groups": 1}
        | {"weights": entry | {"scale": kind}},
        0.0,
        generator(),
        Method(clip=0.5),
    )
    x = torch.where(torch.rand(2, 3, 5, 5, generator=generator(3)) < 0.5, -1.0, 1.0)
    trained = layer(x).detach()
    evaluated = layer.eval()(x)
    assert torch.allclose(trained, evaluated, rtol=1e-5, atol=1e-5)
    assert layer.scale.shape == ((4,) if kind in ("channel", "shift") else (1,))
    stored = layer.scale.clone()
    with torch.no_grad():
        layer.weight.mul_(0.125)
    assert torch.equal(layer(x), evaluated) or layer.levels == 2  # plain signs have no codes, and the same signs
    layer.refresh()
    assert layer.scale.tolist() == [s * (1 if kind == "range" else 0.125) for s in stored.tolist()]


def test_ranges_follow_the_clip() -> None:
    wide = BinaryDense(10, 14, generator(), {"method": "stochastic", "scale": "range"}, Method(clip="glorot"))
    bound = math.sqrt(6 / 24) / 2
    assert wide.span == bound and wide.scale.tolist() == [bound]
    assert wide.weight.abs().max() <= bound
    with torch.no_grad():
        wide.weight.fill_(3.0)
    wide.clip()
    assert set(wide.weight.flatten().tolist()) == {torch.tensor(bound).item()}
    free = BinaryDense(10, 14, generator(), {}, Method(clip=None))
    with torch.no_grad():
        free.weight.fill_(3.0)
    free.clip()
    assert free.weight.min() == 3
    real = BinaryDense(10, 14, generator(), {"levels": 0})
    with torch.no_grad():
        real.weight.fill_(3.0)
    real.clip()
    assert real.weight.min() == 3


def test_scaled_draws_pass_the_gradient_unchanged() -> None:
    layer = BinaryDense(3, 1, generator(), {"method": "stochastic", "scale": "range"}, Method(clip=0.25))
    y = layer(torch.tensor([[1.0, 2.0, 4.0]]))
    assert abs(y.item()) in {0.25 * k for k in (1, 3, 5, 7)}
    y.backward()
    assert layer.weight.grad.tolist() == [[1, 2, 4]]


def test_centred_latents_have_no_mean_over_inputs() -> None:
    layer = BinaryDense(4, 1, generator(), {}, Method(centre=True))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 0.0, 1.0, -1.0]]))
    layer.clip()
    assert layer.weight.tolist() == [[1, -1, 0, -1]]
    alone = BinaryDense(1, 3, generator(), {}, Method(centre=True))
    before = alone.weight.clone()
    alone.clip()
    assert torch.equal(alone.weight, before)


@pytest.mark.parametrize(("initial", "fits"), [("glorot", math.sqrt(6 / 150)), ("uniform", 1.0), ("he", None)])
def test_first_latents(initial: str, fits: float | None) -> None:
    weights = BinaryDense(100, 50, generator(), {}, Method(initial=initial)).weight
    if fits is None:
        assert weights.std().item() == pytest.approx(math.sqrt(2 / 100), rel=0.05)
    else:
        assert 0.99 * fits < weights.abs().max().item() <= fits
    real = BinaryDense(100, 50, generator(), {"levels": 0}).weight
    assert real.std().item() == pytest.approx(math.sqrt(2 / 100), rel=0.05)
