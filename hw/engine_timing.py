"""The cycles of an engine: when passes start, and when their beats leave."""

from collections import deque
from collections.abc import Iterator

from signfold.hw.stream import QueueParameters
from signfold.hw.timing import NoMoreBeats, Timing

__all__ = ["Exits", "engine_passes", "engine_timing"]


def engine_timing(parameters, feeder) -> Timing:
    """Yield the cycles at which an engine's output beats become available; see `signfold.hw.timing`.

    Parameters
    ----------
    parameters : EngineCore
        The engine.
    feeder : ReplayTiming or WindowTiming
        Its feeder's cycles.
    """
    exits = Exits(parameters.rows, parameters.beats)
    for _ in engine_passes(parameters, feeder, exits):
        exits.take((yield exits.available()))
    while exits.waiting:
        exits.take((yield exits.available()))


def engine_passes(parameters, feeder, exits: "Exits") -> Iterator[None]:
    """Start an engine's passes, and note in `exits` when their beats come; yield where beats must leave before.

    Parameters
    ----------
    parameters : EngineCore
        The engine.
    feeder : ReplayTiming or WindowTiming
        Its feeder's cycles.
    exits : Exits
        Its queues.
    """
    p = parameters
    plays, groups = len(p.feeder.planes.plays), p.array.groups
    by_channel = getattr(p.feeder.storage, "by_channel", False)
    claimed = 0
    while True:
        for turn in range(p.feeder.passes):
            final = turn == p.feeder.passes - 1
            grant = -1
            # Every row's queue must have room for all beats of the pass.
            need = claimed + groups - p.queue.depth
            for row in range(p.rows):
                while len(exits.taken[row]) < need:
                    yield
                if need > 0:
                    grant = max(grant, exits.taken[row][need - 1] + 2)
            try:
                for play in range(plays):
                    advance = play == plays - 1 and (by_channel or final)
                    end = feeder.play(grant if play == 0 else -1, advance)
            except NoMoreBeats:
                return
            kept = p.collector.final_beats if final else groups
            exits.arrive(end + p.feeder.storage.DELAY + p.pipeline, kept)
            claimed += kept


class Exits:
    """The queues of an engine's rows, which take turns to give a position each.

    Parameters
    ----------
    rows : int
        Rows of the array.
    beats : int
        Beats of a position.
    """

    def __init__(self, rows: int, beats: int):
        self._beats = beats
        self._arrivals = [deque() for _ in range(rows)]
        self.taken: list[list[int]] = [[] for _ in range(rows)]
        self._turn, self._left, self._last = 0, beats, -1

    @property
    def waiting(self) -> bool:
        """Whether a beat is there whose turn it is."""
        return bool(self._arrivals[self._turn])

    @property
    def left(self) -> int:
        """Beats that have left, of all rows."""
        return sum(map(len, self.taken))

    def arrive(self, first: int, count: int) -> None:
        """Note the beats of a pass: those of a row one cycle behind those of the row before."""
        for row, arrivals in enumerate(self._arrivals):
            arrivals.extend(range(first + row, first + row + count))

    def available(self) -> int:
        """Return when the next beat becomes available."""
        return max(self._arrivals[self._turn].popleft() + QueueParameters.LATENCY, self._last + 1)

    def take(self, cycle: int) -> None:
        """Note when it is taken."""
        self._last = cycle
        self.taken[self._turn].append(cycle)
        self._left -= 1
        if self._left == 0:
            self._turn, self._left = (self._turn + 1) % len(self._arrivals), self._beats
