"""The threshold stage against its `compute` and its timing, with stalls from both ends."""

import random

import numpy as np
import pytest

from signfold.hw.border import BorderClasses
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sim.timed import check_timing, paced


def packets(positions, lanes):
    """Beats of positions of codes or sums; lanes past the last channel hold 0."""
    beats = []
    for codes in np.pad(positions, [(0, 0), (0, -positions.shape[1] % lanes)]):
        groups = codes.reshape(-1, lanes).tolist()
        beats += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return beats


@pytest.mark.parametrize(("pace_in", "pace_out"), [(0, 0), (1, 1), (0, 2), (2, 0)])
@pytest.mark.parametrize(("channels", "lanes", "bits", "border"), [(5, 2, 1, False), (1, 1, 2, True), (4, 3, 4, True)])
def test_threshold_stage(channels, lanes, bits, border, pace_in, pace_out):
    rng = np.random.default_rng(bits)
    border = BorderClasses((0, 1, 2), (0, 1, 1)) if border else None
    thresholds = np.sort(rng.integers(0, 65, (border.count if border else 1, channels, 2**bits - 1)), axis=-1)
    parameters = ThresholdStageParameters(ThresholdParameters("t", lanes, 6, thresholds, border), 9)
    frames = rng.integers(0, 64, (4, 9, channels))
    inputs = packets(frames.reshape(-1, channels), lanes)
    expected = packets(parameters.compute(frames).reshape(-1, channels), lanes)
    pace = random.Random(f"{pace_in} {pace_out}")
    run = check_timing(
        parameters,
        inputs,
        count=len(inputs),
        offers=paced(pace, len(inputs), pace_in),
        ready=paced(pace, len(inputs), pace_out),
    )
    assert run.outputs == expected
    if pace_in == pace_out == 0:
        assert run.output_cycles == [parameters.latency + beat for beat in range(len(inputs))]
        assert len(inputs) == 4 * parameters.interval


def test_wrong_parameters():
    with pytest.raises(TypeError, match=r"^threshold unit must be ThresholdParameters, not 3$"):
        ThresholdStageParameters(3)
    unit = ThresholdParameters("t", 1, 4, [[3]], BorderClasses((0,), (0, 0, 0)))
    with pytest.raises(ValueError, match=r"^positions must be 3, those of the border, not 1$"):
        ThresholdStageParameters(unit)
