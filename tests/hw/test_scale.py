"""Scale units: what they compute against the integer network's nodes, and their stage under stalls at both ends."""

import random
from itertools import product

import numpy as np
import pytest

from signfold.hw.scale import ScaleParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.sums import SumFormat
from signfold.hw.verilog import convert
from signfold.sim.timed import check_timing, paced
from signfold.sw.network import Quantize, Scale, ValueType
from signfold.sw.network.branches import scaled


def packets(positions, lanes):
    """Beats of positions of codes or sums; lanes past the last channel hold 0."""
    beats = []
    for codes in np.pad(positions, [(0, 0), (0, -positions.shape[1] % lanes)]):
        groups = codes.reshape(-1, lanes).tolist()
        beats += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return beats


#: Name -> lanes, format, multipliers, offsets, shift, low, high, bits of a code; latency of the unit.
WIDE = SumFormat(16, 2, 40_001, 50_000)
CASES = {
    "multipliers": ((2, WIDE, [700, -345, 0, 12, -1], [5, -90_000, 77, 0, 4], 6, None, None, None), 2),
    "multipliers, saturated": ((4, WIDE, [700, -345, 0, 12, 4], [5, -90_000, 77, 0, 4], 8, -500, 400, None), 3),
    "one multiplier": ((2, WIDE, [-12] * 3, [8] * 3, 4, None, None, None), 2),
    "powers of two": ((3, WIDE, [8, -4, 0, 64], [5, 9, -7, 0], 5, None, None, None), 2),
    "powers of two, saturated": ((1, SumFormat(10, 1, 512), [4, 16, 32], [5, 9, -7], 5, -100, 90, None), 3),
    "shift for all": ((2, WIDE, [4, -4, 0, -4], [5, 9, -7, 2], 5, None, None, None), 1),
    "offsets": ((2, SumFormat(12, 1, 2000), [1] * 5, [-300, 9, -7, 5, 2], 0, -900, 1100, None), 2),
    "one offset": ((4, SumFormat(12, 2, 2000), [1] * 4, [3] * 4, 0, None, None, None), 1),
    "nothing is left": ((2, SumFormat(3, 1, 4), [0, 0, 0], [5, 9, -7], 1, None, None, None), 1),
    "above zero": ((2, SumFormat(6, 1, 32), [3, 5, -9], [99, 9, 70], 2, 10, 60, None), 3),
    "codes": ((2, WIDE, [13, 24, 7], [900, 128, -1], 9, None, None, 8), 3),
    "bits": ((2, SumFormat(10, 1, 512), [1, -1, 1], [900, 1, -1], 0, None, None, 1), 2),
}


def parameters(case):
    lanes, source, multiplier, offset, shift, low, high, bits = CASES[case][0]
    return ScaleParameters("l3", lanes, source, multiplier, offset, shift, low, high, bits)


def golden(p, sums):
    """Return what the node of the integer network makes of sums, frames x positions x channels."""
    value = ValueType("sum", (p.channels, 1, 1), p.source.low, p.source.high, p.source.step)
    common = "x", "y", p.multiplier, p.offset, p.shift
    node = Scale(*common, p.low, p.high) if p.code_bits is None else Quantize(*common, p.code_bits)
    frames = np.moveaxis(p.source.step * sums - p.source.origin, -1, 1)[..., None]
    return np.moveaxis(scaled(node, frames, node.infer(value))[..., 0], 1, -1).astype(np.int64)


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_the_nodes(case):
    p = parameters(case)
    ends = np.r_[0:300, p.source.largest - 300 : p.source.largest + 1, 0 : p.source.largest : 97]
    sums = np.repeat(np.unique(ends[(ends >= 0) & (ends <= p.source.largest)])[None, :, None], p.channels, axis=2)
    computed = p.compute(sums)
    assert (computed - p.origin == golden(p, sums)).all()
    assert computed.min() >= 0 and computed.max() <= p.largest_output
    for channel, u in product(range(p.channels), range(sums.shape[1])):
        assert p.plan.compute(channel, int(sums[0, u, channel])) == computed[0, u, channel]


@pytest.mark.parametrize("seed", range(40))
def test_folding_of_random_scales(seed):
    """Every number stands within its bounds, whatever constants are folded into which."""
    rng = random.Random(seed)
    print("seed", seed)
    bits = rng.randint(1, 8)
    step, origin = rng.choice([1, 1, 2, 3]), rng.randint(-20, 300)
    source = SumFormat(bits, step, origin, rng.randint(1, (1 << bits) - 1))
    pick = rng.choice(
        [
            lambda: rng.randint(-300, 300),
            lambda: rng.choice([-1, 0, 1]) << rng.randint(0, 9),
            lambda: rng.choice([6, -6]),
        ]
    )
    channels = rng.randint(1, 5)
    low = rng.randint(-200, 200)
    limits = rng.choice([(None, None, None), (low, low + rng.randint(1, 300), None), (None, None, rng.randint(1, 8))])
    offsets = [rng.randint(-9999, 9999) for _ in range(channels)]
    p = ScaleParameters("s", 2, source, [pick() for _ in range(channels)], offsets, rng.randint(0, 12), *limits)
    sums = np.repeat(np.arange(source.largest + 1)[None, :, None], channels, axis=2)
    computed = p.compute(sums)
    assert (computed - p.origin == golden(p, sums)).all()
    assert computed.min() >= 0 and computed.max() <= p.largest_output
    for channel, u in product(range(channels), range(source.largest + 1)):
        assert p.plan.compute(channel, u) == computed[0, u, channel]


@pytest.mark.parametrize("case", CASES)
def test_stage(case):
    p = ScaleStageParameters(parameters(case), 12)
    assert p.unit.latency == CASES[case][1]
    seed = list(CASES).index(case)
    rng, pace = np.random.default_rng(seed), random.Random(seed)
    print("seed", seed)
    frames = rng.integers(0, p.unit.source.largest + 1, (2, 12, p.channels))
    frames[0, 0], frames[0, 1] = 0, p.unit.source.largest
    # Lanes without a channel may hold anything.
    inputs = packets(frames.reshape(-1, p.channels), p.lanes)
    for beat in inputs:
        lanes = p.channels % p.lanes or p.lanes
        if beat["last"]:
            beat["codes"] = beat["codes"][:lanes] + [(1 << p.input_bits) - 1] * (p.lanes - lanes)
    expected = packets(p.compute(frames).reshape(-1, p.channels), p.lanes)
    for pause in (0, 1):
        offers, ready = paced(pace, len(inputs), pause), paced(pace, len(inputs), pause)
        run = check_timing(p, inputs, count=len(inputs), offers=offers, ready=ready)
        assert run.outputs == expected
        if not pause:
            assert run.output_cycles == [p.latency + beat for beat in range(len(inputs))]
            assert len(inputs) == 2 * p.interval


def test_short_position():
    """A position of too few beats is scaled as its first channels; the next one begins anew."""
    p = ScaleStageParameters(parameters("multipliers"), 3)
    frames = np.random.default_rng(0).integers(0, 50_001, (1, 3, p.channels))
    inputs = packets(frames[0], p.lanes)
    expected = packets(p.compute(frames)[0], p.lanes)
    short = [inputs[0], inputs[1] | {"last": 1}, *inputs[3:]]
    run = check_timing(p, short, count=len(short), offers=range(len(short)))
    # What holds no channel of a whole position holds none here.
    expected[1] = {"codes": [expected[1]["codes"][0], 0], "last": 1}
    assert run.outputs == [*expected[:2], *expected[3:]]


def test_tables_only_for_what_differs():
    widths = {case: {rom.name: rom.width for rom in parameters(case).roms} for case in CASES}
    assert widths["one multiplier"] == widths["one offset"] == {}
    assert list(widths["multipliers"]) == ["l3_m", "l3_o"]
    # Three bits of shift, a sign and whether there is anything; of channels alike in their shift no shift.
    assert widths["powers of two"]["l3_m"] == 3 * (3 + 1 + 1)
    assert widths["shift for all"]["l3_m"] == 2 * 2
    assert list(widths["offsets"]) == ["l3_o"]


@pytest.mark.parametrize("case", ["multipliers, saturated", "powers of two"])
def test_verilog(case):
    p = ScaleStageParameters(parameters(case))
    text = convert(p.create(), roms=p.roms)
    assert all(f'"{rom.name}.mem"' in text for rom in p.roms)
    assert (" * " in text) == (case != "powers of two")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": [1, 2]}, r"^offset must have shape 1, not 2$"),
        ({"multiplier": [1 << 50]}, r"^multiplier 1125899906842624 and offset 1 of channel 0 must not take sums"),
        ({"offset": [1 << 61]}, r"^multiplier 3 and offset 2305843009213693952 of channel 0 must not take sums"),
        ({"shift": 62}, r"^shift must be an integer from 0 to 61, not 62$"),
        ({"low": 1}, r"^low and high must both be given or both be None, and be None for codes, not \(1, None\)$"),
        (
            {"low": 1, "high": 2, "code_bits": 3},
            r"^low and high must both be given or both be None, and be None for co",
        ),
        ({"low": 2, "high": 2}, r"^high must be an integer from 3 to"),
        ({"code_bits": 9}, r"^code_bits must be an integer from 1 to 8, not 9$"),
        ({"lanes": 0}, r"^lanes must be an integer of at least 1, not 0$"),
        ({"name": "a b"}, r"^scale name must be a letter"),
    ],
)
def test_wrong_parameters(changes, message):
    arguments = {
        "name": "s", "lanes": 1, "source": SumFormat(16), "multiplier": [3], "offset": [1], "shift": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        ScaleParameters(**arguments | changes)


def test_wrong_unit():
    with pytest.raises(TypeError, match=r"^scale unit must be ScaleParameters, not 3$"):
        ScaleStageParameters(3)
