"""Each stage of the stream against its `compute` and its timing, with stalls from both ends."""

import random

import numpy as np
import pytest

from signfold.hw.engine import EngineParameters
from signfold.hw.gearbox import NarrowerParameters, WidenerParameters, gearboxes
from signfold.hw.pixels import PixelParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stream import QueueParameters
from signfold.sim.streams import run_stream
from signfold.sim.timed import check_timing, paced

#: Cycles of pauses a beat, of the source and of the consumer; None: a consumer that is ready by the cycle.
PACES = [(0, 0), (1, 1), (0, 3), (3, 0), (0.5, None), (0, None)]
STALLS = [(0, 0), (0.5, 0.5), (0, 0.8), (0.8, 0)]
FRAMES = 5


def packets(frames, lanes, fill=0):
    """Beats of frames of codes; lanes past the end of a frame hold `fill`."""
    beats = []
    for frame in frames:
        codes = [int(code) for code in frame] + [fill] * (-len(frame) % lanes)
        count = len(codes) // lanes
        beats += [{"codes": codes[b * lanes :][:lanes], "last": int(b == count - 1)} for b in range(count)]
    return beats


def check(parameters, inputs, expected, stall_in, stall_out):
    """Compare outputs, and, where nothing stalls, the cycles of the first frame with the schedule."""
    beats_in, beats_out = len(inputs) // FRAMES, len(expected) // FRAMES
    run = run_stream(
        parameters.create(), inputs, count=len(expected), seed=3, stall_in=stall_in, stall_out=stall_out, limit=50_000
    )
    assert run.outputs == expected
    if stall_in == stall_out == 0:
        first = run.input_cycles[0]
        assert [cycle - first for cycle in run.output_cycles[:beats_out]] == parameters.schedule(list(range(beats_in)))


def check_exactly(parameters, inputs, expected, pace_in, pace_out):
    """Compare outputs and the cycles of all transfers; return the run."""
    rng = random.Random(f"{pace_in} {pace_out}")
    pattern = [rng.random() < 0.6 for _ in range(97)]

    def ready_by_the_cycle(cycle):
        return pattern[cycle % len(pattern)]

    ready = ready_by_the_cycle if pace_out is None else paced(rng, len(expected), pace_out)
    run = check_timing(parameters, inputs, count=len(expected), offers=paced(rng, len(inputs), pace_in), ready=ready)
    assert run.outputs == expected
    return run


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_queue(depth, pace_in, pace_out):
    parameters = QueueParameters(beat_layout(1, 8), depth)
    inputs = packets(np.arange(80).reshape(FRAMES, 16), 1)
    check_exactly(parameters, inputs, inputs, pace_in, pace_out)


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize("shape", [(12, 1, 4), (13, 1, 4), (13, 2, 6), (3, 3, 9), (1, 1, 2)], ids=str)
def test_widener(shape, pace_in, pace_out):
    elements, lanes_in, lanes_out = shape
    parameters = WidenerParameters(elements, 3, lanes_in, lanes_out)
    frames = np.random.default_rng(elements).integers(0, 8, (FRAMES, elements))
    check_exactly(parameters, packets(frames, lanes_in), packets(frames, lanes_out), pace_in, pace_out)


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize("shape", [(12, 4, 1), (13, 4, 1), (13, 6, 2), (3, 9, 3), (1, 2, 1)], ids=str)
def test_narrower(shape, pace_in, pace_out):
    elements, lanes_in, lanes_out = shape
    parameters = NarrowerParameters(elements, 3, lanes_in, lanes_out)
    frames = np.random.default_rng(elements).integers(0, 8, (FRAMES, elements))
    # Lanes past the end of a frame hold anything at the input and 0 at the output.
    check_exactly(parameters, packets(frames, lanes_in, fill=5), packets(frames, lanes_out), pace_in, pace_out)


@pytest.mark.parametrize("lanes", [(4, 6), (6, 4), (5, 3), (7, 7), (1, 8), (8, 1)], ids=str)
def test_gearboxes_meet_at_the_common_divisor(lanes):
    frame = list(range(1, 24))
    beats = [beat["codes"] for beat in packets([frame], lanes[0])]
    for gear in gearboxes(23, 5, *lanes):
        beats = gear.compute(beats)
    assert beats == [beat["codes"] for beat in packets([frame], lanes[1])]


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize(("elements", "bits", "lanes", "shared"), [(9, 8, 1, True), (9, 8, 4, False), (5, 1, 8, False)])
def test_pixels(elements, bits, lanes, shared, pace_in, pace_out):
    rng = np.random.default_rng(elements)
    thresholds = rng.integers(0, (1 << bits) + 1, (1 if shared else elements, 1))
    parameters = PixelParameters(elements, bits, thresholds, lanes)
    frames = rng.integers(0, 1 << bits, (FRAMES, elements))
    fill = (1 << bits) - 1
    check_exactly(
        parameters, packets(frames, lanes, fill), packets(parameters.compute(frames), lanes), pace_in, pace_out
    )


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize("thresholds", [0, 1, 12])
@pytest.mark.parametrize(("positions", "lanes"), [(1, 5), (4, 1), (4, 3), (12, 1)])
def test_positions_of_pixels(positions, lanes, thresholds, pace_in, pace_out):
    rng = np.random.default_rng(positions)
    bounds = rng.integers(0, 17, (thresholds, 1)) if thresholds else None
    parameters = PixelParameters(12, 4, bounds, lanes, positions)
    assert parameters.output_bits == (1 if thresholds else 4)
    frames = rng.integers(0, 16, (FRAMES, 12))
    outputs = parameters.compute(frames)
    assert (outputs == (frames >= bounds[:, 0] if thresholds else frames)).all()
    expected = packets(outputs.reshape(FRAMES * positions, -1), lanes)
    check_exactly(parameters, packets(frames, lanes, 15), expected, pace_in, pace_out)


@pytest.mark.parametrize("thresholds", [0, 1, 10])
@pytest.mark.parametrize("positions", [1, 5])
@pytest.mark.parametrize("stall", [0, 0.5])
def test_short_and_long_packets_make_whole_frames(stall, positions, thresholds):
    rng = np.random.default_rng(1)
    lanes = 3 if positions == 1 else 2
    parameters = PixelParameters(10, 4, rng.integers(0, 16, (thresholds, 1)) if thresholds else None, lanes, positions)
    frames = rng.integers(0, 16, (8, 10))
    # Beats of each packet.
    sizes = [parameters.beats + extra for extra in (0, -3, -1, 0, 5, 1, -2, 0)]
    inputs, expected = [], frames.copy()
    for frame, size in zip(expected, sizes, strict=True):
        beats = packets([np.concatenate([frame, rng.integers(0, 16, 30)])], lanes)[:size]
        beats[-1]["last"] = 1
        inputs += beats
        frame[lanes * size :] = 0
    outputs = packets(parameters.compute(expected).reshape(8 * positions, -1), lanes)
    run = run_stream(parameters.create(), inputs, count=len(outputs), seed=5, stall_in=stall, stall_out=stall)
    assert run.outputs == outputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": 5}, r"^positions must divide elements = 12, not 5$"),
        ({"positions": 4, "lanes": 2}, r"^input lanes must divide 3, the codes of a position, not 2$"),
        ({"positions": 0}, r"^positions must be an integer of at least 1, not 0$"),
        ({"thresholds": [[3]] * 4}, r"^pixel thresholds must be 1 or elements = 12, not 4$"),
        ({"thresholds": [[17]]}, r"^pixel thresholds must be integers from 0 to 16, not 17$"),
    ],
)
def test_wrong_pixels(change, message):
    good = {"elements": 12, "bits": 4, "thresholds": None}
    PixelParameters(**good)
    with pytest.raises(ValueError, match=message):
        PixelParameters(**good | change)


@pytest.mark.parametrize(("pace_in", "pace_out"), PACES)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("classes", "step"), [(1, 2), (2, 1), (10, 2)])
def test_scores(classes, step, affine, pace_in, pace_out):
    rng = np.random.default_rng(classes)
    scales = {"scale": rng.integers(-9, 90, classes), "offset": rng.integers(-99, 99, classes)} if affine else {}
    parameters = ScoreParameters(classes, 4, step, 15, 3 * step - 15, 9 * step - 15, **scales)
    # Few values, so that ties are common.
    sums = rng.integers(3, 10, (FRAMES, classes))
    sums[0] = [3, 9][affine]
    scores, best = parameters.compute(sums)
    assert (scores == (step * sums - 15) * scales.get("scale", 1) + scales.get("offset", 0)).all()
    results = [
        {"score": int(frame[k]), "best": int(frame[: k + 1].argmax()), "last": int(k == classes - 1)}
        for frame in scores
        for k in range(classes)
    ]
    assert [r["best"] for r in results[classes - 1 :: classes]] == best.tolist()
    check_exactly(parameters, packets(sums, 1), results, pace_in, pace_out)


def test_scores_have_the_width_of_their_bounds():
    assert ScoreParameters(1, 4, 2, 15, -15, 15).score_width == 5
    assert ScoreParameters(1, 4, 2, 15, -8, 7).score_width == 4
    assert ScoreParameters(2, 4, 2, 15, -8, 7, [1, -2], [0, 1]).score_width == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": -16}, r"^low must be an integer from -15 to 15, not -16$"),
        ({"high": 16}, r"^high must be an integer from -15 to 15, not 16$"),
        ({"step": 0}, r"^step must be an integer of at least 1, not 0$"),
        ({"scale": [1, 1]}, r"^scale and offset must both be given or both be None$"),
        ({"scale": [1], "offset": [1]}, r"^scale must have shape 2, not 1$"),
    ],
)
def test_wrong_scores(change, message):
    good = {"classes": 2, "sum_width": 4, "step": 2, "origin": 15, "low": -15, "high": 15}
    ScoreParameters(**good)
    with pytest.raises(ValueError, match=message):
        ScoreParameters(**good | change)


@pytest.mark.parametrize(("stall_in", "stall_out"), STALLS)
@pytest.mark.parametrize(
    ("fan_in", "channels", "cols", "simd", "hop", "stages", "binary"),
    [
        (20, 12, 4, 5, 1, 1, True),
        (17, 11, 4, 5, 2, 0, True),
        (17, 10, 4, 5, 1, 2, False),
        (6, 5, 5, 6, 5, 1, True),
        (1, 1, 1, 1, 1, 1, False),
        (3, 7, 2, 8, 2, 1, True),
    ],
)
def test_engine(fan_in, channels, cols, simd, hop, stages, binary, stall_in, stall_out):
    rng = np.random.default_rng(channels)
    thresholds = rng.integers(-fan_in - 1, fan_in + 3, (channels, 1)) if binary else None
    parameters = EngineParameters("l0", rng.integers(0, 2, (channels, fan_in)), thresholds, cols, simd, hop, stages)
    frames = rng.integers(0, 2, (FRAMES, fan_in))
    expected = packets(parameters.compute(frames), hop)
    if not binary:
        # Sums in lanes past the last channel mean nothing.
        expected = packets(parameters.compute(frames), 1)
        assert hop == 1
    check(parameters, packets(frames, simd), expected, stall_in, stall_out)


def test_engine_interval():
    rng = np.random.default_rng(0)
    parameters = EngineParameters("l0", rng.integers(0, 2, (12, 20)), np.zeros((12, 1), int), 4, 5)
    frames = rng.integers(0, 2, (25, 20))
    run = run_stream(parameters.create(), packets(frames, 5), count=25 * 12)
    ends = run.output_cycles[11::12]
    assert {b - a for a, b in zip(ends[20:], ends[21:], strict=False)} == {parameters.interval} == {12}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.full((3, 4), 2)}, r"^weights must hold only 0 and 1, not 2$"),
        ({"weights": np.zeros((3, 4, 1, 1), int)}, r"^weights must have shape anyxanyxany, not 3x4x1x1$"),
        ({"thresholds": np.zeros((2, 1), int)}, r"^thresholds must have shape 3xany, not 2x1$"),
        ({"name": "a b"}, r"^engine name must be a letter and up to 62 letters, digits and underscores, not 'a b'$"),
        ({"cols": 3, "hop": 2}, r"^hop must divide cols = 3, not 2$"),
    ],
)
def test_wrong_engine(change, message):
    good = {"name": "l0", "weights": np.zeros((3, 4), int), "thresholds": np.zeros((3, 1), int), "cols": 1, "simd": 4}
    EngineParameters(**good)
    with pytest.raises(ValueError, match=message):
        EngineParameters(**good | change)


def test_float_weights_are_refused():
    with pytest.raises(TypeError, match=r"^weights must hold integers, not float64$"):
        EngineParameters("l0", np.zeros((3, 4)), None, 1, 4)
