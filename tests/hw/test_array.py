import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.array import ArrayParameters


def word(bits):
    return sum(int(bit) << i for i, bit in enumerate(bits))


def simulate(parameters, words, weights, starts):
    """Play passes whose words are due in the cycles `starts[pass][word]`; return sums and the cycles of `done`."""
    p, dut = parameters, parameters.create()
    due = {cycle: (n, k) for n, cycles in enumerate(starts) for k, cycle in enumerate(cycles)}
    sums = np.full((len(starts), p.rows, p.cols), -1)
    done = [[] for _ in range(p.rows)]

    async def bench(ctx):
        for cycle in range(max(due) + p.latency + p.rows + p.groups + 2):
            n, k = due.get(cycle, (0, 0))
            ctx.set(dut.valid, cycle in due)
            # Between words the other inputs are noise.
            ctx.set(dut.first, k == 0)
            ctx.set(dut.last, k == p.words - 1 or cycle not in due)
            for r in range(p.rows):
                ctx.set(dut.words[r], word(words[n, r, k]))
            for b in range(p.groups):
                n, k = due.get(cycle - p.weight_delay(b), (0, 0))
                ctx.set(dut.weights[b], word(weights[n, b * p.hop : (b + 1) * p.hop, k].reshape(-1)))
            for r in range(p.rows):
                if ctx.get(dut.done) >> r & 1:
                    done[r].append(cycle)
                for n, cycles in enumerate(starts):
                    b = cycle - cycles[-1] - p.latency - r
                    if 0 <= b < p.groups:
                        sums[n, r, b * p.hop : (b + 1) * p.hop] = [ctx.get(dut.sums[r][x]) for x in range(p.hop)]
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sums, done


@pytest.mark.parametrize("gaps", [0, 3], ids=["back-to-back", "idle cycles"])
@pytest.mark.parametrize(
    "parameters",
    [
        ArrayParameters(1, 1, 1, 1, 1, 0),
        ArrayParameters(1, 5, 7, 5, 1, 1),
        ArrayParameters(3, 4, 8, 4, 1, 2),
        ArrayParameters(2, 6, 13, 3, 2, 0),
        ArrayParameters(1, 9, 64, 3, 3, 3),
        ArrayParameters(4, 4, 3, 1, 4, 1),
    ],
    ids=str,
)
def test_sums_and_cycles(parameters, gaps):
    rng = np.random.default_rng(7)
    p, passes = parameters, 6
    words = rng.integers(0, 2, (passes, p.rows, p.words, p.simd))
    weights = rng.integers(0, 2, (passes, p.cols, p.words, p.simd))
    cycles = np.cumsum(1 + rng.integers(0, gaps + 1, passes * p.words)).reshape(passes, p.words).tolist()
    sums, done = simulate(p, words, weights, cycles)
    for n in range(passes):
        assert (sums[n] == p.compute(words[n], weights[n])).all()
    for r in range(p.rows):
        assert done[r] == [ends[-1] + p.latency + r for ends in cycles]


def test_full_range():
    p = ArrayParameters(1, 2, 5, 3, 1)
    ones = np.ones((1, 1, 3, 5), int)
    sums, _ = simulate(p, ones, np.stack([np.ones((3, 5), int), np.zeros((3, 5), int)])[None], [[0, 1, 2]])
    assert sums.tolist() == [[[15, 0]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 8, 4), r"^rows must be an integer of at least 1, not 0$"),
        ((1, 4, 8, 4, 3), r"^hop must divide cols = 4, not 3$"),
        ((1, 8, 8, 4, 1), r"^hop must be at least cols / words = 8 / 4, so 2 or more, not 1$"),
        ((1, 4, -2, 4), r"^simd must be an integer of at least 1, not -2$"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        ArrayParameters(*arguments)


def test_wrong_type():
    with pytest.raises(TypeError, match=r"^cols must be an integer of at least 1, not '4'$"):
        ArrayParameters(1, "4", 8, 4)
