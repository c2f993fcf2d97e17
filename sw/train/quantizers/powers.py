"""Powers of two: the nearest one (AP2), and an unbiased draw of the two around a number."""

import torch

from signfold.sw.train.estimators import draw_uniform, replace_through

__all__ = ["approximate_power", "approximate_power_through", "draw_power"]


def approximate_power(x: torch.Tensor) -> torch.Tensor:
    """Round to a power of two, AP2(x) = sgn(x) * 2**round(log2|x|), AP2(0) = 0 (BNN, arXiv:1602.02830).

    Exact for every float, subnormals included: log2|x| is never halfway between two integers. Above 2**127.5 the power
    is no float32 any more, but infinite.

    Parameters
    ----------
    x : torch.Tensor
        Any floating type, finite.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    mantissa, exponent = torch.frexp(x.double())  # |mantissa| in [1/2, 1)
    exponent = torch.where(mantissa.square() >= 0.5, exponent, exponent - 1)
    return (x.sign() * _two_to(exponent)).to(x.dtype)


def _two_to(exponent: torch.Tensor) -> torch.Tensor:
    """Return 2**exponent in float64, from -1022 to 1023: `torch.ldexp` takes powers in float32."""
    return ((exponent.long() + 1023) << 52).view(torch.float64)


def approximate_power_through(x: torch.Tensor) -> torch.Tensor:
    """Return AP2(x) and pass the gradient unchanged.

    Parameters
    ----------
    x : torch.Tensor
        Any floating type, finite.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    return replace_through(x, approximate_power(x.detach()))


def draw_power(x: torch.Tensor, generator: torch.Generator, exponents: tuple[int, int] | None = None) -> torch.Tensor:
    """Round to a power of two at random: sgn(x) * 2**(e + d), d = 1 with probability |x|/2**e - 1, else 0.

    e is floor(log2|x|), so that the mean is x (Lin et al., arXiv:1510.03009), or the nearest one that is allowed;
    numbers beyond the exponents then become 2**lowest and 2**(highest + 1). 0 stays 0.

    Parameters
    ----------
    x : torch.Tensor
        Any floating type, finite.
    generator : torch.Generator
        Source of draws.
    exponents : tuple of int, optional
        Lowest and highest e.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    wide = x.double()
    exponent = torch.frexp(wide).exponent - 1
    if exponents is not None:
        exponent = exponent.clamp(*exponents)
    up = draw_uniform(x, generator) < wide.abs() * _two_to(-exponent) - 1
    return (wide.sign() * _two_to(exponent + up.to(exponent.dtype))).to(x.dtype)
