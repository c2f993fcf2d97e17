"""Drive and check streams in Amaranth's own simulator, with random stalls and a cycle limit."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.lib import data
from amaranth.sim import Simulator

from signfold.sim.stalls import Stall, stalls

__all__ = ["CLOCK_PERIOD", "StreamRun", "StreamTimeout", "plain", "run_stream", "stream_get", "stream_put"]

#: Seconds a cycle. Nothing depends on it; kept in one place because Amaranth 0.6 renames its type.
CLOCK_PERIOD = 1e-6


class StreamTimeout(AssertionError):
    """A stream that did not move all its beats within the cycle limit."""


def plain(value: Any) -> Any:
    """Turn a sampled payload into plain integers, lists and dictionaries.

    Parameters
    ----------
    value : int, enum member or amaranth.lib.data.Const
        What `ctx.get` or `.sample` returned.

    Returns
    -------
    int, list or dict
        Structures become dictionaries by member name, arrays become lists, both recursively.
    """
    if isinstance(value, data.Const):
        layout = value.shape()
        if isinstance(layout, data.ArrayLayout):
            return [plain(value[index]) for index in range(layout.length)]
        return {name: plain(value[name]) for name, _ in layout}
    return int(value)


async def stream_put(
    ctx: Any, stream: Any, payloads: Iterable[Any], *, stall: Stall = 0, rng: random.Random | None = None
) -> list[int]:
    """Offer `payloads` in order and wait until each has been taken.

    An offer, once made, stands until it is taken: stalls fall between beats only, as the stream rules demand.

    Parameters
    ----------
    ctx : amaranth.sim.TestbenchContext
        Context of the calling testbench; cycles are counted from the call on.
    stream : interface of amaranth.lib.stream.Signature
        The component's input stream.
    payloads : iterable
        Anything `ctx.set` accepts for the payload: integers, or dictionaries and lists for layouts.
    stall : float, int or str
        When to pause, see `signfold.sim.stalls.stalls`.
    rng : random.Random, optional
        Source of the random stalls; required by random patterns to be replayable.

    Returns
    -------
    list of int
        Cycle of each transfer, the cycle of the call being 0.
    """
    pause = stalls(stall, rng or random.Random(0))
    transfers = []
    cycle = 0
    for payload in payloads:
        while next(pause):
            await ctx.tick()
            cycle += 1
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        taken = False
        while not taken:
            *_, taken = await ctx.tick().sample(stream.ready)
            cycle += 1
        transfers.append(cycle - 1)
        ctx.set(stream.valid, 0)
    return transfers


async def stream_get(
    ctx: Any, stream: Any, count: int, *, stall: Stall = 0, rng: random.Random | None = None, extra: int = 0
) -> tuple[list[Any], list[int]]:
    """Take `count` beats and check the producer's side of the stream rules on the way.

    Parameters
    ----------
    ctx : amaranth.sim.TestbenchContext
        Context of the calling testbench; cycles are counted from the call on.
    stream : interface of amaranth.lib.stream.Signature
        The component's output stream.
    count : int
        Beats to take.
    stall : float, int or str
        When to hold `ready` low, see `signfold.sim.stalls.stalls`.
    rng : random.Random, optional
        Source of the random stalls; required by random patterns to be replayable.
    extra : int
        Cycles to go on listening after the last beat; one more beat in them is an error.

    Returns
    -------
    (list, list of int)
        The payloads as `plain` integers, lists and dictionaries, and the cycle of each transfer.

    Raises
    ------
    AssertionError
        If the producer takes back an offer, changes a payload before it is taken, or sends more than `count` beats.
    """
    pause = stalls(stall, rng or random.Random(0))
    payloads: list[Any] = []
    transfers: list[int] = []
    offered = None
    cycle = 0
    remaining = extra
    while len(payloads) < count or remaining:
        remaining -= len(payloads) >= count
        ready = not next(pause)
        ctx.set(stream.ready, ready)
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if offered is not None:
            assert valid, f"valid taken back in cycle {cycle} before {offered!r} was taken"
            assert plain(payload) == offered, f"payload changed in cycle {cycle} from {offered!r} to {plain(payload)!r}"
        offered = None
        if valid and ready:
            assert len(payloads) < count, f"unexpected beat {plain(payload)!r} in cycle {cycle}, after all {count}"
            payloads.append(plain(payload))
            transfers.append(cycle)
        elif valid:
            offered = plain(payload)
        cycle += 1
    ctx.set(stream.ready, 0)
    return payloads, transfers


@dataclass
class StreamRun:
    """What `run_stream` saw.

    Attributes
    ----------
    outputs : list
        Output payloads in order, as plain integers, lists and dictionaries.
    input_cycles, output_cycles : list of int
        Cycle of each transfer; cycle 0 is the first after reset.
    """

    outputs: list[Any] = field(default_factory=list)
    input_cycles: list[int] = field(default_factory=list)
    output_cycles: list[int] = field(default_factory=list)


def run_stream(
    dut: Elaboratable,
    inputs: Sequence[Any],
    *,
    count: int,
    seed: int = 0,
    stall_in: Stall = 0,
    stall_out: Stall = 0,
    limit: int = 10_000,
    extra: int = 16,
    vcd: Path | None = None,
) -> StreamRun:
    """Send `inputs` through a component with streams `i` and `o`, and collect `count` output beats.

    Parameters
    ----------
    dut : Elaboratable
        Component with an input stream `i` and an output stream `o` in domain `sync`.
    inputs : sequence
        Payloads for `i`.
    count : int
        Output beats to expect. After them the component is watched for `extra` more cycles.
    seed : int
        Seed of the random stalls; part of the message when the run times out.
    stall_in, stall_out : float, int or str
        Stalls of the source and the sink, see `signfold.sim.stalls.stalls`.
    limit : int
        Cycles after which the run is given up.
    extra : int
        Cycles to look for a beat too many after the last one.
    vcd : pathlib.Path, optional
        File to write a waveform to.

    Returns
    -------
    StreamRun
        Outputs and transfer cycles.

    Raises
    ------
    StreamTimeout
        If not all inputs were taken and all outputs given within `limit` cycles.
    AssertionError
        If the component breaks a rule of the output stream, or sends more than `count` beats.
    """
    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    run = StreamRun()
    finished = set()

    async def source(ctx):
        run.input_cycles = await stream_put(ctx, dut.i, inputs, stall=stall_in, rng=random.Random(f"{seed}/in"))
        finished.add("input")

    async def sink(ctx):
        rng = random.Random(f"{seed}/out")
        run.outputs, run.output_cycles = await stream_get(ctx, dut.o, count, stall=stall_out, rng=rng, extra=extra)
        finished.add("output")

    async def watch(ctx):
        for _ in range(limit):  # not `.repeat`: abandoned in mid-tick it complains when it is collected
            await ctx.tick()
        waiting = {"input", "output"} - finished
        if waiting:
            raise StreamTimeout(
                f"{' and '.join(sorted(waiting))} of {type(dut).__name__} unfinished after {limit} cycles"
                f" (seed {seed}, stalls {stall_in!r} and {stall_out!r}, {len(inputs)} inputs, {count} outputs expected)"
            )

    simulator.add_testbench(source)
    simulator.add_testbench(sink)
    simulator.add_testbench(watch, background=True)
    if vcd is None:
        simulator.run()
    else:
        with simulator.write_vcd(str(vcd)):
            simulator.run()
    return run
