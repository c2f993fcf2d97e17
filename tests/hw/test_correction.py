"""The correction unit against its `compute`."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from signfold.hw.border import BorderClasses
from signfold.hw.correction import CorrectionParameters

BORDER = BorderClasses((0, 1, 1, 2), (0, 1, 2))


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(
    ("channels", "lanes", "width", "largest", "border"),
    [(1, 1, 1, 0, None), (7, 3, 5, 9, None), (4, 2, 3, 100, BORDER), (1, 1, 4, 1, BORDER), (3, 5, 2, 2, BORDER)],
)
def test_correction(channels, lanes, width, largest, border, factor):
    rng = np.random.default_rng(channels)
    corrections = rng.integers(0, largest + 1, (border.count if border else 1, channels))
    parameters = CorrectionParameters("c", lanes, width, corrections, factor, border)
    frames = rng.integers(0, 1 << width, (3, 12, channels))
    expected = parameters.compute(frames)
    tables = corrections[list(border.sequence)] if border else corrections
    assert (expected == np.stack([factor * frame + tables for frame in frames])).all()
    # The sums of lanes without a channel mean nothing.
    padded = rng.integers(0, 1 << width, (3, 12, parameters.beats * lanes))
    padded[..., :channels] = frames
    dut = parameters.create()
    outputs = []

    async def bench(ctx):
        await ctx.tick()
        beats = padded.reshape(-1, lanes).tolist()
        while beats:
            valid = rng.random() < 0.7
            ctx.set(dut.sums, beats.pop(0) if valid else [0] * lanes)
            ctx.set(dut.valid, valid)
            await ctx.tick()
            assert ctx.get(dut.known) == valid
            if valid:
                outputs.append([ctx.get(code) for code in dut.codes])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    outputs = np.array(outputs).reshape(padded.shape)
    assert (outputs[..., :channels] == expected).all()
    assert not outputs[..., channels:].any()
    assert outputs.max() < 1 << parameters.output_width


def test_width_holds_the_largest_sum():
    assert CorrectionParameters("c", 1, 4, [[1, 2]], 2).output_width == 6
    assert CorrectionParameters("c", 1, 4, [[1, 1]], 2).output_width == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corrections": [[-1]]}, r"^corrections must be at least 0, not -1$"),
        ({"corrections": [[1], [1]]}, r"^corrections must have shape 1xany, not 2x1$"),
        ({"border": BORDER}, r"^corrections must have shape 9xany, not 1x1$"),
        ({"factor": 3}, r"^correction factor must be an integer from 1 to 2, not 3$"),
    ],
)
def test_wrong_correction(change, message):
    good = {"name": "c", "lanes": 1, "sum_width": 4, "corrections": [[1]]}
    with pytest.raises(ValueError, match=message):
        CorrectionParameters(**good | change)
