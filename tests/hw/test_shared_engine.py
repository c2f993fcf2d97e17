"""Layers that share an array: results, and the cycle of every transfer."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.engine import EngineParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.planes import PlaneParameters
from signfold.hw.ram import RamParameters
from signfold.hw.shared_engine import SharedEngineParameters
from signfold.hw.shared_layer import SharedLayer
from signfold.hw.shared_loader import CHUNK_BYTES, LoaderParameters
from signfold.sim.loading import loading
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sim.streams import CLOCK_PERIOD, run_stream
from signfold.sim.timed import check_timing, paced
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Conv, Dense, InputType, MaxPool, Network, SumPool, Threshold
from signfold.sw.plan import LayerPlan, Plan
from tests.hw.test_conv_accelerator import check_trace, simulate

FRAMES = 4


def shared_case(seed, conv, **options):
    """Return a random network and its configuration with layers that share an array."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    while True:
        network = random_conv_network(rng, **options) if conv else random_network(rng, depth=int(rng.integers(2, 5)))
        config = lower(network, random_plan(rng, network, hardwired=0, shared=0.9))
        if any(stage.kind == "shared" for stage in config.layers):
            return network, config, rng


def check(network, config, rng, seed):
    """Compare results, latency, interval and all cycles, and results with stalls."""
    frames = random_frames(rng, network, FRAMES)
    expected, codes = network.evaluate(frames), stream_order(network, frames)
    scores, classes = config.compute(codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    check_trace(network, config, frames, codes)
    scores, classes, run = simulate(config, codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    last = run.output_cycles[config.scores.classes - 1 :: config.scores.classes]
    assert last[0] - run.input_cycles[0] == config.latency
    assert last[-1] - last[-2] == config.interval
    assert run.output_cycles == config.schedule([run.input_cycles[0]] * len(run.input_cycles))
    stalls = {"stall_in": float(rng.choice([0, 0.5, 0.9])), "stall_out": float(rng.choice([0.3, 0.9]))}
    scores, classes, _ = simulate(config, codes[:2], seed=seed, **stalls)
    assert (scores == expected.scores[:2]).all() and (classes == expected.classes[:2]).all()


@pytest.mark.parametrize("seed", range(4))
def test_random_dense_networks(seed):
    network, config, rng = shared_case(seed, conv=False)
    check(network, config, rng, seed)


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_on_images(seed):
    network, config, rng = shared_case(seed, conv=True, largest=30, depth=1 + seed % 2)
    check(network, config, rng, seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(1000, 1070))
def test_many_random_networks(seed):
    network, config, rng = shared_case(seed, conv=seed % 2 == 1)
    check(network, config, rng, seed)


def codes(rng, *shape, levels=2):
    return rng.integers(0, levels, shape)


def image_engine(seed, *, loaded=None, hop=2):
    """Return an engine of everything: planes of both sides, padding, strides, pooling over the edge, widths."""
    rng = np.random.default_rng(seed)
    array = {"cols": 4, "simd": 4, "hop": hop}
    bounds = np.sort(rng.integers(-12, 13, (5, 3)), axis=1)
    return SharedEngineParameters(
        "l0",
        (
            SharedLayer(
                EngineParameters(
                    "l0", codes(rng, 5, 4, 3, levels=3), bounds, **array, planes=PlaneParameters(2, 3),
                    image=ImageGeometry(4, 3, (2, 2), (1, 1), (1, 0, 0, 1)),
                ),
                ImageGeometry(4, 3, (2, 1), (2, 2), (1, 0, 0, 0)),
            ),
            SharedLayer(
                EngineParameters(
                    "l1", codes(rng, 6, 4, 5, levels=4), 2 * rng.integers(-9, 10, (6, 1)), **array,
                    planes=PlaneParameters(2, 4), image=ImageGeometry(2, 2, (2, 2), (2, 1), (1, 0, 1, 0), 2),
                )
            ),
            SharedLayer(EngineParameters("l2", codes(rng, 3, 2, 6), None, **array)),
        ),
        loaded,
    )  # fmt: skip


def beats(engine, frames):
    """Return the input beats of frames x positions x channels."""
    result = []
    for position in frames.reshape(-1, engine.first.inputs).tolist():
        lanes = engine.input_lanes
        words = [position[begin : begin + lanes] for begin in range(0, len(position), lanes)]
        words[-1] += [0] * (lanes - len(words[-1]))
        result += [{"codes": word, "last": int(n == len(words) - 1)} for n, word in enumerate(words)]
    return result


@pytest.mark.parametrize("seed", range(4))
def test_every_transfer(seed):
    """Values and cycles at both ends, with pauses anywhere."""
    print(f"seed {seed}")
    engine, rng = image_engine(seed, hop=1 + seed % 2), random.Random(seed)
    frames = codes(np.random.default_rng(seed), 3, 12, 3, levels=4)
    inputs, count = beats(engine, frames), 3 * engine.positions * engine.last.beats
    offers = paced(rng, len(inputs), [0, 0, 3, 30][seed])
    ready = paced(rng, count, [0, 40, 0, 300][seed])
    run = check_timing(engine, inputs, count=count, offers=offers, ready=ready)
    sums = np.array([beat["codes"] for beat in run.outputs]).reshape(3, -1)[:, : engine.channels]
    assert (sums == engine.compute(frames)).all()


def test_interval():
    """Frames follow one another as the formula says, once the last layer's cycles hide the input or not."""
    engine = image_engine(0)
    frames = codes(np.random.default_rng(0), 4, 12, 3, levels=4)
    count = engine.last.beats
    run = check_timing(engine, beats(engine, frames), count=4 * count, offers=[])
    assert {after - before for before, after in pairwise(run.output_cycles[count - 1 :: count])} == {engine.interval}


def test_loaded_weights_compute_the_same():
    """Memories that start from chunk 7 on; chunks before and after are not theirs."""
    engine = image_engine(1, loaded=7)
    assert len(engine.chunks) == engine.loader.chunks and not {rom.name for rom in engine.roms} & {"l0_w0", "l0_w1"}
    frames = codes(np.random.default_rng(0), 2, 12, 3, levels=4)
    wrong = bytes([0xA5] * CHUNK_BYTES)
    strange = [n.to_bytes(2, "little") + wrong for n in (6, 7 + len(engine.chunks), 65535)]
    count = 2 * engine.last.beats
    dut = loading(engine.create(), [strange[0], *reversed(engine.chunks), *strange[1:]])
    run = run_stream(dut, beats(engine, frames), count=count, limit=60_000)
    sums = np.array([beat["codes"] for beat in run.outputs]).reshape(2, -1)[:, : engine.channels]
    assert (sums == engine.compute(frames)).all()


@pytest.mark.parametrize(("width", "count", "depth"), [(16, 4, 9), (9, 3, 5), (3, 1, 70), (33, 2, 4)])
def test_loader_writes_every_word(width, count, depth):
    rng = random.Random(width)
    parameters = LoaderParameters((RamParameters(width, depth),) * count, first=3)
    contents = [tuple(rng.getrandbits(width) for _ in range(depth)) for _ in range(count)]
    dut, written = parameters.create(), [{} for _ in range(count)]
    packets = parameters.compute(contents)
    assert all(len(packet) == 2 + CHUNK_BYTES for packet in packets)

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        for packet in packets:
            for n, byte in enumerate(packet):
                ctx.set(dut.i.payload, {"data": byte, "last": n == len(packet) - 1})
                ctx.set(dut.i.valid, 1)
                write = ctx.get(dut.write)
                for memory in range(count):
                    if write >> memory & 1:
                        written[memory][ctx.get(dut.address)] = ctx.get(dut.value)
                assert ctx.get(dut.writing) == (write != 0) or count & count - 1
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(CLOCK_PERIOD)
    simulator.add_testbench(bench)
    simulator.run()
    assert written == [dict(enumerate(words)) for words in contents]


def layer(channels, fan_in, thresholds=True, **options):
    bounds = np.zeros((channels, 1), int) if thresholds else None
    array = {"cols": 2, "simd": 4, "hop": 2, **options}
    return EngineParameters("l0", np.ones((channels, fan_in), int), bounds, **array)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SharedEngineParameters("l0", ()), "at least one layer"),
        (
            lambda: SharedEngineParameters("l0", (SharedLayer(layer(4, 8)), SharedLayer(layer(2, 4, cols=4, hop=4)))),
            "cols must be 2 in all layers of a shared engine, not 4 in layer 1",
        ),
        (
            lambda: SharedEngineParameters("l0", (SharedLayer(layer(4, 8, False)), SharedLayer(layer(2, 4)))),
            "layer 0 of a shared engine must have thresholds",
        ),
        (
            lambda: SharedEngineParameters("l0", (SharedLayer(layer(4, 8)), SharedLayer(layer(2, 5)))),
            "layer 1 of a shared engine must read what layer 0 gives",
        ),
        (
            lambda: SharedEngineParameters("l0", tuple(SharedLayer(layer(6, 6, cols=3, hop=3)) for _ in range(2))),
            "hop must divide simd = 4 on a shared engine, not 3",
        ),
        (lambda: SharedLayer(layer(4, 8, planes=PlaneParameters(2, 2, True))), "space must be false"),
        (lambda: LoaderParameters((RamParameters(3, 4), RamParameters(3, 5))), "all of one size"),
        (lambda: LoaderParameters((RamParameters(513, 4),)), "words of at most 512 bits, hop times simd, not 513"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def chain(*nodes):
    return Network(InputType((2, 4, 4), 1), nodes, nodes[-1].name)


FIRST = (Conv("conv", "input", np.ones((2, 2, 1, 1), np.uint8)), Threshold("sign", "conv", np.zeros((2, 1), int)))
LAST = np.ones((3, 2), np.uint8)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            chain(*FIRST, SumPool("sum", "sign", (4, 4), (4, 4)), Threshold("code", "sum", np.zeros((2, 1), int)),
                  Dense("dense", "code", LAST)),
            "node 'sum': sumpool has no place between layers that share an array, so the layer after it must have an "
            "array of its own",
        ),
        (
            chain(*FIRST, MaxPool("a", "sign", (2, 2), (2, 2)), MaxPool("b", "a", (2, 2), (2, 2)),
                  Dense("dense", "b", LAST)),
            "node 'b': only one pooling has a place",
        ),
        (
            chain(*FIRST, Conv("deep", "sign", np.ones((2, 1, 4, 4), np.uint8), groups=2),
                  Threshold("code", "deep", np.zeros((2, 1), int)), Dense("dense", "code", LAST)),
            "layer 1: a depthwise convolution cannot share an array",
        ),
    ],
)  # fmt: skip
def test_plans_that_cannot_be(network, message):
    plan = Plan((LayerPlan(1, 2), *[LayerPlan(shares=True)] * (1 + ("deep" in [node.name for node in network.nodes]))))
    if "deep" in message or "depthwise" in message:
        plan = replace(plan, layers=(LayerPlan(1, 1), *plan.layers[1:]))
    with pytest.raises(PlanError, match=message):
        lower(network, plan)


def test_a_first_layer_shares_nothing():
    with pytest.raises(ValueError, match="layer 0: shares must be false, because no layer is before it"):
        Plan((LayerPlan(shares=True),))


def test_a_layer_that_shares_has_no_other_keys(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text("[[layer]]\ncols = 2\nsimd = 4\n[[layer]]\nshares = true\nsimd = 3\n")
    with pytest.raises(PlanError, match="layer 1: simd must not be given for a layer that shares the array"):
        Plan.load(path)
    plan = Plan((LayerPlan(2, 4, memory="loaded"), LayerPlan(shares=True)))
    plan.save(path)
    assert Plan.load(path) == plan
