"""Windows of random geometry against `compute`, `schedule` and `interval`."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.window_parameters import WindowParameters

FRAMES = 4


def random_window(rng):
    largest = int(rng.integers(2, 7))
    kernel = tuple(rng.integers(1, largest, 2).tolist())
    stride = tuple(rng.integers(1, 4, 2).tolist())
    padding = tuple(int(rng.integers(0, kernel[i // 2])) for i in range(4)) if rng.integers(2) else (0, 0, 0, 0)
    height = int(rng.integers(max(1, kernel[0] - sum(padding[:2])), 12))
    width = int(rng.integers(max(1, kernel[1] - sum(padding[2:])), 12))
    simd, channels, bits = (int(n) for n in rng.integers(1, [9, 9, 3]))
    pad_code, passes = int(rng.integers(1 << bits)), int(rng.integers(1, 4))
    return WindowParameters(simd, channels, height, width, kernel, stride, padding, bits, pad_code, passes)


def play(parameters, images, rng, offers, grants):
    """Return the words that the gateware plays with their cycles, and the cycles of the input's transfers."""
    p, dut = parameters, parameters.create()
    spread = np.zeros((len(images), p.height, p.width, p.words * p.simd), int)
    spread[..., : p.channels] = images
    words = spread.reshape(-1, p.simd).tolist()
    expected = len(images) * p.positions * p.passes * p.taps * p.words
    played, cycles, taken = [], [], []

    async def source(ctx):
        cycle = 0
        for word in words:
            while rng.random() > offers:
                await ctx.tick()
                cycle += 1
            ctx.set(dut.i.payload.codes, word)
            ctx.set(dut.i.valid, 1)
            while not ctx.get(dut.i.ready):
                await ctx.tick()
                cycle += 1
            taken.append(cycle)
            await ctx.tick()
            cycle += 1
            ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        for cycle in range(60 * expected + 2000):
            ctx.set(dut.grant, rng.random() < grants)
            if ctx.get(dut.valid):
                k = len(played) % (p.taps * p.words)
                assert (ctx.get(dut.first), ctx.get(dut.last)) == (k == 0, k == p.taps * p.words - 1)
                played.append([ctx.get(dut.word[lane]) for lane in range(p.simd)])
                cycles.append(cycle)
            if len(played) == expected:
                return
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.run()
    return played, cycles, taken


def check_window(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    p = random_window(rng)
    print(p)
    images = rng.integers(0, 1 << p.bits, (FRAMES, p.height, p.width, p.channels))
    windows = np.concatenate([np.repeat(p.compute(image), p.passes, axis=0) for image in images])
    expected = windows.reshape(-1, p.simd).tolist()

    played, cycles, taken = play(p, images, random.Random(seed), offers=1, grants=1)
    assert played == expected
    frame = len(expected) // FRAMES
    assert [cycle - taken[0] for cycle in cycles[:frame]] == p.schedule(list(range(p.height * p.width * p.words)))
    ends = cycles[frame - 1 :: frame]
    assert [b - a for a, b in zip(ends[1:], ends[2:], strict=False)] == [p.interval] * (FRAMES - 2)

    offers, grants = rng.choice([0.3, 0.9, 1], 2).tolist()
    assert play(p, images[:2], random.Random(seed), offers, grants)[0] == expected[: 2 * frame]


@pytest.mark.parametrize("seed", range(12))
def test_random_window(seed):
    check_window(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(12, 300))
def test_random_window_sweep(seed):
    check_window(seed)


@pytest.mark.parametrize("size", [3, 5])
def test_storage_is_the_line_buffers(size):
    p = WindowParameters(8, 16, 32, 30, (size, size))
    assert p.capacity == (size - 1) * 30 + size


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kernel": (9, 3)}, ValueError, r"^kernel height must be at most 8, the padded height, not 9$"),
        ({"padding": (0, 0, 3, 0)}, ValueError, r"^padding must be smaller than the kernel's width 3, not 3$"),
        ({"stride": (0, 1)}, ValueError, r"^stride must be an integer of at least 1, not 0$"),
        ({"kernel": 3}, TypeError, r"^kernel must be a tuple of 2 integers, not 3$"),
        ({"pad_code": 2}, ValueError, r"^pad_code must be an integer from 0 to 1, not 2$"),
    ],
)
def test_wrong_parameters(change, error, message):
    good = {"simd": 4, "channels": 4, "height": 8, "width": 8, "kernel": (3, 3)}
    WindowParameters(**good)
    with pytest.raises(error, match=message):
        WindowParameters(**good | change)
