"""Control block of an accelerator on a bus: what it is, what it counts, and its soft reset."""

from dataclasses import dataclass

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.axi_lite import ADDRESS_BITS, AxiLiteParameters
from signfold.hw.check import check_integer

__all__ = ["ADDRESSES", "IDENTIFIER", "REGISTERS", "REGISTER_VERSION", "AxiControl", "AxiControlParameters"]

#: First register: "SGNF" in the order of the bytes.
IDENTIFIER = int.from_bytes(b"SGNF", "little")
#: Version of the map: a change of the high half is one that old programs do not understand.
REGISTER_VERSION = 0x0001_0000

#: Name and meaning of each register, in the order of their addresses; docs/integration.md explains them.
REGISTERS = (
    ("ID", "'SGNF', first byte first"),
    ("VERSION", "of this map: major in the high half, minor in the low one"),
    ("CONTROL", "write 1 to bit 0: soft reset; reads 0"),
    ("STATUS", "bit 0: nothing is under way; bits 1, 2: a frame was too short, too long"),
    ("FRAMES_IN", "frames whose TLAST has come"),
    ("FRAMES_OUT", "results whose last beat has left the accelerator"),
    ("SHORT_FRAMES", "frames that ended too early and were filled up with codes 0"),
    ("LONG_FRAMES", "frames that ended too late and were cut"),
    ("ELEMENTS", "codes of a frame"),
    ("CODES", "bits of a code in bits 7..0, codes of a beat in bits 31..16"),
    ("BEATS", "input beats of a frame"),
    ("CLASSES", "result beats of a frame"),
    ("SCORES", "bits of a score in bits 15..0, bits of a field of TDATA in bits 31..16"),
    ("LATENCY", "cycles from a frame's first beat to the last one of its result"),
    ("INTERVAL", "cycles from frame to frame"),
    ("LOAD", "bytes of a chunk of weights in bits 15..0, chunks in bits 31..16; 0: nothing to load"),
    *(
        (f"HASH{k}", f"bytes {4 * k} to {4 * k + 3} of the network's content hash, the first one lowest")
        for k in range(8)
    ),
)
#: Address of each register by its name.
ADDRESSES = {name: 4 * index for index, (name, _) in enumerate(REGISTERS)}
#: Index of the one register that can be written.
_CONTROL = ADDRESSES["CONTROL"] // 4
_COUNTS = ("FRAMES_IN", "FRAMES_OUT", "SHORT_FRAMES", "LONG_FRAMES")


@dataclass(frozen=True)
class AxiControlParameters:
    """What the registers tell of an accelerator.

    Parameters
    ----------
    identity : bytes
        Content hash of the network, 32 bytes.
    elements, bits, lanes, beats : int
        Codes of a frame, bits of a code, codes of a beat, beats of a frame.
    classes, score_width, field : int
        Result beats of a frame, bits of a score, bits of a field of TDATA.
    latency, interval : int
        Cycles.
    chunk, chunks : int
        Bytes of a chunk of weights that is loaded and how many there are; 0 for none.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    identity: bytes
    elements: int
    bits: int
    lanes: int
    beats: int
    classes: int
    score_width: int
    field: int
    latency: int
    interval: int
    chunk: int = 0
    chunks: int = 0

    def __post_init__(self):
        if len(self.identity) != 32:
            raise ValueError(f"identity must be 32 bytes, not {len(self.identity)}")
        for name in ("elements", "beats", "classes", "latency", "interval"):
            check_integer(name, getattr(self, name), minimum=1, maximum=0xFFFF_FFFF)
        for name in ("lanes", "score_width", "field"):
            check_integer(name, getattr(self, name), minimum=1, maximum=0xFFFF)
        check_integer("bits", self.bits, minimum=1, maximum=0xFF)
        for name in ("chunk", "chunks"):
            check_integer(name, getattr(self, name), minimum=0, maximum=0xFFFF)

    @property
    def bus(self) -> AxiLiteParameters:
        """The registers as the bus sees them."""
        return AxiLiteParameters(len(REGISTERS), (_CONTROL,))

    @property
    def constants(self) -> dict[str, int]:
        """What never changes, by the register's name."""
        words = {
            "ID": IDENTIFIER,
            "VERSION": REGISTER_VERSION,
            "ELEMENTS": self.elements,
            "CODES": self.bits | self.lanes << 16,
            "BEATS": self.beats,
            "CLASSES": self.classes,
            "SCORES": self.score_width | self.field << 16,
            "LATENCY": self.latency,
            "INTERVAL": self.interval,
            "LOAD": self.chunk | self.chunks << 16,
        }
        for k in range(8):
            words[f"HASH{k}"] = int.from_bytes(self.identity[4 * k : 4 * k + 4], "little")
        return words

    def compute(self, *, idle: bool, frames: int, results: int, short: int, long: int) -> list[int]:
        """Return what all registers hold after so many frames, results, short and long frames."""
        status = int(idle) | (short > 0) << 1 | (long > 0) << 2
        counts = dict(zip(_COUNTS, (frames, results, short, long), strict=True))
        words = {**self.constants, **counts, "STATUS": status, "CONTROL": 0}
        return [words[name] & 0xFFFF_FFFF for name, _ in REGISTERS]

    def create(self) -> "AxiControl":
        """Return the gateware."""
        return AxiControl(self)


class AxiControl(wiring.Component):
    """Registers of an accelerator; counts wrap around at 2**32.

    Parameters
    ----------
    parameters : AxiControlParameters
        What they tell.

    Members
    -------
    index, value, target, written, write
        Registers, see `signfold.hw.axi_lite.AxiLite`.
    frame, result, short, long : In(1)
        A frame has come, a result has gone, the frame was too short, too long.
    quiet : In(1)
        No frame is on its way in and no result on its way out.
    flush : Out(1)
        Soft reset, for one cycle. The counts are 0 in the next one.
    """

    def __init__(self, parameters: AxiControlParameters):
        self.parameters = parameters
        events = {name: In(1) for name in ("frame", "result", "short", "long", "quiet")}
        index = ADDRESS_BITS - 2
        bus = {"index": In(index), "value": Out(32), "target": In(index), "written": In(32), "write": In(1)}
        super().__init__({**events, **bus, "flush": Out(1)})

    def elaborate(self, platform):
        m = Module()
        counts = {name: Signal(32, name=name.lower()) for name in _COUNTS}
        for count, event in zip(counts.values(), (self.frame, self.result, self.short, self.long), strict=True):
            with m.If(self.flush):
                m.d.sync += count.eq(0)
            with m.Elif(event):
                m.d.sync += count.eq(count + 1)
        # One cycle after the bus has written, so that it leaves a register.
        m.d.sync += self.flush.eq(self.write & (self.target == _CONTROL) & self.written[0])
        status = Signal(32)
        m.d.comb += [
            status[0].eq(self.quiet & (counts["FRAMES_IN"] == counts["FRAMES_OUT"])),
            status[1].eq(counts["SHORT_FRAMES"] != 0),
            status[2].eq(counts["LONG_FRAMES"] != 0),
        ]
        words = {name: Const(value, 32) for name, value in self.parameters.constants.items()}
        words |= {**counts, "STATUS": status, "CONTROL": Const(0, 32)}
        m.d.comb += self.value.eq(Array(words[name] for name, _ in REGISTERS)[self.index])
        return m
