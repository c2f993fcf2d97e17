"""Layers on arrays of multipliers, through plan and lowering: results and cycles exactly, images, what is refused."""

import numpy as np
import pytest

from signfold.sim.random_network import random_frames, random_plan
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import PlanError
from signfold.sw.images import describe, rebuild
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Conv, Dense, InputType, Network, Threshold
from signfold.sw.network.nodes.levels import code_type
from signfold.sw.plan import LayerPlan, Plan
from tests.hw.test_conv_accelerator import simulate

FRAMES = 3


def weights(rng, shape):
    """Return weight codes of 2 to 16 bits, and their levels."""
    levels = 1 << int(rng.integers(2, 17))
    return rng.integers(0, levels, shape).astype(code_type(levels)), levels


def thresholds(rng, node, value, bits):
    """Return thresholds where the sums of random weights lie."""
    sums = node.infer(value)
    rows = np.sort(rng.integers(-sums.high // 4, sums.high // 4 + 1, (node.channels, (1 << bits) - 1)), axis=1)
    return Threshold(f"{node.name}.codes", node.name, (rows - sums.low) // sums.step * sums.step + sums.low)


def random_wide_network(rng):
    """Return a convolution or two, or none, and a dense layer; codes of 1 to 8 bits, paddings of both kinds."""
    channels, side = int(rng.integers(1, 4)), int(rng.integers(3, 7))
    source = InputType((channels, side, side), int(rng.integers(1, 9)))
    nodes, value, before = [], source.value, "input"
    for k in range(int(rng.integers(0, 3))):
        kernel = tuple(int(rng.integers(1, min(3, size) + 1)) for size in value.shape[1:])
        around = tuple(int(rng.integers(0, kernel[side // 2])) for side in range(4))
        pad = None if rng.integers(2) else int(rng.integers(0, value.high + 1))
        codes, levels = weights(rng, (int(rng.integers(1, 6)), value.shape[0], *kernel))
        stride = tuple(int(step) for step in rng.integers(1, 3, 2))
        conv = Conv(f"conv{k}", before, codes, stride, around, pad, levels=levels)
        node = thresholds(rng, conv, value, int(rng.choice([1, 2, 4])))
        nodes += [conv, node]
        value, before = node.infer(conv.infer(value)), node.name
    codes, levels = weights(rng, (int(rng.integers(1, 6)), value.elements))
    return Network(source, (*nodes, Dense("last", before, codes, levels)), "last")


def check(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_wide_network(rng)
    config = None
    # Planes of 16 bits by 8 that follow one another take the simulator minutes.
    while config is None or config.interval > 1000:
        plan = random_plan(rng, network, hardwired=0, shared=0, multipliers=0.9)
        config = lower(network, plan)
    print(plan)
    frames = random_frames(rng, network, FRAMES)
    expected = network.evaluate(frames)
    codes = stream_order(network, frames)
    scores, classes = config.compute(codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    scores, classes, run = simulate(config, codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    ends = run.output_cycles[config.scores.classes - 1 :: config.scores.classes]
    assert ends[0] - run.input_cycles[0] == config.latency and ends[-1] - ends[-2] == config.interval
    scores, classes, _ = simulate(config, codes[:2], seed=seed, stall_in=0.5, stall_out=0.6)
    assert (scores == expected.scores[:2]).all() and (classes == expected.classes[:2]).all()
    rebuilt = rebuild(describe(network, config), {rom.name: rom.words for rom in config.roms})
    assert rebuilt.content_hash == network.content_hash


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(seed):
    check(seed)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(8, 100))
def test_random_networks_sweep(seed):
    check(seed)


def stem(bits=8, levels=256, codes=2):
    """Return a convolution and a dense layer of such codes and weights."""
    rng = np.random.default_rng(3)
    draw = [rng.integers(0, levels, shape).astype(code_type(levels)) for shape in ((8, 3, 3, 3), (4, 8 * 6 * 6))]
    conv = Conv("stem", "input", draw[0], padding=(1, 1, 1, 1), levels=levels)
    source = InputType((3, 6, 6), bits)
    node = thresholds(rng, conv, source.value, codes)
    return Network(source, (conv, node, Dense("last", node.name, draw[1], levels)), "last")


def test_one_play_where_planes_take_sixty_four():
    network = stem()
    array, multiplier = (
        lower(network, Plan((LayerPlan(8, 3, style=style), LayerPlan(1, 8)))).layers[0]
        for style in ("array", "multiplier")
    )
    assert array.interval == 64 * multiplier.interval == 64 * 36 * 9


@pytest.mark.parametrize("fabric", ["xilinx", "ecp5", "gowin", "ice40", "plain"])
def test_default_plans_multiply_where_there_are_blocks(fabric):
    styles = [layer.style for layer in default_plan(stem(), fabric=fabric).layers]
    assert (styles[0] == "multiplier") == (fabric not in ("ice40", "plain"))
    # Bits on either side are no work for multipliers.
    for network in (stem(bits=1), stem(levels=2, codes=8)):
        assert default_plan(network, fabric=fabric).layers[0].style == "array"


def test_default_plans_take_no_more_blocks_than_small_devices_have():
    for cycles in (108, 200, 1000, 20_000):
        for fabric, most in (("xilinx", 80), ("ecp5", 28), ("gowin", 20)):
            layers = default_plan(stem(), fabric=fabric, target_cycles=cycles).layers
            used = sum(one.rows * one.cols * one.simd for one in layers if one.style == "multiplier")
            assert used <= most


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"space": True}, r"^space must be false for a multiplier array, whose words hold codes whole, not true$"),
        ({"memory": "loaded"}, r"^memory must be one of auto, block, lut for a multiplier array, not 'loaded'$"),
    ],
)
def test_wrong_plans(choice, message):
    with pytest.raises(ValueError, match=message):
        LayerPlan(1, 1, style="multiplier", **choice)


def test_layers_without_use_for_multipliers():
    bits = stem(bits=1, levels=2)
    with pytest.raises(PlanError, match=r"^layer 0: style must be array or hardwired, not 'multiplier': weights and"):
        lower(bits, Plan((LayerPlan(1, 1, style="multiplier"), LayerPlan(1, 1))))
    alone = Conv("own", "input", np.ones((3, 1, 6, 6), np.uint8), groups=3, levels=4)
    network = Network(InputType((3, 6, 6), 8), (alone,), "own")
    with pytest.raises(PlanError, match=r"^layer 0: style must be array or hardwired for a depthwise convolution"):
        lower(network, Plan((LayerPlan(1, 1, style="multiplier"),)))
    with pytest.raises(PlanError, match=r"^layer 0: style must be array where the layer after it shares it, not"):
        lower(stem(), Plan((LayerPlan(1, 1, style="multiplier"), LayerPlan(shares=True))))


def test_plans_are_kept(tmp_path):
    plan = Plan((LayerPlan(2, 3, 1, style="multiplier"),), fabric="ecp5")
    plan.save(tmp_path / "plan.toml")
    assert Plan.load(tmp_path / "plan.toml") == plan and 'style = "multiplier"' in plan.to_toml()
