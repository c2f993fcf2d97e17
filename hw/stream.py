"""Stream plumbing that knows nothing of networks: a queue in block RAM or registers."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Shape, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.late_count import LateCount
from signfold.hw.timing import Beats, Scheduled, Timing

__all__ = ["Queue", "QueueParameters", "QueueProbe", "needed_depth"]


@dataclass(frozen=True)
class QueueParameters(Scheduled):
    """First-in first-out queue of a stream.

    Parameters
    ----------
    shape : ShapeLike
        Payload.
    depth : int
        Payloads it holds, at least 2.

    Raises
    ------
    TypeError, ValueError
        If `depth` is of the wrong kind or out of range.
    """

    shape: object
    depth: int

    #: Least depth: a place in the memory, and the register.
    LEAST = 2
    #: Cycles from a transfer at the input to the earliest transfer of the same payload at the output.
    LATENCY = 2

    def __post_init__(self):
        check_integer("queue depth", self.depth, minimum=self.LEAST)

    def compute(self, payloads: list) -> list:
        """Return what comes out when `payloads` go in: the same, in order."""
        return list(payloads)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which payloads become available; see `signfold.hw.timing`.

        A payload goes into a memory of depth - 1 places and from there, when the one before has left, into a register.
        """
        beats, left = Beats(source), 0
        fetched = deque(maxlen=self.depth - 1)
        while True:
            written = beats.take(fetched[0] + 1 if len(fetched) == fetched.maxlen else 0)
            fetched.append(max(written + 1, left))
            left = yield fetched[-1] + 1

    def create(self) -> "Queue":
        """Return the gateware."""
        return Queue(self)


class QueueProbe:
    """A queue without end that tells how deep it would have to be."""

    def __init__(self):
        self._written: list[int] = []
        self._fetched: list[int] = []
        self._waited = False

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which payloads become available: see `QueueParameters.timing`."""
        beats, left = Beats(source), 0
        while True:
            self._written.append(beats.take(0))
            self._fetched.append(max(self._written[-1] + 1, left))
            left = yield self._fetched[-1] + 1
            self._waited |= left > self._written[-1] + 2

    def needed(self) -> int:
        """Return the least depth at which no payload so far would have waited outside; 0: none waited inside either."""
        return needed_depth(self._written, self._fetched) if self._waited else 0


def needed_depth(written: Sequence[int], fetched: Sequence[int]) -> int:
    """Return the least depth at which no payload waits outside a queue.

    Parameters
    ----------
    written, fetched : sequence of int
        The cycles in which payloads went into the memory of a queue without end, and left it.
    """
    gone, most = 0, 0
    for number, cycle in enumerate(written):
        while fetched[gone] < cycle:
            gone += 1
        most = max(most, number - gone)
    # The last one takes a place as well, and one is in the register.
    return most + 2


class Queue(wiring.Component):
    """Queue of `parameters.depth` payloads; latency `QueueParameters.LATENCY`, throughput one payload a cycle.

    Except at depth 2: there it is one every other cycle.

    Parameters
    ----------
    parameters : QueueParameters
        Payload and depth.

    Members
    -------
    i : In(stream)
        Payloads in; ready while there is room.
    o : Out(stream)
        Payloads out, in order.
    """

    def __init__(self, parameters: QueueParameters):
        self.parameters = parameters
        super().__init__({"i": In(stream.Signature(parameters.shape)), "o": Out(stream.Signature(parameters.shape))})

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        # A memory, and its read port's register as the last place. That there is room, and that something is stored,
        # stand in registers: neither end waits for a comparison.
        places = p.depth - 1
        storage = memory.Memory(shape=Shape.cast(p.shape).width, depth=places, init=[])
        m.submodules.storage = storage
        write, read = storage.write_port(), storage.read_port()
        full, some = Signal(), Signal()
        wrote, fetched = Signal(), Signal()
        level = LateCount(m, "level", places, wrote, fetched)
        m.d.comb += [
            self.i.ready.eq(~full),
            wrote.eq(self.i.valid & ~full),
            fetched.eq(some & (~self.o.valid | self.o.ready)),
            # What is written while nothing is offered is written over.
            write.en.eq(~full),
            write.data.eq(Cat(self.i.payload)),
            read.en.eq(fetched),
            Cat(self.o.payload).eq(read.data),
        ]
        m.d.sync += [
            full.eq(Mux(full, ~fetched, level.equals(places - 1) & wrote & ~fetched)),
            some.eq(wrote | (some & (~fetched | ~level.equals(1)))),
            self.o.valid.eq(fetched | (self.o.valid & ~self.o.ready)),
        ]
        for port, moves in ((write, wrote), (read, fetched)):
            with m.If(moves):
                m.d.sync += port.addr.eq(Mux(port.addr == places - 1, 0, port.addr + 1))
        return m
