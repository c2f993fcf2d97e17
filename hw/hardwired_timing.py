"""The cycles of a hardwired layer, and how much storage would keep it from waiting."""

from collections import deque

from signfold.hw.stream import QueueProbe
from signfold.hw.timing import Timing

__all__ = ["HardwiredProbe", "hardwired_timing"]


def hardwired_timing(parameters, source: Timing) -> Timing:
    """Yield the cycles at which a layer's output beats become available; see `signfold.hw.timing`.

    Parameters
    ----------
    parameters : HardwiredParameters
        The layer.
    source : Timing
        Its input beats.
    """
    if parameters.waiting is not None:
        source = parameters.waiting.timing(source)
    left = deque([-1] * parameters.queue.depth, maxlen=parameters.queue.depth)
    return _beats(parameters, _positions(parameters, source, left, lambda: left[0] + 1))


def _beats(parameters, positions):
    return positions if parameters.narrower is None else parameters.narrower.timing(positions)


def _positions(parameters, source, left, grant, claimed=None):
    """Yield the cycles at which positions become available at the end of the queue."""
    claims = parameters.source.vectors(source)
    next(claims)
    while True:
        # A vector goes when one of those before it, as many as the queue holds, has left.
        claim = claims.send(grant())
        if claimed is not None:
            claimed.append(claim)
        left.append((yield max(claim + parameters.pipeline + 1, left[-1] if left else 0) + 1))


class HardwiredProbe:
    """A layer with storage without end, which tells how much of it there would have to be.

    Parameters
    ----------
    parameters : HardwiredParameters
        The layer; its storage is not looked at.
    """

    def __init__(self, parameters):
        self._parameters = parameters
        self._queue = QueueProbe()
        self._claimed: list[int] = []
        self._left: list[int] = []

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see `signfold.hw.timing`."""
        source = self._queue.timing(source)
        return _beats(self._parameters, _positions(self._parameters, source, self._left, lambda: -1, self._claimed))

    def needed(self) -> tuple[int, int]:
        """Return the least `slack` and `room` with which nothing so far would have waited for storage."""
        gone, most = 0, 0
        for number, claim in enumerate(self._claimed):
            while gone < len(self._left) and self._left[gone] < claim:
                gone += 1
            most = max(most, number - gone + 1)
        return self._queue.needed(), most
