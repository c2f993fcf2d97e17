"""Graphs never stop: proved to a bound for a small one with the queue that the schedule gives, refuted without it."""

from dataclasses import replace

import numpy as np
import pytest

from signfold.hw.add_join import AddJoinParameters
from signfold.hw.depths import least_depths, with_depths
from signfold.hw.engine import EngineParameters
from signfold.hw.graph import GraphConfig
from signfold.hw.image import ImageGeometry
from signfold.hw.pixels import PixelParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.sums import SumFormat
from signfold.sim.contract import prove


def small_graph() -> GraphConfig:
    """Two positions, and beside them windows that see the next one as well."""
    image = ImageGeometry(1, 2, (1, 2), (1, 1), (0, 0, 0, 1))
    engine = EngineParameters("l0", np.array([[[0], [1]]]), None, cols=1, simd=1, stages=0, image=image)
    sums = SumFormat(engine.output_bits, engine.output_step, engine.origin, engine.largest_output)
    joined = AddJoinParameters(1, 1, (SumFormat(1), sums), 2)
    form = joined.output
    return GraphConfig(
        PixelParameters(2, 1, None, 1, positions=2),
        (engine, joined),
        ScoreParameters(2, form.bits, form.step, form.origin, form.low, form.high),
        ((-1,), (-1, 0)),
    )


def proof(config, folder, depth):
    """Whatever stalls do for a while: a beat is taken and one is offered soon after they end."""
    bounds = {"offers": {"o": 20}, "takes": {"i": 14}, "method": "bounded", "hold_method": "bounded", "hold_depth": 10}
    return prove(config.create(), **bounds, folder=folder, depth=depth, cover_depth=0, timeout=1800)


def test_a_graph_without_its_queue_stops(tmp_path):
    config = least_depths(with_depths(small_graph()))
    assert max(max(depths) for depths in config.queues) > 2
    assert "i_takes" in proof(replace(config, queues=()), tmp_path, 24).failed


@pytest.mark.sweep
@pytest.mark.timeout(2_000)
def test_a_graph_never_stops(tmp_path):
    config = least_depths(with_depths(small_graph()))
    outcome = proof(config, tmp_path, 30)
    assert (outcome.status, outcome.failed) == ("bounded", ())
