"""Engine: an array with its weight ROMs, replay buffer, thresholds and output queue; computes one dense layer."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.array import ArrayParameters
from signfold.hw.check import check_bits, check_identifier, check_integer, frozen_array
from signfold.hw.collector import CollectorParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.rom import RomParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stream import QueueParameters
from signfold.hw.threshold import ThresholdParameters

__all__ = ["Engine", "EngineParameters"]


@dataclass(frozen=True, eq=False)
class EngineParameters:
    """A dense layer and the array that computes it.

    Parameters
    ----------
    name : str
        Prefix of the layer's ROM names, such as `l0`.
    weights : array of int
        Weight bits, channels x fan-in; 1 stands for +1 and 0 for -1.
    thresholds : array of int or None
        Channels x 1: the code is 1 where the bipolar sum is at least the threshold. None: the sums go out.
    cols : int
        Columns of the array: channels worked on at once. Need not divide the channels.
    simd : int
        Bits of a word. Need not divide the fan-in.
    hop : int
        Columns that a word passes in a cycle, and codes of an output beat; divides `cols`, at least
        cols / ceil(fan-in / simd).
    stages : int
        Pipeline registers between XNOR and accumulator.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range, or parameters do not fit; the message names it.
    """

    name: str
    weights: np.ndarray
    thresholds: np.ndarray | None
    cols: int
    simd: int
    hop: int = 1
    stages: int = 1

    def __post_init__(self):
        check_identifier("engine name", self.name)
        weights = frozen_array("weights", self.weights, shape=(None, None))
        check_bits("weights", weights)
        object.__setattr__(self, "weights", weights)
        check_integer("simd", self.simd, minimum=1)
        # Its parameters check cols, hop and stages, which depend on the layer's words.
        _ = self.array
        if self.thresholds is not None:
            thresholds = frozen_array("thresholds", self.thresholds, shape=(self.channels, 1))
            object.__setattr__(self, "thresholds", thresholds)

    @property
    def channels(self) -> int:
        """Output channels of the layer."""
        return self.weights.shape[0]

    @property
    def fan_in(self) -> int:
        """Inputs of each channel."""
        return self.weights.shape[1]

    @property
    def words(self) -> int:
        """Words of a pass: the fan-in in words of `simd` bits, the last one padded."""
        return -(-self.fan_in // self.simd)

    @property
    def passes(self) -> int:
        """Channel groups: passes that a frame takes."""
        return -(-self.channels // self.cols)

    @property
    def beats(self) -> int:
        """Output beats of a frame, `hop` codes or sums each."""
        return -(-self.channels // self.hop)

    @property
    def padding(self) -> int:
        """Bits of the last word past the fan-in. They are 0 in words and weights, so each of them always agrees."""
        return self.words * self.simd - self.fan_in

    @cached_property
    def array(self) -> ArrayParameters:
        """Parameters of the array."""
        return ArrayParameters(1, self.cols, self.simd, self.words, self.hop, self.stages)

    @property
    def replay(self) -> ReplayParameters:
        """Parameters of the replay buffer."""
        return ReplayParameters(self.simd, self.words, self.passes)

    @property
    def collector(self) -> CollectorParameters:
        """Parameters of the collector."""
        return CollectorParameters(self.array.groups, self.passes, self.beats)

    @cached_property
    def threshold_unit(self) -> ThresholdParameters | None:
        """Parameters of the threshold unit, in the array's domain: agreements, those of the padding included."""
        if self.thresholds is None:
            return None
        # s = 2 p - n >= t  <=>  p >= ceil((n + t) / 2), for p agreements in n = fan_in products.
        agreements = np.clip(-((-self.fan_in - self.thresholds) // 2), 0, self.fan_in + 1)
        stored = agreements + self.padding
        stored = np.where(agreements > self.fan_in, 1 << self.array.cell.sum_width, stored)
        return ThresholdParameters(f"{self.name}_t", self.hop, self.array.cell.sum_width, stored)

    @property
    def output_bits(self) -> int:
        """Bits of a code, or of an unsigned sum, of an output beat."""
        return 1 if self.thresholds is not None else self.array.cell.sum_width

    @property
    def queue(self) -> QueueParameters:
        """Parameters of the output queue: room for all passes in flight while the consumer takes its time."""
        groups = self.array.groups
        lifetime = self.words + self.pipeline + groups + QueueParameters.LATENCY + 2
        return QueueParameters(beat_layout(self.hop, self.output_bits), groups * (-(-lifetime // self.words) + 2))

    @property
    def pipeline(self) -> int:
        """Cycles from a pass's last word at the array to its first beat at the queue."""
        return self.array.latency + (ThresholdParameters.LATENCY if self.thresholds is not None else 0)

    @property
    def interval(self) -> int:
        """Cycles from one frame to the next without back-pressure."""
        return max(self.replay.interval, self.beats)

    @cached_property
    def weight_roms(self) -> tuple[RomParameters, ...]:
        """One table a column group: address pass * words + word, column b * hop + lane in bits lane * simd on.

        Column b * hop + lane works on channel pass * cols + b * hop + lane. Bits past the fan-in and columns past the
        channels hold 0.
        """
        padded = np.zeros((self.passes * self.cols, self.words * self.simd), np.uint8)
        padded[: self.channels, : self.fan_in] = self.weights
        grid = padded.reshape(self.passes, self.array.groups, self.hop, self.words, self.simd)
        # To address, then lane and bit of the word: pass, word | lane, bit.
        grid = grid.transpose(1, 0, 3, 2, 4).reshape(self.array.groups, self.replay.interval, self.hop * self.simd)
        packed = np.packbits(grid, axis=2, bitorder="little")
        return tuple(
            RomParameters(
                f"{self.name}_w{group}",
                self.hop * self.simd,
                tuple(int.from_bytes(word.tobytes(), "little") for word in packed[group]),
            )
            for group in range(self.array.groups)
        )

    @property
    def roms(self) -> tuple[RomParameters, ...]:
        """All tables of the engine."""
        return (*self.weight_roms, *((self.threshold_unit.rom,) if self.threshold_unit else ()))

    def compute(self, codes: np.ndarray) -> np.ndarray:
        """Return the layer's codes, or its sums in agreements with the padding, for input bits (frames x fan-in)."""
        codes = np.asarray(codes, np.int64)
        bipolar = (2 * codes - 1) @ (2 * self.weights - 1).T
        if self.thresholds is not None:
            return (bipolar[..., None] >= self.thresholds).sum(axis=-1)
        return (bipolar + self.fan_in) // 2 + self.padding

    def schedule(self, offers: list[int]) -> list[int]:
        """Return the cycles at which a frame's output beats become available, for the cycles of its input beats.

        The engine is idle before, and each beat is taken at once.
        """
        words = self.replay.schedule(offers)
        ends = words[self.words - 1 :: self.words]
        arrivals = [end + self.pipeline + beat for end in ends for beat in range(self.array.groups)][: self.beats]
        return self.queue.schedule(arrivals)

    def create(self) -> "Engine":
        """Return the gateware."""
        return Engine(self)


class Engine(wiring.Component):
    """Compute a dense layer, frame after frame.

    Throughput one frame every `parameters.interval` cycles (passes x words); the latency of each beat is what
    `parameters.schedule` returns. The array inside never stalls: a pass starts when the queue has room for all of it.

    Parameters
    ----------
    parameters : EngineParameters
        Layer and array.

    Members
    -------
    i : In(stream of beat_layout(simd, 1))
        Words of the frame, bits past the fan-in 0.
    o : Out(stream of beat_layout(hop, output_bits))
        Codes or sums in channel order.
    """

    def __init__(self, parameters: EngineParameters):
        self.parameters = p = parameters
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(p.simd, 1))),
                "o": Out(stream.Signature(beat_layout(p.hop, p.output_bits))),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        m.submodules.replay = replay = p.replay.create()
        m.submodules.array = array = p.array.create()
        m.submodules.collector = collector = p.collector.create()
        m.submodules.queue = queue = p.queue.create()

        wiring.connect(m, wiring.flipped(self.i), replay.i)
        m.d.comb += [
            array.words[0].eq(replay.word),
            array.valid.eq(replay.valid),
            array.first.eq(replay.first),
            array.last.eq(replay.last),
            collector.done.eq(array.done[0]),
        ]
        self._connect_weights(m, replay.address, array)

        sums, valid, last = array.sums[0], collector.valid, collector.last
        if p.threshold_unit is not None:
            m.submodules.thresholds = unit = p.threshold_unit.create()
            m.d.comb += [unit.sums.eq(sums), unit.valid.eq(valid)]
            delayed_last = Signal()
            m.d.sync += delayed_last.eq(last)
            codes, valid, last = unit.codes, unit.known, delayed_last
        else:
            codes = sums
        m.d.comb += [
            Cat(queue.i.payload.codes).eq(Cat(codes)),
            queue.i.payload.last.eq(last),
            queue.i.valid.eq(valid),
        ]
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        # Room in the queue that no pass has claimed yet.
        room = Signal(range(p.queue.depth + 1), init=p.queue.depth)
        claim = Mux(replay.final, p.collector.final_beats, p.array.groups)
        m.d.comb += replay.grant.eq(room >= p.array.groups)
        m.d.sync += room.eq(room + (self.o.valid & self.o.ready) - Mux(replay.start, claim, 0))
        return m

    def _connect_weights(self, m, address, array):
        """Place one ROM a column group; the address travels beside the words."""
        p = self.parameters
        for group, parameters in reversed(list(enumerate(p.weight_roms))):
            m.submodules[parameters.name] = rom = parameters.create()
            m.d.comb += [rom.address.eq(address), array.weights[group].eq(rom.data)]
            travelling = Signal(len(address), name=f"address_{group}")
            m.d.sync += travelling.eq(address)
            address = travelling
