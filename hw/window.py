"""Window: keeps as much of an image as convolutions need, and plays each output position's kernel window."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.shapes import beat_layout
from signfold.hw.window_parameters import WindowParameters

__all__ = ["Window"]


class Window(wiring.Component):
    """Store the positions of an image while windows hold them, and play the windows in raster order.

    Throughput one word a cycle. Whoever steps decides when: `offer` tells that the next word is there, `step` issues
    it. A position is written to any free place and its place is freed with its last word of the last play of the last
    window that holds it, so that the next frame's positions follow those of this frame without a gap. Positions that no
    window holds are dropped. Frames are counted.

    Parameters
    ----------
    parameters : WindowParameters
        Geometry.

    Members
    -------
    i : In(stream of beat_layout(simd, bits))
        Words of the positions in raster order; `last` is not looked at.
    offer : Out(1)
        The next word may be issued.
    begin, end : Out(1)
        The next word is the first, the last of a play.
    step : In(1)
        Issue it; only with `offer`.
    advance : In(1)
        With `step`: the play is the last of its window, or of its word where the window plays by channel.
    word : Out(array of simd codes)
        The word issued two cycles ago.
    """

    def __init__(self, parameters: WindowParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.simd, p.bits))),
                "offer": Out(1),
                "begin": Out(1),
                "end": Out(1),
                "step": In(1),
                "advance": In(1),
                "word": Out(data.ArrayLayout(unsigned(p.bits), p.simd)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        size = p.capacity * p.words
        m.submodules.places = places = memory.Memory(shape=p.simd * p.bits, depth=size, init=[])
        # Where each stored position lies: the address of its first word, by row (modulo `rows`) and column.
        across = (p.width - 1).bit_length()
        m.submodules.index = index = memory.Memory(shape=range(size), depth=p.rows << across, init=[])
        m.submodules.free = free = fifo.SyncFIFOBuffered(width=max(1, (size - 1).bit_length()), depth=p.capacity)

        # Rows count from the first row of the frame that is being read: `row` is the one being written, `top` the first
        # that a window may still want. `base` is the row 0 of that frame modulo `rows`. `row` is negative while the
        # unused end of a frame comes in that has been read already.
        row, top = Signal(range(-p.height, p.height + p.rows + 1)), Signal(range(p.height))
        column = Signal(range(p.width))
        base = Signal(range(p.rows))
        row_done, frame_done = Signal(), Signal()
        m.d.sync += row.eq(row + row_done - Mux(frame_done, p.height, 0))
        with m.If(frame_done):
            m.d.sync += base.eq(base + p.height)

        self._write(m, places, index, free, row, column, top, base, row_done)
        self._read(m, places, index, free, row, column, top, base, frame_done)
        return m

    def _write(self, m, places, index, free, row, column, top, base, row_done):
        """Store incoming positions that windows hold."""
        p = self.parameters
        data_port, index_port = places.write_port(), index.write_port()
        word = Signal(range(p.words))
        image_row = Signal(range(p.height))
        fresh = Signal(range(p.capacity + 1))
        place = Signal(range(p.capacity * p.words))
        used, put = Signal(), Signal()
        unused = [[n for n in range(size) if p.last_user(axis, n) is None] for axis, size in enumerate(p.size)]
        m.d.comb += used.eq(~(_one_of(image_row, unused[0]) | _one_of(column, unused[1])))
        # After reset the places are handed out in order, later as they are freed.
        first_time = fresh != p.capacity
        fresh_place = Signal.like(place)
        m.d.comb += [
            place.eq(Mux(first_time, fresh_place, free.r_data)),
            self.i.ready.eq((~used | first_time | free.r_rdy) & (row - top < p.rows)),
            put.eq(self.i.valid & self.i.ready),
            data_port.en.eq(put & used),
            data_port.addr.eq(place + word),
            data_port.data.eq(Cat(self.i.payload.codes)),
            index_port.en.eq(put & used),
            index_port.addr.eq(Cat(column, (base + row)[: len(base)])),
            index_port.data.eq(place),
        ]
        with m.If(put):
            m.d.sync += word.eq(word + 1)
            with m.If(word == p.words - 1):
                m.d.sync += [word.eq(0), column.eq(column + 1)]
                with m.If(used & first_time):
                    m.d.sync += [fresh.eq(fresh + 1), fresh_place.eq(fresh_place + p.words)]
                m.d.comb += free.r_en.eq(used & ~first_time)
                with m.If(column == p.width - 1):
                    m.d.comb += row_done.eq(1)
                    m.d.sync += [column.eq(0), image_row.eq(Mux(image_row == p.height - 1, 0, image_row + 1))]

    def _read(self, m, places, index, free, row, column, top, base, frame_done):
        """Play the windows."""
        p = self.parameters
        data_port, index_port = places.read_port(), index.read_port()
        rows, columns = p.output_size
        sizes = {"word": p.words, "tap_x": p.kernel[1], "tap_y": p.kernel[0], "x": columns, "y": rows}
        loops = {name: _Loop(m, name, count) for name, count in sizes.items()}
        word, tap_x, tap_y, x, y = loops.values()
        inner, outer = ([tap_x, tap_y], [word, x, y]) if p.by_channel else ([word, tap_x, tap_y], [x, y])

        # The tap's place in the image, and whether it has been written.
        top_edge, _, left_edge, _ = p.padding
        corner_row = Signal(signed(_bits(p.height)), init=-top_edge)
        corner_column = Signal(signed(_bits(p.width)), init=-left_edge)
        tap_row, tap_column = Signal(signed(_bits(p.height))), Signal(signed(_bits(p.width)))
        inside, there = Signal(), Signal()
        m.d.comb += [
            tap_row.eq(corner_row + tap_y.count),
            tap_column.eq(corner_column + tap_x.count),
            inside.eq((tap_row >= 0) & (tap_row < p.height) & (tap_column >= 0) & (tap_column < p.width)),
            there.eq((tap_row < row) | ((tap_row == row) & (tap_column < column))),
            self.offer.eq(~inside | there),
            self.begin.eq(Cat(loop.at_start for loop in inner).all()),
            self.end.eq(Cat(loop.at_end for loop in inner).all()),
            top.eq(Mux(corner_row < 0, 0, corner_row)),
        ]

        # Step the loops, the innermost first; the outer ones with the last play.
        step = self.step
        for loop in inner:
            loop.step(m, step)
            step = step & loop.at_end
        step = step & self.advance
        for loop in outer:
            loop.step(m, step)
            if loop is x:
                with m.If(step):
                    m.d.sync += corner_column.eq(Mux(x.at_end, -left_edge, corner_column + p.stride[1]))
            if loop is y:
                with m.If(step):
                    m.d.sync += corner_row.eq(Mux(y.at_end, -top_edge, corner_row + p.stride[0]))
            step = step & loop.at_end
        m.d.comb += frame_done.eq(step)

        # First cycle after: the position's place; its place becomes free with its last word of the last window.
        release = (
            self.step
            & inside
            & self.advance
            & word.at_end
            & ((tap_y.count < p.stride[0]) | y.at_end)
            & ((tap_x.count < p.stride[1]) | x.at_end)
        )
        indexed = {"inside": inside, "release": release, "whole": ~word.at_end}
        held = {name: Signal(name=f"indexed_{name}") for name in indexed}
        held_word = Signal.like(word.count, name="indexed_word")
        m.d.sync += [*(held[name].eq(value) for name, value in indexed.items()), held_word.eq(word.count)]
        m.d.comb += [
            index_port.addr.eq(Cat(tap_column[: (p.width - 1).bit_length()], (base + tap_row)[: len(base)])),
            data_port.addr.eq(index_port.data + held_word),
            free.w_data.eq(index_port.data),
            free.w_en.eq(held["release"]),
        ]

        # Second cycle after: the word.
        inside_now, whole = Signal(), Signal()
        m.d.sync += [inside_now.eq(held["inside"]), whole.eq(held["whole"])]
        lanes = p.channels - (p.words - 1) * p.simd
        around = [p.pad_code if lane < lanes else Mux(whole, p.pad_code, 0) for lane in range(p.simd)]
        for lane in range(p.simd):
            code = data_port.data.word_select(lane, p.bits)
            m.d.comb += self.word[lane].eq(Mux(inside_now, code, around[lane]))


class _Loop:
    """A counter of one of nested loops."""

    def __init__(self, m, name, count):
        self.count = Signal(range(count), name=name)
        self.at_start, self.at_end = Signal(name=f"{name}_at_start"), Signal(name=f"{name}_at_end")
        m.d.comb += [self.at_start.eq(self.count == 0), self.at_end.eq(self.count == count - 1)]

    def step(self, m, when):
        with m.If(when):
            m.d.sync += self.count.eq(Mux(self.at_end, 0, self.count + 1))


def _one_of(value, constants):
    """Return whether `value` is one of the constants."""
    return Cat(value == constant for constant in constants).any()


def _bits(size):
    """Return the width of a signed count of positions that goes a kernel past either edge of an image."""
    return (4 * size).bit_length() + 1
