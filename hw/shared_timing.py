"""The cycles of a shared engine: when layers run, and when the last one's beats leave."""

from collections import deque

from signfold.hw.stream import QueueParameters
from signfold.hw.timing import NoMoreBeats, Timing

__all__ = ["shared_timing"]


def shared_timing(parameters, source: Timing) -> Timing:
    """Yield the cycles at which a shared engine's output beats become available; see `signfold.hw.timing`.

    Parameters
    ----------
    parameters : SharedEngineParameters
        The engine.
    source : Timing
        Beats of its input.
    """
    p, filling, exits = parameters, _Filling(source, parameters.input_bits), _Exits()
    inner = sum(layer.cycles + cycles - 1 for layer, (cycles, _) in zip(p.layers, p.drains, strict=False))
    groups, words, passes = p.array.groups, p.last.array.pass_words, p.last.passes
    free, end, claimed = 0, -1, 0
    while True:
        try:
            for _ in range(p.input_beats):
                free = filling.take(free) + 1
        except NoMoreBeats:
            while exits.waiting:
                exits.take((yield exits.available()))
            return
        # The last layer begins, and with it the next frame's input.
        free = max(free - 1, end) + 1 + inner
        end = free - 1
        for _ in range(p.positions):
            for turn in range(passes):
                grant, need = -1, claimed + groups - p.queue.depth
                while len(exits.taken) < need:
                    exits.take((yield exits.available()))
                if need > 0:
                    grant = exits.taken[need - 1] + 1
                end = max(end + 1, grant) + words - 1
                kept = p.last.collector.final_beats if turn == passes - 1 else groups
                exits.arrive(end + p.DELAY + p.pipeline, kept)
                claimed += kept


class _Filling:
    """Beats at the input, each written plane by plane before it is taken."""

    def __init__(self, source, planes):
        self._source, self._planes = source, planes
        self._taken = None

    def take(self, earliest):
        """Write the next beat, from cycle `earliest` on, and return the cycle in which it is taken."""
        try:
            available = next(self._source) if self._taken is None else self._source.send(self._taken)
        except (StopIteration, NoMoreBeats):
            raise NoMoreBeats from None
        self._taken = max(available, earliest) + self._planes - 1
        return self._taken


class _Exits:
    """The output queue."""

    def __init__(self):
        self._arrivals = deque()
        self.taken: list[int] = []

    @property
    def waiting(self):
        """Whether a beat is there."""
        return bool(self._arrivals)

    def arrive(self, first, count):
        """Note the beats of a pass."""
        self._arrivals.extend(range(first, first + count))

    def available(self):
        """Return when the next beat becomes available."""
        return max(self._arrivals.popleft() + QueueParameters.LATENCY, self.taken[-1] + 1 if self.taken else 0)

    def take(self, cycle):
        """Note when it is taken."""
        self.taken.append(cycle)
