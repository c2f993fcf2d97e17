import itertools
import json
from math import inf

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_network
from signfold.sw import zoo
from signfold.sw.cli.app import app
from signfold.sw.cost import Cost, cost_model
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower
from signfold.sw.network import Dense, InputType, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.planner import candidates as candidates_module
from signfold.sw.planner.candidates import area
from signfold.sw.planner.chain import Chain
from signfold.sw.planner.planner import Planner
from signfold.sw.planner.search import Limits, Search


def mlp(*widths, bits=8):
    rng = np.random.default_rng(0)
    nodes = [Threshold("pixels", "input", np.array([[1 << (bits - 1)]]))]
    for k, (fan_in, channels) in enumerate(zip(widths, widths[1:], strict=False)):
        nodes.append(Dense(f"dense{k}", nodes[-1].name, rng.integers(0, 2, (channels, fan_in)).astype(np.uint8)))
        if k < len(widths) - 2:
            nodes.append(Threshold(f"sign{k}", nodes[-1].name, np.full((channels, 1), fan_in % 2)))
    return Network(InputType((widths[0],), bits), tuple(nodes), nodes[-1].name)


def all_combinations(chain, lanes, rng, most):
    """Yield cost, interval and plan of every combination of some arrays a layer, each costed as a whole."""
    options = []
    for index, group in enumerate(chain.groups):
        plans = list(candidates_module.choices(chain, index))
        keep = rng.permutation(len(plans))[:most]
        pools = (0, 1, 2) if group.followers else (0,)
        options.append([(plans[k], pool) for k in sorted(keep) for pool in pools])
    for width in lanes:
        for chosen in itertools.product(*options):
            cost, interval, now = chain.entry(width)
            layers = []
            for index, (plan, pool) in enumerate(chosen):
                stage = chain.groups[index].stage
                into = plan.simd if hasattr(stage, "simd") else plan.cols
                gear, gear_interval = chain.gear_before(index, now, into)
                own, own_interval = chain.engine(index, plan)
                now = plan.hop if hasattr(stage, "simd") else plan.cols
                after, after_interval, now = chain.following(index, now, pool)
                cost, interval = cost + gear + own + after, max(interval, gear_interval, own_interval, after_interval)
                layers.append(plan)
            last, last_interval = chain.leaving(now)
            yield cost + last, max(interval, last_interval), options
    return


def restricted(monkeypatch, options):
    """Let the search see the same arrays."""

    def choices(chain, index):
        return iter(dict.fromkeys(plan for plan, _ in options[index]))

    monkeypatch.setattr(candidates_module, "choices", choices)
    monkeypatch.setattr(candidates_module, "pools", lambda most: {0, 1, 2})


@pytest.mark.parametrize("seed", range(12))
def test_search_finds_what_trying_everything_finds(seed, monkeypatch):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng, depth=int(rng.integers(1, 4)), widest=24) if seed % 2 else random_conv_network(rng)
    chain = Chain(network, cost_model(("ecp5", "ice40", "xilinx")[seed % 3]))
    lanes = chain.input_lanes()[:2]
    most = {1: 60, 2: 16, 3: 7}.get(len(chain.groups), 4)
    everything = list(all_combinations(chain, lanes, rng, most))
    options = everything[0][2]
    restricted(monkeypatch, options)
    search = Search(chain, lanes)
    intervals = sorted({interval for _, interval, _ in everything})
    for cycles in {intervals[0], *(int(c) for c in rng.choice(intervals, 4)), intervals[-1]}:
        costs = [cost for cost, interval, _ in everything if interval <= cycles]
        for logic, brams in (
            (inf, inf),
            (float(np.median([area(cost) for cost in costs])), inf),
            (inf, int(np.median([cost.brams for cost in costs]))),
            (min(area(cost) for cost in costs) - 1, inf),
        ):
            limits = Limits(logic, brams)
            allowed = [limits.weigh(cost) for cost in costs if limits.allow(cost)]
            found = search.best(cycles, limits)
            assert (found is None) == (not allowed)
            if allowed:
                assert limits.weigh(found.cost) == pytest.approx(min(allowed))
                assert found.interval <= cycles


@pytest.mark.parametrize("fabric", ["ecp5", "ice40", "xilinx"])
@pytest.mark.parametrize("seed", range(4))
def test_plans_take_the_cycles_that_were_asked_for(seed, fabric):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng) if seed % 2 else random_conv_network(rng)
    planner = Planner(network, fabric)
    intervals = planner.search.intervals()
    for cycles in (intervals[-1], intervals[len(intervals) // 2]):
        if planner.search.best(cycles, planner.limits()) is None:
            continue
        solution = planner.search.best(cycles, planner.limits())
        config = lower(network, solution.plan, slack=False)
        assert config.interval == solution.interval <= cycles
        planned = planner.smallest(cycles)
        assert planned.interval == solution.interval
        assert planned.plan.fabric == fabric
        # Without its tables' contents and the slack of its windows it was estimated nearly as well.
        assert area(solution.cost) == pytest.approx(area(planned.cost), rel=0.25, abs=60)


def test_the_fastest_that_fits_is_the_first_number_of_cycles_at_which_anything_fits():
    planner = Planner(mlp(64, 24, 10), "ecp5")
    free = planner.smallest(planner.search.intervals()[-1])
    limits = planner.limits(2 * free.cost.luts, 20)
    planned = planner.fastest(limits)
    assert limits.allow(planned.cost)
    slower = [cycles for cycles in planner.search.intervals() if cycles < planned.interval]
    assert all(planner.search.best(cycles, limits) is None for cycles in slower)


def test_more_logic_is_never_slower():
    planner = Planner(mlp(96, 48, 10), "xilinx")
    least = planner.smallest(planner.search.intervals()[-1]).cost.luts
    speeds = [planner.fastest(planner.limits(least * factor)).interval for factor in (1.1, 1.5, 3, 8)]
    assert speeds == sorted(speeds, reverse=True) and speeds[0] > speeds[-1]


def test_refusals_say_what_would_do():
    planner = Planner(mlp(64, 24, 10), "ecp5", lanes=1)
    with pytest.raises(PlanError, match=r"^input: 5 cycles a frame are too few .*; no plan takes fewer than 64$"):
        planner.smallest(5)
    large = Planner(mlp(256, 96, 10), "ecp5", lanes=16)
    least = large.smallest(large.search.intervals()[-1]).cost.luts
    with pytest.raises(PlanError, match=r"^16 cycles need [\d,]+ LUTs, [\d,]+ allowed: the fastest that fits takes "):
        large.smallest(16, large.limits(least * 1.2))
    with pytest.raises(PlanError, match=r"^no plan fits: at least [\d,]+ LUTs are needed, 10 allowed$"):
        planner.fastest(planner.limits(10))
    with pytest.raises(PlanError, match=r"^fabric must be one of ecp5, ice40, xilinx for a plan by cost, not 'plain'$"):
        Planner(mlp(4, 2), "plain")


def test_a_layer_that_bounds_the_cycles_is_named(monkeypatch):
    monkeypatch.setattr(candidates_module, "_MORE_ROWS", 8)
    network = zoo.load("conv-mnist")
    planner = Planner(network, "ecp5")
    index, fewest = planner.search.slowest_layer()
    with pytest.raises(PlanError, match=rf"^layer {index}: .* no array takes fewer than {fewest:,}"):
        planner.smallest(planner.search.floor)


def test_command(tmp_path):
    runner = CliRunner()
    out, plot = tmp_path / "plan.toml", tmp_path / "pareto.png"
    arguments = ["plan", "digits", "--board", "icebreaker", "-o", str(out), "--json"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    described = json.loads(result.stdout)
    assert described["share"]["logic"] <= 0.9 and described["share"]["brams"] <= 1
    text = out.read_text()
    assert "Predicted, not measured" in text and f"{described['interval_cycles']:,} cycles a frame" in text
    loaded = Plan.load(out)
    assert lower(zoo.load("digits"), loaded).interval == described["interval_cycles"]
    pytest.importorskip("matplotlib")
    command = ["plan", "digits", "--fabric", "ecp5", "--target-fps", "100000", "--pareto", str(plot)]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "frames a second" in result.stdout and plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --board and --fabric"),
        (["--fabric", "ecp5"], "give a target"),
        (["--fabric", "ecp5", "--target-fps", "1", "--target-cycles", "1"], "give one of --target-fps"),
        (["--board", "none", "--target-fps", "1"], "board must be one of icebreaker, ulx3s-85f"),
    ],
)
def test_command_refuses(arguments, message):
    result = CliRunner().invoke(app, ["plan", "digits", *arguments])
    assert result.exit_code != 0 and message in str(result.exception)


def test_costs_add_up():
    a, b = Cost(1, 2, 3, 4, 5, 6), Cost(10, 20, 30, 40, 50, 60)
    assert a + b == Cost(11, 22, 33, 44, 55, 66)
    assert LayerPlan(1, 1) == LayerPlan()
