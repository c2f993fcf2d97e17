"""Dense layers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from signfold.sw.errors import NetworkError
from signfold.sw.network.nodes.base import Unary
from signfold.sw.network.nodes.levels import check_bit_planes, own_weights
from signfold.sw.network.types import ValueType, shown

__all__ = ["Dense"]


@dataclass(frozen=True, eq=False)
class Dense(Unary):
    """Sums of a dense layer: ``s[c] = sum over i of w[c, i] * v[i]`` with ``w = 2*weights - (levels - 1)``.

    The value read is flattened, channels first, as torch does. Its codes q of k bits are ``v = 2*q - (2**k - 1)``: for
    bits +1 and -1, so that with weights of two levels s lies in [-n, n] and has the parity of the fan-in n.

    Parameters
    ----------
    weights : numpy.ndarray
        uint8 ``[channels, fan_in]`` of codes 0 to ``levels - 1``, of more than 256 levels uint16; of two levels: 1 is
        +1, 0 is -1.
    levels : int
        2 to the power of 1 to 16: the weights are odd integers from ``-(levels - 1)`` to ``levels - 1``, whole bit
        planes. Or 3, ternary: -2, 0 and 2, the sum of two bipolar planes (thresholds absorb the factor 2).

    Notes
    -----
    The type of the sums is that of all weights of so many levels, not only of these: low and high are
    ``-/+ fan_in * (2**k - 1) * (levels - 1)``, the step is 2.
    """

    op: ClassVar[str] = "dense"

    weights: np.ndarray
    levels: int = 2

    def _check(self) -> None:
        object.__setattr__(self, "weights", own_weights(self.name, self.weights, self.levels, 2))

    @property
    def channels(self) -> int:
        """Sums computed a frame."""
        return self.weights.shape[0]

    @property
    def fan_in(self) -> int:
        """Products in each sum."""
        return self.weights.shape[1]

    def infer(self, value: ValueType) -> ValueType:
        """See `Node.infer`."""
        check_bit_planes(self.name, self.input, value, "dense")
        if value.elements != self.fan_in:
            raise NetworkError(
                f"node {shown(self.name)}: weights have fan-in {self.fan_in}, but {shown(self.input)} gives "
                f"{value.elements} elements"
            )
        bound = self.fan_in * value.high * (self.levels - 1)
        return ValueType("sum", (self.channels,), -bound, bound, 2)
