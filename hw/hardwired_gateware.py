"""The gateware of hardwired layers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.border import BorderClasses
from signfold.hw.delay import delayed
from signfold.hw.shapes import beat_layout

__all__ = ["Hardwired"]


class Hardwired(wiring.Component):
    """Compute a layer, frame after frame.

    Throughput one frame every `parameters.interval` cycles; the latency of each beat is what `parameters.timing` says.
    The adders never stall: a position goes when the queue has room for it.

    Parameters
    ----------
    parameters : HardwiredParameters
        The layer.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words of the positions, lanes past the channels of any value.
    o : Out(stream of beat_layout(hop, output_bits))
        Codes or sums in channel order, a packet a position.
    """

    def __init__(self, parameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.simd, p.bits))),
                "o": Out(stream.Signature(beat_layout(p.hop, p.output_bits))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.source = source = p.source.create()
        m.submodules.logic = logic = p.logic.create()
        m.submodules.unit = unit = p.unit.create()
        m.submodules.queue = queue = p.queue.create()
        upstream = wiring.flipped(self.i)
        if p.waiting is not None:
            m.submodules.waiting = waiting = p.waiting.create()
            wiring.connect(m, upstream, waiting.i)
            upstream = waiting.o
        wiring.connect(m, upstream, source.i)

        # Which class the position of the terms has.
        m.submodules.border = border = (p.border[0] or BorderClasses((0,), (0,))).create()
        there = delayed(m, source.valid, p.logic.latency, "there")
        m.d.comb += [
            Cat(logic.values).eq(Cat(source.codes)),
            Cat(unit.terms).eq(Cat(logic.terms)),
            unit.number.eq(border.current),
            border.step.eq(there),
            Cat(queue.i.payload.codes).eq(Cat(unit.codes)),
            queue.i.payload.last.eq(1),
            queue.i.valid.eq(delayed(m, there, p.unit.latency, "known")),
        ]

        # Room in the queue that no position has claimed yet.
        room = Signal(range(p.queue.depth + 1), init=p.queue.depth)
        m.d.comb += source.grant.eq(room != 0)
        m.d.sync += room.eq(room + (queue.o.valid & queue.o.ready) - source.claim)
        downstream = queue.o
        if p.narrower is not None:
            m.submodules.narrower = narrower = p.narrower.create()
            wiring.connect(m, downstream, narrower.i)
            downstream = narrower.o
        wiring.connect(m, downstream, wiring.flipped(self.o))
        return m
