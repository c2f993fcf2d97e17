"""Cycles of components that form a graph, without simulating.

In a chain each component can ask the one before for its next beat (`signfold.hw.timing`). Where streams fork, what one
consumer gets depends on when the others take, so here each component is a process (a greenlet) of its own, and one that
can store has two or three: what it takes does not wait until somebody asks for what it gives. Processes wait for
numbers, never for time, and none looks at what another may still say (a Kahn network): whatever the order in which they
run, they come to the same cycles, the hardware's. If all wait, so does the hardware.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product

from greenlet import greenlet

from signfold.hw.engine_core import EngineCore
from signfold.hw.engine_timing import Exits, engine_passes
from signfold.hw.fork import ForkParameters
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.stream import QueueParameters
from signfold.hw.timing import Beats, NoMoreBeats, Scheduled, Timing, offered
from signfold.hw.unit_stage import UnitStageParameters

__all__ = ["Deadlock", "GraphTiming", "graph_schedule"]


class Deadlock(RuntimeError):
    """Components wait for one another, because queues between them are too short."""


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


class _Stream:
    """Beats between two processes: one `give`s, the other takes them through `signfold.hw.timing.Beats`."""

    def __init__(self, network):
        self._wait = network.wait
        self.offers: list[int] = []
        self.takes: list[int] = []
        self.ended = False

    def give(self, available: int) -> int:
        """Offer the next beat and return the cycle in which it is taken."""
        number = len(self.offers)
        self.offers.append(available)
        self._wait(lambda: len(self.takes) > number)
        return self.takes[number]

    def __next__(self):
        number = len(self.takes)
        if len(self.offers) <= number:
            self._wait(lambda: len(self.offers) > number or self.ended)
            if len(self.offers) <= number:
                raise StopIteration
        return self.offers[number]

    def send(self, taken):
        """Go on to the next beat, after `tell`."""
        del taken
        return next(self)

    def tell(self, taken: int) -> None:
        """Note when the beat was taken."""
        self.takes.append(taken)


class _Task:
    """A process, what it waits for, and which others may wait for what it does."""

    __slots__ = ("known", "near", "process", "waits")

    def __init__(self, process):
        self.process = process
        self.known = None
        self.near = set()
        self.waits = True


class _Growing(list):
    """Cycles that one process finds and another waits for."""

    ended = False


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
        self._tasks: list[list[_Task]] = []  # of each piece
        self._current: _Task | None = None
        self._hub = None

    def run(self, offers: Iterable[int], *, ready: Sequence[int] | Callable[[int], bool] = ()) -> list[int]:
        """Return the cycles in which the last piece's beats transfer; see `graph_schedule`."""
        self._hub = greenlet.getcurrent()
        self._streams = streams = {}
        for number, piece in enumerate(self._pieces):
            self._tasks.append([])
            sources = [streams[end] for end in piece.sources] or [offered(offers)]
            if isinstance(piece.parameters, ForkParameters):
                ways = [_Stream(self) for _ in range(piece.parameters.ways)]
                streams |= {(number, way): stream for way, stream in enumerate(ways)}
                self._start(self._fork, sources[0], ways)
                continue
            streams[number, None] = out = _Stream(self)
            self._component(piece, sources, out)
        taken: list[int] = []
        self._start(self._take, out, taken, ready)
        read = {end for piece in self._pieces for end in piece.sources}
        for (number, way), stream in streams.items():
            # Ways that leave a part of a graph: nobody waits there.
            if way is not None and (number, way) not in read:
                self._tasks[number].append(_Task(greenlet(partial(self._take, stream, [], ()), self._hub)))
        self._go()
        return taken

    def wait(self, known: Callable[[], bool]) -> None:
        """Let others run until `known` is true."""
        if not known():
            self._current.known = known
            self._hub.switch()

    def _start(self, work, *arguments):
        self._tasks[-1].append(_Task(greenlet(lambda: work(*arguments), self._hub)))

    def _go(self):
        """Run processes until all have ended."""
        tasks = [task for each in self._tasks for task in each]
        for number, piece in enumerate(self._pieces):
            for other in {number, *(source for source, _ in piece.sources)}:
                for one, two in product(self._tasks[number], self._tasks[other]):
                    one.near.add(two)
                    two.near.add(one)
        line = deque(tasks)
        while line:
            task = line.popleft()
            task.waits = False
            if task.known is not None and not task.known():
                continue
            task.known, self._current = None, task
            task.process.switch()
            # Whatever it has said only its neighbours can have heard.
            for other in task.near:
                if not other.waits and not other.process.dead:
                    other.waits = True
                    line.append(other)
        if not all(task.process.dead for task in tasks):
            raise Deadlock("queues are too short: beats are left that can never move")

    def _component(self, piece, sources, out):
        """Start the processes of a component."""
        parameters = piece.parameters
        if isinstance(parameters, QueueParameters):
            came, left = _Growing(), _Growing()
            self.queues[piece.name] = came, left, out.takes
            self._start(self._queue_in, parameters, sources[0], came, left)
            self._start(self._queue_out, came, left, out)
        elif isinstance(parameters, UnitStageParameters):
            came, left = _Growing(), _Growing()
            self._start(self._unit_in, parameters, sources[0], came, left)
            self._start(self._unit_out, parameters, came, left, out)
        elif isinstance(parameters, EngineCore):
            self._engine(piece.name, parameters, sources[0], out)
        elif isinstance(parameters, HardwiredParameters):
            raise NotImplementedError(f"{piece.name}: hardwired layers have no place in a graph")
        else:
            self._start(self._plain, parameters, sources, out)

    def _plain(self, parameters: Scheduled, sources: Sequence[Timing], out: _Stream):
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
            self.wait(lambda number=number: all(len(way.takes) > number for way in ways))
            begin = beats.take(max(way.takes[number] for way in ways)) + 1
        for way in ways:
            way.ended = True

    def _queue_in(self, parameters, source, came, left):
        """See `QueueParameters.timing`."""
        places = parameters.depth - 1
        beats = Beats(source)
        try:
            while True:
                room, number = 0, len(came) - places
                if number >= 0 and not self._unbounded:
                    self.wait(lambda number=number: len(left) > number)
                    room = left[number] + 1
                came.append(beats.take(room))
        except NoMoreBeats:
            came.ended = True

    def _queue_out(self, came, left, out):
        gone = 0
        while True:
            number = len(left)
            self.wait(lambda number=number: len(came) > number or came.ended)
            if len(came) <= number:
                break
            left.append(max(came[number] + 1, gone))
            gone = out.give(left[-1] + 1)
        out.ended = True

    def _unit_in(self, parameters, source, came, left):
        """See `UnitStageParameters.timing`."""
        depth = parameters.queue.depth
        beats = Beats(source)
        try:
            while True:
                room, number = 0, len(came) - depth
                if number >= 0:
                    self.wait(lambda number=number: len(left) > number)
                    room = left[number] + 1
                came.append(beats.take(room))
        except NoMoreBeats:
            came.ended = True

    def _unit_out(self, parameters, came, left, out):
        latency = parameters.unit_latency + 1
        gone = -1
        while True:
            number = len(left)
            self.wait(lambda number=number: len(came) > number or came.ended)
            if len(came) <= number:
                break
            gone = out.give(max(came[number] + latency, gone) + 1)
            left.append(gone)
        out.ended = True

    def _engine(self, name, parameters, source, out):
        """See `signfold.hw.engine_timing`."""
        self.feeders[name] = feeder = parameters.feeder.playing(source, unbounded=self._unbounded)
        exits = Exits(parameters.rows, parameters.beats)
        ended = set()

        def fetch(count):
            self.wait(lambda: feeder.written >= count or "input" in ended)
            if feeder.written < count:
                raise NoMoreBeats

        def intake():
            try:
                while True:
                    self.wait(lambda: feeder.open)
                    feeder.take_position()
            except NoMoreBeats:
                ended.add("input")

        def play():
            for _ in engine_passes(parameters, feeder, exits):
                count = exits.left
                self.wait(lambda count=count: exits.left > count)
            ended.add("passes")

        def give():
            self.wait(lambda: exits.waiting or "passes" in ended)
            while exits.waiting:
                exits.take(out.give(exits.available()))
                self.wait(lambda: exits.waiting or "passes" in ended)
            out.ended = True

        feeder.fetch = fetch
        for work in (intake, play, give):
            self._start(work)

    def _take(self, out, taken, ready):
        """Take the last piece's beats; see `signfold.hw.timing.take_all`."""
        beats = Beats(out)
        try:
            while True:
                cycle = beats.available()
                if callable(ready):
                    while not ready(cycle):
                        cycle += 1
                elif len(taken) < len(ready):
                    cycle = max(cycle, ready[len(taken)])
                taken.append(beats.take(cycle))
        except NoMoreBeats:
            return
