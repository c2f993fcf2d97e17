"""Border classes, beat addresses and the threshold unit against their `compute`."""

import random

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from signfold.hw.beat_address import BeatAddressParameters
from signfold.hw.border import BorderClasses
from signfold.hw.threshold import ThresholdParameters

FRAMES = 3
#: A convolution's, one whose classes do not start at 0 and are not all there, a column, and one class only.
BORDERS = {
    "same": BorderClasses((0, 1, 1, 2), (0, 1, 1, 1, 2)),
    "odd": BorderClasses((2, 0, 2), (3, 1)),
    "column": BorderClasses((0, 0, 1, 2, 2, 2), (0,)),
    "row": BorderClasses((0,), (1, 0)),
    "one class": BorderClasses((0, 0), (0, 0, 0)),
    "one position": BorderClasses((1,), (1,)),
}


def run(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("name", [name for name in BORDERS if BORDERS[name].count > 1])
def test_border(name):
    border = BORDERS[name]
    rng = random.Random(name)
    dut = border.create()
    expected = border.sequence * FRAMES + border.sequence[:1]
    assert len(border.sequence) == border.positions and max(border.sequence) < border.count

    async def bench(ctx):
        for current, upcoming in zip(expected, expected[1:], strict=False):
            for step in [0] * rng.randrange(3) + [1]:
                ctx.set(dut.step, step)
                await ctx.delay(0)
                seen = ctx.get(dut.current), ctx.get(dut.upcoming), ctx.get(dut.following)
                assert seen == (current, upcoming, upcoming if step else current)
                await ctx.tick()

    run(dut, bench)


def test_a_border_of_one_class_has_no_state():
    border = BORDERS["one class"]
    assert border.count == 1 and border.sequence == (0,) * 6
    assert "clk" not in rtlil.convert(border.create())


@pytest.mark.parametrize("name", [None, *BORDERS])
@pytest.mark.parametrize("beats", [1, 3, 4])
def test_beat_address(beats, name):
    parameters = BeatAddressParameters(beats, name and BORDERS[name])
    dut = parameters.create()
    addresses = parameters.compute() * FRAMES
    assert max(addresses) < parameters.depth

    async def bench(ctx):
        for k, (current, following) in enumerate(zip(addresses, addresses[1:], strict=False)):
            for step in (0, 1):
                ctx.set(dut.step, step)
                await ctx.delay(0)
                assert ctx.get(dut.current) == current
                assert ctx.get(dut.following) == (following if step else current)
                assert ctx.get(dut.final) == (k % beats == beats - 1)
                await ctx.tick()

    run(dut, bench)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0], (0,)), TypeError, r"^border rows must be a tuple of integers, not \[0\]$"),
        (((0,), ()), ValueError, r"^border columns must hold at least one class$"),
        (((0,), (0, -1)), ValueError, r"^border columns must be an integer from 0 to 255, not -1$"),
    ],
)
def test_wrong_border(arguments, error, message):
    with pytest.raises(error, match=message):
        BorderClasses(*arguments)


def random_thresholds(rng, width, *shape):
    """Ascending thresholds, some of them equal, some of them never reached."""
    return np.sort(rng.integers(0, (1 << width) + 1, shape), axis=-1)


@pytest.mark.parametrize(
    ("channels", "lanes", "width", "bits", "border"),
    [
        (1, 1, 1, 1, None),
        (10, 1, 5, 1, None),
        (10, 4, 5, 1, None),
        (3, 3, 8, 1, None),
        (3, 2, 6, 1, "same"),
        (1, 1, 2, 2, None),
        (7, 3, 4, 2, None),
        (2, 2, 5, 3, "odd"),
        (5, 2, 9, 4, "column"),
        (3, 1, 9, 8, None),
        (2, 1, 4, 2, "row"),
        (3, 2, 3, 2, "one class"),
        (2, 4, 3, 2, "one position"),
    ],
)
def test_thresholds(channels, lanes, width, bits, border):
    rng = np.random.default_rng(channels)
    border = border and BORDERS[border]
    classes = (border.count,) if border else ()
    thresholds = random_thresholds(rng, width, *classes, channels, 2**bits - 1)
    parameters = ThresholdParameters("t", lanes, width, thresholds, border)
    positions = border.positions if border else 4
    frames = rng.integers(0, 1 << width, (FRAMES, positions, channels))
    padded = np.full((FRAMES, positions, parameters.beats * lanes), (1 << width) - 1)
    padded[..., :channels] = frames
    dut = parameters.create()
    codes, valids, knowns = [], [], []

    async def bench(ctx):
        await ctx.tick()
        beats = padded.reshape(-1, lanes).tolist()
        while len(codes) < len(padded.reshape(-1, lanes)):
            # Idle cycles do not count as beats; their sums mean nothing.
            valid = bool(beats) and rng.random() < 0.7
            ctx.set(dut.sums, beats.pop(0) if valid else rng.integers(0, 1 << width, lanes).tolist())
            ctx.set(dut.valid, valid)
            await ctx.tick()
            valids.append(valid)
            knowns.append(ctx.get(dut.known))
            if knowns[-1]:
                codes.append([ctx.get(code) for code in dut.codes])

    run(dut, bench)
    latency = parameters.latency
    assert knowns == [0] * (latency - 1) + valids[: len(valids) - latency + 1]
    codes = np.array(codes).reshape(padded.shape)
    expected = parameters.compute(frames)
    brute = thresholds[list(border.sequence)] if border else thresholds
    assert (expected == (frames[..., None] >= brute).sum(axis=-1)).all()
    assert (codes[..., :channels] == expected).all()
    assert not codes[..., channels:].any()
    names = [rom.name for rom in parameters.roms]
    assert names == ["t", *(f"t_{stage}_{lane}" for stage in range(1, bits) for lane in range(lanes))]


def test_a_single_threshold_keeps_its_table():
    """Images of designs that are out there keep their content."""
    (rom,) = ThresholdParameters("t", 2, 4, np.array([[5], [0], [16]])).roms
    assert (rom.name, rom.width, rom.words) == ("t", 10, (5, 16 | 16 << 5))


@pytest.mark.parametrize(
    ("thresholds", "border", "message"),
    [
        ([[17]], None, r"^thresholds must be integers from 0 to 16, not 17$"),
        ([[1, 2]], None, r"^thresholds must have 2\*\*k - 1 levels for k from 1 to 8, not 2$"),
        ([1], None, r"^thresholds must have 2 or 3 axes, not 1$"),
        ([[1, 3, 2]], None, r"^thresholds must not decrease from level to level, not go from 3 to 2$"),
        ([[1]], BORDERS["same"], r"^thresholds must be given for 9 classes of positions, not 1$"),
        ([[[1]], [[1]]], None, r"^thresholds must be given for 1 classes of positions, not 2$"),
    ],
)
def test_wrong_thresholds(thresholds, border, message):
    with pytest.raises(ValueError, match=message):
        ThresholdParameters("t", 1, 4, np.array(thresholds), border)


def test_wrong_kinds():
    with pytest.raises(TypeError, match=r"^border must be BorderClasses or None, not 3$"):
        ThresholdParameters("t", 1, 4, np.array([[1]]), 3)
    with pytest.raises(TypeError, match=r"^thresholds must hold integers, not float64$"):
        ThresholdParameters("t", 1, 4, np.array([[1.0]]))
