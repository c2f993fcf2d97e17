"""Serial line: receiver and transmitter against the line's definition in plain integers."""

import random

import pytest
from amaranth.sim import Simulator

from signfold.hw.uart import UartParameters, UartReceiver
from signfold.sim.streams import CLOCK_PERIOD, stream_put

DIVISORS = (4, 5, 7, 12)


def receive(divisor, levels, *, ready=True):
    """Bytes that the receiver offers while the line has the given levels, with the cycle in which each appears."""
    dut = UartParameters(divisor).create_receiver()
    received = []

    async def line(ctx):
        for level in [*levels, *[1] * (12 * divisor)]:
            ctx.set(dut.rx, level)
            await ctx.tick()

    async def sink(ctx):
        cycle = 0
        ctx.set(dut.o.ready, ready)
        while True:
            *_, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid and (ready or not received):
                received.append((payload, cycle))
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(line)
    simulator.add_testbench(sink, background=True)
    simulator.run()
    return received


def transmit(divisor, data, *, stall=0, seed=0):
    """Levels of the line from the cycle on in which the first byte is offered."""
    dut = UartParameters(divisor).create_transmitter()
    levels = []

    async def source(ctx):
        await stream_put(ctx, dut.i, data, stall=stall, rng=random.Random(seed))
        await ctx.tick().repeat(12 * divisor)

    async def line(ctx):
        while True:
            *_, level = await ctx.tick().sample(dut.tx)
            levels.append(level)

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(source)
    simulator.add_testbench(line, background=True)
    simulator.run()
    return levels


@pytest.mark.parametrize("divisor", DIVISORS)
def test_transmitter_matches_compute(divisor):
    data = random.Random(1).randbytes(12) + b"\x00\xff"
    expected = UartParameters(divisor).compute_levels(data)
    levels = transmit(divisor, data)
    assert levels[0] == 1  # the latency: one cycle
    assert levels[1 : 1 + len(expected)] == expected
    assert set(levels[1 + len(expected) :]) == {1}


@pytest.mark.parametrize("divisor", DIVISORS)
def test_transmitter_with_pauses_is_understood(divisor):
    data = random.Random(2).randbytes(12)
    assert UartParameters(divisor).compute_bytes(transmit(divisor, data, stall=0.98, seed=divisor)) == data


@pytest.mark.parametrize("divisor", DIVISORS)
def test_receiver_matches_compute_and_latency(divisor):
    p = UartParameters(divisor)
    data = random.Random(3).randbytes(12) + b"\x00\xff\x00"
    received = receive(divisor, p.compute_levels(data))
    assert bytes(byte for byte, _ in received) == data == p.compute_bytes(p.compute_levels(data))
    latency = 9 * divisor + divisor // 2 + UartReceiver.LATENCY
    assert [cycle for _, cycle in received] == [latency + n * p.byte_cycles for n in range(len(data))]


@pytest.mark.parametrize("seed", range(24))
def test_receiver_matches_compute_on_noise(seed):
    """Random runs of either level, whole bytes among them: glitches, breaks and missing stop bits."""
    rng = random.Random(seed)
    p = UartParameters(rng.choice(DIVISORS))
    levels = []
    for _ in range(60):
        if rng.random() < 0.3:
            levels += p.compute_levels(rng.randbytes(1))
        else:
            levels += [rng.randint(0, 1)] * rng.choice((1, 2, p.divisor, 3 * p.divisor, 11 * p.divisor))
    assert bytes(byte for byte, _ in receive(p.divisor, levels)) == p.compute_bytes(levels), f"seed {seed}"


@pytest.mark.parametrize("drift", (-0.035, 0.035))
def test_receiver_tolerates_another_clock(drift):
    """The sender's bits are 3.5 % shorter or longer, without a pause between bytes."""
    divisor = 16
    data = random.Random(4).randbytes(20)
    ideal = UartParameters(1000).compute_levels(data)
    step = 1000 / (divisor * (1 + drift))
    levels = [ideal[int(n * step)] for n in range(int(len(ideal) / step))]
    assert bytes(byte for byte, _ in receive(divisor, levels)) == data


def test_receiver_keeps_the_byte_that_waits():
    p = UartParameters(4)
    ((byte, _),) = receive(4, p.compute_levels(b"\x12\x34\x56"), ready=False)
    assert byte == 0x12


def test_receiver_drops_a_byte_without_stop_bit_and_recovers():
    p = UartParameters(6)
    broken = p.compute_levels(b"\x55")[: -p.divisor] + [0] * p.divisor
    assert p.compute_bytes(broken + [1] * 6 + p.compute_levels(b"\x42")) == b"\x42"
    assert [byte for byte, _ in receive(6, broken + [1] * 6 + p.compute_levels(b"\x42"))] == [0x42]


def test_transmitter_throughput():
    p = UartParameters(5)
    levels = transmit(5, bytes(range(8)))
    assert len(levels) == 1 + 7 * p.byte_cycles + 12 * 5


@pytest.mark.parametrize(
    ("divisor", "error", "message"),
    [
        (3, ValueError, r"^UART divisor must be an integer from 4 to 65535, not 3$"),
        (65536, ValueError, r"^UART divisor must be an integer from 4 to 65535, not 65536$"),
        (4.5, TypeError, r"^UART divisor must be an integer from 4 to 65535, not 4\.5$"),
    ],
)
def test_init_wrong_divisor(divisor, error, message):
    with pytest.raises(error, match=message):
        UartParameters(divisor)
