"""Arrays, hardwired layers and shared engines in one search: what it finds is what trying everything finds."""

import itertools
from math import inf

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_network
from signfold.sw import zoo
from signfold.sw.cli.app import app
from signfold.sw.cost import Cost, cost_model
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower, stream_order
from signfold.sw.plan import Plan
from signfold.sw.planner import candidates as candidates_module
from signfold.sw.planner.candidates import area
from signfold.sw.planner.chain import Chain
from signfold.sw.planner.ends import Limits
from signfold.sw.planner.planner import Planner
from signfold.sw.planner.search import SHARES, STYLES, Search
from signfold.sw.planner.shared import SharedRuns
from tests.hw.test_multiplier_arrays import stem

POOLS = (0, 2)
FABRICS = ("ecp5", "ice40", "xilinx")


def some(rng, plans, most):
    plans = list(plans)
    return [plans[k] for k in sorted(rng.permutation(len(plans))[:most])]


def options_of(chain, runs, rng, most):
    """Return some arrays and logic of each layer, and some arrays of each run of layers."""
    singles = []
    for index in range(len(chain.groups)):
        arrays = some(rng, candidates_module.choices(chain, index), most)
        logic = some(rng, chain.hardwired_choices(index), 2)
        # A generator of its own: which layers have such arrays changes nothing else.
        singles.append((arrays, logic, some(np.random.default_rng(index), chain.multiplier_choices(index), 2)))
    return singles, {run: some(rng, runs.choices(*run), 2) for run in runs.runs()}


def parts_of(chain, runs, options):
    """Yield, for each beginning layer, the parts of plans: span, widths, cost, cycles and idle cycles."""
    singles, shared = options
    found = {index: [] for index in range(len(chain.groups))}
    for index, ways in enumerate(singles):
        for plan in itertools.chain(*ways):
            cost, interval = chain.engine(index, plan)
            found[index] += followed(chain, index, 1, *chain.lanes(index, plan), cost, interval, 0)
    for (first, last), plans in shared.items():
        for plan in plans:
            one = runs.candidate(first, last, plan)
            if one is not None and (first < last or plan.memory == "loaded"):
                sizes = one.lanes_in, one.lanes_out, one.cost, one.interval, one.inner
                found[first] += followed(chain, last, last - first + 1, *sizes)
    return found


def followed(chain, last, span, into, out, cost, interval, inner):
    for pool in POOLS if chain.groups[last].followers else (0,):
        more, slower, lanes = chain.following(last, out, pool)
        yield span, into, lanes, cost + more, max(interval, slower), inner


def combinations(parts, index, count):
    """Yield every sequence of parts from a layer on."""
    if index == count:
        yield ()
        return
    for part in parts[index]:
        for rest in combinations(parts, index + part[0], count):
            yield (part, *rest)


def reaches(cycles, entry, chosen, gears, leaving):
    """Whether a plan takes at most so many cycles, by what docs/planning.md says."""
    shared = [k for k, part in enumerate(chosen) if part[5]]
    if max(entry, leaving, *gears, *(part[4] + part[5] for part in chosen)) > cycles:
        return False
    if not shared:
        return True
    last = shared[-1]
    inner = max(chosen[k][5] for k in shared)
    behind = gears[last + 1] if last + 1 < len(chosen) else leaving
    before = max(entry, behind, *gears[: last + 1], *(part[4] for part in chosen[: last + 1]))
    if last == 0 and inner + before <= cycles:
        return True
    return any(before <= cycles // share and inner + cycles // share <= cycles for share in SHARES)


def everything(chain, parts, lanes):
    """Yield cost of each plan, and a function that tells whether it takes at most so many cycles."""
    for width in lanes:
        begin, entry, now = chain.entry(width)
        for chosen in combinations(parts, 0, len(chain.groups)):
            cost, before, index, gears = begin, now, 0, []
            for span, into, out, own, _, _ in chosen:
                gear, interval = chain.gear_before(index, before, into)
                cost, before, index = cost + gear + own, out, index + span
                gears.append(interval)
            last, leaving = chain.leaving(before)
            yield cost + last, (entry, chosen, gears, leaving)


@pytest.mark.parametrize("seed", range(12))
def test_search_finds_what_trying_everything_finds(seed, monkeypatch):
    print(f"seed {seed}")
    rng = np.random.default_rng(1000 + seed)
    network = random_network(rng, depth=int(rng.integers(2, 5)), widest=24) if seed % 2 else random_conv_network(rng)
    chain = Chain(network, cost_model(FABRICS[seed % 3]))
    loading = Cost(5, 5, 0, 0, 0, 5) if rng.integers(2) else None
    runs = SharedRuns(chain, loading)
    singles, shared = options = options_of(chain, runs, rng, {1: 20, 2: 6, 3: 3}.get(len(chain.groups), 2))
    lanes = chain.input_lanes()[:2]
    plans = list(itertools.islice(everything(chain, parts_of(chain, runs, options), lanes), 60_000))
    assert len(plans) < 60_000
    monkeypatch.setattr(candidates_module, "choices", lambda chain, index: iter(singles[index][0]))
    monkeypatch.setattr(candidates_module, "pools", lambda most: set(POOLS))
    monkeypatch.setattr(Chain, "hardwired_choices", lambda chain, index: iter(singles[index][1]))
    monkeypatch.setattr(Chain, "multiplier_choices", lambda chain, index: iter(singles[index][2]))
    monkeypatch.setattr(SharedRuns, "choices", lambda runs, first, last: iter(shared[first, last]))
    search = Search(chain, lanes, styles=STYLES, loading=loading)
    slowest = max(max(entry, *(p[4] + p[5] for p in chosen), *gears) for _, (entry, chosen, gears, _) in plans)
    for cycles in {int(slowest * factor) for factor in (0.05, 0.2, 0.5, 0.8, 1, 1.3, 3, 16)}:
        costs = [cost for cost, plan in plans if reaches(cycles, *plan)]
        bounds = [Limits(brams=0, sprams=0)]
        if costs:
            bounds += [Limits(), Limits(float(np.median([area(cost) for cost in costs])))]
            bounds.append(Limits(brams=float(np.median([cost.brams for cost in costs])), sprams=1))
        for limits in bounds:
            allowed = [limits.weigh(cost) for cost in costs if limits.allow(cost)]
            found = search.best(cycles, limits)
            assert (found is None) == (not allowed)
            if allowed:
                assert limits.weigh(found.cost) == pytest.approx(min(allowed))
                assert found.interval <= cycles and limits.allow(found.cost)


@pytest.mark.parametrize("seed", range(8))
def test_plans_of_all_styles_compute_the_network_in_the_cycles_that_were_asked_for(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    network = random_network(rng, depth=3) if seed % 2 else random_conv_network(rng)
    styles = [STYLES, ("shared",), ("hardwired",), ("hardwired", "shared")][seed % 4]
    try:
        planner = Planner(network, FABRICS[seed % 3], hosted=True, styles=styles)
    except PlanError as error:
        assert str(error).startswith("layer ") and "also allow the style" in str(error)
        return
    frames = random_frames(rng, network, 3)
    expected = network.evaluate(frames)
    found = planner.fewest(planner.limits())
    if found is None:
        return
    for cycles in (found.interval, 3 * found.interval, 40 * found.interval):
        planned = planner.smallest(cycles)
        assert planned.interval <= cycles
        scores, classes = planned.config.compute(stream_order(network, frames))
        assert (scores == expected.scores).all() and (classes == expected.classes).all()
        assert planned.cost.luts > 0
        assert Plan(planned.plan.layers, planned.plan.lanes, planned.fabric) == planned.plan


def test_a_budget_too_small_for_an_engine_a_layer_gets_a_shared_one():
    network = zoo.load("sfc-mnist-bits")
    # An iCEBreaker's: 90 % of its logic cells, its block RAMs and large RAMs.
    budget = 4752, 30, 4
    alone = Planner(network, "ice40", hosted=True, lanes=1)
    with pytest.raises(PlanError, match=r"^no plan fits: [\d,]+ logic cells with 30 block RAMs are needed, or "):
        alone.fastest(alone.limits(*budget))
    planner = Planner(network, "ice40", hosted=True, lanes=1, styles=("array", "shared"))
    planned = planner.fastest(planner.limits(*budget))
    assert any(layer.shares for layer in planned.plan.layers) and 0 < planned.cost.sprams <= 4
    smallest = [one.search.best(one.search.slowest, one.limits()) for one in (alone, planner)]
    weights = [planner.limits().weigh(solution.cost) for solution in smallest]
    assert weights[1] < weights[0]


def test_a_fast_layer_of_many_positions_is_hardwired():
    network = zoo.load("conv-mnist")
    planner = Planner(network, "ecp5", styles=("array", "hardwired"))
    found = planner.search.best(1800, planner.limits())
    assert found.plan.layers[0].style == "hardwired"
    alone = Planner(network, "ecp5").search.best(1800, Limits())
    assert area(found.cost) < 0.8 * area(alone.cost)


def test_multipliers_where_they_save_logic_within_the_blocks_that_there_are():
    """Fewer blocks make plans larger, and none leaves arrays."""
    network = stem()
    everywhere = Planner(network, "ecp5", styles=("array", "multiplier"))
    arrays = Planner(network, "ecp5")
    cycles = 400
    without = arrays.smallest(cycles)
    sizes = []
    for dsps in (100, 12, 3, 0):
        planned = everywhere.smallest(cycles, everywhere.limits(dsps=dsps))
        assert planned.cost.dsps <= dsps and planned.interval <= cycles
        sizes.append(planned.cost.luts)
        frames = random_frames(np.random.default_rng(0), network, 3)
        scores, _ = planned.config.compute(stream_order(network, frames))
        assert (scores == network.evaluate(frames).scores).all()
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    assert planned.plan == without.plan
    # iCE40's blocks are not used, and bits have no use for them.
    assert not list(Chain(network, cost_model("ice40")).multiplier_choices(0))
    assert not list(Chain(zoo.load("digits"), cost_model("ecp5")).multiplier_choices(0))
    with pytest.raises(PlanError, match=r"^layer 0: multipliers are for weights and codes of several bits, on fabrics"):
        Planner(zoo.load("digits"), "ecp5", styles=("multiplier",))


def test_command_with_multipliers(tmp_path):
    stem().save(tmp_path / "stem")
    out = tmp_path / "plan.toml"
    command = ["plan", str(tmp_path / "stem"), "--target-cycles", "400", "-o", str(out), "--fabric", "ecp5"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "DSP" in result.output and {layer.style for layer in Plan.load(out).layers} == {"multiplier"}
    result = CliRunner().invoke(app, [*command, "--max-dsps", "0"])
    assert "DSP" not in result.output and {layer.style for layer in Plan.load(out).layers} == {"array"}


def test_refusals_name_the_layer_and_what_would_do():
    network = zoo.load("sfc-mnist-bits")
    with pytest.raises(PlanError, match=r"^layer 0: its 200,704 weights are more than the 32,768 .* or shared$"):
        Planner(network, "ecp5", styles=("hardwired",))
    with pytest.raises(PlanError, match=r"^styles must be some of array, multiplier, hardwired, shared, not 'fast'$"):
        Planner(network, "ecp5", styles=("fast",))
    planner = Planner(zoo.load("digits"), "ice40", styles=("shared",))
    with pytest.raises(
        PlanError, match=r"^10 cycles a frame are too few for layers that share an array; no plan takes"
    ):
        planner.smallest(10)
    with pytest.raises(PlanError, match=r"^no plan fits: at least [\d,]+ logic cells are needed, 300 allowed$"):
        planner.fastest(planner.limits(300))


@pytest.mark.parametrize("network", ["sfc-mnist-bits", pytest.param("conv-mnist", marks=pytest.mark.sweep)])
def test_shipped_networks_fit_the_icebreaker(network, tmp_path):
    out = tmp_path / "plan.toml"
    result = CliRunner().invoke(app, ["plan", network, "--board", "icebreaker", "--styles", "shared", "-o", str(out)])
    assert result.exit_code == 0, result.output
    plan = Plan.load(out)
    assert any(layer.memory == "loaded" for layer in plan.layers) and plan.fabric == "ice40"
    loaded = zoo.load(network)
    frames = random_frames(np.random.default_rng(0), loaded, 3)
    config = lower(loaded, plan, slack=False)
    scores, classes = config.compute(stream_order(loaded, frames))
    expected = loaded.evaluate(frames)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()


def test_weights_are_not_loaded_without_a_host():
    planner = Planner(zoo.load("digits"), "ice40", styles=STYLES)
    assert all(plan.memory != "loaded" for found in planner.search.shared for one in found for plan in one.plans)
    assert inf > planner.search.slowest > 0
