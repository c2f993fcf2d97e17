"""Cycles of components that form a graph, without simulating.

In a chain each component can ask the one before for its next beat (`signfold.hw.timing`). Where streams fork, what one
consumer gets depends on when the others take, so here each component is a process (a greenlet) of its own, and one that
can store has two or three: what it takes does not wait until somebody asks for what it gives. Processes wait for
numbers, never for time, and none looks at what another may still say (a Kahn network): whatever the order in which they
run, they come to the same cycles, the hardware's. If all wait, so does the hardware.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from signfold.hw.engine_core import EngineCore
from signfold.hw.engine_timing import Exits, engine_passes
from signfold.hw.fork import ForkParameters
from signfold.hw.processes import Deadlock, Growing, Processes, Stream
from signfold.hw.stream import QueueParameters
from signfold.hw.timing import Beats, NoMoreBeats, Scheduled, Timing, offered, passed, take_all
from signfold.hw.unit_stage import UnitStageParameters

__all__ = ["Deadlock", "GraphTiming", "graph_schedule"]


def graph_schedule(
    pieces: Sequence, offers: Iterable[int], *, ready: Sequence[int] | Callable[[int], bool] = ()
) -> list[int]:
    """Return the cycles in which the last piece's beats transfer; see `signfold.hw.timing.scheduled`.

    Parameters
    ----------
    pieces : sequence of signfold.hw.graph.Piece
        Components, each after those it reads.
    offers : iterable of int
        Cycles in which the first piece's input beats are offered.
    ready : sequence of int or callable
        See `signfold.hw.timing.take_all`.

    Raises
    ------
    Deadlock
        Beats are left that can never move.
    """
    return GraphTiming(pieces).run(offers, ready=ready)


class GraphTiming:
    """One run of a graph.

    Parameters
    ----------
    pieces : sequence of signfold.hw.graph.Piece
        Components, each after those it reads.
    unbounded : bool
        Nothing waits for a place in a queue or a window, to learn how many would do.

    Attributes
    ----------
    feeders : dict of str to WindowTiming or ReplayTiming
        Of each engine, by the piece's name.
    queues : dict of str to (list of int, list of int, list of int)
        For each queue when its payloads came, when they left its memory, and when they were taken.
    """

    def __init__(self, pieces: Sequence, *, unbounded: bool = False):
        self._pieces, self._unbounded = pieces, unbounded
        self.feeders = {}
        self.queues: dict[str, tuple[list[int], list[int], list[int]]] = {}
        self._processes = Processes()

    def run(self, offers: Iterable[int], *, ready: Sequence[int] | Callable[[int], bool] = ()) -> list[int]:
        """Return the cycles in which the last piece's beats transfer; see `graph_schedule`."""
        streams: dict[tuple[int, int | None], Stream] = {}
        for number, piece in enumerate(self._pieces):
            start = partial(self._processes.start, number)
            sources = [streams[end] for end in piece.sources] or [offered(offers)]
            for source, _ in piece.sources:
                self._processes.link(number, source)
            if isinstance(piece.parameters, ForkParameters):
                ways = [Stream(self._processes) for _ in range(piece.parameters.ways)]
                streams |= {(number, way): stream for way, stream in enumerate(ways)}
                start(self._fork, sources[0], ways)
                continue
            streams[number, None] = out = Stream(self._processes)
            self._component(start, piece, sources, out)
        taken: list[int] = []
        start(self._take, out, taken, ready)
        read = {end for piece in self._pieces for end in piece.sources}
        for (number, way), stream in streams.items():
            # Ways that leave a part of a graph: nobody waits there.
            if way is not None and (number, way) not in read:
                self._processes.start(number, self._take, stream, [], ())
        self._processes.go()
        return taken

    def _component(self, start, piece, sources, out):
        """Start the processes of a component."""
        parameters = piece.parameters
        if isinstance(parameters, QueueParameters):
            came, left = Growing(), Growing()
            self.queues[piece.name] = came, left, out.takes
            places = None if self._unbounded else parameters.depth - 1
            start(self._store, places, sources[0], came, left)
            start(self._queue_out, came, left, out)
        elif isinstance(parameters, UnitStageParameters):
            came, left = Growing(), Growing()
            start(self._store, parameters.queue.depth, sources[0], came, left)
            start(self._unit_out, parameters, came, left, out)
        elif isinstance(parameters, EngineCore):
            self._engine(start, piece.name, parameters, sources[0], out)
        else:
            start(self._plain, parameters, sources, out)

    def _plain(self, parameters: Scheduled, sources: Sequence[Timing], out: Stream):
        """Whatever stores no more than it offers."""
        timing, taken = parameters.timing(*sources), None
        while True:
            try:
                available = next(timing) if taken is None else timing.send(taken)
            except (StopIteration, NoMoreBeats):
                break
            taken = out.give(available)
        out.ended = True

    def _fork(self, source, ways):
        """See `ForkParameters.transfers`."""
        beats, begin = Beats(source), 0
        while True:
            try:
                begin = max(beats.available(), begin)
            except NoMoreBeats:
                break
            number = len(ways[0].offers)
            for way in ways:
                way.offers.append(begin)
            self._processes.wait(lambda number=number: all(len(way.takes) > number for way in ways))
            begin = beats.take(max(way.takes[number] for way in ways)) + 1
        for way in ways:
            way.ended = True

    def _store(self, places, source, came, left):
        """Take beats into so many places, None: without end, each of which is free when its beat has left."""
        beats = Beats(source)
        try:
            while True:
                room = 0
                if places is not None and len(came) >= places:
                    number = len(came) - places
                    self._processes.wait(lambda number=number: len(left) > number)
                    room = left[number] + 1
                came.append(beats.take(room))
        except NoMoreBeats:
            came.ended = True

    def _stored(self, came, left):
        """Return when the next stored beat came; None: there are no more."""
        number = len(left)
        self._processes.wait(lambda: len(came) > number or came.ended)
        return came[number] if len(came) > number else None

    def _queue_out(self, came, left, out):
        """See `QueueParameters.timing`: a beat leaves the memory for a register."""
        gone = 0
        while (written := self._stored(came, left)) is not None:
            left.append(max(written + 1, gone))
            gone = out.give(left[-1] + 1)
        out.ended = True

    def _unit_out(self, parameters, came, left, out):
        """See `UnitStageParameters.timing`."""
        gone = -1
        while (entered := self._stored(came, left)) is not None:
            gone = out.give(max(entered + parameters.unit_latency + 1, gone) + 1)
            left.append(gone)
        out.ended = True

    def _engine(self, start, name, parameters, source, out):
        """See `signfold.hw.engine_timing`."""
        self.feeders[name] = feeder = parameters.feeder.playing(source, unbounded=self._unbounded)
        exits = Exits(parameters.rows, parameters.beats)
        ended = set()

        def fetch(count):
            self._processes.wait(lambda: feeder.written >= count or "input" in ended)
            if feeder.written < count:
                raise NoMoreBeats

        def intake():
            try:
                while True:
                    self._processes.wait(lambda: feeder.open)
                    feeder.take_position()
            except NoMoreBeats:
                ended.add("input")

        def play():
            for _ in engine_passes(parameters, feeder, exits):
                count = exits.left
                self._processes.wait(lambda count=count: exits.left > count)
            ended.add("passes")

        def give():
            self._processes.wait(lambda: exits.waiting or "passes" in ended)
            while exits.waiting:
                exits.take(out.give(exits.available()))
                self._processes.wait(lambda: exits.waiting or "passes" in ended)
            out.ended = True

        feeder.fetch = fetch
        for work in (intake, play, give):
            start(work)

    def _take(self, out, taken, ready):
        """Take the last piece's beats."""
        taken += take_all(passed(out), ready=ready)
