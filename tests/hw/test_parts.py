"""The parts of an engine, one by one, against their `compute`."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.check import frozen_array
from signfold.hw.collector import CollectorParameters
from signfold.hw.rom import RomParameters


def run(dut, *benches):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(("width", "depth"), [(1, 1), (7, 5), (100, 33)])
def test_rom(width, depth):
    rng = random.Random(width)
    parameters = RomParameters("table", width, tuple(rng.getrandbits(width) for _ in range(depth)))
    dut = parameters.create()
    read = []

    async def bench(ctx):
        for address in range(depth):
            ctx.set(dut.address, address)
            await ctx.tick()
            read.append(ctx.get(dut.data))

    run(dut, bench)
    assert read == [parameters.compute(address) for address in range(depth)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a b", 1, (0,)), ValueError, r"^ROM name must be a letter and up to 62 letters, digits and underscores, not"),
        (("x\nassign", 1, (0,)), ValueError, r"^ROM name must be a letter"),
        ((3, 1, (0,)), TypeError, r"^ROM name must be a string, not 3$"),
        (("a", 0, (0,)), ValueError, r"^ROM width must be an integer of at least 1, not 0$"),
        (("a", 1, ()), ValueError, r"^ROM 'a' must hold at least one word$"),
        (("a", 3, (7, 8)), ValueError, r"^ROM 'a' word 1 must fit 3 bits, not 8$"),
    ],
)
def test_wrong_rom(arguments, error, message):
    with pytest.raises(error, match=message):
        RomParameters(*arguments)


@pytest.mark.parametrize(("groups", "passes", "beats"), [(1, 1, 1), (3, 2, 6), (3, 2, 4), (4, 3, 9), (1, 5, 5)])
def test_collector(groups, passes, beats):
    parameters = CollectorParameters(groups, passes, beats)
    rng = random.Random(groups)
    frames = [[[(n, play, beat) for beat in range(groups)] for play in range(passes)] for n in range(3)]
    dut = parameters.create()
    kept, ends = [], []

    async def bench(ctx):
        for frame in frames:
            for shown in frame:
                for beat in shown:
                    ctx.set(dut.done, beat[2] == 0)
                    if ctx.get(dut.valid):
                        kept.append(beat)
                        if ctx.get(dut.last):
                            ends.append(len(kept))
                    await ctx.tick()
                ctx.set(dut.done, 0)
                for _ in range(rng.randrange(3)):
                    assert not ctx.get(dut.valid)
                    await ctx.tick()

    run(dut, bench)
    assert kept == [beat for frame in frames for beat in parameters.compute(frame)]
    assert ends == [beats, 2 * beats, 3 * beats]


def test_frozen_array_copies():
    source = np.zeros((2, 2), int)
    array = frozen_array("x", source, shape=(2, None))
    source[0, 0] = 5
    assert array[0, 0] == 0
    with pytest.raises(ValueError):
        array[0, 0] = 1
