"""The sign and its estimated gradient at every kind of edge."""

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.estimators import binary_sign  # noqa: E402

ONE = torch.tensor(1.0)
ABOVE = torch.nextafter(ONE, torch.tensor(2.0))
TINY = torch.tensor(1e-45)

#: value, its sign, whether the gradient passes
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


@pytest.mark.parametrize(("value", "sign", "passes"), EDGES)
def test_sign_and_gradient(value: float, sign: float, passes: bool) -> None:
    x = torch.tensor([value], requires_grad=True)
    y = binary_sign(x)
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
    (binary_sign(x) * weights).sum().backward()
    assert x.grad.tolist() == [weight if edge[2] else 0.0 for weight, edge in zip(weights.tolist(), EDGES, strict=True)]
