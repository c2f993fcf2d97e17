"""Check a component against its timing: the cycle of every transfer, for any offers and any consumer."""

import random
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

from signfold.hw.timing import Timing, offered, take_all
from signfold.sim.streams import CLOCK_PERIOD, StreamRun, StreamTimeout, plain

__all__ = ["Ready", "check_timing", "paced", "run_timed"]

#: When a consumer takes beats: see `signfold.hw.timing.take_all`.
Ready = Sequence[int] | Callable[[int], bool]


def paced(rng: random.Random, count: int, pause: float) -> list[int]:
    """Return ascending cycles for `count` beats, in runs of 1 to 9 without a gap, with random pauses between them.

    Parameters
    ----------
    rng : random.Random
        Source of the lengths.
    count : int
        Beats.
    pause : float
        Cycles of pauses for each beat, on average.
    """
    gaps: list[int] = []
    while len(gaps) < count:
        run = rng.randint(1, 9)
        gaps += [1 + round(rng.expovariate(1 / (run * pause))) if pause else 1, *[1] * (run - 1)]
    return list(accumulate(gaps[:count], initial=-1))[1:]


def run_timed(
    dut: Elaboratable, inputs: Sequence[Any], *, count: int, offers: Sequence[int], ready: Ready = (), limit: int
) -> StreamRun:
    """Send `inputs` through a component with streams `i` and `o` and collect `count` output beats.

    Parameters
    ----------
    dut : Elaboratable
        Component in domain `sync`.
    inputs : sequence
        Payloads for `i`.
    count : int
        Output beats to take.
    offers : sequence of int
        Earliest cycle in which each input is offered; inputs past its end as soon as the one before has gone.
    ready : sequence of int or callable
        Earliest cycle in which each output is taken, or when the consumer is ready; see `Ready`.
    limit : int
        Cycles after which the run is given up.

    Returns
    -------
    StreamRun
        Outputs and transfer cycles. Cycle 0 is the second after reset, as in `signfold.hw.timing`.

    Raises
    ------
    StreamTimeout
        If not all inputs were taken and all outputs given within `limit` cycles.
    AssertionError
        If the component takes back an offer or changes a payload before it is taken.
    """
    run = StreamRun()
    waiting = None

    async def bench(ctx):
        nonlocal waiting
        await ctx.tick()
        for cycle in range(limit):
            taken, given = len(run.input_cycles), len(run.outputs)
            if taken == len(inputs) and given == count:
                return
            offer = taken < len(inputs) and (taken >= len(offers) or cycle >= offers[taken])
            if offer:
                ctx.set(dut.i.payload, inputs[taken])
            ctx.set(dut.i.valid, offer)
            accept = ready(cycle) if callable(ready) else given >= len(ready) or cycle >= ready[given]
            ctx.set(dut.o.ready, accept)
            *_, took, gave, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload)
            if offer and took:
                run.input_cycles.append(cycle)
            shown = plain(payload) if gave else None
            assert waiting in (None, shown), f"cycle {cycle} shows {shown!r} before {waiting!r} was taken"
            waiting = None if accept else shown
            if accept and gave:
                run.outputs.append(shown)
                run.output_cycles.append(cycle)
        raise StreamTimeout(
            f"{len(run.input_cycles)} of {len(inputs)} inputs and {len(run.outputs)} of {count} outputs"
            f" of {type(dut).__name__} after {limit} cycles"
        )

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(bench)
    simulator.run()
    return run


def check_timing(
    parameters: Any,
    inputs: Sequence[Any],
    *,
    count: int,
    offers: Sequence[int],
    ready: Ready = (),
    limit: int = 100_000,
) -> StreamRun:
    """Compare the cycle of every transfer at both ends with `parameters.timing`; the rest is that of `run_timed`.

    Parameters
    ----------
    parameters : object
        Parameters of a stream component, with `timing` and `create`.
    inputs : sequence
        Payloads for `i`: whole frames.
    count, offers, ready, limit
        See `run_timed`.

    Raises
    ------
    AssertionError
        If a transfer comes in another cycle; the message names the first one.
    """
    run = run_timed(parameters.create(), inputs, count=count, offers=offers, ready=ready, limit=limit)
    taken: list[int] = []
    source = offered([*offers, *[0] * (len(inputs) - len(offers))][: len(inputs)])
    outputs = take_all(parameters.timing(_recorded(source, taken)), ready=ready)
    assert len(outputs) == count, f"{parameters!r} gives {count} outputs, its timing says {len(outputs)}"
    for end, seen, told in (("output", run.output_cycles, outputs), ("input", run.input_cycles, taken)):
        # A timing does not tell when its last input goes.
        for k, (cycle, expected) in enumerate(zip(seen, told, strict=False)):
            assert cycle == expected, f"{end} {k} of {parameters!r} transfers in {cycle}, its timing says {expected}"
    return run


def _recorded(source: Timing, cycles: list[int]) -> Timing:
    """Yield the beats of `source` and note the cycles in which they are taken."""
    taken = None
    while True:
        try:
            taken = yield next(source) if taken is None else source.send(taken)
        except StopIteration:
            return
        cycles.append(taken)
