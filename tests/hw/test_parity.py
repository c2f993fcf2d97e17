import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.parity import ParityParameters, weight_parities


@pytest.mark.parametrize(
    ("simd", "lanes", "radix", "latency"), [(1, 1, 8, 1), (7, 2, 8, 1), (9, 1, 8, 2), (65, 3, 4, 4)]
)
def test_encoder(simd, lanes, radix, latency):
    parameters = ParityParameters(simd, lanes, radix)
    assert parameters.latency == latency
    rng = random.Random(simd)
    words = [rng.getrandbits(simd * lanes) for _ in range(30)]
    dut = parameters.create()
    found = []

    async def bench(ctx):
        for cycle in range(len(words) + latency):
            ctx.set(dut.word, words[min(cycle, len(words) - 1)])
            if cycle >= latency:
                found.append(ctx.get(dut.parities))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [parameters.compute(word) for word in words]


def test_parities_of_both_sides_make_those_of_the_agreements():
    rng = np.random.default_rng(3)
    activations, weights = rng.integers(0, 2, (2, 50, 33))
    encoder = ParityParameters(33)
    for a, w in zip(activations, weights, strict=True):
        word = sum(int(bit) << k for k, bit in enumerate(a))
        parities = [encoder.compute(word) >> k & 1 for k in range(33)] ^ weight_parities(w)
        assert np.array_equal(parities, np.cumsum(a == w) % 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "simd must be an integer of at least 1, not 0"),
        ((4, 0), "parity lanes must be an integer of at least 1, not 0"),
        ((4, 1, 1), "parity radix must be an integer of at least 2, not 1"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ParityParameters(*arguments)
