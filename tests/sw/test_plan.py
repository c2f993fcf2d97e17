from itertools import accumulate

import numpy as np
import pytest

from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan


def mlp(*widths, bits=8):
    rng = np.random.default_rng(0)
    nodes = [Threshold("pixels", "input", np.array([[1 << (bits - 1)]]))]
    for k, (fan_in, channels) in enumerate(zip(widths, widths[1:], strict=False)):
        nodes.append(Dense(f"dense{k}", nodes[-1].name, rng.integers(0, 2, (channels, fan_in)).astype(np.uint8)))
        if k < len(widths) - 2:
            nodes.append(Threshold(f"sign{k}", nodes[-1].name, np.full((channels, 1), fan_in % 2)))
    return Network(InputType((widths[0],), bits), tuple(nodes), nodes[-1].name)


@pytest.mark.parametrize(
    ("widths", "lanes", "target"),
    [
        ((784, 256, 256, 256, 10), 1, None),
        ((784, 256, 256, 256, 10), 49, 16),
        ((784, 1024, 1024, 1024, 10), 2, 512),
        ((64, 48, 10), 1, 100),
        ((7, 13, 3), 3, 3),
        ((1, 1), 1, None),
    ],
)
def test_default_plan_keeps_up(widths, lanes, target):
    network = mlp(*widths)
    plan = default_plan(network, lanes=lanes, target_cycles=target)
    config = lower(network, plan)
    assert plan.lanes == lanes
    assert config.interval <= (target or max(-(-widths[0] // lanes), widths[-1]))


def test_smaller_target_needs_more_cells():
    network = mlp(256, 256, 10)
    cells = [
        sum(layer.cols * layer.simd for layer in default_plan(network, lanes=16, target_cycles=target).layers)
        for target in (16, 64, 256, 1024)
    ]
    assert cells == sorted(cells, reverse=True) and len(set(cells)) == 4


def test_target_below_the_input_is_refused():
    with pytest.raises(PlanError, match=r"^target cycles must be at least 392, not 100: a frame takes 392 input beats"):
        default_plan(mlp(784, 16, 10), lanes=2, target_cycles=100)


@pytest.mark.parametrize("seed", range(30))
def test_lowered_network_computes_the_same(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    config = lower(network, random_plan(rng, network))
    frames = random_frames(rng, network, 20)
    expected = network.evaluate(frames)
    scores, classes = config.compute(frames)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    trace = network.trace(frames)
    codes = [trace[node.name] for node in network.nodes if isinstance(node, Threshold)]
    ends = accumulate(stage.span for stage in config.layers)
    for have, end in zip(config.trace(frames)[:-1], [0, *ends], strict=False):
        assert (have == codes[end]).all()


def test_toml_round_trip(tmp_path):
    plan = Plan((LayerPlan(8, 16, 2, 0), LayerPlan(3, 5)), lanes=4)
    plan.save(tmp_path / "plan.toml")
    assert Plan.load(tmp_path / "plan.toml") == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lanes = 1\nlane = 2", r"unknown key 'lane', allowed are 'lanes', 'fabric' and \[\[layer\]\]$"),
        ("[[layer]]\ncols = 1", r"layer 0: missing key 'simd', keys are cols, simd, hop, stages, rows, space, pool, "),
        ("[[layer]]\ncols = 1\nsimd = 2\nspeed = 1", r"layer 0: unknown key 'speed', keys are cols, simd, "),
        ("[[layer]]\ncols = 0\nsimd = 2", r"layer 0: cols must be an integer of at least 1, not 0$"),
        ("[[layer]]\ncols = 1.5\nsimd = 2", r"layer 0: cols must be an integer of at least 1, not 1.5$"),
        ("lanes = 'x'", r"lanes must be an integer of at least 1, not 'x'$"),
        ("layer = 3", r"'layer' must be an array of tables"),
        ("= 3", r"is not TOML"),
    ],
)
def test_bad_toml(tmp_path, text, message):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=message):
        Plan.load(path)


def test_absent_file(tmp_path):
    with pytest.raises(PlanError, match=r"No such file"):
        Plan.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((LayerPlan(1, 1),), r"^plan must hold 2 layers, as many as the network has layers with weights, not 1$"),
        ((LayerPlan(1, 4), LayerPlan(3, 4, 2)), r"^layer 1: hop must divide cols = 3, not 2$"),
        ((LayerPlan(1, 4), LayerPlan(8, 4, 1)), r"^layer 1: hop must be at least cols / words = 8 / 2, so 4 or more"),
    ],
)
def test_plan_that_does_not_fit(layers, message):
    with pytest.raises(PlanError, match=message):
        lower(mlp(12, 8, 10), Plan(layers))


def test_networks_that_cannot_be_planned():
    good = mlp(4, 3, 2)
    twice = Affine("twice", "scores", np.array([1, 2]), np.array([0, 0]), 0)
    nodes = (*good.nodes, Affine("scores", "dense1", np.array([1, 2]), np.array([3, 4]), 0), twice)
    with pytest.raises(PlanError, match=r"^node 'scores': affine has no place inside a network$"):
        default_plan(Network(good.input, nodes, "twice"))


def test_hardwired_layers_and_memories_are_kept(tmp_path):
    plan = Plan((LayerPlan(simd=4, hop=2, style="hardwired"), LayerPlan(2, 4, memory="lut")))
    plan.save(tmp_path / "plan.toml")
    text = (tmp_path / "plan.toml").read_text()
    assert 'style = "hardwired"' in text and 'memory = "lut"' in text and text.count("cols") == 1
    assert Plan.load(tmp_path / "plan.toml") == plan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style": "logic"}, r"^style must be one of array, multiplier, hardwired, not 'logic'$"),
        ({"memory": "spram"}, r"^memory must be one of .*, not 'spram'$"),
        ({"style": "hardwired", "cols": 3}, r"^cols must be 1 for a hardwired layer, not 3$"),
        ({"style": "hardwired", "memory": "lut"}, r"^memory must be 'auto' for a hardwired layer, not 'lut'$"),
    ],
)
def test_bad_style(change, message):
    with pytest.raises(ValueError, match=message):
        LayerPlan(**{"simd": 4} | change)
