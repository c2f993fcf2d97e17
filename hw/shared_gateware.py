"""The gateware of a shared engine: one array, two memories that swap roles, and the loops that move words."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.delay import delayed
from signfold.hw.lookup import lookup
from signfold.hw.packet import packet_layout
from signfold.hw.shapes import beat_layout
from signfold.hw.shared_layer import ISSUE_LEVELS
from signfold.hw.shared_packer import PackerParameters

__all__ = ["SharedEngine"]

_PLAY, _PASS = ISSUE_LEVELS.index("play"), ISSUE_LEVELS.index("pass")


class SharedEngine(wiring.Component):
    """Compute layers in turn, frame after frame.

    Throughput one frame every `parameters.interval` cycles where input comes as fast as it is taken; the cycle of each
    beat is what `parameters.timing` says. The array never stalls: a pass of the last layer starts when the queue has
    room for all of it.

    Parameters
    ----------
    parameters : SharedEngineParameters
        Layers and array.

    Members
    -------
    i : In(stream of beat_layout(input_lanes, input_bits))
        Words of the positions, lanes past the channels 0.
    o : Out(stream of beat_layout(lanes, output_bits))
        Codes or sums of the last layer in channel order, a packet a position.
    w : In(stream of packet_layout()), where weights are loaded
        Chunks of weights, see `signfold.hw.shared_loader`; taken while no layer runs.
    """

    def __init__(self, parameters):
        self.parameters = p = parameters
        members = {
            "i": In(stream.Signature(beat_layout(p.input_lanes, p.input_bits))),
            "o": Out(stream.Signature(beat_layout(p.lanes, p.output_bits))),
        }
        if p.loaded is not None:
            members["w"] = In(stream.Signature(packet_layout()))
        super().__init__(members)

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.issue = issue = p.issue.create()
        m.submodules.writes = writes = p.writes.create()
        m.submodules.array = array = p.array.create()
        m.submodules.packer = packer = PackerParameters(p).create()
        m.submodules.queue = queue = p.queue.create()
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        # A layer starts when its input is complete and the layer before has issued its last word.
        running, held, role = Signal(), Signal(), Signal(init=1)
        complete, stop, start = Signal(), Signal(), Signal()
        m.d.comb += [
            complete.eq(writes.step & writes.ends[-1]),
            stop.eq(issue.step & issue.ends[-1]),
            start.eq((complete | held) & (~running | stop)),
        ]
        m.d.sync += [held.eq((complete | held) & ~start), running.eq(start | (running & ~stop)), role.eq(role ^ start)]

        reading = self._issue_words(m, issue, array, running, queue)
        address, word = self._write_words(m, writes, packer, held)
        halves = []
        for n, parameters in enumerate(p.memories):
            m.submodules[f"memory_{n}"] = memory = parameters.create()
            # The layer at work reads memory `role`; the next one's input goes into the other.
            m.d.comb += [
                memory.address.eq(Mux(role == n, issue.value_0, address)),
                memory.write.eq(writes.step & (role != n)),
                memory.value.eq(word),
            ]
            halves.append(memory.data)
        m.d.comb += Cat(array.words).eq(
            delayed(m, reading(Mux(delayed(m, role, 1, "role"), *reversed(halves))), 1, "word")
        )

        self._connect_weights(m, issue.value_1, array, running)
        m.d.comb += [
            packer.done.eq(array.done[0]),
            Cat(packer.sums).eq(Cat(array.sums[0])),
            queue.i.payload.eq(packer.beat),
            queue.i.valid.eq(packer.given),
        ]
        return m

    def _issue_words(self, m, issue, array, running, queue):
        """Step through the words, and return what makes an activation word of what was read."""
        p = self.parameters
        final, opening, beginning, grant = Signal(), Signal(init=1), Signal(init=1), Signal()
        m.d.comb += [
            final.eq(issue.program == len(p.layers) - 1),
            issue.step.eq(running & (grant | ~final | ~opening)),
        ]
        with m.If(issue.step):
            m.d.sync += [opening.eq(issue.ends[_PLAY]), beginning.eq(issue.ends[_PLAY - 1])]
        # Room in the queue that no pass has claimed yet.
        room = Signal(range(p.queue.depth + 1), init=p.queue.depth)
        kept = Mux(issue.iteration_6 == p.last.passes - 1, p.last.collector.final_beats, p.array.groups)
        claim = Mux(issue.step & opening & final, kept, 0)
        m.d.sync += room.eq(room + (queue.o.valid & queue.o.ready) - claim)
        m.d.comb += grant.eq(room >= p.array.groups)

        delay = p.DELAY
        m.d.comb += [
            array.valid.eq(delayed(m, issue.step, delay, "valid")),
            array.first.eq(delayed(m, opening, delay, "first")),
            array.last.eq(delayed(m, issue.ends[_PLAY], delay, "last")),
        ]
        if len(p.array.planes.plays) > 1:
            doubles = [[play.double for play in layer.engine.planes.plays] for layer in p.layers]
            double = Signal()
            with m.Switch(issue.program):
                for k, plays in enumerate(doubles):
                    with m.Case(k):
                        m.d.comb += double.eq(lookup(m, issue.iteration_3, [int(d) for d in plays], f"double_{k}"))
            m.d.comb += array.double.eq(delayed(m, double & beginning, delay, "double"))
        if not any(layer.padded for layer in p.layers):
            return lambda word: word
        inside, around = delayed(m, self._inside(m, issue), 1, "inside"), self._around(m, issue)
        return lambda word: Mux(inside, word, around)

    def _inside(self, m, issue):
        """Return whether the word that is issued lies inside the input."""
        p = self.parameters
        found = Const(1)
        for axis, place in enumerate((issue.value_2, issue.value_3)):
            low = lookup(m, issue.program, [-layer.first[axis] for layer in p.layers], f"low_{axis}")
            sizes = [-layer.first[axis] + layer.input_size[axis] for layer in p.layers]
            high = lookup(m, issue.program, sizes, f"high_{axis}")
            found = found & (place >= low) & (place < high)
        # A dense layer has no places to tell.
        dense = lookup(m, issue.program, [int(layer.engine.image is None) for layer in p.layers], "dense")
        return found | dense

    def _around(self, m, issue):
        """Return the word of the positions around the input, a cycle after its issue: the bits of the pad's code."""
        p = self.parameters
        around = Signal(p.simd)
        with m.Switch(issue.program):
            for k, layer in enumerate(p.layers):
                engine = layer.engine
                code = 0 if engine.image is None or not engine.image.pad else engine.image.pad
                if code == 0:
                    continue
                with m.Case(k):
                    table = [code >> play.activation & 1 for play in engine.planes.plays]
                    bit = lookup(m, issue.iteration_3, table, f"pad_{k}")
                    lanes = engine.inputs - (layer.words - 1) * p.simd
                    mask = Mux(issue.iteration_0 == layer.words - 1, (1 << lanes) - 1, (1 << p.simd) - 1)
                    m.d.comb += around.eq(Mux(bit, mask, 0))
        return delayed(m, around, 1, "around")

    def _write_words(self, m, writes, packer, held):
        """Write the next layer's input plane by plane, and return address and word."""
        first, last_plane = Signal(), Signal()
        m.d.comb += [first.eq(writes.program == 0), last_plane.eq(writes.ends[0])]
        planes = lambda codes: [Cat(code[plane] for code in codes) for plane in range(len(codes[0]))]  # noqa: E731
        sources = [planes(list(self.i.payload.codes)), planes(packer.word)]
        words = [
            Cat(*choices) if len(choices) == 1 else Cat(*choices).word_select(writes.iteration_0, len(choices[0]))
            for choices in sources
        ]
        # The frame after the next waits until the memories have swapped roles.
        offered = self.i.valid & ~held
        m.d.comb += [
            writes.step.eq(Mux(first, offered, packer.valid)),
            self.i.ready.eq(first & ~held & last_plane),
            packer.ready.eq(~first & last_plane),
        ]
        return writes.value_0, Mux(first, words[0], words[1])

    def _connect_weights(self, m, address, array, running):
        """Place one memory a column group; the address travels beside the words."""
        p = self.parameters
        address = delayed(m, address, p.DELAY - 1 + p.array.lead, "weight_address")
        loader = None
        if p.loaded is not None:
            m.submodules.loader = loader = p.loader.create()
            wiring.connect(m, wiring.flipped(self.w), loader.i)
            # The words that were issued last are still on their way to the columns.
            recent = Signal(p.DELAY + p.array.lead + p.array.groups)
            m.d.sync += recent.eq(Cat(running, recent))
            m.d.comb += loader.enable.eq(~running & ~recent.any())
        for group, table in reversed(list(enumerate(p.weight_tables))):
            if loader is None:
                m.submodules[table.name] = memory = table.create()
                m.d.comb += memory.address.eq(address)
            else:
                m.submodules[table.name] = memory = p.weight_memories[group].create()
                m.d.comb += [
                    memory.address.eq(Mux(loader.writing, loader.address, address)),
                    memory.write.eq(loader.write[group]),
                    memory.value.eq(loader.value),
                ]
            m.d.comb += array.weights[group].eq(memory.data)
            travelling = Signal(len(address), name=f"weight_address_{group}")
            m.d.sync += travelling.eq(address)
            address = travelling
