"""Estimators forward and backward against values worked out by hand, at every kind of edge."""

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train import estimators  # noqa: E402
from signfold.sw.train.estimators import (  # noqa: E402
    CLASSES,
    ApproxSign,
    Clipped,
    ErrorDecay,
    Identity,
    SigmoidScaled,
    SwishSign,
    Tanh,
    Tight,
    make_estimator,
)
from signfold.sw.train.method import ESTIMATORS, Method  # noqa: E402

ONE = torch.tensor(1.0)
ABOVE = torch.nextafter(ONE, torch.tensor(2.0))
TINY = torch.tensor(1e-45)

#: value, its sign, whether the gradient passes BNN's clip
EDGES = [
    (0.0, 1.0, True),
    (-0.0, 1.0, True),
    (float(TINY), 1.0, True),
    (-float(TINY), -1.0, True),
    (1e-40, 1.0, True),
    (-1e-40, -1.0, True),
    (0.5, 1.0, True),
    (1.0, 1.0, True),
    (-1.0, -1.0, True),
    (float(ABOVE), 1.0, False),
    (-float(ABOVE), -1.0, False),
    (1.0000001, 1.0, False),
    (-1.0000001, -1.0, False),
    (float("inf"), 1.0, False),
    (float("-inf"), -1.0, False),
]

#: Finite values that every estimator is asked for.
VALUES = [0.0, -0.0, 1e-40, -1e-40, 0.25, -0.25, 0.4, -0.4, 0.5, -0.75, 1.0, -1.0, 1.3, -1.3, 3.0, -20.0, 1e30]


def gradient(estimator: "estimators.Estimator", values: list[float], dtype: "torch.dtype" = torch.float32) -> list:
    """Gradients of the values where that of every bit is 2, after a look at the bits."""
    x = torch.tensor(values, dtype=dtype, requires_grad=True)
    y = estimator.apply(x)
    assert y.dtype == dtype and y.tolist() == [1.0 if value >= 0 else -1.0 for value in values]
    assert y.tolist() == estimator.forward(x.detach()).tolist()
    y.backward(torch.full_like(y, 2.0))
    assert x.grad.tolist() == estimator.backward(x.detach(), torch.full_like(x, 2.0)).tolist()
    return x.grad.tolist()


@pytest.mark.parametrize(("value", "sign", "passes"), EDGES)
def test_sign_and_gradient(value: float, sign: float, passes: bool) -> None:
    x = torch.tensor([value], requires_grad=True)
    y = Clipped().apply(x)
    assert y.dtype == torch.float32
    assert y.item() == sign
    y.backward(torch.tensor([-3.25]))
    assert x.grad.item() == (-3.25 if passes else 0.0)


def test_edges_are_what_they_are_called() -> None:
    assert TINY.item() > 0
    assert ABOVE.item() > 1
    assert torch.tensor(1.0000001).item() == ABOVE.item()
    assert torch.signbit(torch.tensor(-0.0))


def test_gradients_of_a_tensor_are_masked_one_by_one() -> None:
    x = torch.tensor([value for value, _, _ in EDGES], requires_grad=True)
    weights = torch.arange(1.0, len(EDGES) + 1)
    (Clipped().apply(x) * weights).sum().backward()
    assert x.grad.tolist() == [weight if edge[2] else 0.0 for weight, edge in zip(weights.tolist(), EDGES, strict=True)]


def test_identity_passes_everything() -> None:
    assert gradient(Identity(), VALUES) == [2.0] * len(VALUES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("t_clip", [0.4, 1.0, 1.25, 1.3])
def test_the_clip_is_inclusive_at_every_edge_and_strict_where_asked(t_clip: float, dtype: "torch.dtype") -> None:
    edge = torch.tensor(t_clip, dtype=dtype)
    above = torch.nextafter(edge, edge + 1)
    values = [float(v) for v in (edge, -edge, above, -above)] + [0.0, -0.0]
    assert gradient(Clipped(t_clip), values, dtype) == [2, 2, 0, 0, 2, 2]
    assert gradient(Clipped(t_clip, inclusive=False), values, dtype) == [0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("estimator", "slope"),
    [
        (SigmoidScaled(), lambda x: math.exp(-abs(x)) / (1 + math.exp(-abs(x))) ** 2),
        (ApproxSign(), lambda x: 2 - 2 * abs(x) if abs(x) <= 1 else 0.0),
        (ApproxSign(0.5), lambda x: 2 - 2 * abs(x) if abs(x) <= 0.5 else 0.0),
        (Tanh(), lambda x: 1 - math.tanh(x) ** 2),
        (Tanh(3.0), lambda x: 3 * (1 - math.tanh(3 * x) ** 2)),
        # t = 0.1, k = 10; then t = 1, k = 1; then t = 10, k = 1
        (ErrorDecay(0.1, 10.0), lambda x: 1 - math.tanh(0.1 * x) ** 2),
        (ErrorDecay(0.1, 10.0).at(0.5), lambda x: 1 - math.tanh(x) ** 2),
        (ErrorDecay(0.1, 10.0).at(1.0), lambda x: 10 * (1 - math.tanh(10 * x) ** 2)),
        (Tight(), lambda x: 4 - 8 * abs(x) if abs(x) <= 0.4 else 0.8 if abs(x) <= 1 else 0.0),
    ],
)
def test_gradients_are_those_of_the_formula(estimator: "estimators.Estimator", slope: Callable[[float], float]) -> None:
    found = gradient(estimator, VALUES)
    assert found == pytest.approx([2 * slope(value) for value in VALUES], rel=1e-6, abs=1e-5)


def test_error_decay_behind_a_hardtanh_stops_at_its_edges() -> None:
    clipped = ErrorDecay(0.5, 2.0, t_clip=1.0).at(0.5)  # t = k = 1
    below = float(torch.nextafter(ONE, torch.tensor(0.0)))
    values = [0.0, -0.0, 1e-40, -0.5, below, -below, 1.0, -1.0, 1.5]
    slopes = [1.0, 1.0, 1.0, 1 - math.tanh(0.5) ** 2, *[1 - math.tanh(1.0) ** 2] * 2, 0.0, 0.0, 0.0]
    assert gradient(clipped, values) == pytest.approx([2 * slope for slope in slopes], rel=1e-6)
    choice = Method(activation_estimator={"name": "ede", "t_clip": 1}).activation_estimator
    assert make_estimator(choice) == ErrorDecay(t_clip=1.0)


def test_slopes_at_the_edges_are_exact() -> None:
    edges = [0.0, -0.0, 1e-40, -1e-40, 1.0, -1.0, float(ABOVE), -float(ABOVE)]
    assert gradient(ApproxSign(), edges) == [4, 4, 4, 4, 0, 0, 0, 0]
    assert gradient(Tight(), edges) == [8, 8, 8, 8, *torch.full((2,), 1.6).tolist(), 0, 0]
    assert gradient(SigmoidScaled(), edges[:4]) == [0.5] * 4
    assert gradient(Tanh(2.0), edges[:4]) == [4.0] * 4
    assert gradient(ErrorDecay(0.5, 2.0), edges[:4]) == [2.0] * 4
    # b * 2 / 2
    assert gradient(SwishSign(5.0), edges[:4]) == [10.0] * 4
    half = torch.tensor([0.5, 0.5000001]).tolist()
    assert gradient(ApproxSign(0.5), half) == [2, 0]


@pytest.mark.parametrize("beta", [1.0, 5.0, 10.0])
def test_swish_is_the_formula_of_its_paper(beta: float) -> None:
    def slope(x: float) -> float:
        z = beta * x
        return beta * (2 - z * math.tanh(z / 2)) / (1 + math.cosh(z))

    values = [0.0, -0.0, 1e-40, -1e-40, 0.1, -0.3, 0.48, 0.5, 1.0, -1.0, 2.0]
    found = gradient(SwishSign(beta), values)
    assert found == pytest.approx([2 * slope(value) for value in values], rel=1e-4, abs=1e-6)
    # The function itself, differentiated by torch.
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    s = (beta * x).sigmoid()
    (2 * s * (1 + beta * x * (1 - s)) - 1).sum().backward()
    assert [2 * g for g in x.grad.tolist()] == pytest.approx(found, rel=1e-4, abs=1e-6)
    assert gradient(SwishSign(beta), [1e30, -1e30]) == [0, 0]


def test_error_decay_follows_its_schedule() -> None:
    decay = ErrorDecay(1e-3, 10.0)
    assert [decay.at(p).t for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1e-3, 1e-2, 1e-1, 10.0])
    assert [decay.at(p).k for p in (0.0, 0.25, 0.75, 1.0)] == pytest.approx([1e3, 1e2, 1.0, 1.0])
    assert Clipped().at(0.3) == Clipped()
    with pytest.raises(ValueError, match=r"progress is 1\.5"):
        decay.at(1.5)


def test_draws_follow_their_probabilities_and_evaluation_does_not_draw() -> None:
    x = torch.tensor([-2.0, -1.0, -0.5, -0.0, 0.0, 1e-40, 0.5, 1.0, 2.0]).expand(20000, 9).contiguous()
    for draw, probability in (
        ("hard-sigmoid", lambda v: min(max((v + 1) / 2, 0.0), 1.0)),
        ("sigmoid", lambda v: 1 / (1 + math.exp(-v))),
    ):
        bits = Identity(draw=draw).forward(x, torch.Generator().manual_seed(5))
        assert set(bits.flatten().tolist()) == {-1.0, 1.0}
        share = ((bits + 1) / 2).mean(0).tolist()
        assert share == pytest.approx([probability(v) for v in x[0].tolist()], abs=0.015)
        again = Identity(draw=draw).forward(x, torch.Generator().manual_seed(5))
        assert torch.equal(bits, again)
    sure = Identity(draw="hard-sigmoid").forward(x, torch.Generator().manual_seed(6))
    assert sure[:, :2].max() == -1 and sure[:, -2:].min() == 1
    with pytest.raises(ValueError, match="generator is None"):
        Identity(draw="sigmoid").apply(x)


def test_the_stochastic_neuron_passes_gradients_by_either_rule() -> None:
    values = [-1.0, -0.0, 0.5]
    for estimator, slopes in (
        (Identity(draw="sigmoid"), [1.0] * 3),
        (SigmoidScaled(draw="sigmoid"), [0.19661193, 0.25, 0.23500371]),
    ):
        x = torch.tensor(values, requires_grad=True)
        estimator.apply(x, torch.Generator().manual_seed(1)).backward(torch.ones(3))
        assert x.grad.tolist() == pytest.approx(slopes, rel=1e-6)


def test_values_that_were_rounded_otherwise_take_an_estimators_gradient() -> None:
    x = torch.tensor([0.5, 1.0, 2.0], requires_grad=True)
    value = torch.tensor([0.0, -0.0, 7.0])
    y = Clipped().through(x, value)
    assert torch.equal(y.view(torch.int32), value.view(torch.int32))
    y.backward(torch.tensor([3.0, 4.0, 5.0]))
    assert x.grad.tolist() == [3, 4, 0]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_name_is_made_with_its_defaults(name: str) -> None:
    choice = {"name": name} | ESTIMATORS[name] | {"draw": None}
    estimator = make_estimator(choice)
    assert estimator == CLASSES[name]()
    assert make_estimator(choice | {"draw": "sigmoid"}).draw == "sigmoid"
    assert set(CLASSES) == set(ESTIMATORS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Clipped(0.0),
        lambda: ApproxSign(1.5),
        lambda: Tanh(0.0),
        lambda: SwishSign(-1.0),
        lambda: ErrorDecay(2.0, 1.0),
        lambda: ErrorDecay(t_clip=0.0),
        lambda: Identity(draw="coin"),
    ],
)
def test_parameters_out_of_range_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        make()


def test_order_in_memory_is_kept() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    for estimator in (Clipped(), Identity(draw="sigmoid")):
        y = estimator.apply(x, torch.Generator().manual_seed(1))
        assert y.is_contiguous(memory_format=torch.channels_last)
