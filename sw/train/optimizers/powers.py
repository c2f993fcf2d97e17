"""The nearest power of two, which turns a multiplication into a shift."""

import torch

__all__ = ["nearest_power"]


def nearest_power(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest power of two by exponent: AP2(x) = sign(x) * 2**round(log2|x|), AP2(0) = 0.

    AP2 is the approximate power of two of Hubara et al. (arXiv:1602.02830). Exact: no logarithm is taken, and no number
    lies half-way, for the square root of two is irrational.

    Parameters
    ----------
    x : torch.Tensor
        Any floating type, finite.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    mantissa, exponent = torch.frexp(x)
    # |x| = |mantissa| * 2**exponent with |mantissa| in [1/2, 1): nearer to the lower power below the root of a half.
    exponent = exponent - (mantissa.abs() < 0.5**0.5).to(exponent.dtype)
    # A mantissa of -1, 0 or 1 is scaled in two steps, because 2**exponent alone may be no number of this type.
    half = exponent // 2
    return torch.ldexp(torch.ldexp(x.sign(), half), exponent - half)
