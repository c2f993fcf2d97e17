"""Graphs: results, cycles, and the depths of queues, in Amaranth's simulator."""

import random
from dataclasses import replace

import numpy as np
import pytest

from signfold.hw.depths import keeps_pace, least_depths, with_depths
from signfold.hw.flow import Flow
from signfold.hw.graph import GraphConfig
from signfold.hw.graph_timing import Deadlock, GraphTiming
from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.region import Region, shortened
from signfold.hw.stream import needed_depth
from signfold.sim.random_branches import random_branch_network
from signfold.sim.random_graph import GraphBuilder, random_graph
from signfold.sim.random_network import random_plan
from signfold.sim.stalled_graph import StalledGraph
from signfold.sim.streams import StreamTimeout, run_stream
from signfold.sim.timed import paced, run_timed
from signfold.sw import zoo
from signfold.sw.default_plan import default_plan
from signfold.sw.hardwire import adder_graph
from signfold.sw.lower import lower


def beats(frames):
    return [
        {"codes": [int(code)], "last": int(k == len(frame) - 1)} for frame in frames for k, code in enumerate(frame)
    ]


def random_frames(config, seed, count):
    return np.random.default_rng(seed).integers(0, 1 << config.pixels.bits, (count, config.pixels.elements))


def scores_of(config, run):
    return np.array([beat["score"] for beat in run.outputs]).reshape(-1, config.scores.classes)


def one_place_less(config):
    """Yield the graph with each queue of more than 2 places one place shorter."""
    for k, depths in enumerate(config.queues):
        for way, depth in enumerate(depths):
            if depth > 2:
                queues = list(map(list, config.queues))
                queues[k][way] -= 1
                yield replace(config, queues=tuple(map(tuple, queues)))


def interval_in_simulation(config, count=9):
    """The cycles of the last of some frames that come as fast as they are taken; None where all stops."""
    frames, classes = random_frames(config, 1, count), config.scores.classes
    try:
        run = run_stream(config.create(), beats(frames), count=count * classes, limit=count * 3 * config.bound + 5_000)
    except StreamTimeout:
        return None
    ends = run.output_cycles[classes - 1 :: classes]
    assert (scores_of(config, run) == config.compute(frames)[0]).all()
    return (ends[-1] - ends[-5]) / 4


def check_cycles(seed, largest):
    print("seed", seed)
    config = with_depths(random_graph(seed, largest=largest), least=False)
    rng = random.Random(seed)
    tight = least_depths(config)
    frames = random_frames(config, seed, 4)
    for each in (config, *rng.sample(list(one_place_less(tight)), min(1, len(list(one_place_less(tight)))))):
        count = len(frames) * each.scores.classes
        pause = rng.choice([0, 1])
        offers = paced(rng, len(frames) * each.pixels.beats, pause)
        ready = paced(rng, count, pause * rng.choice([0, 30]))
        try:
            expected = each.schedule(offers, ready=ready)
        except Deadlock:
            with pytest.raises(StreamTimeout):
                run_timed(each.create(), beats(frames), count=count, offers=offers, ready=ready, limit=20_000)
            continue
        run = run_timed(each.create(), beats(frames), count=count, offers=offers, ready=ready, limit=100_000)
        assert run.output_cycles == expected
        assert (scores_of(each, run) == each.compute(frames)[0]).all()


@pytest.mark.parametrize("seed", range(3))
def test_every_cycle_is_that_of_the_schedule(seed):
    """Depths too small for the pace as well, and consumers that stall."""
    check_cycles(seed, 3)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(10, 40))
def test_cycles_sweep(seed):
    check_cycles(seed, 6)


def check_depths(graph):
    config = with_depths(graph, least=False)
    assert config.interval == config.bound
    least = least_depths(config)
    for wide, narrow in zip(config.queues, least.queues, strict=True):
        assert all(least <= most for most, least in zip(wide, narrow, strict=True))
    assert interval_in_simulation(least) == least.bound
    for shorter in one_place_less(least):
        found = interval_in_simulation(shorter)
        assert found is None or found > shorter.bound, shorter.queues
    return least


def test_depths_are_enough_and_one_place_less_is_not():
    b = GraphBuilder(np.random.default_rng(5), 3)
    first = b.conv(-1, 1, 3)
    least = check_depths(b.done(b.add(first, b.conv(b.signs(first), 1, 3))))
    assert max(map(max, least.queues)) > 2


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(10, 40))
def test_depths_sweep(seed):
    print("seed", seed)
    check_depths(random_graph(seed, largest=6))


@pytest.mark.parametrize("seed", range(20))
def test_flow_is_the_schedule_without_ends(seed):
    check_flow(random_graph(seed))


@pytest.mark.parametrize("seed", range(12))
def test_flow_of_networks(seed):
    """Scales, paddings, pools and gearboxes as well."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    sizes = {"side": int(rng.integers(2, 8)), "widest": int(rng.integers(1, 9)), "blocks": int(rng.integers(1, 4))}
    network = random_branch_network(rng, **sizes)
    config = lower(network, random_plan(rng, network), slack=False)
    if isinstance(config, GraphConfig):
        check_flow(config)


def check_flow(config):
    """Compare what is stored at most with what beats do one by one."""
    layers = [replace(layer, slack=0) if hasattr(layer, "slack") else layer for layer in config.layers]
    queues = tuple((2,) * len(read) if len(read) > 1 else (0,) for read in config.inputs)
    bare = replace(config, layers=tuple(layers), queues=queues)
    beats, interval = bare.pixels.beats, bare.bound
    offers = [frame * interval + beat * interval // beats for frame in range(3) for beat in range(beats)]
    flow, timing = Flow(bare.pieces, offers), GraphTiming(bare.pieces, unbounded=True)
    timing.run(offers)
    assert flow.windows == {name: feeder.needed() for name, feeder in timing.feeders.items() if name in flow.windows}
    for name, (came, left, taken) in timing.queues.items():
        waited = any(end > begin + 2 for begin, end in zip(came, taken, strict=True))
        assert flow.queues[name] == (needed_depth(came, left) if waited else 0)


@pytest.mark.parametrize("seed", range(2, 8))
def test_regions_find_the_least_depths(seed):
    config = with_depths(random_graph(seed, largest=5), least=False)
    assert shortened(config).queues == least_depths(config).queues


def test_too_short_a_queue_is_a_deadlock_in_both():
    b = GraphBuilder(np.random.default_rng(3), 4)
    value = b.conv(-1, 2, 3)
    config = with_depths(b.done(b.add(value, b.conv(b.signs(value), 2, 3, cols=2))))
    assert keeps_pace(config)
    stuck = replace(config, queues=tuple((0,) * len(depths) for depths in config.queues))
    with pytest.raises(Deadlock, match="too short"):
        stuck.schedule(range(200))
    assert interval_in_simulation(stuck) is None


@pytest.mark.parametrize("seed", range(2))
def test_stalls_in_every_stream(seed):
    print("seed", seed)
    config = with_depths(random_graph(seed, largest=4))
    frames = random_frames(config, seed, 2)
    for pause in (3, 10):
        dut = StalledGraph(config, seed, pause)
        count = len(frames) * config.scores.classes
        run = run_stream(dut, beats(frames), count=count, seed=seed, stall_in=0.3, stall_out=0.5, limit=200_000)
        assert (scores_of(config, run) == config.compute(frames)[0]).all()


def test_refusals():
    b = GraphBuilder(np.random.default_rng(0), 4)
    value = b.conv(-1, 2, 3)
    config = b.done(b.add(value, b.conv(b.signs(value), 2, 3)))
    for change, message in (
        ({"queues": (), "inputs": config.inputs[:-1]}, "inputs must be given for each of 6 layers, not 5"),
        ({"queues": (), "inputs": ((-1,), (0,), (1,), (0,), (3,), (4,))}, r"layer 3 must read 2 layers, not \(0,\)"),
        (
            {"queues": (), "inputs": ((-1,), (0,), (1,), (0, 1), (3,), (4,))},
            "input 1 of layer 3 must have positions, channels, bits",
        ),
        ({"queues": (), "inputs": ((-1,), (0,), (3,), (0, 2), (3,), (4,))}, "input 0 of layer 2 must be"),
        ({"queues": (), "inputs": ((-1,), (0,), (1,), (0, 0), (3,), (4,))}, "input 1 of layer 3 must have"),
        ({"queues": ((0,),) * 6}, "queues must be given for each input of each layer"),
        ({"queues": ((0,), (0,), (0,), (0, 1), (0,), (0,))}, "queue at input 1 of layer 3 must be"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(config, **change)
    weights = np.array([[1, -1]])
    hardwired = HardwiredParameters("l0", weights, adder_graph(weights), None, simd=1, hop=1)
    with pytest.raises(ValueError, match="layer 0 must be no hardwired layer"):
        replace(config, layers=(hardwired, *config.layers[1:]))


@pytest.mark.sweep
def test_depths_of_a_shipped_network():
    """Each of the least queues of ResNet-20: one place less cannot keep the interval, and all together do."""
    network = zoo.load("resnet20-cifar10")
    config = lower(network, default_plan(network))
    least = shortened(config)
    assert keeps_pace(least)
    assert sum(map(sum, least.queues)) < sum(map(sum, config.queues))
    assert config.interval == least.bound


def test_regions():
    b = GraphBuilder(np.random.default_rng(3), 4)
    first = b.conv(-1, 2, 3)
    second = b.add(first, b.conv(b.signs(first), 2, 3, cols=2))
    config = with_depths(b.done(b.concat(second, b.conv(b.signs(second), 2, 3, cols=2))), least=False)
    for join, entry in (("add_3", "engine_0"), ("concat_6", "add_3")):
        region = Region.of(config, join)
        assert config.pieces[region.entry[0]].name == entry
        names = [piece.name for piece in region.pieces]
        number = int(join[-1])
        assert names[0] == f"fork_{number - 3}" and names[-1] == join
        assert {f"thresholds_{number - 2}", f"engine_{number - 1}", f"queue_{number}_0"} <= set(names)
        assert len(region.with_queue(f"queue_{number}_0", 0).pieces) == len(names) - 1
