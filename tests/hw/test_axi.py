"""Parts of the AXI wrapper against their `compute` and their timing; soft resets in any cycle."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.axi_control import REGISTERS, AxiControlParameters
from signfold.hw.axi_lite import OKAY, SLVERR, AxiLiteParameters
from signfold.hw.axi_stream import FrameInputParameters, ResultOutputParameters
from signfold.hw.skid import SkidBufferParameters
from signfold.sim.streams import CLOCK_PERIOD
from signfold.sim.timed import check_timing, paced

#: Cycles of pauses a beat, of the source and of the consumer; None: a consumer that is ready by the cycle.
PACES = [(0, 0), (1, 1), (0, 3), (3, 0), (0.5, None), (0, None)]


def check_exactly(parameters, inputs, expected, pace_in, pace_out):
    """Compare outputs and the cycles of all transfers."""
    rng = random.Random(f"{pace_in} {pace_out}")
    pattern = [rng.random() < 0.6 for _ in range(97)]
    ready = paced(rng, len(expected), pace_out) if pace_out is not None else lambda cycle: pattern[cycle % 97]
    run = check_timing(parameters, inputs, count=len(expected), offers=paced(rng, len(inputs), pace_in), ready=ready)
    assert run.outputs == expected


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
def test_skid_buffer(pace_in, pace_out):
    inputs = [n % 64 for n in range(150)]
    parameters = SkidBufferParameters(6)
    check_exactly(parameters, inputs, parameters.compute(inputs), pace_in, pace_out)


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize(("lanes", "bits"), [(1, 1), (3, 3), (2, 8)])
def test_frame_input(lanes, bits, pace_in, pace_out):
    """Frames of any length; bits of TDATA that no code has are noise."""
    rng = random.Random(f"{lanes} {bits}")
    parameters = FrameInputParameters(lanes, bits, 4)
    beats = [(rng.randrange(256**parameters.size), int(rng.random() < 0.25)) for _ in range(120)]
    expected, counts = parameters.compute(beats)
    assert counts["short"] and counts["long"] and counts["frames"] > counts["short"] + counts["long"]
    check_exactly(parameters, [{"data": d, "last": e} for d, e in beats], expected, pace_in, pace_out)


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize(("width", "classes", "field"), [(3, 2, 8), (8, 300, 16), (17, 5, 32), (2, 1, 8), (9, 3, 16)])
def test_result_output(width, classes, field, pace_in, pace_out):
    rng = random.Random(f"{width} {classes}")
    parameters = ResultOutputParameters(width, classes)
    assert (parameters.field, parameters.size) == (field, field // 4)
    bound = 1 << (width - 1)
    results = [
        {"score": rng.randrange(-bound, bound), "best": rng.randrange(classes), "last": int(k == classes - 1)}
        for _ in range(-(-60 // classes))
        for k in range(classes)
    ]
    expected = parameters.compute(results)
    assert [parameters.unpack(beat["data"]) for beat in expected] == [(r["score"], r["best"]) for r in results]
    check_exactly(parameters, results, expected, pace_in, pace_out)


def test_pack():
    assert FrameInputParameters(3, 3, 2).pack(np.array([1, 2, 3, 4])) == [1 | 2 << 3 | 3 << 6, 4]


@pytest.mark.parametrize("seed", range(12))
def test_a_soft_reset_drops_the_rest_of_a_frame(seed):
    """Whatever the cycle: after it comes nothing of the frame that was under way, and all of those after it."""
    parameters = FrameInputParameters(1, 8, 4)
    rng = random.Random(seed)
    frames = [[16 * n + k for k in range(4)] for n in range(6)]
    when, dut, seen, counted = rng.randrange(2, 30), parameters.create(), [], []
    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)

    async def bench(ctx):
        beats = [(code, int(k == 3)) for frame in frames for k, code in enumerate(frame)]
        for cycle in range(120):
            ctx.set(dut.flush, cycle == when)
            ctx.set(dut.o.ready, rng.random() < 0.7)
            if not ctx.get(dut.i.valid) and beats and rng.random() < 0.7:
                ctx.set(dut.i.payload, {"data": beats[0][0], "last": beats[0][1]})
                ctx.set(dut.i.valid, 1)
            if ctx.get(dut.o.valid & dut.o.ready):
                seen.append((cycle, ctx.get(dut.o.payload.codes[0]), ctx.get(dut.o.payload.last)))
            if ctx.get(dut.frame):
                counted.append(cycle)
            assert not ctx.get(dut.short | dut.long)
            taken = ctx.get(dut.i.valid & dut.i.ready)
            await ctx.tick()
            if taken:
                beats.pop(0)
                ctx.set(dut.i.valid, 0)
        assert not beats and ctx.get(dut.idle)

    simulator.add_testbench(bench)
    simulator.run()
    before = [(code, last) for cycle, code, last in seen if cycle <= when]
    after = [(code, last) for cycle, code, last in seen if cycle > when]
    sent = [(code, int(k == 3)) for frame in frames for k, code in enumerate(frame)]
    assert before == sent[: len(before)]
    whole = -(-len(before) // 4)
    assert after == sent[4 * whole :], f"seed {seed}"
    assert len(counted) == len(before) // 4 + len(after) // 4


@pytest.mark.parametrize("seed", range(12))
def test_a_soft_reset_completes_a_packet(seed):
    """The packet that is under way gets its length and TLAST, and the next one is whole."""
    parameters = ResultOutputParameters(7, 4)
    rng = random.Random(seed)
    when, dut, seen, given = rng.randrange(2, 20), parameters.create(), [], []
    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)

    async def bench(ctx):
        index = 0
        for cycle in range(80):
            ctx.set(dut.flush, cycle == when)
            ctx.set(dut.o.ready, rng.random() < 0.7)
            if not ctx.get(dut.i.valid) and (cycle < 50 or index) and rng.random() < 0.7:
                ctx.set(dut.i.payload, {"score": index + 1, "best": index, "last": index == 3})
                ctx.set(dut.i.valid, 1)
            if ctx.get(dut.o.valid & dut.o.ready):
                seen.append((ctx.get(dut.o.payload.data), ctx.get(dut.o.payload.last)))
            taken = ctx.get(dut.i.valid & dut.i.ready)
            if taken:
                given.append((cycle, index + 1))
            await ctx.tick()
            if taken:
                index = (index + 1) % 4
                ctx.set(dut.i.valid, 0)
            if cycle == when:  # what was offered is forgotten
                index = 0
                ctx.set(dut.i.valid, 0)
        assert ctx.get(dut.idle)

    simulator.add_testbench(bench)
    simulator.run()
    cut = sum(cycle <= when for cycle, _ in given) % 4
    expected = [score for cycle, score in given if cycle <= when]
    expected += [0] * (-cut % 4) + [score for cycle, score in given if cycle > when]
    assert [data & 0xFF for data, _ in seen] == expected, f"seed {seed}"
    assert [last for _, last in seen] == [0, 0, 0, 1] * (len(expected) // 4)


def test_registers_in_plain_integers():
    bus = AxiLiteParameters(3, (1,))
    assert bus.compute(0, [5, 6, 7]) == (5, OKAY) and bus.compute(12, [5, 6, 7]) == (0, SLVERR)
    assert bus.compute_write(4, 0x11223344, 0b0101) == ({1: 0x00220044}, OKAY)
    assert bus.compute_write(8, 1, 15) == bus.compute_write(0xFFC, 1, 15) == ({}, SLVERR)


CONTROL = {"identity": bytes(range(32)), "elements": 784, "bits": 8, "lanes": 2, "beats": 392, "classes": 10}
CONTROL |= {"score_width": 9, "field": 16, "latency": 1000, "interval": 400}


def test_what_the_registers_hold():
    values = AxiControlParameters(**CONTROL).compute(idle=True, frames=3, results=3, short=1, long=0)
    named = dict(zip((name for name, _ in REGISTERS), values, strict=True))
    assert named["ID"].to_bytes(4, "little") == b"SGNF"
    assert (named["STATUS"], named["CODES"], named["SCORES"]) == (0b011, 8 | 2 << 16, 9 | 16 << 16)
    assert b"".join(named[f"HASH{k}"].to_bytes(4, "little") for k in range(8)) == bytes(range(32))


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: FrameInputParameters(0, 1, 1), r"^lanes must be an integer of at least 1, not 0$"),
        (lambda: FrameInputParameters(1, 1, 0), r"^beats must be an integer of at least 1, not 0$"),
        (lambda: ResultOutputParameters(0, 1), r"^score width must be an integer of at least 1, not 0$"),
        (lambda: AxiLiteParameters(1025), r"^registers must be an integer from 1 to 1024, not 1025$"),
        (lambda: AxiLiteParameters(2, (2,)), r"^writable register must be an integer from 0 to 1, not 2$"),
        (lambda: AxiControlParameters(**CONTROL | {"identity": b"x"}), r"^identity must be 32 bytes, not 1$"),
        (lambda: AxiControlParameters(**CONTROL | {"bits": 256}), r"^bits must be an integer from 1 to 255, not 256$"),
    ],
)
def test_refusals(create, message):
    with pytest.raises(ValueError, match=message):
        create()
