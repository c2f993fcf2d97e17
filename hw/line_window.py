"""Line window: all taps of a kernel window side by side, at one position of the padded image a cycle."""

from collections.abc import Generator
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.image import ImageGeometry
from signfold.hw.shapes import beat_layout
from signfold.hw.timing import Beats, Timing

__all__ = ["LineWindow", "LineWindowParameters"]


@dataclass(frozen=True)
class LineWindowParameters:
    """Windows over an image whose positions come one a beat.

    The image is walked row by row, with a gap after each row and after the last row: what lies around the image on the
    left and on the right, above and below, shares it. So a frame takes (height + larger of top and bottom padding) *
    (width + larger of left and right padding) cycles.

    Parameters
    ----------
    image : ImageGeometry
        Image and windows; a `pad` of None is sent as code 0.
    inputs : int
        Codes of a position.
    bits : int
        Width of a code.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    image: ImageGeometry
    inputs: int
    bits: int = 1

    #: Cycles from the claim of a vector to its appearance.
    DELAY = 1

    def __post_init__(self):
        check_integer("inputs", self.inputs, minimum=1)
        # Its parameters check the rest.
        window = self.image.window(self.inputs, self.inputs, self.bits)
        if min(self.image.padding) < 0:
            raise ValueError(f"padding must not be negative, not {self.image.padding!r}")
        object.__setattr__(self, "_size", window.output_size)

    @property
    def simd(self) -> int:
        """Codes of a word: a position."""
        return self.inputs

    @property
    def taps(self) -> int:
        """Positions of a window."""
        return self.image.kernel[0] * self.image.kernel[1]

    @property
    def output_size(self) -> tuple[int, int]:
        """Output positions down and across."""
        return self._size

    @property
    def positions(self) -> int:
        """Windows of a frame."""
        return self.output_size[0] * self.output_size[1]

    @property
    def pace(self) -> int:
        """Fewest cycles from one vector to the next."""
        columns = self.corners(1)
        # From the last window of a row to the first of the next one, or from one to the next in a row.
        turn = self.pitch - (columns[-1] - columns[0])
        return min(turn, self.image.stride[1]) if len(columns) > 1 else turn

    @property
    def lines(self) -> int:
        """Rows of a frame with those of the gap."""
        return self.image.height + max(self.image.padding[:2])

    @property
    def pitch(self) -> int:
        """Columns of a row with those of the gap."""
        return self.image.width + max(self.image.padding[2:])

    @property
    def interval(self) -> int:
        """Fewest cycles from one frame to the next."""
        return self.lines * self.pitch

    @property
    def settling(self) -> int:
        """Cycles after reset until positions are taken: a gap comes first."""
        return (self.lines - self.image.height) * self.pitch + self.pitch - self.image.width

    @property
    def start(self) -> int:
        """Where the walk starts after reset, a row's pitch after another."""
        return -self.settling % (self.lines * self.pitch)

    def corners(self, axis: int) -> list[int]:
        """Return the rows (axis 0) or columns (1) in which windows have their last tap."""
        image = self.image
        first = image.kernel[axis] - 1 - image.padding[2 * axis]
        return [first + k * image.stride[axis] for k in range(self.output_size[axis])]

    def vectors(self, source: Timing) -> Generator[None, int, None]:
        """Take the positions of `source`: is sent the earliest cycle of the next claim, and yields the claim."""
        beats, cycle = Beats(source), -2  # the first cycle after reset is the one before cycle 0
        image, rows, columns = self.image, set(self.corners(0)), set(self.corners(1))
        place, started = self.start, False
        grant = yield
        while True:
            row, column = divmod(place, self.pitch)
            inside = row < image.height and column < image.width
            # Windows of the gap before the first frame are those of no frame.
            started = started or inside
            claims = started and row in rows and column in columns
            cycle = max(cycle + 1, grant) if claims else cycle + 1
            if inside:
                cycle = beats.take(cycle)
            if claims:
                grant = yield cycle
            place = (place + 1) % (self.lines * self.pitch)

    def create(self) -> "LineWindow":
        """Return the gateware."""
        return LineWindow(self)


class LineWindow(wiring.Component):
    """Keep kernel height - 1 rows of an image, and the window at the position that comes in.

    Throughput one position a cycle, those of the gap included. Frames are counted; `last` is not looked at.

    Parameters
    ----------
    parameters : LineWindowParameters
        Geometry.

    Members
    -------
    i : In(stream of beat_layout(inputs, bits))
        Positions in raster order.
    grant : In(1)
        A window may go.
    claim : Out(1)
        A window goes; only with `grant`.
    valid : Out(1)
        `codes` is the window claimed `DELAY` cycles ago: in the cycle before.
    codes : Out(array of taps * inputs codes)
        The window, tap by tap in raster order.
    """

    def __init__(self, parameters: LineWindowParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.inputs, p.bits))),
                "grant": In(1),
                "claim": Out(1),
                "valid": Out(1),
                "codes": Out(data.ArrayLayout(unsigned(p.bits), p.taps * p.inputs)),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        (height, width), (down, across) = p.image.kernel, (p.lines, p.pitch)
        start = divmod(p.start, p.pitch)
        row, column = Signal(range(down), init=start[0]), Signal(range(across), init=start[1])
        next_column = Signal.like(column)
        inside, corner, started, step = Signal(), Signal(), Signal(), Signal()
        free = ~corner | self.grant
        m.d.comb += [
            inside.eq((row < p.image.height) & (column < p.image.width)),
            # Windows of the gap before the first frame are those of no frame.
            corner.eq(_one_of(row, p.corners(0)) & _one_of(column, p.corners(1)) & (started | inside)),
            self.i.ready.eq(inside & free),
            step.eq((~inside | self.i.valid) & free),
            self.claim.eq(step & corner),
            next_column.eq(Mux(column == across - 1, 0, column + 1)),
        ]
        m.d.sync += self.valid.eq(self.claim)
        with m.If(step):
            m.d.sync += [column.eq(next_column), started.eq(started | inside)]
            with m.If(column == across - 1):
                m.d.sync += row.eq(Mux(row == down - 1, 0, row + 1))

        # The column of the window that comes in, its lowest position first: the one walked, and those above it.
        size = p.inputs * p.bits
        pad = sum((p.image.pad or 0) << (k * p.bits) for k in range(p.inputs))
        lowest = Mux(inside, Cat(self.i.payload.codes), pad)[:size]
        incoming = Signal(height * size)
        above = Signal((height - 1) * size)
        m.d.comb += incoming.eq(Cat(lowest, above))
        if height > 1 and across > 1:
            m.submodules.lines = lines = memory.Memory(shape=len(above), depth=across, init=[])
            write, read = lines.write_port(), lines.read_port()
            m.d.comb += [
                write.en.eq(step),
                write.addr.eq(column),
                write.data.eq(incoming[: len(above)]),
                # Read one step ahead, which hides the latency; the place is never the one being written.
                read.addr.eq(Mux(step, next_column, column)),
                above.eq(read.data),
            ]
        elif height > 1:
            held = Signal.like(above, reset_less=True)
            m.d.comb += above.eq(held)
            with m.If(step):
                m.d.sync += held.eq(incoming)

        for tap_row in range(height):
            line = Signal(width * size, name=f"line_{tap_row}", reset_less=True)
            with m.If(step):
                m.d.sync += line.eq(Cat(line[size:], incoming.word_select(height - 1 - tap_row, size)))
            first = tap_row * width * p.inputs
            for k in range(width * p.inputs):
                m.d.comb += self.codes[first + k].eq(line.word_select(k, p.bits))
        return m


def _one_of(value, constants):
    """Return whether `value` is one of ascending constants."""
    if constants == list(range(constants[0], constants[-1] + 1)):
        least = value >= constants[0] if constants[0] > 0 else 1
        return least & (value <= constants[-1])
    return Cat(value == constant for constant in constants).any()
