import random

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from signfold.hw.cell import CellParameters
from signfold.hw.popcount import PopcountParameters


def run(dut, bench):
    # A combinational popcount has no clock of its own.
    top = Module()
    top.domains.sync = ClockDomain()
    top.submodules.dut = dut
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("stages", [0, 1, 2, 5])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 31, 64, 100])
def test_popcount(width, stages):
    parameters = PopcountParameters(width, stages)
    rng = random.Random(width)
    words = [0, (1 << width) - 1, *(rng.getrandbits(width) for _ in range(20))]
    dut = parameters.create()
    counts = []

    async def bench(ctx):
        for cycle in range(len(words) + stages):
            ctx.set(dut.word, words[min(cycle, len(words) - 1)])
            if cycle >= stages:
                counts.append(ctx.get(dut.count))
            await ctx.tick()

    run(dut, bench)
    assert counts == [parameters.compute(word) for word in words]


@pytest.mark.parametrize(("simd", "words", "stages"), [(1, 1, 0), (5, 3, 1), (16, 4, 2), (64, 13, 1)])
def test_cell(simd, words, stages):
    parameters = CellParameters(simd, words, stages)
    rng = random.Random(simd)
    passes = [[(rng.getrandbits(simd), rng.getrandbits(simd)) for _ in range(words)] for _ in range(5)]
    passes.append([((1 << simd) - 1,) * 2] * words)
    beats = [(a, w, k == 0) for one in passes for k, (a, w) in enumerate(one)]
    dut = parameters.create()
    totals = []

    async def bench(ctx):
        for cycle in range(len(beats) + stages + 1):
            if cycle < len(beats):
                ctx.set(dut.activations, beats[cycle][0])
                ctx.set(dut.weights, beats[cycle][1])
            staged = cycle - stages
            ctx.set(dut.accumulate, 0 <= staged < len(beats))
            ctx.set(dut.restart, 0 <= staged < len(beats) and beats[staged][2])
            if staged >= 1 and staged % words == 0:
                totals.append(ctx.get(dut.total))
            await ctx.tick()

    run(dut, bench)
    assert totals == [parameters.compute(*zip(*one, strict=True)) for one in passes]


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"^popcount width must be an integer of at least 1, not 0$"):
        PopcountParameters(0)
    with pytest.raises(ValueError, match=r"^popcount stages must be an integer from 0 to 16, not 17$"):
        CellParameters(4, 1, 17)
