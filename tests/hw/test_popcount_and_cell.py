import random

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from signfold.hw.cell import CellParameters
from signfold.hw.fabric import FABRICS
from signfold.hw.parity import ParityParameters, weight_parities
from signfold.hw.planes import PlaneParameters
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


def as_weights(word, width):
    """Return a weight word as cells on prefix parities read it."""
    bits = weight_parities(np.array([word >> k & 1 for k in range(width)]))
    return sum(int(bit) << k for k, bit in enumerate(bits))


def encoded(word, simd, lanes, encode):
    """Return a word with each of its planes encoded."""
    mask = (1 << simd) - 1
    return sum(encode(word >> lane * simd & mask, simd) << lane * simd for lane in range(lanes))


def as_activations(word, width):
    return ParityParameters(width).compute(word)


FORMS = [("plain", False), ("xilinx", False), ("xilinx", True), ("ice40", False), ("ice40", True)]
PLANES = {"binary": PlaneParameters(), "2x2": PlaneParameters(2, 4, True), "ternary": PlaneParameters(1, 3, True)}


@pytest.mark.parametrize("planes", PLANES)
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize(
    ("width", "stages"), [(1, 0), (2, 1), (3, 2), (4, 0), (7, 5), (8, 1), (31, 2), (64, 3), (100, 0)]
)
def test_popcount(width, stages, form, planes):
    fabric, is_encoded = form
    planes = PLANES[planes]
    parameters = PopcountParameters(width, stages, planes, FABRICS[fabric], is_encoded)
    rng = random.Random(width)
    bits = [width * planes.activation_lanes, width * planes.weight_lanes]
    words = [(0, 0), (0, (1 << bits[1]) - 1), *(tuple(rng.getrandbits(n) for n in bits) for _ in range(20))]
    dut = parameters.create()
    counts = []

    async def bench(ctx):
        for cycle in range(len(words) + stages):
            activations, weights = words[min(cycle, len(words) - 1)]
            if is_encoded:
                activations = encoded(activations, width, planes.activation_lanes, as_activations)
                weights = encoded(weights, width, planes.weight_lanes, as_weights)
            ctx.set(dut.activations, activations)
            ctx.set(dut.weights, weights)
            if cycle >= stages:
                counts.append(sum(ctx.get(part) for part in dut.parts))
            await ctx.tick()

    run(dut, bench)
    assert counts == [parameters.compute(*pair) for pair in words]


@pytest.mark.parametrize("fabric", ["plain", "xilinx", "ice40", "ecp5"])
@pytest.mark.parametrize(("simd", "words", "stages"), [(1, 1, 0), (5, 3, 1), (16, 4, 2), (64, 13, 1)])
def test_cell(simd, words, stages, fabric):
    parameters = CellParameters(simd, words, stages, fabric=FABRICS[fabric])
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
