"""Host link: all of it, from the bits of the serial line to frames and results, with damage of every kind."""

import random

import pytest
from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from signfold.hw.cobs import CobsDecoderParameters, CobsEncoderParameters
from signfold.hw.host_link import HostLinkParameters
from signfold.hw.packet import Geometry
from signfold.hw.packet_crc import CrcAppenderParameters, CrcCheckerParameters
from signfold.hw.shapes import beat_layout, result_layout
from signfold.sim.streams import CLOCK_PERIOD

LINK = HostLinkParameters(
    Geometry(identity=bytes(range(1, 17)), elements=5, bits=4, classes=2, score_width=9), lanes=2, divisor=4
)


def infer(codes):
    """What `Adder` computes: the sum of a frame's codes, less 40, and twice that; the class is 1 if positive."""
    total = sum(codes) - 40
    return [total, 2 * total], int(total > 0)


class Adder(wiring.Component):
    """Stand-in for an accelerator: same streams, a result that depends on every code, `delay` cycles a frame."""

    def __init__(self, link, delay):
        g = link.geometry
        self.lanes, self.delay = link.lanes, delay
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(link.lanes, g.bits))),
                "o": Out(stream.Signature(result_layout(g.score_width, g.classes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        total = Signal(self.o.payload.score.shape(), init=-40)
        timer = Signal(range(self.delay + 1))
        second = Signal()
        m.d.comb += [
            self.o.payload.score.eq(Mux(second, total << 1, total)),
            self.o.payload.best.eq(total > 0),
            self.o.payload.last.eq(second),
        ]
        with m.FSM():
            with m.State("SUM"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += timer.eq(self.delay)
                with m.If(self.i.valid):
                    m.d.sync += total.eq(total + sum(self.i.payload.codes[n] for n in range(self.lanes)))
                    with m.If(self.i.payload.last):
                        m.next = "WAIT"
            with m.State("WAIT"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += second.eq(~second)
                    with m.If(second):
                        m.d.sync += total.eq(-40)
                        m.next = "SUM"
        return m


class Device(wiring.Component):
    """Link and stand-in accelerator."""

    rx: In(1, init=1)
    tx: Out(1, init=1)
    reset: In(1)

    def __init__(self, link, delay):
        self.link, self.delay = link, delay
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = ResetInserter(self.reset)(self.link.create())
        m.submodules.adder = adder = ResetInserter(self.reset)(Adder(self.link, self.delay))
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        wiring.connect(m, link.o, adder.i)
        wiring.connect(m, adder.o, link.i)
        return m


def exchange(line, *, link=LINK, delay=3, pauses=(), resets=(), levels=None):
    """Return the bytes that a device sends while it receives `line` (or the given levels), and until all is answered.

    `pauses` maps a position in `line` to cycles of idle line before it; `resets` are cycles in which reset is asserted.
    """
    if levels is None:
        levels = []
        pauses = dict(pauses)
        for n, byte in enumerate(line):
            levels += [1] * pauses.get(n, 0) + link.uart.compute_levels([byte])
    dut = Device(link, delay)
    sent = []
    # Longest answer: identify. Two may be queued.
    quiet = 3 * 40 * link.uart.byte_cycles + 4 * delay

    async def host(ctx):
        for cycle, level in enumerate(levels + [1] * quiet):
            ctx.set(dut.rx, level)
            ctx.set(dut.reset, cycle in resets)
            *_, tx = await ctx.tick().sample(dut.tx)
            sent.append(tx)

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(host)
    simulator.run()
    return link.uart.compute_bytes(sent)


def request(kind, seq, payload=b""):
    """Frame of a request."""
    return CobsEncoderParameters().compute(CrcAppenderParameters().compute(bytes([kind, seq]) + payload))


def answers(line):
    """Good packets in a line of bytes, without their checksum."""
    packets = CobsDecoderParameters().compute(line)
    return [packet[:-2] for packet, bad in packets if not bad and not CrcCheckerParameters().compute(packet)]


FRAME = bytes([9, 0, 15, 15, 8])
IDENTITY = b"\x81\x01\x00" + LINK.geometry.pack()
# 47 - 40 = 7 and 14, two bytes each; class 1.
RESULT = b"\x82\x02\x00\x07\x00\x0e\x00\x01"


def test_requests_are_answered():
    sent = exchange(request(1, 1) + request(2, 2, FRAME))
    assert answers(sent) == [IDENTITY, RESULT]
    assert sent == LINK.compute(request(1, 1) + request(2, 2, FRAME), infer)


def test_wrong_requests_are_answered_with_a_status():
    line = request(3, 1, b"abc") + request(2, 2, FRAME[:4]) + request(2, 3, FRAME + b"\0") + request(1, 4, b"\0")
    line += request(2, 5, b"\x01\x02\x10\x00\x00") + request(2, 6, bytes(5)) + request(0x82, 7)
    pauses = {n: 2000 for n in range(1, len(line)) if line[n - 1 : n + 1] == b"\0\0"}
    expected = [b"\x83\x01\x02", b"\x82\x02\x01", b"\x82\x03\x01", b"\x81\x04\x01", b"\x82\x05\x03"]
    expected += [b"\x82\x06\x00\xd8\xff\xb0\xff\x00", b"\x82\x07\x02"]
    assert answers(exchange(line, pauses=pauses)) == expected
    assert answers(LINK.compute(line, infer)) == expected


@pytest.mark.parametrize("delay", (0, 300, 2000))
def test_two_requests_may_be_outstanding(delay):
    """The second arrives without a pause, while the first is computed and answered."""
    line = request(2, 2, FRAME) + request(2, 3, bytes(5))
    assert answers(exchange(line, delay=delay)) == [RESULT, b"\x82\x03\x00\xd8\xff\xb0\xff\x00"]


def test_a_burst_beyond_the_window_loses_whole_requests_only():
    """Twelve requests at once to a slow accelerator: those that fit are answered rightly, the others not at all."""
    expected = {n: infer([n] * 5) for n in range(12)}
    line = b"".join(request(2, n, bytes([n] * 5)) for n in range(12))
    got = answers(exchange(line, delay=1500))
    assert 2 <= len(got) < 12
    for packet in got:
        (first, second), best = expected[packet[1]]
        assert packet[2:] == b"\0" + first.to_bytes(2, "little", signed=True) + second.to_bytes(
            2, "little", signed=True
        ) + bytes([best])
    assert [packet[1] for packet in got] == sorted({packet[1] for packet in got})


@pytest.mark.parametrize("seed", range(6))
def test_serves_the_next_request_after_garbage(seed):
    """Random bytes, cut and damaged frames, at random pauses; then a request without any pause."""
    rng = random.Random(seed)
    line = b""
    for _ in range(rng.randint(1, 6)):
        good = request(rng.choice((1, 2, 9)), rng.randint(0, 255), rng.randbytes(rng.choice((0, 5, 5, 6))))
        at = rng.randrange(1, len(good))
        line += rng.choice(
            (
                rng.randbytes(rng.randint(1, 60)),
                bytes(rng.randint(1, 255) for _ in range(rng.randint(1, 200))),  # no delimiter: oversize
                good[:at],
                good[:at] + good[at + 1 :],
                good[:at] + bytes([good[at] ^ (1 << rng.randrange(8))]) + good[at + 1 :],
            )
        )
    line += request(2, 2, FRAME)
    pauses = {n: rng.randint(1, 300) for n in range(len(line)) if rng.random() < 0.05}
    got = answers(exchange(line, pauses=pauses))
    assert got[-1] == RESULT, f"seed {seed}"
    assert got == answers(LINK.compute(line, infer)), f"seed {seed}"


@pytest.mark.parametrize("seed", range(4))
def test_serves_the_next_request_after_noise_on_the_line(seed):
    """Levels, not bytes: breaks, glitches and bits of any length, then 12 idle bits and a request."""
    rng = random.Random(seed)
    levels = []
    for _ in range(150):
        levels += [rng.randint(0, 1)] * rng.choice((1, 2, 3, 4, 5, 9, 40, 60))
    levels += [1] * 12 * LINK.divisor + LINK.uart.compute_levels(request(2, 2, FRAME))
    assert answers(exchange(None, levels=levels))[-1] == RESULT, f"seed {seed}"


@pytest.mark.parametrize("seed", range(6))
def test_reset_at_any_time(seed):
    """Reset while a request is received, computed or answered; the next request is served."""
    rng = random.Random(seed)
    first = LINK.uart.compute_levels(request(2, 7, FRAME))
    start = rng.randrange(len(first) + 9 * LINK.uart.byte_cycles)
    gap = max(0, start + 3 + 12 * LINK.divisor - len(first))
    levels = first + [1] * (gap + 400) + LINK.uart.compute_levels(request(2, 2, FRAME))
    sent = exchange(None, levels=levels, resets={start, start + 1, start + 2})
    assert answers(sent)[-1] == RESULT, f"reset in cycle {start}"


def test_damage_to_any_byte_gives_no_wrong_answer():
    """Each byte of a request dropped, doubled or flipped: no answer to it, or the right one; the next one is right."""
    good = request(2, 7, FRAME)
    right = b"\x82\x07" + RESULT[2:]
    lines = []
    for at in range(len(good)):
        lines.append(good[:at] + good[at + 1 :])
        lines.append(good[: at + 1] + good[at:])
        lines += [good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :] for flip in (1, 0x80, 0xFF)]
    line, pauses = b"", {}
    for n, damaged in enumerate(lines):
        pauses[len(line)] = 200
        line += damaged + request(2, n, bytes(5))
        pauses[len(line)] = 2500
    got = answers(exchange(line, pauses=pauses))
    wanted = [bytes([0x82, n]) + b"\x00\xd8\xff\xb0\xff\x00" for n in range(len(lines))]
    assert [packet for packet in got if packet != right] == wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lanes": 0}, r"^lanes must be an integer of at least 1, not 0$"),
        ({"divisor": 3}, r"^UART divisor must be an integer from 4 to 65535, not 3$"),
        (
            {"geometry": Geometry(bytes(16), 40000, 8, 2, 9)},
            r"^packet buffer depth must be an integer from 4 to 65536, not 131072$",
        ),
    ],
)
def test_init_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        HostLinkParameters(**{"geometry": LINK.geometry, "lanes": 2, "divisor": 4, **arguments})
