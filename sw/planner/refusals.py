"""Refusals of the planner: what is too slow or too large, and what would do."""

from dataclasses import replace
from typing import Any

from signfold.sw.planner.candidates import area
from signfold.sw.planner.ends import Limits

__all__ = ["logic_name", "no_style", "nothing_fits", "too_large", "too_slow"]


def logic_name(fabric: str) -> str:
    """Return what a budget of logic counts."""
    return "logic cells" if fabric == "ice40" else "LUTs"


def too_slow(planner: Any, cycles: int) -> str:
    """Return why no plan takes so few cycles."""
    slowest = planner.search.slowest_layer()
    found = planner.fewest(planner.limits())
    if found is None:
        return f"no plan of the styles {', '.join(planner.styles)} computes this network"
    fewest = found.interval
    if slowest is None:
        return (
            f"{cycles:,} cycles a frame are too few for layers that share an array; no plan takes fewer than {fewest:,}"
        )
    index, fastest = slowest
    if fastest > max(cycles, planner.search.floor):
        stage = planner.chain.groups[index].stage
        what = "array" if "hardwired" not in planner.styles else "array or logic"
        return (
            f"layer {index}: {cycles:,} cycles a frame are too few for its {stage.positions:,} positions of "
            f"{stage.channels:,} channels; no {what} takes fewer than {fastest:,}, no plan fewer than {fewest:,}"
        )
    return f"input: {cycles:,} cycles a frame are too few for its streams; no plan takes fewer than {fewest:,}"


def too_large(planner: Any, cycles: int, limits: Limits) -> str:
    """Return why no plan of so many cycles is within limits."""
    needed = planner.search.best(cycles, planner.limits())
    found = planner.fewest(limits)
    what = []
    if area(needed.cost) > limits.logic:
        what.append(f"{area(needed.cost):,.0f} {logic_name(planner.fabric)}, {limits.logic:,.0f} allowed")
    if needed.cost.brams > limits.brams:
        what.append(f"{needed.cost.brams:,} block RAMs, {limits.brams:,.0f} allowed")
    if needed.cost.sprams > limits.sprams:
        what.append(f"{needed.cost.sprams:,} large RAMs, {limits.sprams:,.0f} allowed")
    if needed.cost.dsps > limits.dsps:
        what.append(f"{needed.cost.dsps:,} multiplier blocks, {limits.dsps:,.0f} allowed")
    text = f"{cycles:,} cycles need {' and '.join(what) or 'more than is allowed once windows have their slack'}"
    if found is None:
        return f"{text}: {nothing_fits(planner, limits)}"
    return f"{text}: the fastest that fits takes {found.interval:,}"


def nothing_fits(planner: Any, limits: Limits) -> str:
    """Return why no plan at all is within limits."""
    slowest = planner.search.slowest
    fewest = []
    for name, weight, have in (
        (logic_name(planner.fabric), replace(limits, logic=float("inf"), exchange=0.0), limits.logic),
        ("block RAMs", replace(limits, brams=float("inf"), exchange=1e9), limits.brams),
    ):
        found = planner.search.best(slowest, weight)
        if found is None:
            continue
        used = found.cost.brams if name == "block RAMs" else area(found.cost)
        if used > have:
            fewest.append((used, name, have))
    if len(fewest) == 2:
        # The fewest of each that go with what is allowed of the other.
        (logic, name, have), (brams, _, allowed) = fewest
        return (
            f"no plan fits: {logic:,.0f} {name} with {allowed:,.0f} block RAMs are needed, or {brams:,} block RAMs "
            f"with {have:,.0f} {name}"
        )
    if fewest:
        used, name, have = fewest[0]
        return f"no plan fits: at least {used:,.0f} {name} are needed, {have:,.0f} allowed"
    return "no plan fits: logic and block RAMs cannot both be kept"


def no_style(planner: Any, index: int) -> str:
    """Return why none of the styles that are allowed has a place for a layer."""
    styles, search, chain = planner.styles, planner.search, planner.chain
    reasons = []
    if "hardwired" in styles:
        reasons.append(
            f"its {chain.weights(index):,} weights are more than the {chain.largest:,} up to which hardwired layers "
            "are considered"
        )
    if "shared" in styles:
        runs = search.runs
        found = [runs.breaks[k] for k in (index - 1, index) if k in runs.breaks]
        reasons.append(f"it has no neighbour to share an array with, because {found[0] if found else 'it is alone'}")
    if "multiplier" in styles:
        reasons.append("multipliers are for weights and codes of several bits, on fabrics with blocks for them")
    others = " or ".join(style for style in ("array", "hardwired", "shared") if style not in styles)
    return f"layer {index}: {'; '.join(reasons)}; also allow the style {others}"
