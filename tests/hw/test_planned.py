"""Plans that the planner chooses among all styles, in Amaranth's simulator: results and cycles exactly."""

import numpy as np
import pytest

from signfold.sim.loading import loading
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_network
from signfold.sim.streams import run_stream
from signfold.sw.lower import stream_order
from signfold.sw.planner.planner import Planner
from signfold.sw.planner.search import STYLES

FRAMES = 5
FABRICS = ("ecp5", "ice40", "xilinx")
#: Styles that are allowed: those with "shared" are likely to have shared engines where cycles are many.
CHOICES = (STYLES, ("array", "shared"), ("hardwired", "shared"), ("array", "hardwired"))


def simulate(config, frames):
    """Return scores, classes and the run of frames that follow one another without a gap."""
    lanes, classes, beats = config.pixels.lanes, config.scores.classes, []
    for frame in frames.tolist():
        codes = frame + [0] * (-len(frame) % lanes)
        groups = [codes[i : i + lanes] for i in range(0, len(codes), lanes)]
        beats += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    run = run_stream(
        loading(config.create(), config.chunks),
        beats,
        count=len(frames) * classes,
        limit=config.settling + 70 * len(config.chunks) + 100 * config.latency + 60 * len(frames) * config.interval,
        stall_in="1" * config.settling + "0" * 1_000_000,
    )
    scores = np.array([beat["score"] for beat in run.outputs]).reshape(-1, classes)
    best = np.array([beat["best"] for beat in run.outputs]).reshape(-1, classes)[:, -1]
    return scores, best, run


def check(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_conv_network(rng) if seed % 2 else random_network(rng, depth=int(rng.integers(2, 5)), widest=24)
    planner = Planner(network, FABRICS[seed % 3], hosted=True, styles=("array", *CHOICES[seed % 4]))
    intervals = planner.search.intervals()
    planned = planner.smallest(int(intervals[-1] * rng.choice([1, 3, 16])))
    print(planned.plan)
    frames = random_frames(rng, network, FRAMES)
    expected = network.evaluate(frames)
    scores, classes, run = simulate(planned.config, stream_order(network, frames))
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    ends = run.output_cycles[planned.config.scores.classes - 1 :: planned.config.scores.classes]
    assert ends[0] - run.input_cycles[0] == planned.config.latency
    assert ends[-1] - ends[-2] == planned.interval


@pytest.mark.parametrize("seed", range(6))
def test_planned_accelerators_compute_the_network(seed):
    check(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_planned_accelerators(seed):
    check(seed)
