"""Bit planes: how codes of several bits are computed by cells that multiply single bipolar bits."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from signfold.hw.check import check_integer

__all__ = ["PlaneParameters", "Play"]


@dataclass(frozen=True)
class Play:
    """One sweep over the words of a pass, with one bit plane of each side.

    Parameters
    ----------
    activation, weight : int
        Planes, 0 the lowest.
    double : bool
        The sum so far counts twice, because this sweep's planes weigh half as much as those before.
    """

    activation: int
    weight: int
    double: bool


@dataclass(frozen=True)
class PlaneParameters:
    """Widths of activations and weights, and whether their planes follow one another or lie side by side.

    An activation code q of k bits stands for 2 q - (2**k - 1) = sum of 2**i (2 q_i - 1) over its bits. A weight code c
    of n levels stands for 2 c - (n - 1): the same with the bits of c where n is a power of two; for n = 3 the sum of
    two bits of equal scale. Each pair of planes is a binary product, so that over all pairs, with their scales,
    sum of v * w = 2 u - top * products, where u counts agreeing bits times their scales.

    Parameters
    ----------
    activation_bits : int
        Bits of an activation, 1 to 62.
    weight_levels : int
        Levels of a weight: 2**k for k from 1 to 16, or 3 (-2, 0, 2).
    space : bool
        True: a word holds all planes, which a cell counts side by side, a word a cycle. False: the words are played
        once for each pair of planes, on a cell as small as a binary one.
    multiplies : bool
        Cells multiply whole codes (`signfold.hw.multiplier_cell`) instead of counting pairs of planes; words hold all
        planes then.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    activation_bits: int = 1
    weight_levels: int = 2
    space: bool = False
    multiplies: bool = False

    def __post_init__(self):
        check_integer("activation bits", self.activation_bits, minimum=1, maximum=62)
        check_integer("weight levels", self.weight_levels, minimum=2, maximum=1 << 16)
        if self.weight_levels != 3 and self.weight_levels & (self.weight_levels - 1):
            raise ValueError(f"weight levels must be 3 or a power of two, not {self.weight_levels!r}")
        if not isinstance(self.space, bool):
            raise TypeError(f"space must be True or False, not {self.space!r}")
        if not isinstance(self.multiplies, bool):
            raise TypeError(f"multiplies must be True or False, not {self.multiplies!r}")
        if self.multiplies and not self.space:
            raise ValueError("space must be True where cells multiply whole codes, not False")
        if self.multiplies and len(self.pairs) == 1:
            raise ValueError(
                "multiplies must be False where activations and weights have one bit: cells of XNOR gates compute these"
            )

    @cached_property
    def weight_scales(self) -> tuple[int, ...]:
        """Scale of each plane of a weight, the lowest first."""
        if self.weight_levels == 3:
            return (1, 1)
        return tuple(1 << plane for plane in range(self.weight_levels.bit_length() - 1))

    @property
    def weight_planes(self) -> int:
        """Planes of a weight."""
        return len(self.weight_scales)

    @property
    def top(self) -> int:
        """Largest count u of one product; its smallest is 0."""
        return ((1 << self.activation_bits) - 1) * (self.weight_levels - 1)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int, int], ...]:
        """Activation plane, weight plane and scale of each pair, the largest scale first."""
        pairs = [(i, j, scale << i) for i in range(self.activation_bits) for j, scale in enumerate(self.weight_scales)]
        return tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[1])))

    @cached_property
    def plays(self) -> tuple[Play, ...]:
        """Sweeps of a pass in order: one a pair of planes in time, one for all in space."""
        if self.space:
            return (Play(0, 0, False),)
        scales = [self.pairs[0][2], *(scale for _, _, scale in self.pairs)]
        return tuple(Play(i, j, scale != before) for (i, j, scale), before in zip(self.pairs, scales, strict=False))

    @property
    def activation_lanes(self) -> int:
        """Bits that the word of a cell holds of each activation."""
        return self.activation_bits if self.space else 1

    @property
    def weight_lanes(self) -> int:
        """Bits that the word of a cell holds of each weight."""
        return self.weight_planes if self.space else 1

    def weight_bits(self, codes: np.ndarray) -> np.ndarray:
        """Return the planes of weight codes, uint8, planes x the shape of `codes`."""
        codes = np.asarray(codes)
        if self.weight_levels == 3:
            return np.stack([codes > 0, codes > 1]).astype(np.uint8)
        return np.stack([(codes >> plane) & 1 for plane in range(self.weight_planes)]).astype(np.uint8)

    def weight_codes(self, bits: np.ndarray) -> np.ndarray:
        """Return the weight codes, int64, that planes come from: the inverse of `weight_bits`."""
        bits = np.asarray(bits, np.int64)
        if self.weight_levels == 3:
            return bits.sum(axis=0)
        return sum(plane << index for index, plane in enumerate(bits))

    def bipolar(self, activations: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the integers that codes of activations and weights stand for."""
        return (
            2 * np.asarray(activations, np.int64) - ((1 << self.activation_bits) - 1),
            2 * np.asarray(weights, np.int64) - (self.weight_levels - 1),
        )

    def count(self, activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return u of the products over the last axis of codes of broadcastable shapes."""
        v, w = self.bipolar(activations, weights)
        return ((v * w).sum(axis=-1) + self.top * max(np.shape(v)[-1], np.shape(w)[-1])) // 2
