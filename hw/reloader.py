"""Reloader: takes an image in chunks, writes it where nobody reads, and asks for the swap once all of it is right."""

from collections.abc import Iterable
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Signal, unsigned
from amaranth.lib import crc, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from signfold.hw.packet import Status, packet_layout
from signfold.hw.reload_bus import write_layout
from signfold.hw.reload_image import DATA_BYTES, NUMBER_BYTES, ReloadImage

__all__ = ["Reloader", "ReloaderParameters"]


class _Part(enum.Enum, shape=2):
    """What the bytes of an image are."""

    HEADER = 0
    WORDS = 1
    CRC = 2
    END = 3


_CRC = crc.catalog.CRC32_ISO_HDLC(data_width=8)


@dataclass(frozen=True)
class ReloaderParameters:
    """Taker of images.

    Parameters
    ----------
    image : ReloadImage
        Format of the images.
    """

    image: ReloadImage

    def compute(self, packets: Iterable[bytes]) -> list[tuple[Status, dict[str, tuple[int, ...]] | None]]:
        """Return of each packet the status and, where it completes a good image, the words of the tables by name."""
        answers: list[tuple[Status, dict[str, tuple[int, ...]] | None]] = []
        expected, failed, taken = 0, False, b""
        for packet in packets:
            if len(packet) <= NUMBER_BYTES:
                answers.append((Status.BAD_ORDER, None))
                continue
            number = int.from_bytes(packet[:NUMBER_BYTES], "little")
            if number == 0:
                expected, failed, taken = 0, False, b""
            contents = None
            if failed:
                status = Status.BAD_IMAGE
            elif number == expected and expected < self.image.chunks:
                taken += packet[NUMBER_BYTES:]
                expected += 1
                status = Status.OK
                if len(packet) != NUMBER_BYTES + DATA_BYTES or not taken.startswith(self.image.header):
                    status = Status.BAD_IMAGE
                elif expected == self.image.chunks:
                    try:
                        contents = self.image.unpack(taken)
                    except ValueError:
                        status = Status.BAD_IMAGE
                failed = status != Status.OK
            else:
                status = Status.OK if number + 1 == expected else Status.BAD_ORDER
            answers.append((status, contents))
        return answers

    def create(self) -> "Reloader":
        """Return the gateware."""
        return Reloader(self)


class Reloader(wiring.Component):
    """Take images.

    Chunk 0 begins an image, whatever came before; the chunks that follow must come in order. A chunk that comes twice
    is answered twice and taken once. Every packet gets a status: OK; BAD_ORDER for a chunk that is not the next one,
    which changes nothing; BAD_IMAGE where an image is of another build, its chunks have another length or its CRC does
    not hold, and from then on until the next chunk 0. The status of the last chunk comes after the swap. A reset
    forgets a half image.

    Throughput one byte a cycle, and three cycles more a packet; the swap takes what it takes.

    Parameters
    ----------
    parameters : ReloaderParameters
        Format.

    Members
    -------
    i : In(stream of packet_layout())
        Chunks with their numbers, a packet each.
    o : Out(stream of 8 bits)
        A `Status` for every packet.
    writes : Out(write_layout(tables))
        Bytes of words, as they come: into tables that are not in force.
    swap : Out(1)
        These tables hold a good image: put them in force. Until `swapped`.
    swapped : In(1)
        Done.
    """

    def __init__(self, parameters: ReloaderParameters):
        self.parameters = parameters
        super().__init__(
            {
                "i": In(stream.Signature(packet_layout())),
                "o": Out(stream.Signature(unsigned(8))),
                "writes": Out(write_layout(parameters.image.tables)),
                "swap": Out(1),
                "swapped": In(1),
            }
        )

    def elaborate(self, platform):
        image = self.parameters.image
        m = Module()
        m.submodules.crc = check = _CRC.create()
        put, begin = Signal(), Signal()
        byte, last = self.i.payload.data, self.i.payload.last

        number = Signal(8 * NUMBER_BYTES)
        second = Signal()  # byte of the number
        count = Signal(range(DATA_BYTES))
        expected = Signal(range(image.chunks + 1))
        failed, take, long = Signal(), Signal(), Signal()
        complete, bad = self._place(m, put, begin)
        m.d.comb += [check.data.eq(byte), check.valid.eq(put & ~complete), check.start.eq(begin)]

        with m.FSM():
            with m.State("NUMBER"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [number.eq(Cat(number[8:], byte)), second.eq(~second)]
                    with m.If(last):
                        m.d.sync += [second.eq(0), self.o.payload.eq(Status.BAD_ORDER)]
                        m.next = "ANSWER"
                    with m.Elif(second):
                        m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.sync += [count.eq(0), long.eq(0), take.eq(0), self.o.payload.eq(Status.BAD_ORDER)]
                m.next = "DATA"
                with m.If(number == 0):
                    m.d.comb += begin.eq(1)
                    m.d.sync += [expected.eq(1), failed.eq(0), take.eq(1), self.o.payload.eq(Status.OK)]
                with m.Elif(failed):
                    m.d.sync += self.o.payload.eq(Status.BAD_IMAGE)
                with m.Elif((number == expected) & (expected != 0) & (expected != image.chunks)):
                    m.d.sync += [expected.eq(expected + 1), take.eq(1), self.o.payload.eq(Status.OK)]
                with m.Elif((number + 1)[: len(number) + 1] == expected):
                    m.d.sync += self.o.payload.eq(Status.OK)
            with m.State("DATA"):
                m.d.comb += [self.i.ready.eq(1), put.eq(self.i.valid & take & ~long)]
                with m.If(self.i.valid):
                    m.d.sync += count.eq(count + 1)
                    with m.If(count == DATA_BYTES - 1):
                        m.d.sync += long.eq(1)
                    with m.If(last):
                        # Too long: `long` before the last byte. Too short: not even with it.
                        with m.If(take & (long | (count != DATA_BYTES - 1))):
                            m.d.sync += failed.eq(1)
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.next = "ANSWER"
                with m.If(take):
                    with m.If(failed | bad | (complete & ~check.match_detected)):
                        m.d.sync += [failed.eq(1), self.o.payload.eq(Status.BAD_IMAGE)]
                    with m.Elif(complete):
                        m.next = "SWAP"
            with m.State("SWAP"):
                m.d.comb += self.swap.eq(1)
                with m.If(self.swapped):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "NUMBER"
        return m

    def _place(self, m, put, begin):
        """Follow the bytes of an image, write those of words; return whether it is complete, and of another build."""
        image, writes = self.parameters.image, self.writes
        tables = image.tables
        header = image.header
        part, index = Signal(_Part), Signal(range(len(header)))
        table, address, lane = (Signal.like(writes[name], name=name) for name in ("table", "address", "lane"))
        complete, bad = Signal(), Signal()
        m.d.comb += [
            writes.table.eq(table),
            writes.address.eq(address),
            writes.lane.eq(lane),
            writes.data.eq(self.i.payload.data),
        ]
        # At the end of a word, at the last word of a table.
        ends, closes = Signal(), Signal()
        m.d.comb += [
            ends.eq(lane == Array([image.word_bytes(one) - 1 for one in tables])[table]),
            closes.eq(address == Array([one.depth - 1 for one in tables])[table]),
        ]
        with m.If(put):
            with m.Switch(part):
                with m.Case(_Part.HEADER):
                    m.d.sync += index.eq(index + 1)
                    with m.If(self.i.payload.data != Array([Const(value, 8) for value in header])[index]):
                        m.d.sync += bad.eq(1)
                    with m.If(index == len(header) - 1):
                        m.d.sync += part.eq(_Part.WORDS)
                with m.Case(_Part.WORDS):
                    m.d.comb += writes.write.eq(1)
                    m.d.sync += [lane.eq(lane + 1), index.eq(0)]
                    with m.If(ends):
                        m.d.sync += [lane.eq(0), address.eq(address + 1)]
                    with m.If(ends & closes):
                        m.d.sync += [address.eq(0), table.eq(table + 1)]
                        with m.If(table == len(tables) - 1):
                            m.d.sync += part.eq(_Part.CRC)
                with m.Case(_Part.CRC):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == 3):
                        m.d.sync += [complete.eq(1), part.eq(_Part.END)]
        with m.If(begin):
            m.d.sync += [
                part.eq(_Part.HEADER),
                index.eq(0),
                table.eq(0),
                address.eq(0),
                lane.eq(0),
                complete.eq(0),
                bad.eq(0),
            ]
        return complete, bad
