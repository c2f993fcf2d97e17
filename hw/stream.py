"""Stream plumbing that knows nothing of networks: a queue in block RAM or registers."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Shape
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["Queue", "QueueParameters"]


@dataclass(frozen=True)
class QueueParameters:
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

    def __post_init__(self):
        check_integer("queue depth", self.depth, minimum=2)

    #: Cycles from a transfer at the input to the earliest transfer of the same payload at the output.
    LATENCY = 2

    def compute(self, payloads: list) -> list:
        """Return what comes out when `payloads` go in: the same, in order."""
        return list(payloads)

    def schedule(self, offers: list[int]) -> list[int]:
        """Return the cycles at which payloads offered in the given cycles become available, if all are taken at once.

        Parameters
        ----------
        offers : list of int
            Ascending cycle numbers.
        """
        available = []
        for offer in offers:
            earliest = available[-1] + 1 if available else offer
            available.append(max(offer + self.LATENCY, earliest))
        return available

    def create(self) -> "Queue":
        """Return the gateware."""
        return Queue(self)


class Queue(wiring.Component):
    """Queue of `parameters.depth` payloads; latency `QueueParameters.LATENCY`, throughput one payload a cycle.

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
        m = Module()
        width = Shape.cast(self.parameters.shape).width
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=width, depth=self.parameters.depth)
        m.d.comb += [
            queue.w_data.eq(Cat(self.i.payload)),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Cat(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m
