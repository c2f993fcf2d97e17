"""Cycles of chained stream components, without simulating: what is offered when, and when it is taken.

Each parameter object of a stream component has a method ``timing(source)``, a generator. It yields the cycle at which
its next output beat becomes available and is sent the cycle at which that beat is taken (never before it is available);
`source` is such a generator for the beats at its input. A beat that is available in cycle t with the consumer ready
transfers in cycle t. A chain of such generators follows stalls from either end exactly, at a cost that grows with the
number of beats, not of cycles.

No beat is available before the cycle after that in which the one before was taken. A generator ends, by returning or
with `NoMoreBeats`, when its source does; the beats of frames that are not whole are lost. The first cycle after reset,
in which components with a table do not take beats, does not count: cycles are numbered from the second one on.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import count

__all__ = [
    "Beats",
    "NoMoreBeats",
    "Scheduled",
    "Timing",
    "offered",
    "passed",
    "register",
    "scheduled",
    "take_all",
    "together",
]

#: What `timing` methods take and return.
Timing = Generator[int, int, None]


class NoMoreBeats(Exception):
    """The source of a timing has ended."""


class Beats:
    """A source seen from a component that takes beat after beat.

    Parameters
    ----------
    source : Timing
        The beats.
    """

    def __init__(self, source: Timing):
        self._source = source
        # Sources that are no generators are told at once: others wait for it.
        self._tell = getattr(source, "tell", None)
        self._taken: int | None = None
        self._next: int | None = None

    def available(self) -> int:
        """Return the cycle from which the next beat is available.

        Raises
        ------
        NoMoreBeats
            There is none.
        """
        if self._next is None:
            try:
                self._next = next(self._source) if self._taken is None else self._source.send(self._taken)
            except (StopIteration, NoMoreBeats):
                raise NoMoreBeats from None
        return self._next

    def take(self, earliest: int) -> int:
        """Take the next beat no sooner than in cycle `earliest` and return the cycle.

        Raises
        ------
        NoMoreBeats
            There is none.
        """
        self._taken = max(self.available(), earliest)
        self._next = None
        if self._tell is not None:
            self._tell(self._taken)
        return self._taken


def offered(offers: Iterable[int]) -> Timing:
    """Yield beats offered in the given cycles, or as soon as the beat before has gone.

    Parameters
    ----------
    offers : iterable of int
        Ascending cycle numbers.
    """
    earliest = None
    for offer in offers:
        taken = yield offer if earliest is None else max(offer, earliest)
        earliest = taken + 1


def register(source: Timing) -> Timing:
    """Yield the beats of `source` through a register that takes one while it is empty or being emptied.

    Parameters
    ----------
    source : Timing
        The beats.
    """
    beats = Beats(source)
    emptied = 0
    while True:
        emptied = yield beats.take(emptied) + 1


def passed(source: Timing) -> Timing:
    """Yield the beats of `source` as they are.

    Parameters
    ----------
    source : Timing
        The beats, from a generator or from whatever has to be told when they are taken.
    """
    beats = Beats(source)
    while True:
        beats.take((yield beats.available()))


def together(sources: Iterable[Timing]) -> Timing:
    """Yield beats that are made of one of each source, all taken at once.

    Parameters
    ----------
    sources : iterable of Timing
        The beats.
    """
    inputs = [Beats(source) for source in sources]
    while True:
        taken = yield max(beats.available() for beats in inputs)
        for beats in inputs:
            beats.take(taken)


def take_all(timing: Timing, *, ready: Sequence[int] | Callable[[int], bool] = ()) -> list[int]:
    """Take every beat and return the cycles of the transfers.

    Parameters
    ----------
    timing : Timing
        The last stage.
    ready : sequence of int or callable
        Earliest cycle in which each beat is taken, beats past its end being taken at once; or a function that tells of
        a cycle whether the consumer is ready in it.
    """
    taken = []
    while True:
        try:
            available = timing.send(taken[-1]) if taken else next(timing)
        except (StopIteration, NoMoreBeats):
            return taken
        if callable(ready):
            available = next(cycle for cycle in count(available) if ready(cycle))
        elif len(taken) < len(ready):
            available = max(available, ready[len(taken)])
        taken.append(available)


def scheduled(
    stages: Iterable["Scheduled"], offers: Iterable[int], *, ready: Sequence[int] | Callable[[int], bool] = ()
) -> list[int]:
    """Return the cycles in which the output beats of a chain of components transfer.

    Parameters
    ----------
    stages : iterable of Scheduled
        Parameters of the components, first to last; all are idle before.
    offers : iterable of int
        Cycles in which the input beats are offered.
    ready : sequence of int or callable
        See `take_all`.
    """
    timing = offered(offers)
    for stage in stages:
        timing = stage.timing(timing)
    return take_all(timing, ready=ready)


class Scheduled:
    """Base of parameter objects of stream components."""

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which output beats become available; see the module."""
        raise NotImplementedError

    def schedule(self, offers: Iterable[int]) -> list[int]:
        """Return the cycles at which output beats appear, for input beats offered in the given cycles.

        The component is idle before, and each output beat is taken at once.
        """
        return scheduled([self], offers)
