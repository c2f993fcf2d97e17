"""Feeders of random geometry against `compute`, the timing and `interval`."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.feeder import FeederParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.timing import offered
from signfold.hw.window_parameters import WindowParameters

FRAMES = 4


def random_window(rng, by_channel):
    largest = int(rng.integers(2, 7))
    kernel = tuple(rng.integers(1, largest, 2).tolist())
    stride = tuple(rng.integers(1, 4, 2).tolist())
    padding = tuple(int(rng.integers(0, kernel[i // 2])) for i in range(4)) if rng.integers(2) else (0, 0, 0, 0)
    height = int(rng.integers(max(1, kernel[0] - sum(padding[:2])), 12))
    width = int(rng.integers(max(1, kernel[1] - sum(padding[2:])), 12))
    simd, channels, bits = (int(n) for n in rng.integers(1, [9, 9, 3]))
    return WindowParameters(
        simd,
        channels,
        height,
        width,
        kernel,
        stride,
        padding,
        bits,
        int(rng.integers(1 << bits)),
        by_channel=by_channel,
    )


def random_feeder(rng):
    kind = rng.integers(3)
    if kind == 0:
        storage = ReplayParameters(*(int(n) for n in rng.integers(1, [9, 9])), 1, int(rng.integers(1, 4)))
    else:
        storage = random_window(rng, bool(kind == 2))
    passes = storage.words if kind == 2 else int(rng.integers(1, 4))
    levels, space = int(rng.choice([2, 2, 3, 4, 8])), bool(rng.integers(4) == 0)
    rows = 1
    if kind == 1:
        width = storage.output_size[1]
        rows = int(rng.choice([n for n in range(1, width + 1) if width % n == 0]))
    return FeederParameters(storage, passes, PlaneParameters(storage.bits, levels, space), rows)


def frames_in(p, rng):
    """Return random frames, as words at the input and as windows: frame x position x play word x lane."""
    s = p.storage
    if isinstance(s, ReplayParameters):
        frames = rng.integers(0, 1 << s.bits, (FRAMES, s.words, s.simd))
        return frames.reshape(-1, s.simd), frames[:, None]
    images = rng.integers(0, 1 << s.bits, (FRAMES, s.height, s.width, s.channels))
    spread = np.zeros((FRAMES, s.height, s.width, s.words * s.simd), int)
    spread[..., : s.channels] = images
    windows = np.stack([s.compute(image) for image in images])
    return spread.reshape(-1, s.simd), windows.reshape(FRAMES, s.positions, s.taps, s.words, s.simd)


def expected_plays(p, windows):
    """Return, for each step of the array, the rows' words, weight address, first, last, double."""
    s, steps = p.storage, []
    for frame in windows:
        for group in frame.reshape(p.positions // p.rows, p.rows, *frame.shape[1:]):
            for n, (address, plane, double) in enumerate(p.sequencer.compute()):
                in_pass = n % (p.play_words * len(p.planes.plays))
                k = n % p.play_words
                words = []
                for window in group:
                    if getattr(s, "by_channel", False):
                        codes = window[k, n // (p.play_words * len(p.planes.plays))]
                    else:
                        codes = window.reshape(-1, s.simd)[k]
                    planes = range(s.bits) if p.planes.space else [plane]
                    bits = [int(code) >> i & 1 for i in planes for code in codes]
                    words.append(sum(bit << k for k, bit in enumerate(bits)))
                last = in_pass == p.play_words * len(p.planes.plays) - 1
                steps.append((words, address, in_pass == 0, last, double))
    return steps


def play(p, words, rng, offers, grants, count):
    """Return what the gateware plays and when, and the cycles of the input's transfers."""
    dut = p.create()
    played, cycles, taken = [], [], []

    async def source(ctx):
        cycle = 0
        for word in words.tolist():
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
        address = 0
        for cycle in range(40 * count + 400):
            ctx.set(dut.grant, rng.random() < grants)
            if ctx.get(dut.valid):
                row_words = [ctx.get(dut.words[r]) for r in range(p.rows)]
                flags = [bool(ctx.get(flag)) for flag in (dut.first, dut.last, dut.double)]
                played.append((row_words, address, *flags))
                cycles.append(cycle)
            if len(played) == count:
                return
            address = ctx.get(dut.address)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.run()
    return played, cycles, taken


def check_feeder(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    p = random_feeder(rng)
    print(p)
    words, windows = frames_in(p, rng)
    expected = expected_plays(p, windows)
    played, cycles, taken = play(p, words, random.Random(seed), 1, 1, len(expected))
    assert played == expected

    timing, last_words = p.playing(offered(range(len(words)))), []
    plays = len(p.planes.plays)
    for _ in range(len(expected) // p.play_words // plays // p.passes):
        for n in range(p.passes):
            for k in range(plays):
                advance = k == plays - 1 and (n == p.passes - 1 or getattr(p.storage, "by_channel", False))
                last_words.append(timing.play(0, advance) + p.storage.DELAY)
    assert cycles[p.play_words - 1 :: p.play_words] == last_words
    frame = len(expected) // FRAMES
    ends = cycles[frame - 1 :: frame]
    assert [b - a for a, b in zip(ends[1:], ends[2:], strict=False)] == [p.interval] * (FRAMES - 2)

    offers, grants = rng.choice([0.3, 0.9, 1], 2).tolist()
    half = len(expected) // 2
    assert play(p, words[: len(words) // 2], random.Random(seed), offers, grants, half)[0] == expected[:half]


@pytest.mark.parametrize("seed", range(24))
def test_random_feeder(seed):
    check_feeder(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(24, 400))
def test_random_feeder_sweep(seed):
    check_feeder(seed)
