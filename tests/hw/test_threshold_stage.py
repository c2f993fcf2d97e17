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


@pytest.mark.parametrize(("sum_width", "bits"), [(10, 1), (20, 1), (16, 2)])
def test_wide_sums_and_inverted_channels(sum_width, bits):
    """As after sums of branches: one threshold or a few a channel, anywhere, some codes complemented."""
    rng = np.random.default_rng(sum_width)
    most = 1 << sum_width
    thresholds = np.sort(rng.integers(0, most + 1, (6, 2**bits - 1)), axis=-1)
    thresholds[0], thresholds[1] = 0, most
    unit = ThresholdParameters("t", 4, sum_width, thresholds)
    inverted = np.array([0, 1, 1, 0, 0, 1])
    parameters = ThresholdStageParameters(unit, 8, inverted)
    frames = rng.integers(0, most, (2, 8, 6))
    # At thresholds and just below them, too.
    frames[0, :4] = np.clip(thresholds[:, 0] - [[0], [1], [0], [1]], 0, most - 1)
    codes = unit.compute(frames)
    expected = np.where(inverted, 2**bits - 1 - codes, codes)
    assert (parameters.compute(frames) == expected).all()
    inputs = packets(frames.reshape(-1, 6), 4)
    pace = random.Random(sum_width)
    offers, ready = paced(pace, len(inputs), 1), paced(pace, len(inputs), 1)
    run = check_timing(parameters, inputs, count=len(inputs), offers=offers, ready=ready)
    assert run.outputs == packets(expected.reshape(-1, 6), 4)
    assert [rom.name for rom in parameters.roms][-1] == "t_i"
    assert ThresholdStageParameters(unit, 8, 0 * inverted).latency == parameters.latency - 1


def test_wrong_parameters():
    with pytest.raises(TypeError, match=r"^threshold unit must be ThresholdParameters, not 3$"):
        ThresholdStageParameters(3)
    unit = ThresholdParameters("t", 1, 4, [[3]], BorderClasses((0,), (0, 0, 0)))
    with pytest.raises(ValueError, match=r"^positions must be 3, those of the border, not 1$"):
        ThresholdStageParameters(unit)
    with pytest.raises(ValueError, match=r"^inverted must hold only 0 and 1, not 2$"):
        ThresholdStageParameters(ThresholdParameters("t", 1, 4, [[3]]), 1, [2])
