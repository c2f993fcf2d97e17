"""Lanes: how many channels side by side what stands between arrays works on, in a network that branches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import gcd

from signfold.sw.layer import Layers
from signfold.sw.network import MaxPool, SumPool

__all__ = ["Feed", "choose_lanes", "concat_lanes", "gear_cycles", "padding_lanes", "streamed_cycles"]


@dataclass(frozen=True)
class Feed:
    """A stream that a stage reads, or gives to another.

    Parameters
    ----------
    positions : int
        Positions of a frame.
    channels : int
        Channels of a position.
    lanes : tuple of int
        Channels side by side at its other end: the one number, or those to choose from.
    """

    positions: int
    channels: int
    lanes: tuple[int, ...]

    def cycles(self, lanes: int) -> int:
        """Return the cycles that a frame takes to come to so many lanes, or to go on from them."""
        return min(gear_cycles(self.positions, self.channels, end, lanes) for end in self.lanes)


def gear_cycles(positions: int, channels: int, lanes: int, others: int) -> int:
    """Return the cycles that gearboxes take for a frame, between so many lanes and others.

    They meet at the greatest common divisor: see `signfold.hw.gearbox.gearboxes`.
    """
    return positions * -(-channels // gcd(lanes, others))


def choose_lanes(
    allowed: Iterable[int],
    own: Callable[[int], int],
    sources: Sequence[Feed],
    readers: Sequence[Feed],
    target: int,
) -> int:
    """Return the lanes of a stage: no slower than the target if that can be, then fewest gearboxes, then fewest lanes.

    Parameters
    ----------
    allowed : iterable of int
        Lanes to choose from.
    own : callable
        Cycles that the stage takes for a frame, by its lanes.
    sources, readers : sequence of Feed
        What it reads, and what reads it as far as that is known.
    target : int
        Cycles of a frame that are enough.
    """

    def rank(lanes: int) -> tuple[int, int, int]:
        cycles = max(own(lanes), *(feed.cycles(lanes) for feed in (*sources, *readers)))
        gears = sum(lanes not in feed.lanes for feed in (*sources, *readers))
        return max(cycles, target), gears, lanes

    return min(sorted(set(allowed)), key=rank)


def concat_lanes(channels: Sequence[int]) -> list[int]:
    """Return the lanes that a concat join may have: all but the last source's channels are whole beats."""
    return _divisors(gcd(*channels[:-1]))


def padding_lanes(before: int, own: int, after: int) -> list[int]:
    """Return the lanes that a padding may have."""
    if after:
        return _divisors(gcd(before, own))
    return _divisors(before)


def _divisors(number: int) -> list[int]:
    """Return the divisors of a number."""
    return [lanes for lanes in range(1, number + 1) if number % lanes == 0]


def streamed_cycles(layers: Layers) -> int:
    """Return the cycles that suffice for every stream of a network on one lane, and poolings to work on it."""
    types, most = layers.network.types, 1
    for layer in layers.layers:
        most = max(most, types[layer.node.name].elements, *(types[name].elements for name in layer.node.inputs))
        if isinstance(layer.node, (MaxPool, SumPool)):
            kernel = layer.node.kernel
            most = max(most, types[layer.node.name].elements * kernel[0] * kernel[1])
    return most
