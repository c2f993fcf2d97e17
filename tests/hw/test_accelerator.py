"""Random networks through plan, lowering and gateware in Amaranth's simulator: results and cycles exactly."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.engine import EngineParameters
from signfold.hw.pixels import PixelParameters
from signfold.hw.score import ScoreParameters
from signfold.sim.loading import loading
from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sim.streams import run_stream
from signfold.sw.lower import lower, stream_order


def beats(config, frames):
    lanes = config.pixels.lanes
    result = []
    for frame in frames:
        codes = [int(code) for code in frame] + [0] * (-len(frame) % lanes)
        groups = [codes[i : i + lanes] for i in range(0, len(codes), lanes)]
        result += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return result


def results(run, classes):
    scores = np.array([beat["score"] for beat in run.outputs]).reshape(-1, classes)
    best = np.array([beat["best"] for beat in run.outputs]).reshape(-1, classes)[:, -1]
    assert [beat["last"] for beat in run.outputs] == ([0] * (classes - 1) + [1]) * len(scores)
    return scores, best


def check_random_network(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    config = lower(network, random_plan(rng, network))
    frames = random_frames(rng, network, 26)
    expected = network.evaluate(frames)
    scores, classes = config.compute(stream_order(network, frames))
    assert (scores == expected.scores).all() and (classes == expected.classes).all()

    count = len(frames) * network.classes
    run = run_stream(loading(config.create(), config.chunks), beats(config, frames), count=count, limit=400_000)
    scores, classes = results(run, network.classes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    ends = run.output_cycles[network.classes - 1 :: network.classes]
    assert ends[0] - run.input_cycles[0] == config.latency
    assert {b - a for a, b in zip(ends[20:], ends[21:], strict=False)} == {config.interval}

    stall_in, stall_out = rng.choice([0, 0.3, 0.7, 0.95], 2)
    run = run_stream(
        loading(config.create(), config.chunks),
        beats(config, frames[:6]),
        count=6 * network.classes,
        seed=seed,
        stall_in=float(stall_in),
        stall_out=float(stall_out),
        limit=400_000,
    )
    scores, classes = results(run, network.classes)
    assert (scores == expected.scores[:6]).all() and (classes == expected.classes[:6]).all()


@pytest.mark.parametrize("seed", range(20))
def test_random_network(seed):
    check_random_network(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(20, 220))
def test_random_network_sweep(seed):
    check_random_network(seed)


def scores_of(engine):
    """The bipolar sums of the last engine."""
    origin = engine.fan_in + 2 * engine.padding
    return ScoreParameters(engine.channels, engine.output_bits, 2, origin, -engine.fan_in, engine.fan_in)


def small(classes=3, elements=7, hidden=5, lanes=2, **last):
    rng = np.random.default_rng(0)
    engines = (
        EngineParameters("l0", rng.integers(0, 2, (hidden, elements)), np.zeros((hidden, 1), int), 2, 4),
        EngineParameters("l1", rng.integers(0, 2, (classes, hidden)), None, **{"cols": 2, "simd": 3, **last}),
    )
    return AcceleratorConfig(PixelParameters(elements, 8, [[128]], lanes), engines, scores_of(engines[1]))


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_unrolled_layers_reach_a_frame_a_beat(width):
    """Whole layers at once: the interval is the number of classes, however short the passes are."""
    rng = np.random.default_rng(width)
    engines = tuple(
        EngineParameters(f"l{k}", rng.integers(0, 2, (width, width)), t, width, width, width)
        for k, t in enumerate([np.zeros((width, 1), int), np.zeros((width, 1), int), None])
    )
    config = AcceleratorConfig(PixelParameters(width, 8, [[9]], width), engines, scores_of(engines[-1]))
    assert config.interval == width
    frames = rng.integers(0, 256, (40, width))
    run = run_stream(config.create(), beats(config, frames), count=40 * width)
    scores, _ = results(run, width)
    assert (scores == config.compute(frames)[0]).all()
    ends = run.output_cycles[width - 1 :: width]
    assert ends[0] - run.input_cycles[0] == config.latency
    assert {b - a for a, b in zip(ends[20:], ends[21:], strict=False)} == {width}


def test_reset_in_any_cycle_of_a_frame():
    config = small()
    rng = np.random.default_rng(3)
    lost, kept = rng.integers(0, 256, (2, 7))
    scores, classes = config.compute(kept[None])
    reset = Signal()
    dut = config.create()
    outcomes = []

    async def send(ctx, frames, cycles):
        """Offer beats and take results for so many cycles; return the results."""
        pending, seen = beats(config, frames), []
        ctx.set(dut.o.ready, 1)
        for _ in range(cycles):
            ctx.set(dut.i.valid, bool(pending))
            if pending:
                ctx.set(dut.i.payload, pending[0])
            if pending and ctx.get(dut.i.ready):
                pending.pop(0)
            if ctx.get(dut.o.valid):
                seen.append((ctx.get(dut.o.payload.score), ctx.get(dut.o.payload.best), ctx.get(dut.o.payload.last)))
            await ctx.tick()
        return seen

    async def bench(ctx):
        for cycle in range(config.latency + 4):
            await send(ctx, [lost, lost], cycle)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            outcomes.append(await send(ctx, [kept], config.latency + 2))

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = [(int(s), int(scores[0, : k + 1].argmax()), int(k == 2)) for k, s in enumerate(scores[0])]
    assert expected[-1][1] == classes[0]
    assert len(outcomes) > 20
    assert all(outcome == expected for outcome in outcomes)


def test_output_stalled_for_10000_cycles():
    config = small()
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (60, 7))
    pause = "0" * 30 + "1" * 10_000
    run = run_stream(config.create(), beats(config, frames), count=60 * 3, stall_out=pause, limit=90_000)
    scores, classes = results(run, 3)
    assert (scores == config.compute(frames)[0]).all() and (classes == config.compute(frames)[1]).all()
