"""Weights of few levels, forward and backward, against values worked out from each paper's formula."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.estimators import Clipped, ErrorDecay, Identity  # noqa: E402
from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.quantizers import (  # noqa: E402
    LEVELS,
    OWN_ESTIMATORS,
    BitwiseWeights,
    DoReFaWeights,
    MultiBaseWeights,
    SignWeights,
    TernaryConnect,
    TernaryWeights,
    make_weight_quantizer,
    redistributed,
    standardized,
    value_of,
)
from signfold.sw.train.weights import BinaryDense  # noqa: E402


def generator(seed: int = 1) -> "torch.Generator":
    """Seeded source of randomness."""
    return torch.Generator().manual_seed(seed)


def latents(*values: float) -> "torch.Tensor":
    """One channel of latents."""
    return torch.tensor([values], requires_grad=True)


def through(quantizer: object, w: "torch.Tensor") -> list[list[float]]:
    """Values of training, and the gradient where those of the products are 1, 2, 3 ..."""
    values = quantizer.apply(w, generator())
    values.backward(torch.arange(1.0, w.numel() + 1).view_as(w))
    return [values.flatten().tolist(), w.grad.flatten().tolist()]


EDGES = (0.0, -0.0, 1e-40, -1e-40, 1.0, -1.0, 1.25, -1.25)


def test_deterministic_binarization_is_the_sign() -> None:
    bits = [1, 1, 1, -1, 1, -1, 1, -1]
    assert through(SignWeights(), latents(*EDGES)) == [bits, [1, 2, 3, 4, 5, 6, 0, 0]]
    assert through(SignWeights(Clipped(1.25)), latents(*EDGES)) == [bits, [1, 2, 3, 4, 5, 6, 7, 8]]
    assert value_of(SignWeights().codes(latents(*EDGES)), 2).flatten().tolist() == bits


def test_stochastic_binarization_draws_by_the_hard_sigmoid_of_latent_over_range() -> None:
    quantizer = make_weight_quantizer({"method": "stochastic"}, Method(), span=0.5)
    w = torch.tensor([[-0.7, -0.5, -0.25, -0.0, 0.0, 1e-40, 0.25, 0.5, 0.7]] * 4000, requires_grad=True)
    values = quantizer.apply(w, generator())
    share = ((values + 1) / 2).mean(0).tolist()
    assert share == pytest.approx([0, 0, 0.25, 0.5, 0.5, 0.5, 0.75, 1, 1], abs=0.03)
    values.sum().backward()
    assert set(w.grad.flatten().tolist()) == {2.0}  # of w/0.5
    assert value_of(quantizer.codes(w), 2)[0].tolist() == [-1, -1, -1, 1, 1, 1, 1, 1, 1]


def test_ternary_connect_draws_zeros() -> None:
    quantizer = TernaryConnect(span=0.5)
    w = torch.tensor([[-0.5, -0.125, -0.0, 0.0, 1e-40, 0.25, 0.5]] * 4000, requires_grad=True)
    values = quantizer.apply(w, generator())
    assert set(values.flatten().tolist()) == {-1.0, 0.0, 1.0}
    assert values.mean(0).tolist() == pytest.approx([-1, -0.25, 0, 0, 0, 0.5, 1], abs=0.03)
    assert values[:, 1].max() == 0 and values[:, 5].min() == 0
    values.sum().backward()
    assert set(w.grad.flatten().tolist()) == {2.0}
    assert quantizer.codes(latents(-0.5, -0.25, -0.26, 0.0, -0.0, 0.25, 0.26)).tolist() == [[0, 1, 0, 1, 1, 1, 2]]


def test_ternary_weights_compare_with_a_share_of_the_mean_magnitude() -> None:
    w = latents(-1.0, -0.25, 0.0, -0.0, 1e-40, 0.25, 1.0, 0.5)  # mean 3/8
    assert through(TernaryWeights(2 / 3), w) == [[-1, 0, 0, 0, 0, 0, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("sparsity", "bits"),
    [
        (0.0, [1, -1, 0, 1, -1, 1, -1, 0]),
        (0.25, [1, -1, 0, 1, -1, 1, -1, 0]),  # the two zeros
        (0.5, [1, -1, 0, 0, 0, 1, -1, 0]),  # and the two subnormals
        (0.75, [0, 0, 0, 0, 0, 1, -1, 0]),
        (0.9, [0, 0, 0, 0, 0, 1, 0, 0]),  # 7.2 of 8: 7
    ],
)
def test_bitwise_weights_silence_their_smallest_share(sparsity: float, bits: list[int]) -> None:
    w = latents(0.25, -0.25, 0.0, 1e-40, -1e-40, 1.25, -1.0, -0.0)
    quantizer = BitwiseWeights(3, sparsity)
    assert through(quantizer, w) == [bits, [1, 2, 3, 4, 5, 6, 7, 8]]
    assert value_of(quantizer.codes(w), 3).flatten().tolist() == bits


def test_shares_of_zeros_are_counted_as_they_are_written() -> None:
    w = torch.arange(1.0, 101.0).view(1, 100)
    for percent in range(0, 100, 7):
        codes = BitwiseWeights(3, percent / 100).codes(w)
        assert int((codes == 1).sum()) == percent


def test_bitwise_weights_without_zeros_are_signs_and_their_first_stage_is_tanh() -> None:
    assert through(BitwiseWeights(2), latents(*EDGES)) == [[1, 1, 1, -1, 1, -1, 1, -1], [1, 2, 3, 4, 5, 6, 7, 8]]
    layer = BinaryDense(3, 1, generator(), {"levels": 3, "method": "bitwise"}, Method(weights_as="tanh"))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.5, -2.0]]))
    layer.refresh()
    y = layer(torch.tensor([[1.0, -1.0, 1.0]]))
    assert y.item() == pytest.approx(-math.tanh(0.5) + math.tanh(-2.0), rel=1e-6)
    y.backward()
    slopes = [1.0, -(1 - math.tanh(0.5) ** 2), 1 - math.tanh(2.0) ** 2]
    assert layer.weight.grad.flatten().tolist() == pytest.approx(slopes, rel=1e-5)
    assert layer.eval()(torch.tensor([[1.0, -1.0, 1.0]])).item() == -2  # deployed: 0, +1, -1


def test_dorefa_weights_and_their_gradient() -> None:
    w = latents(0.0, -0.0, 1e-40, -1.0, 0.5, 2.0)
    values, gradient = through(DoReFaWeights(4), w)
    x = np.array([0.0, 0.0, 0.0, -1.0, 0.5, 2.0])
    bent, most = np.tanh(x), np.tanh(2.0)
    codes = np.round(3 * (bent / (2 * most) + 0.5))  # 1.5 goes to 2
    assert codes.tolist() == [2, 2, 2, 0, 2, 3]
    assert values == pytest.approx(((2 * codes - 3) / 3).tolist())
    # 2q - 1 = tanh(w)/max|tanh|: the largest one also divides all others
    upstream = np.arange(1.0, 7.0)
    slope = (1 - bent**2) / most
    expected = upstream * slope
    expected[5] = upstream[5] * 0 - (upstream[:5] * bent[:5]).sum() / most**2 * (1 - most**2)
    assert gradient == pytest.approx(expected.tolist(), rel=1e-5)


def test_dorefa_weights_of_latents_that_are_all_0() -> None:
    values, gradient = through(DoReFaWeights(4), latents(0.0, -0.0, 0.0))
    assert values == pytest.approx([1 / 3] * 3)  # code 2 of 0 to 3
    assert gradient == [1, 2, 3]
    assert DoReFaWeights(4).codes(latents(0.0, -0.0)).tolist() == [[2, 2]]


def test_multibase_weights_are_the_papers_bases_with_least_squares_scales() -> None:
    w = torch.randn(3, 7, generator=generator(2)).requires_grad_()
    quantizer = MultiBaseWeights(3)
    known = w.detach().double().numpy()
    bases = np.stack([np.where(known - known.mean() + u * known.std() >= 0, 1.0, -1.0) for u in (-1.0, 0.0, 1.0)])
    alphas = np.linalg.lstsq(bases.reshape(3, -1).T, known.flatten(), rcond=None)[0]
    assert quantizer.scales(w).tolist() == pytest.approx(alphas.tolist(), rel=1e-5)
    values = quantizer.apply(w, generator())
    assert values.flatten().tolist() == pytest.approx(np.tensordot(alphas, bases, 1).flatten().tolist(), rel=1e-5)
    assert torch.equal(quantizer.combined(quantizer.codes(w), quantizer.scales(w)), values.detach())
    values.sum().backward()
    assert w.grad.flatten().tolist() == pytest.approx([alphas.sum()] * 21, rel=1e-5)
    by_channel = MultiBaseWeights(2, by_channel=True)
    for row, found in enumerate(by_channel.scales(w).T.tolist()):
        signs = np.stack([np.where(known - known.mean() + u * known.std() >= 0, 1.0, -1.0)[row] for u in (-1, 1)])
        best = np.linalg.lstsq(signs.T, known[row], rcond=None)[0]
        assert found == pytest.approx(best.tolist(), rel=1e-4, abs=1e-6)


def test_one_base_and_equal_bases() -> None:
    w = latents(1.0, -3.0, 0.5, 1.5)  # mean 0
    values, gradient = through(MultiBaseWeights(1), w)
    assert values == [1.5, -1.5, 1.5, 1.5] and gradient == pytest.approx([1.5, 3, 4.5, 6])
    flat = torch.full((1, 4), 0.5)  # no deviation: all bases are sign(0)
    assert MultiBaseWeights(3).apply(flat, generator())[0].tolist() == pytest.approx([0.5] * 4)
    with pytest.raises(ValueError, match="bases is 9"):
        MultiBaseWeights(9)


def test_libra_standardizes_each_channel() -> None:
    w = torch.tensor([[1.0, 2.0, 3.0], [0.0, -0.0, 1e-40], [-1.0, 1.0, 0.0]], requires_grad=True)
    y = standardized(w)
    assert y[0].tolist() == [-1, 0, 1] and y[2].tolist() == [-1, 1, 0]
    y.backward(torch.tensor([[1.0, 0.0, 0.0], [0.0] * 3, [0.0, 0.0, 1.0]]))
    # dy_i/dw_j = (delta_ij - 1/n)/s - y_i y_j/(s (n - 1)), s = 1 in both
    assert w.grad[0].tolist() == pytest.approx([2 / 3 - 0.5, -1 / 3, -1 / 3 + 0.5], rel=1e-5)
    assert w.grad[2].tolist() == pytest.approx([-1 / 3, -1 / 3, 2 / 3], rel=1e-5)
    equal = standardized(torch.full((2, 4), 3.0))
    assert equal.tolist() == [[0.0] * 4] * 2
    with pytest.raises(ValueError, match="1 weight a channel"):
        standardized(torch.ones(4, 1))


def test_libra_weights_are_signs_of_standardized_latents_times_a_power_of_two() -> None:
    layer = BinaryDense(4, 2, generator(), {"levels": 2, "method": "libra", "scale": "shift"})
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[5.0, 6.0, 7.0, 8.0], [0.0, 0.0, 0.0, 1.0]]))
    layer.refresh()
    assert layer.codes.tolist() == [[0, 0, 1, 1], [0, 0, 0, 1]]
    # mean |w|: (1.5 + .5 + .5 + 1.5)/4/1.291 = 0.775 -> 2**0; (3 * .25 + .75)/4/.5 = 0.75 -> 2**0
    assert layer.scale.tolist() == [1, 1]
    with torch.no_grad():
        layer.weight[0] = torch.tensor([0.0, 0.0, 0.0, 0.0])
    layer.refresh()
    assert layer.scale.tolist() == [0, 1]
    assert layer.quantizer.estimator == ErrorDecay()
    layer.enter(Method(), 0.5)
    assert layer.quantizer.estimator.t == pytest.approx(1.0)


def test_weight_self_distribution_moves_channels_by_their_mean() -> None:
    w = torch.tensor([[1.0, -0.999, 0.0], [-3.0, 3.0, 0.0]], requires_grad=True)
    shift = torch.tensor([0.0, 2.0], requires_grad=True)
    y = redistributed(w, shift)
    moved = 0.5 * 0.01 * (0.001 / 3)
    assert y[0].tolist() == pytest.approx([1 + moved, -0.999 + moved, moved], rel=1e-4)
    assert y[1].tolist() == [-3, 3, 0]
    y.sum().backward()
    assert w.grad.tolist() == [[1] * 3] * 2  # the mean is a constant
    assert shift.grad.tolist() == pytest.approx([3 * 0.25 * 0.01 * 0.001 / 3, 0], rel=1e-3)
    layer = BinaryDense(3, 2, generator(), {"method": "wsd"})
    assert layer.shift.tolist() == [0, 0] and layer.codes.dtype == torch.uint8


@pytest.mark.parametrize("name", LEVELS)
def test_every_method_trains_evaluates_and_is_repeatable(name: str) -> None:
    for levels in LEVELS[name][:2]:
        entry = {"levels": levels, "method": name} | ({"bases": 2} if name == "multibase" else {})
        layers = [BinaryDense(12, 5, generator(), entry) for _ in range(2)]
        x = torch.randn(4, 12, generator=generator(2))
        sums = [layer(x) for layer in layers]
        assert torch.equal(*sums)
        sums[0].square().sum().backward()
        assert layers[0].weight.grad.abs().sum() > 0
        assert layers[0].quantizer is None or 0 <= layers[0].latent_codes().min()
        assert torch.equal(layers[0].eval()(x), layers[0](x))
        if levels and name != "sign":
            assert torch.equal(layers[0].latent_codes(), layers[0].codes.long())
    assert set(OWN_ESTIMATORS) == set(LEVELS)


def test_a_methods_estimator_comes_before_the_published_one() -> None:
    method = Method(weight_estimator={"name": "identity"})
    assert make_weight_quantizer({}, method, 1.0) == SignWeights(Identity())
    drawn = make_weight_quantizer({"method": "stochastic"}, Method(weight_estimator={"name": "clipped"}), 0.5)
    assert drawn == SignWeights(Clipped(draw="hard-sigmoid"), 0.5)


@pytest.mark.parametrize(
    "entry",
    [{"levels": 3, "method": "libra"}, {"levels": 0, "method": "sign"}, {"method": "multibase"}, {"scale": "x"}],
)
def test_entries_that_make_no_sense_are_refused(entry: dict) -> None:
    with pytest.raises(ValueError, match="weights are"):
        BinaryDense(5, 2, generator(), entry)
