"""Engines of random layers: results against `compute`, and every cycle against `timing`, with stalls at both ends."""

import random

import numpy as np
import pytest

from signfold.hw.engine import EngineParameters
from signfold.hw.image import ImageGeometry
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.planes import PlaneParameters
from signfold.sim.timed import check_timing, paced

FRAMES = 3


def random_image(rng, bits, *, pool=False):
    kernel = tuple(int(n) for n in rng.integers(1, 5, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, kernel[i // 2])) for i in range(4)) if rng.integers(2) else (0, 0, 0, 0)
    pad = None if pool or rng.integers(2) else int(rng.integers(1 << bits))
    height = int(rng.integers(max(1, kernel[0] - sum(padding[:2])), 8))
    width = int(rng.integers(max(1, kernel[1] - sum(padding[2:])), 8))
    return ImageGeometry(height, width, kernel, stride, padding, pad)


def random_thresholds(rng, sums, channels):
    """Levels where the sums lie, and beyond; None one time in three."""
    if rng.integers(3) == 0:
        return None
    low, high = int(sums.min()) - 2, int(sums.max()) + 3
    return np.sort(rng.integers(low, high + 1, (channels, 2 ** int(rng.integers(1, 4)) - 1)), axis=1)


def with_thresholds(rng, build):
    """Return parameters with random thresholds around the sums that random frames give."""
    parameters = build(None)
    size = frame_size(parameters)
    sums = parameters.compute(random_codes(rng, parameters, size))
    sums = parameters.output_step * sums - parameters.origin
    return build(random_thresholds(rng, sums, parameters.channels))


def random_engine(rng):
    bits, levels = int(rng.choice([1, 1, 2, 3, 8])), int(rng.choice([2, 2, 2, 3, 4, 8]))
    return random_engine_of(rng, PlaneParameters(bits, levels, bool(rng.integers(3) == 0)))


def random_multiplying_engine(rng):
    bits, levels = int(rng.integers(1, 9)), int(rng.choice([3, *(1 << width for width in range(2, 17))]))
    return random_engine_of(rng, PlaneParameters(bits, levels, True, True))


def random_engine_of(rng, planes):
    bits, levels = planes.activation_bits, planes.weight_levels
    channels, inputs = (int(n) for n in rng.integers(1, 10, 2))
    image = random_image(rng, bits) if rng.integers(3) else None
    taps = image.kernel[0] * image.kernel[1] if image else int(rng.integers(1, 4))
    weights = rng.integers(0, levels, (channels, taps, inputs))
    simd = int(rng.integers(1, inputs + 2))
    words = taps * -(-inputs // simd) * len(planes.plays)
    hop = int(rng.integers(1, 4))
    cols = hop * int(rng.integers(1, min(words, 4) + 1))
    width = image.window(1, 1, bits).output_size[1] if image else 1
    rows = int(rng.choice([n for n in range(1, width + 1) if width % n == 0]))
    stages = int(rng.integers(0, 3))
    return with_thresholds(
        rng, lambda t: EngineParameters("l0", weights, t, cols, simd, hop, stages, planes, image, rows)
    )


def random_lane_engine(rng):
    operation = str(rng.choice(["multiply", "max", "sum"]))
    bits = int(rng.choice([1, 2, 3, 5]))
    image = random_image(rng, bits, pool=operation != "multiply")
    channels, lanes = int(rng.integers(1, 8)), int(rng.integers(1, 5))
    if operation == "max":
        inverted = rng.integers(0, 2, channels) if rng.integers(2) else None
        return LaneEngineParameters("l0", operation, channels, lanes, image, bits=bits, inverted=inverted)
    options = {"bits": bits}
    if operation == "multiply":
        levels = int(rng.choice([2, 3, 4]))
        options["weights"] = rng.integers(0, levels, (channels, image.kernel[0] * image.kernel[1]))
        options["planes"] = PlaneParameters(bits, levels, bool(rng.integers(2)))
    elif rng.integers(2):
        options |= {"input_step": int(rng.integers(1, 3)), "input_origin": int(rng.integers(-5, 20))}
    return with_thresholds(rng, lambda t: LaneEngineParameters("l0", operation, channels, lanes, image, t, **options))


def frame_size(parameters):
    """Positions and channels of a frame at the input."""
    storage = parameters.feeder.storage
    if hasattr(storage, "height"):
        return storage.height * storage.width, storage.channels
    return parameters.taps, parameters.inputs


def random_codes(rng, parameters, size):
    largest = getattr(parameters, "largest_input", (1 << parameters.feeder.storage.bits) - 1)
    return rng.integers(0, largest + 1, (FRAMES, *size))


def packets(values, lanes):
    """Beats of positions (positions x channels), a packet each; lanes past the channels hold 0."""
    beats = []
    for codes in values.tolist():
        codes += [0] * (-len(codes) % lanes)
        groups = [codes[k : k + lanes] for k in range(0, len(codes), lanes)]
        beats += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return beats


def check_engine(seed, make):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    p = make(rng)
    print({**vars(p), "weights": None, "thresholds": p.thresholds is not None})
    codes = random_codes(rng, p, frame_size(p))
    inputs = packets(codes.reshape(-1, codes.shape[-1]), p.feeder.storage.simd)
    expected = packets(p.compute(codes).reshape(FRAMES * p.positions, p.channels), p.lanes)
    run = check(p, inputs, expected, range(len(inputs)), ())
    frame = len(expected) // FRAMES
    ends = run.output_cycles[frame - 1 :: frame]
    assert ends[2] - ends[1] <= p.interval
    pause_in, pause_out = (float(pause) for pause in rng.choice([0, 0.5, 2], 2))
    pauses = random.Random(seed)
    ready = paced(pauses, len(expected), pause_out)
    check(p, inputs, expected, paced(pauses, len(inputs), pause_in), ready)


def check(p, inputs, expected, offers, ready):
    """Compare results and cycles; lanes past the channels hold anything where sums go out."""
    run = check_timing(p, inputs, count=len(expected), offers=offers, ready=ready)
    rest = p.beats * p.lanes - p.channels
    for got, want in zip(run.outputs, expected, strict=True):
        if rest and want["last"]:
            got, want = ({"codes": beat["codes"][:-rest], "last": beat["last"]} for beat in (got, want))
        assert got == want
    return run


@pytest.mark.parametrize("seed", range(16))
def test_random_engine(seed):
    check_engine(seed, random_engine)


@pytest.mark.parametrize("seed", range(12))
def test_random_multiplying_engine(seed):
    check_engine(seed, random_multiplying_engine)


@pytest.mark.parametrize("seed", range(16))
def test_random_lane_engine(seed):
    check_engine(seed, random_lane_engine)


@pytest.mark.sweep
@pytest.mark.parametrize("make", [random_engine, random_multiplying_engine, random_lane_engine])
@pytest.mark.parametrize("seed", range(16, 150))
def test_random_engine_sweep(seed, make):
    check_engine(seed, make)


IMAGE = ImageGeometry(6, 6, (3, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 3}, r"^rows must divide the output's width 4, not 3$"),
        ({"weights": np.zeros((2, 4, 2), int)}, r"^weights must hold the taps of kernel \(3, 3\), not 4$"),
        ({"planes": PlaneParameters(1, 4), "weights": np.full((2, 9, 2), 4)}, r"^weights must hold codes from 0 to 3"),
        ({"image": ImageGeometry(6, 6, (3, 3), pad=2)}, r"^pad_code must be an integer from 0 to 1, not 2$"),
        ({"thresholds": np.zeros((2, 2), int)}, r"^thresholds must have 2\*\*k - 1 levels for k from 1 to 8, not 2$"),
    ],
)
def test_wrong_convolution(change, message):
    good = {"name": "l0", "weights": np.zeros((2, 9, 2), int), "thresholds": None, "cols": 1, "simd": 2, "image": IMAGE}
    EngineParameters(**good)
    with pytest.raises(ValueError, match=message):
        EngineParameters(**good | change).create()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operation": "min"}, r"^operation must be one of multiply, max, sum, not 'min'$"),
        ({"operation": "multiply"}, r"^weights must be given for operation 'multiply' alone, not for 'multiply'$"),
        (
            {"thresholds": np.zeros((4, 1), int)},
            r"^thresholds must be None for operation 'max': compare before pooling$",
        ),
        ({"operation": "sum", "inverted": np.ones(4, int)}, r"^inverted must be None for operation 'sum'$"),
        ({"inverted": np.full(4, 2)}, r"^inverted must hold only 0 and 1, not 2$"),
        ({"largest_input": 2}, r"^largest_input must be an integer from 1 to 1, not 2$"),
        ({"image": ImageGeometry(6, 6, (3, 3), pad=0)}, r"^pad must be None for pooling, not 0$"),
    ],
)
def test_wrong_pooling(change, message):
    good = {"name": "l0", "operation": "max", "channels": 4, "lanes": 2, "image": IMAGE}
    LaneEngineParameters(**good)
    with pytest.raises(ValueError, match=message):
        LaneEngineParameters(**good | change)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, r"^activation bits must be an integer from 1 to 62, not 0$"),
        ((1, 5), ValueError, r"^weight levels must be 3 or a power of two, not 5$"),
        ((1, 2, 1), TypeError, r"^space must be True or False, not 1$"),
    ],
)
def test_wrong_planes(arguments, error, message):
    with pytest.raises(error, match=message):
        PlaneParameters(*arguments)
