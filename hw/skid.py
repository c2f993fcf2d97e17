"""Skid buffer: a stream through registers in both directions, at full rate."""

from dataclasses import dataclass

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.timing import Beats, Scheduled, Timing

__all__ = ["SkidBuffer", "SkidBufferParameters"]


@dataclass(frozen=True)
class SkidBufferParameters(Scheduled):
    """Two places for payloads of a stream.

    Parameters
    ----------
    shape : ShapeLike
        Payload.
    """

    shape: object

    #: Cycles from a transfer at the input to the earliest transfer of the same payload at the output.
    LATENCY = 1

    def compute(self, payloads: list) -> list:
        """Return what comes out when `payloads` go in: the same, in order."""
        return list(payloads)

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which payloads become available; see `signfold.hw.timing`.

        The input is ready in the cycle after that in which the last but one payload has left.
        """
        beats, before, left = Beats(source), -1, -1
        while True:
            taken = beats.take(before + 1)
            before, left = left, (yield max(taken, left) + 1)

    def create(self) -> "SkidBuffer":
        """Return the gateware."""
        return SkidBuffer(self)


class SkidBuffer(wiring.Component):
    """Pass a stream on so that every one of its outputs comes from a register.

    Latency 1 cycle, throughput one payload a cycle. No combinational path leads through it in either direction, as AXI
    asks of every interface.

    Parameters
    ----------
    parameters : SkidBufferParameters
        Payload.

    Members
    -------
    i : In(stream of shape)
        Payloads.
    o : Out(stream of shape)
        The same.
    """

    def __init__(self, parameters: SkidBufferParameters):
        self.parameters = parameters
        payload = stream.Signature(parameters.shape)
        super().__init__({"i": In(payload), "o": Out(payload)})

    def elaborate(self, platform):
        m = Module()
        # A payload that came while the output waited.
        spare, held = Signal(self.parameters.shape), Signal()
        m.d.comb += self.i.ready.eq(~held)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [self.o.valid.eq(self.i.valid | held), held.eq(0)]
            with m.If(held):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & ~held):
            m.d.sync += [spare.eq(self.i.payload), held.eq(1)]
        return m
