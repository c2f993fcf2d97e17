"""Fork: one stream to several consumers, each at its own pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer

__all__ = ["Fork", "ForkParameters"]


@dataclass(frozen=True)
class ForkParameters:
    """A stream that several consumers take.

    Parameters
    ----------
    shape : ShapeLike
        Payload.
    ways : int
        Consumers, at least 2.

    Raises
    ------
    TypeError, ValueError
        If `ways` is of the wrong kind or out of range.
    """

    shape: object
    ways: int

    #: Cycles from an offer at the input to the same offer at the outputs.
    LATENCY = 0

    def __post_init__(self):
        check_integer("ways of a fork", self.ways, minimum=2)

    def compute(self, payloads: list[Any]) -> list[list[Any]]:
        """Return what comes out at each way when `payloads` go in: the same, in order."""
        return [list(payloads) for _ in range(self.ways)]

    def transfers(self, offers: Sequence[int], ready: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
        """Return the cycles of all transfers: at the input, and at each way.

        A fork has no `timing` as other components have, because the ways hold one another up: what comes after a
        payload is offered to each when all have taken that one.

        Parameters
        ----------
        offers : sequence of int
            Earliest cycle in which each payload is offered.
        ready : sequence of sequences of int
            For each way the earliest cycle in which it takes each payload.
        """
        taken: list[int] = []
        ways: list[list[int]] = [[] for _ in range(self.ways)]
        for offer, *earliest in zip(offers, *ready, strict=True):
            begin = max(offer, taken[-1] + 1) if taken else offer
            for cycles, cycle in zip(ways, earliest, strict=True):
                cycles.append(max(begin, cycle))
            taken.append(max(cycles[-1] for cycles in ways))
        return taken, ways

    def create(self) -> "Fork":
        """Return the gateware."""
        return Fork(self)


class Fork(wiring.Component):
    """Offer each payload to every consumer, and take it when the last of them does.

    Eager: a consumer takes as soon as it likes, whatever the others do, and is not offered the same payload again. No
    latency, throughput one payload a cycle, one flip-flop a way. An offer waits for no `ready`; the input's `ready`
    follows those of the ways in the same cycle.

    Parameters
    ----------
    parameters : ForkParameters
        Payload and ways.

    Members
    -------
    i : In(stream of shape)
        Payloads.
    o0, o1, ... : Out(stream of shape)
        The same, for each consumer.
    """

    def __init__(self, parameters: ForkParameters):
        self.parameters = p = parameters
        payload = stream.Signature(p.shape)
        super().__init__({"i": In(payload)} | {f"o{way}": Out(payload) for way in range(p.ways)})

    @property
    def outputs(self) -> list[Any]:
        """The streams `o0`, `o1`, ..., in order."""
        return [getattr(self, f"o{way}") for way in range(self.parameters.ways)]

    def elaborate(self, platform):
        m = Module()
        done, going = Signal(self.parameters.ways), Signal(self.parameters.ways)
        for way, output in enumerate(self.outputs):
            m.d.comb += [
                output.payload.eq(self.i.payload),
                output.valid.eq(self.i.valid & ~done[way]),
                going[way].eq(done[way] | output.ready),
            ]
        m.d.comb += self.i.ready.eq(going.all())
        with m.If(self.i.valid):
            # Where all go a new payload comes next.
            m.d.sync += done.eq(Mux(self.i.ready, 0, going))
        return m
