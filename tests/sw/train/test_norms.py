"""Shift-based batch normalization against its formula written out in NumPy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.activations import BatchNormSign  # noqa: E402
from signfold.sw.train.norms import BatchNorm, Norm  # noqa: E402


def ap2(x: np.ndarray) -> np.ndarray:
    """Power of two nearest in the logarithm."""
    with np.errstate(divide="ignore"):
        return np.where(x == 0, 0.0, np.sign(x) * 2.0 ** np.round(np.log2(np.abs(x))))


@pytest.mark.parametrize("shape", [(16, 3), (4, 3, 5, 2)])
def test_forward_uses_powers_of_two(shape: tuple[int, ...]) -> None:
    norm = BatchNorm(3, 1e-4, 0.125, "shift")
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.7, -1.6, 0.0]))
        norm.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 5 + 2
    y = norm(x)
    rows = x.double().numpy().swapaxes(0, 1).reshape(3, -1)
    centred = rows - rows.mean(1, keepdims=True)
    variance = (centred * ap2(centred)).mean(1)
    inverse = 1 / np.sqrt(variance + 1e-4)
    factor = ap2(np.array([0.7, -1.6, 0.0])) * ap2(inverse)
    expected = factor[:, None] * centred + np.array([[0.5], [-1.0], [2.0]])
    assert y.detach().numpy().swapaxes(0, 1).reshape(3, -1) == pytest.approx(expected, abs=1e-5)
    assert norm.running_mean.tolist() == pytest.approx((rows.mean(1) / 8).tolist(), rel=1e-5)
    assert norm.running_istd.tolist() == pytest.approx((7 / 8 + inverse / 8).tolist(), rel=1e-5)
    assert set(dict(norm.named_buffers())) == {"running_mean", "running_istd"}
    norm.eval()
    mean, istd = norm.running_mean.double().numpy(), norm.running_istd.double().numpy()
    deployed = (ap2(np.array([0.7, -1.6, 0.0])) * ap2(istd))[:, None] * (rows - mean[:, None])
    found = norm(x).detach().numpy().swapaxes(0, 1).reshape(3, -1)
    assert found == pytest.approx(deployed + np.array([[0.5], [-1.0], [2.0]]), abs=1e-5)


def test_backward_passes_powers_of_two_unchanged() -> None:
    norm = BatchNorm(2, 0.0, 0.1, "shift")
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.5, -0.4]))
    x = torch.tensor([[1.0, 0.0], [-1.0, 2.0], [3.0, -0.0], [5.0, 2.0]], requires_grad=True)
    g = torch.tensor([[1.0, 0.5], [0.0, 1.0], [-1.0, 2.0], [2.0, 0.0]])
    norm(x).backward(g)
    rows, up = x.detach().double().numpy(), g.double().numpy()
    centred = rows - rows.mean(0)
    powers = ap2(centred)
    variance = (centred * powers).mean(0)
    inverse = variance**-0.5
    gamma, scale = ap2(np.array([1.5, -0.4])), ap2(inverse)
    # y = gamma*scale*c: by c itself, and by the scale through v = mean(c * AP2(c)), dAP2(c)/dc = 1
    towards_scale = (up * gamma * centred).sum(0)
    towards_v = towards_scale * -0.5 * variance**-1.5
    towards_c = up * gamma * scale + towards_v * (centred + powers) / 4
    expected = towards_c - towards_c.mean(0)
    assert x.grad.numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert norm.weight.grad.tolist() == pytest.approx((up * scale * centred).sum(0).tolist(), rel=1e-5)
    assert norm.bias.grad.tolist() == [2, 3.5]


def test_equal_inputs_have_the_bias_as_their_result() -> None:
    norm = BatchNorm(1, 1e-5, 0.1, "shift")
    with torch.no_grad():
        norm.bias.fill_(-0.25)
    x = torch.full((4, 1), 3.0, requires_grad=True)
    y = norm(x)
    assert y.flatten().tolist() == [-0.25] * 4
    y.sum().backward()
    assert x.grad.flatten().tolist() == [0] * 4


def test_an_activation_may_follow_either_norm_or_none() -> None:
    x = torch.tensor([[-3.0], [1.0], [4.0]])
    for norm, names in (
        ("batch", ["weight", "bias", "running_mean", "running_var"]),
        ("shift", ["weight", "bias", "running_mean", "running_istd"]),
        (None, []),
    ):
        layer = BatchNormSign(1, 1e-5, 0.1, norm)
        assert list(layer.state_dict()) == names
        assert set(layer(x).flatten().tolist()) == {-1.0, 1.0}
    with pytest.raises(ValueError, match="norm is 'layer'"):
        Norm(1, 1e-5, 0.1, "layer")


def test_statistics_stay_in_float32() -> None:
    norm = BatchNorm(3, 1e-5, 0.1, "shift")
    y = norm(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).bfloat16())
    assert y.dtype == torch.bfloat16 and norm.running_mean.dtype == torch.float32
