"""Hardwired layers: results against `compute`, and every cycle against `timing`, with stalls at both ends."""

import random

import numpy as np
import pytest

from signfold.hw.hardwired import HardwiredParameters
from signfold.hw.image import ImageGeometry
from signfold.sim.timed import check_timing, paced
from signfold.sw.hardwire import adder_graph

FRAMES = 4


def random_image(rng, bits):
    kernel = tuple(int(n) for n in rng.integers(1, 5, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, kernel[i // 2])) for i in range(4)) if rng.integers(2) else (0, 0, 0, 0)
    pad = None if rng.integers(2) else int(rng.integers(1 << bits))
    height = int(rng.integers(max(1, kernel[0] - sum(padding[:2])), 8))
    width = int(rng.integers(max(1, kernel[1] - sum(padding[2:])), 8))
    return ImageGeometry(height, width, kernel, stride, padding, pad)


def hardwired(weights, thresholds, simd, **options):
    """Parameters with a graph of the weights."""
    matrix = weights.reshape(len(weights), -1)
    graph = adder_graph(matrix // (np.gcd.reduce(matrix, axis=None) or 1))
    return HardwiredParameters("l0", weights, graph, thresholds, simd, **options)


def random_layer(rng):
    bits, levels = int(rng.choice([1, 1, 2, 3, 8])), int(rng.choice([2, 2, 2, 3, 4, 8]))
    channels, inputs = (int(n) for n in rng.integers(1, 10, 2))
    image = random_image(rng, bits) if rng.integers(3) else None
    taps = image.kernel[0] * image.kernel[1] if image else int(rng.integers(1, 4))
    weights = 2 * rng.integers(0, levels, (channels, taps, inputs)) - (levels - 1)
    if rng.integers(4) == 0:
        # A depthwise convolution has zeros; so may a ternary one.
        weights *= rng.integers(0, 2, weights.shape)
    simd = inputs if image else int(rng.integers(1, inputs + 2))
    options = {"hop": int(rng.integers(1, channels + 1)), "stages": int(rng.integers(0, 4)), "bits": bits}
    options |= {"image": image, "slack": int(rng.choice([0, 0, 1, 5])) if image else 0}
    options["room"] = int(rng.choice([0, 64]))
    bare = hardwired(weights, None, simd, **options)
    if rng.integers(3) == 0:
        return bare
    sums = bare.output_step * bare.compute(random_codes(rng, bare)) - bare.origin
    levels = 2 ** int(rng.integers(1, 4)) - 1
    thresholds = np.sort(rng.integers(int(sums.min()) - 2, int(sums.max()) + 3, (channels, levels)), axis=1)
    return hardwired(weights, thresholds, simd, **options)


def random_codes(rng, p):
    return rng.integers(0, p.top + 1, (FRAMES, p.input_elements // p.inputs, p.inputs))


def packets(values, lanes):
    """Beats of positions (positions x channels), a packet each; lanes past the channels hold 0."""
    beats = []
    for codes in values.tolist():
        codes += [0] * (-len(codes) % lanes)
        groups = [codes[k : k + lanes] for k in range(0, len(codes), lanes)]
        beats += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return beats


def check_layer(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    p = random_layer(rng)
    print({**vars(p), "weights": None, "graph": None, "thresholds": p.thresholds is not None})
    codes = random_codes(rng, p)
    results = p.compute(codes).reshape(FRAMES, p.positions, p.channels)
    # The gateware's way of computing: terms of whole windows, with code 0 or the pad around, then constants.
    if p.image is None:
        vectors = codes.reshape(FRAMES, 1, -1)
    else:
        window = p.image.window(p.inputs, p.inputs, p.bits)
        images = codes.reshape(FRAMES, p.image.height, p.image.width, p.inputs)
        vectors = np.stack([window.compute(image) for image in images]).reshape(FRAMES, p.positions, -1)
    assert (p.unit.compute(p.logic.compute(vectors)) == results).all()
    assert results.min() >= 0 and results.max() < 1 << p.output_bits

    inputs, expected = packets(codes.reshape(-1, p.inputs), p.simd), packets(results.reshape(-1, p.channels), p.lanes)
    run = check_timing(p, inputs, count=len(expected), offers=range(len(inputs)), ready=())
    assert run.outputs == expected
    ends = run.output_cycles[p.positions * p.beats - 1 :: p.positions * p.beats]
    assert ends[-1] - ends[-2] == p.interval if p.room else ends[-1] - ends[-2] >= p.interval
    pause_in, pause_out = (float(pause) for pause in rng.choice([0, 0.5, 2], 2))
    pauses = random.Random(seed)
    ready = paced(pauses, len(expected), pause_out)
    run = check_timing(p, inputs, count=len(expected), offers=paced(pauses, len(inputs), pause_in), ready=ready)
    assert run.outputs == expected


@pytest.mark.parametrize("seed", range(16))
def test_random_layer(seed):
    check_layer(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(16, 300))
def test_random_layer_sweep(seed):
    check_layer(seed)


SIGNS = np.array([[1, -1, 1, 1], [1, 1, -1, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop": 3}, r"^hop must be an integer from 1 to 2, not 3$"),
        ({"graph": adder_graph(-SIGNS)}, r"^graph must multiply with the weights divided by their greatest common"),
        ({"thresholds": np.zeros((2, 2), int)}, r"^thresholds must have 2\*\*k - 1 levels for k from 1 to 8, not 2$"),
        ({"stages": 17}, r"^stages must be an integer from 0 to 16, not 17$"),
        ({"image": ImageGeometry(4, 4, (3, 3))}, r"^weights must hold the taps of kernel \(3, 3\), not 1$"),
        (
            {"image": ImageGeometry(4, 4, (1, 1)), "simd": 3},
            r"^simd must be 4, the input channels: a hardwired convolution takes a position a beat, not 3$",
        ),
    ],
)
def test_wrong_parameters(change, message):
    good = {"name": "l0", "weights": SIGNS, "graph": adder_graph(SIGNS), "thresholds": None, "simd": 4}
    HardwiredParameters(**good)
    with pytest.raises(ValueError, match=message):
        HardwiredParameters(**good | change).create()
