"""Walks: every iteration, every value and the one after it, at any pace."""

import random

import pytest
from amaranth.sim import Simulator

from signfold.hw.walk import Program, WalkParameters
from signfold.sim.streams import CLOCK_PERIOD


def random_walk(rng):
    """Return a walk of 1 to 3 programs, some of whose strides are tables."""
    levels, values = rng.randint(1, 4), rng.randint(0, 3)
    programs = []
    for _ in range(rng.randint(1, 3)):
        counts = tuple(rng.choice([1, 1, 2, 3, 4]) for _ in range(levels))
        strides = tuple(
            tuple(
                rng.randint(-9, 20) if rng.random() < 0.7 else tuple(rng.randint(0, 30) for _ in range(count))
                for count in counts
            )
            for _ in range(values)
        )
        programs.append(Program(counts, tuple(rng.randint(-5, 9) for _ in range(values)), strides))
    return WalkParameters(tuple(programs), (7,) * values)


@pytest.mark.parametrize("seed", range(12))
def test_steps(seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    parameters = random_walk(rng)
    dut, steps = parameters.create(), parameters.compute() * 2

    async def bench(ctx):
        for here, after in zip(steps, [*steps[1:], steps[0]], strict=True):
            while rng.random() < 0.3:
                ctx.set(dut.step, 0)
                await ctx.tick()
            ctx.set(dut.step, 1)
            program, place, values = here
            assert ctx.get(dut.program) == program and ctx.get(dut.next_program) == after[0]
            for level, iteration in enumerate(place):
                assert ctx.get(getattr(dut, f"iteration_{level}")) == iteration
                ends = all(i == n - 1 for i, n in zip(place, parameters.programs[program].counts[: level + 1]))  # noqa: B905
                assert ctx.get(dut.ends[level]) == ends
            for n, value in enumerate(values):
                assert ctx.get(getattr(dut, f"value_{n}")) == value
                assert ctx.get(getattr(dut, f"following_{n}")) == after[2][n]
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WalkParameters(()), "programs must hold at least one"),
        (lambda: WalkParameters((Program((1,)), Program((1, 2)))), "the same levels"),
        (lambda: Program((0,)), "iterations of a level must be an integer of at least 1, not 0"),
        (lambda: Program((2,), (0,), ((1, 1),)), "strides must be 1, one a level, not 2"),
        (lambda: Program((2,), (0,), (((1, 1, 1),),)), "a table of strides must hold 2 entries, not 3"),
        (lambda: Program((2,), (0, 1), ((1,),)), "starts must be 1, as many as strides, not 2"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
