"""AXI4-Stream at both ends of an accelerator: transfers of whole bytes, frames that a soft reset cuts short."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.shapes import beat_layout, result_layout
from signfold.hw.skid import SkidBufferParameters
from signfold.hw.timing import Scheduled, Timing

__all__ = ["FrameInput", "FrameInputParameters", "ResultOutput", "ResultOutputParameters", "axis_layout"]


def axis_layout(size: int) -> data.StructLayout:
    """Payload of an AXI4-Stream without side channels: `data`, TDATA of `size` bytes, and `last`, TLAST."""
    return data.StructLayout({"data": unsigned(8 * size), "last": 1})


@dataclass(frozen=True)
class FrameInputParameters(Scheduled):
    """Frames that come by AXI4-Stream.

    TDATA holds `lanes` codes of `bits` bits side by side, lane 0 in the least significant bits, and is rounded up to
    whole bytes; what the rounding adds is not looked at.

    Parameters
    ----------
    lanes, bits : int
        Codes of a beat, bits of a code.
    beats : int
        Beats of a whole frame.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    lanes: int
    bits: int
    beats: int

    def __post_init__(self):
        check_integer("lanes", self.lanes, minimum=1)
        check_integer("bits", self.bits, minimum=1)
        check_integer("beats", self.beats, minimum=1)

    @property
    def size(self) -> int:
        """Bytes of TDATA."""
        return -(-self.lanes * self.bits // 8)

    @property
    def skid(self) -> SkidBufferParameters:
        """Registers at the side of the bus."""
        return SkidBufferParameters(axis_layout(self.size))

    def pack(self, frame: np.ndarray) -> list[int]:
        """Return the TDATA of each beat of a frame of codes, the last one with 0 in lanes past the end."""
        codes = [int(code) for code in frame]
        rows = [codes[start : start + self.lanes] for start in range(0, len(codes), self.lanes)]
        return [sum(code << (lane * self.bits) for lane, code in enumerate(row)) for row in rows]

    def compute(self, beats: list[tuple[int, int]]) -> tuple[list[dict], dict[str, int]]:
        """Return the beats that come out for beats (TDATA, TLAST) that come in, and the counts of frames.

        The counts are `frames` (TLAST transferred), `short` and `long` (before and after the final beat of a frame).
        """
        mask = (1 << self.bits) - 1
        counts, position, out = {"frames": 0, "short": 0, "long": 0}, 0, []
        for word, last in beats:
            out.append({"codes": [word >> (lane * self.bits) & mask for lane in range(self.lanes)], "last": int(last)})
            position += 1
            if last:
                counts["frames"] += 1
                counts["short"] += position < self.beats
                counts["long"] += position > self.beats
                position = 0
        return out, counts

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which beats become available; see `signfold.hw.timing`."""
        return self.skid.timing(source)

    def create(self) -> "FrameInput":
        """Return the gateware."""
        return FrameInput(self)


class FrameInput(wiring.Component):
    """Unpack beats, count what comes, and drop the rest of a frame that a soft reset has cut.

    Latency 1 cycle, throughput one beat a cycle. Frames of the wrong length pass as they are: the accelerator fills up
    those that are short and cuts those that are long.

    Parameters
    ----------
    parameters : FrameInputParameters
        Layout and length.

    Members
    -------
    i : In(stream of axis_layout(size))
        Beats of frames.
    o : Out(stream of beat_layout(lanes, bits))
        The same. An offer may be taken back by `flush`, and only by it.
    flush : In(1)
        Whoever reads `o` forgets what it has, a transfer of this cycle included: what has not come yet of the frame
        that is under way goes nowhere.
    frame, short, long : Out(1)
        A frame ends in this cycle; it has too few beats; too many.
    idle : Out(1)
        No frame is under way.
    """

    def __init__(self, parameters: FrameInputParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(axis_layout(p.size))),
                "o": Out(stream.Signature(beat_layout(p.lanes, p.bits))),
                "flush": In(1),
                "frame": Out(1),
                "short": Out(1),
                "long": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.skid = skid = p.skid.create()
        wiring.connect(m, wiring.flipped(self.i), skid.i)
        beat, last, transfer = skid.o, skid.o.payload.last, Signal()
        # Beats of the frame so far; one more than a whole frame has stands for all that are longer.
        position, dropping = Signal(range(p.beats + 1)), Signal()
        for lane in range(p.lanes):
            code = beat.payload.data[lane * p.bits : (lane + 1) * p.bits]
            m.d.comb += self.o.payload.codes[lane].eq(code)
        m.d.comb += [
            self.o.payload.last.eq(last),
            self.o.valid.eq(beat.valid & ~dropping),
            beat.ready.eq(self.o.ready | dropping),
            transfer.eq(beat.valid & beat.ready),
            self.idle.eq((position == 0) & ~dropping & ~beat.valid),
            self.frame.eq(transfer & last & ~dropping),
            self.short.eq(self.frame & (position < p.beats - 1)),
            self.long.eq(self.frame & (position > p.beats - 1)),
        ]
        inside = Signal()
        m.d.comb += inside.eq(Mux(transfer, ~last, (position != 0) | dropping))
        with m.If(transfer & last):
            m.d.sync += [position.eq(0), dropping.eq(0)]
        with m.Elif(transfer & ~dropping & (position != p.beats)):
            m.d.sync += position.eq(position + 1)
        with m.If(self.flush):
            m.d.sync += [dropping.eq(inside), position.eq(0)]
        return m


@dataclass(frozen=True)
class ResultOutputParameters(Scheduled):
    """Results that leave by AXI4-Stream, a beat a class.

    TDATA has two fields of equal size, 1, 2, 4 or more bytes, whatever power of two holds both: the score in the low
    one, with its sign extended, and the best class so far in the high one.

    Parameters
    ----------
    score_width : int
        Bits of a score.
    classes : int
        Number of classes.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    score_width: int
    classes: int

    def __post_init__(self):
        check_integer("score width", self.score_width, minimum=1)
        check_integer("classes", self.classes, minimum=1)

    @property
    def field(self) -> int:
        """Bits of a field."""
        return 8 << (-(-max(self.score_width, (self.classes - 1).bit_length()) // 8) - 1).bit_length()

    @property
    def size(self) -> int:
        """Bytes of TDATA."""
        return 2 * self.field // 8

    @property
    def skid(self) -> SkidBufferParameters:
        """Registers at the side of the bus."""
        return SkidBufferParameters(axis_layout(self.size))

    def compute(self, results: list[dict]) -> list[dict]:
        """Return the beats that come out for results that come in."""
        mask = (1 << self.field) - 1
        return [{"data": r["best"] << self.field | (r["score"] & mask), "last": r["last"]} for r in results]

    def unpack(self, word: int) -> tuple[int, int]:
        """Return score and best class of a beat's TDATA."""
        score = word & ((1 << self.field) - 1)
        return score - (score >> (self.field - 1) << self.field), word >> self.field

    def timing(self, source: Timing) -> Timing:
        """Yield the cycles at which beats become available; see `signfold.hw.timing`."""
        return self.skid.timing(source)

    def create(self) -> "ResultOutput":
        """Return the gateware."""
        return ResultOutput(self)


class ResultOutput(wiring.Component):
    """Pack results, and complete a packet that a soft reset has cut.

    Latency 1 cycle, throughput one beat a cycle. What is offered on `o` stays, whatever happens.

    Parameters
    ----------
    parameters : ResultOutputParameters
        Layout.

    Members
    -------
    i : In(stream of result_layout(score_width, classes))
        Results, packets of one beat a class.
    o : Out(stream of axis_layout(size))
        The same; of a packet that is cut the missing beats are 0.
    flush : In(1)
        Whoever offers on `i` forgets what it has, but for a transfer of this cycle.
    frame : Out(1)
        A packet that is not filled up ends in this cycle.
    idle : Out(1)
        No packet is under way.
    """

    def __init__(self, parameters: ResultOutputParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(result_layout(p.score_width, p.classes))),
                "o": Out(stream.Signature(axis_layout(p.size))),
                "flush": In(1),
                "frame": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.skid = skid = p.skid.create()
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        beat = skid.i
        index, filling, transfer, final = Signal(range(p.classes)), Signal(), Signal(), Signal()
        following = Signal(range(p.classes))
        score = Signal(data.ArrayLayout(unsigned(p.field), 2))
        # Extends the sign.
        m.d.comb += [score[0].eq(self.i.payload.score), score[1].eq(self.i.payload.best)]
        m.d.comb += [
            final.eq(index == p.classes - 1),
            beat.payload.data.eq(Mux(filling, 0, score.as_value())),
            beat.payload.last.eq(final),
            beat.valid.eq(self.i.valid | filling),
            self.i.ready.eq(beat.ready & ~filling),
            transfer.eq(beat.valid & beat.ready),
            following.eq(Mux(transfer, Mux(final, 0, index + 1), index)),
            self.frame.eq(transfer & final & ~filling),
            self.idle.eq((index == 0) & ~skid.o.valid),
        ]
        m.d.sync += index.eq(following)
        with m.If(self.flush | filling):
            m.d.sync += filling.eq(following != 0)
        return m
