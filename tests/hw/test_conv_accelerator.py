"""Random networks on images through plan, lowering and gateware in Amaranth's simulator: results and cycles exactly."""

from itertools import accumulate

import numpy as np
import pytest

from signfold.sim.loading import loading
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_plan
from signfold.sim.streams import run_stream
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Network

FRAMES = 5


def beats(config, frames):
    """Return the input beats of frames whose codes are in stream order."""
    lanes = config.pixels.lanes
    result = []
    for frame in frames.tolist():
        codes = frame + [0] * (-len(frame) % lanes)
        groups = [codes[i : i + lanes] for i in range(0, len(codes), lanes)]
        result += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return result


def simulate(config, frames, **stalls):
    """Return scores, classes and the run."""
    classes = config.scores.classes
    # Windows first read what lies around the image: a frame meets them idle after `settling` cycles.
    idle = "1" * config.settling + "0" * 1_000_000
    run = run_stream(
        loading(config.create(), config.chunks),
        beats(config, frames),
        count=len(frames) * classes,
        limit=config.settling + 70 * len(config.chunks) + 100 * config.latency + 60 * len(frames) * config.interval,
        **{"stall_in": idle, **stalls},
    )
    scores = np.array([beat["score"] for beat in run.outputs]).reshape(-1, classes)
    best = np.array([beat["best"] for beat in run.outputs]).reshape(-1, classes)[:, -1]
    assert [beat["last"] for beat in run.outputs] == ([0] * (classes - 1) + [1]) * len(scores)
    return scores, best, run


def check_network(network: Network, rng, seed, **options):
    plan = random_plan(rng, network, **options)
    print(plan)
    config = lower(network, plan)
    frames = random_frames(rng, network, FRAMES)
    expected = network.evaluate(frames)
    codes = stream_order(network, frames)
    scores, classes = config.compute(codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    check_trace(network, config, frames, codes)

    scores, classes, run = simulate(config, codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    beats_out = config.scores.classes
    ends = run.output_cycles[beats_out - 1 :: beats_out]
    assert ends[0] - run.input_cycles[0] == config.latency
    assert ends[-1] - ends[-2] == config.interval

    stall_in, stall_out = (float(stall) for stall in rng.choice([0, 0.3, 0.7, 0.95], 2))
    scores, classes, _ = simulate(config, codes[:2], seed=seed, stall_in=stall_in, stall_out=stall_out)
    assert (scores == expected.scores[:2]).all() and (classes == expected.classes[:2]).all()


def check_trace(network, config, frames, codes):
    """Compare what every layer gives with the network's own value, where it has one."""
    trace = network.trace(frames)
    layers = network_layers(network).layers
    ends = accumulate(stage.span for stage in config.layers)
    for end, stage, value in zip(ends, config.layers, config.trace(codes)[1:], strict=True):
        layer = layers[end - 1]
        if not layer.result:
            continue
        want = trace[layer.result]
        if want.ndim == 4:
            want = want.transpose(0, 2, 3, 1)
        if network.types[layer.result].kind == "sum":
            value = sums(stage, config, value)
        assert (value.reshape(len(value), -1) == want.reshape(len(want), -1)).all(), layer.node.name


def sums(stage, config, value):
    """Return the network's sums of a layer's output; a max pooling keeps the scale of what it reads."""
    while getattr(stage, "operation", None) == "max":
        stage = config.layers[config.layers.index(stage) - 1]
    return stage.output_step * value - stage.origin


def check_random_network(seed, **options):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_conv_network(rng)
    print(*(node for node in network.types.items()), sep="\n")
    check_network(network, rng, seed, **options)


@pytest.mark.parametrize("seed", range(20))
def test_random_conv_network(seed):
    check_random_network(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(20, 320))
def test_random_conv_network_sweep(seed):
    check_random_network(seed)


@pytest.mark.parametrize("seed", range(400, 405))
def test_hardwired_layers_among_arrays(seed):
    check_random_network(seed, hardwired=0.6)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(405, 505))
def test_hardwired_layers_among_arrays_sweep(seed):
    check_random_network(seed, hardwired=0.6)


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_slack_keeps_the_interval(first):
    """By the timing alone, which is quick: many networks, until the interval has settled."""
    for seed in range(1000 + first, 1025 + first):
        print(f"seed {seed}")
        rng = np.random.default_rng(seed)
        network = random_conv_network(rng)
        config = lower(network, random_plan(rng, network, hardwired=0.5))
        ends = config.schedule(range(7 * config.pixels.beats))[config.scores.classes - 1 :: config.scores.classes]
        assert ends[-1] - ends[-2] == config.interval
