"""Loader: fills memories of weights from chunks of bytes, which a host sends before the first frame."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.check import check_integer
from signfold.hw.packet import packet_layout
from signfold.hw.ram import RamParameters

__all__ = ["CHUNK_BYTES", "INDEX_BYTES", "Loader", "LoaderParameters"]

#: Bytes of weights in a chunk.
CHUNK_BYTES = 64
#: Bytes of a chunk's number, before its weights, the low one first.
INDEX_BYTES = 2


@dataclass(frozen=True)
class LoaderParameters:
    """Memories of equal size, whose words lie side by side in the chunks.

    A word takes as many bytes as hold it, rounded up to a power of two; the words of one address follow one another,
    memory 0 first, in as many places as there are memories, rounded up likewise. Byte n of chunk `first` + k is byte
    k * CHUNK_BYTES + n of all that, address after address.

    Parameters
    ----------
    memories : tuple of RamParameters
        The memories.
    first : int
        Number of the first chunk.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range; the message names it.
    """

    memories: tuple[RamParameters, ...]
    first: int = 0

    def __post_init__(self):
        if len({(memory.width, memory.depth) for memory in self.memories}) != 1:
            raise ValueError("memories must be at least one, all of one size")
        if self.memories[0].width > 8 * CHUNK_BYTES:
            raise ValueError(
                f"weights that are loaded must have words of at most {8 * CHUNK_BYTES} bits, hop times simd, "
                f"not {self.memories[0].width}"
            )
        check_integer("number of the first chunk", self.first, minimum=0, maximum=(1 << 8 * INDEX_BYTES) - 1)
        check_integer("number of chunks", self.first + self.chunks, minimum=1, maximum=1 << 8 * INDEX_BYTES)

    @property
    def used_bytes(self) -> int:
        """Bytes of a word that hold bits."""
        return -(-self.memories[0].width // 8)

    @property
    def word_bits(self) -> int:
        """Bits of a byte's number within a word."""
        return (self.used_bytes - 1).bit_length()

    @property
    def memory_bits(self) -> int:
        """Bits of a memory's number."""
        return (len(self.memories) - 1).bit_length()

    @property
    def chunks(self) -> int:
        """Chunks that fill all memories."""
        return -(-(self.memories[0].depth << self.word_bits + self.memory_bits) // CHUNK_BYTES)

    def compute(self, contents: list[tuple[int, ...]]) -> list[bytes]:
        """Return the chunks, with their numbers, that give the memories these contents."""
        size, places = 1 << self.word_bits, 1 << self.memory_bits
        image = bytearray(self.chunks * CHUNK_BYTES)
        for place, words in enumerate(contents):
            for address, word in enumerate(words):
                begin = (address * places + place) * size
                image[begin : begin + size] = word.to_bytes(size, "little")
        return [
            (self.first + k).to_bytes(INDEX_BYTES, "little") + bytes(image[k * CHUNK_BYTES : (k + 1) * CHUNK_BYTES])
            for k in range(self.chunks)
        ]

    def create(self) -> "Loader":
        """Return the gateware."""
        return Loader(self)


class Loader(wiring.Component):
    """Write the chunks that are for these memories; others pass without effect.

    Throughput one byte a cycle while `enable` is set.

    Parameters
    ----------
    parameters : LoaderParameters
        Memories.

    Members
    -------
    i : In(stream of packet_layout())
        Chunks, a packet each.
    enable : In(1)
        Nobody reads the memories.
    writing : Out(1)
        A word is written: to memory n where `write[n]` is set, `value` at `address`.
    """

    def __init__(self, parameters: LoaderParameters):
        self.parameters = p = parameters
        memory = p.memories[0]
        super().__init__(
            {
                "i": In(stream.Signature(packet_layout())),
                "enable": In(1),
                "writing": Out(1),
                "write": Out(len(p.memories)),
                "address": Out(memory.address_width),
                "value": Out(memory.width),
            }
        )

    def elaborate(self, platform):
        p = self.parameters
        m = Module()
        put = Signal()
        m.d.comb += [self.i.ready.eq(self.enable), put.eq(self.i.valid & self.enable)]
        # Of the chunk's number, the difference to the first one's; then the number of the byte.
        index_bits, low = 8 * INDEX_BYTES, (CHUNK_BYTES - 1).bit_length()
        place, number = Signal(range(INDEX_BYTES + 1)), Signal(index_bits)
        byte = Signal(low)
        with m.If(put):
            with m.If(self.i.payload.last):
                m.d.sync += place.eq(0)
            with m.Elif(place != INDEX_BYTES):
                m.d.sync += place.eq(place + 1)
            with m.If(place != INDEX_BYTES):
                m.d.sync += [number.eq(Cat(number[8:], self.i.payload.data)), byte.eq(0)]
            with m.Else():
                m.d.sync += byte.eq(byte + 1)
        own, position = Signal(index_bits + 1), Signal(index_bits + low)
        m.d.comb += [own.eq(number - p.first), position.eq(Cat(byte, own[:index_bits]))]
        held = Signal(8 * max(1, p.used_bytes - 1))
        value = self.i.payload.data
        if p.used_bytes > 1:
            value = Cat(held, self.i.payload.data)
            with m.If(put):
                m.d.sync += held.eq(Cat(held, self.i.payload.data)[8:])
        offset, rest = position[: p.word_bits], position[p.word_bits :]
        address = rest[p.memory_bits :]
        m.d.comb += [
            self.writing.eq(
                put
                & (place == INDEX_BYTES)
                & ((offset == p.used_bytes - 1) if p.word_bits else 1)
                & (address < p.memories[0].depth)
                & ~own[index_bits]
            ),
            self.address.eq(address),
            self.value.eq(value),
        ]
        for n in range(len(p.memories)):
            here = (rest[: p.memory_bits] == n) if p.memory_bits else 1
            m.d.comb += self.write[n].eq(Mux(here, self.writing, 0))
        return m
