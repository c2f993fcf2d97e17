"""The gateware of all engines: passes start when there is room for what comes of them, and the array never stalls."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.delay import delayed
from signfold.hw.shapes import beat_layout

__all__ = ["Engine"]


class Engine(wiring.Component):
    """Compute a layer, frame after frame.

    Throughput one frame every `parameters.interval` cycles; the latency of each beat is what `parameters.timing` says.
    The array inside never stalls: a pass starts when the queues have room for all of it.

    Parameters
    ----------
    parameters : EngineCore
        Layer and array.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words of the positions, lanes past the channels 0.
    o : Out(stream of beat_layout(lanes, output_bits))
        Codes or sums in channel order, a packet a position.
    """

    def __init__(self, parameters):
        self.parameters = p = parameters
        storage = p.feeder.storage
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(storage.simd, storage.bits))),
                "o": Out(stream.Signature(beat_layout(p.lanes, p.output_bits))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.feeder = feeder = p.feeder.create()
        m.submodules.array = array = p.array.create()
        wiring.connect(m, wiring.flipped(self.i), feeder.i)
        m.d.comb += [
            Cat(array.words).eq(Cat(feeder.words)),
            array.valid.eq(feeder.valid),
            array.first.eq(feeder.first),
            array.last.eq(feeder.last),
            array.double.eq(feeder.double),
        ]
        self._connect_weights(m, feeder.address, array)

        # Positions leave in order: the rows take turns, a position each.
        queues = [self._connect_row(m, r, array) for r in range(p.rows)]
        turn = Signal(range(p.rows))
        if p.rows == 1:
            wiring.connect(m, queues[0].o, wiring.flipped(self.o))
        else:
            m.d.comb += [
                Cat(self.o.payload).eq(Array([Cat(queue.o.payload) for queue in queues])[turn]),
                self.o.valid.eq(Array([queue.o.valid for queue in queues])[turn]),
                *(queue.o.ready.eq(self.o.ready & (turn == r)) for r, queue in enumerate(queues)),
            ]
            with m.If(self.o.valid & self.o.ready & self.o.payload.last):
                m.d.sync += turn.eq(Mux(turn == p.rows - 1, 0, turn + 1))

        # Room in each queue that no pass has claimed yet, beyond what one needs: its sign says whether there is enough.
        # What leaves is counted a cycle late, and what is claimed too, where no pass begins in the cycle after another.
        need, final = p.array.groups, p.collector.final_beats
        late = int(p.array.pass_words > 1)
        start = delayed(m, feeder.start, late, "start")
        ending = delayed(m, feeder.final, late, "ending") if p.feeder.passes > 1 else Const(1)
        grants = []
        for r, queue in enumerate(queues):
            room = Signal(range(-need, p.queue.depth - need + 1), init=p.queue.depth - need, name=f"room_{r}")
            given = Signal(name=f"given_{r}")
            change = Mux(given, Mux(ending, 1 - final, 1 - need), Mux(ending, -final, -need))
            m.d.sync += [given.eq(queue.o.valid & queue.o.ready), room.eq(room + Mux(start, change, given))]
            grants.append(room >= 0)
        m.d.comb += feeder.grant.eq(Cat(grants).all())
        return m

    def _connect_row(self, m, r, array):
        """Place what a row's sums go through, and return its queue."""
        p = self.parameters
        suffix = "" if r == 0 else f"_row{r}"
        m.submodules[f"collector{suffix}"] = collector = p.collector.create()
        m.submodules[f"queue{suffix}"] = queue = p.queue.create()
        m.d.comb += collector.done.eq(array.done[r])
        codes, valid, last = array.sums[r], collector.valid, collector.last
        if p.units[r] is not None:
            m.submodules[f"unit{suffix}"] = unit = p.units[r].create()
            m.d.comb += [Cat(unit.sums).eq(Cat(codes)), unit.valid.eq(valid)]
            last = delayed(m, last, p.units[r].latency, f"last{suffix}")
            codes, valid = unit.codes, unit.known
        m.d.comb += [
            *(queue.i.payload.codes[lane].eq(codes[lane]) for lane in range(p.lanes)),
            queue.i.payload.last.eq(last),
            queue.i.valid.eq(valid),
        ]
        return queue

    def _connect_weights(self, m, address, array):
        """Place one ROM a column group; the address travels beside the words."""
        p = self.parameters
        registers = int(p.array.registers_weights)
        address = delayed(m, address, p.array.lead - registers, "address")
        for group, parameters in reversed(list(enumerate(p.weight_roms))):
            m.submodules[parameters.name] = rom = parameters.create()
            weights = delayed(m, rom.data, registers, f"weights_{group}")
            m.d.comb += [rom.address.eq(address), array.weights[group].eq(weights)]
            travelling = Signal(len(address), name=f"address_{group}")
            m.d.sync += travelling.eq(address)
            address = travelling
