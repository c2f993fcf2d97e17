"""Cells that multiply: totals against `compute`, arrays of them against theirs, and what is refused."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.array import ArrayParameters
from signfold.hw.cell import CellParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.multiplier_cell import MultiplierCellParameters
from signfold.hw.planes import PlaneParameters


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("bits", "levels", "simd", "words", "stages"),
    [
        (8, 256, 3, 4, 1),
        (8, 1 << 16, 2, 3, 2),
        (1, 1 << 9, 5, 2, 0),
        (8, 2, 4, 3, 3),
        (3, 3, 7, 3, 6),
        (4, 4, 1, 5, 1),
        (2, 1 << 12, 9, 1, 4),
    ],
)
def test_totals_and_cycles(bits, levels, simd, words, stages):
    planes = PlaneParameters(bits, levels, True, True)
    p = MultiplierCellParameters(simd, words, stages, planes)
    rng = random.Random(levels + bits)
    top, most = (1 << bits) - 1, levels - 1
    ends = [[(0, 0)], [(top, 0)], [(top, most)], [(0, most)]]
    passes = [pairs * simd * words for pairs in ends]
    passes += [[(rng.randint(0, top), rng.randint(0, most)) for _ in range(simd * words)] for _ in range(5)]

    def packed(codes, spread):
        """Words of codes, plane by plane."""
        lanes = spread(np.array(codes)).reshape(-1, words, simd)
        return [sum(int(bit) << k for k, bit in enumerate(lanes[:, word].reshape(-1))) for word in range(words)]

    def activation_bits(codes):
        return np.stack([codes >> plane & 1 for plane in range(bits)])

    stimulus = [
        (packed([q for q, _ in one], activation_bits), packed([c for _, c in one], planes.weight_bits))
        for one in passes
    ]
    expected = [sum(q * (2 * c - most) for q, c in one) + p.offset for one in passes]
    assert [p.compute(*one) for one in stimulus] == expected
    assert all(0 <= total < 1 << p.sum_width for total in expected)
    beats = [(a, w, k == 0) for one in stimulus for k, (a, w) in enumerate(zip(*one, strict=True))]
    dut, totals = p.create(), []

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

    simulate(dut, bench)
    assert totals == expected


def test_array_holds_its_sums_on_their_way():
    p = ArrayParameters(2, 4, 3, 4, 1, 1, PlaneParameters(5, 64, True, True), FABRICS["ecp5"])
    assert not p.encoded
    rng = np.random.default_rng(5)
    words, weights = rng.integers(0, 32, (2, 4, 3)), rng.integers(0, 64, (4, 4, 3))
    expected = p.compute(words, weights)
    assert (expected == (words[:, None] * (2 * weights - 63)).sum(axis=(2, 3)) + p.cell.offset).all()

    def packed(codes, bits):
        return sum((int(code) >> bit & 1) << bit * 3 + k for bit in range(bits) for k, code in enumerate(codes))

    dut, sums = p.create(), np.zeros((2, 4), int)

    async def bench(ctx):
        for cycle in range(p.words + p.latency + p.rows + p.groups):
            ctx.set(dut.valid, cycle < p.words)
            ctx.set(dut.first, cycle == 0)
            ctx.set(dut.last, cycle == p.words - 1)
            for row in range(p.rows):
                ctx.set(dut.words[row], packed(words[row, min(cycle, p.words - 1)], 5))
            for group in range(p.groups):
                word = min(max(cycle - p.weight_delay(group), 0), p.words - 1)
                ctx.set(dut.weights[group], packed(weights[group, word], 6))
            for row in range(p.rows):
                group = cycle - (p.words - 1) - p.latency - row
                if 0 <= group < p.groups:
                    sums[row, group] = ctx.get(dut.sums[row][0])
            await ctx.tick()

    simulate(dut, bench)
    assert (sums == expected).all()


def test_registers_stand_behind_multipliers_first():
    def registers(simd, stages):
        return MultiplierCellParameters(simd, 1, stages).registers

    assert registers(1, 0) == (0, 0)
    assert registers(1, 1) == (0, 1)
    assert registers(1, 3) == (2, 1)
    assert registers(8, 2) == (0, 1, 0, 0, 1)
    assert registers(8, 3) == (0, 1, 0, 1, 1)
    assert registers(8, 6) == (2, 1, 1, 1, 1)
    assert all(sum(registers(simd, stages)) == stages for simd in range(1, 20) for stages in range(17))


def test_slow_clocks_need_no_registers_in_the_tree():
    cell = MultiplierCellParameters(16, 1, fabric=FABRICS["ecp5"])
    assert [cell.stages_for(clock) for clock in (10, 70, 400)] == [1, 2, 5]


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"^space must be True where cells multiply whole codes, not False$"):
        PlaneParameters(8, 256, False, True)
    with pytest.raises(ValueError, match=r"^multiplies must be False where activations and weights have one bit"):
        PlaneParameters(1, 2, True, True)
    with pytest.raises(TypeError, match=r"^multiplies must be True or False, not 1$"):
        PlaneParameters(8, 256, True, 1)
    with pytest.raises(ValueError, match=r"^planes must multiply for a cell of multipliers$"):
        MultiplierCellParameters(1, 1, planes=PlaneParameters(8, 256, True))
    with pytest.raises(ValueError, match=r"^planes must not multiply for a cell that counts$"):
        CellParameters(1, 1, planes=PlaneParameters(8, 256, True, True))
    with pytest.raises(ValueError, match=r"^multiplier stages must be an integer from 0 to 16, not 17$"):
        MultiplierCellParameters(1, 1, 17)
