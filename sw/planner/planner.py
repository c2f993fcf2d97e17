"""The planner: a network, a target and a budget become a plan, or a refusal that says what would do."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from signfold.hw.accelerator import AcceleratorConfig
from signfold.hw.check import check_integer
from signfold.hw.hosted import HostedAcceleratorParameters
from signfold.sw.cost.accelerator import predict, predict_stages
from signfold.sw.cost.model import FABRICS, Cost, cost_model
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower
from signfold.sw.network import Network
from signfold.sw.plan import Plan
from signfold.sw.planner.candidates import area
from signfold.sw.planner.chain import Chain
from signfold.sw.planner.search import Limits, Search, Solution

__all__ = ["Planned", "Planner", "logic_name"]

#: Logic that a block RAM is worth: what comes with one in a device of the family.
_EXCHANGE = {"ice40": 176.0, "ecp5": 400.0, "xilinx": 190.0}
#: Divisor of the serial line that stands for any in the estimate.
_DIVISOR = 25


def logic_name(fabric: str) -> str:
    """Return what a budget of logic counts."""
    return "logic cells" if fabric == "ice40" else "LUTs"


@dataclass(frozen=True)
class Planned:
    """A plan and what it will take.

    Parameters
    ----------
    plan : Plan
        The plan.
    config : AcceleratorConfig
        The accelerator that it makes.
    link : Cost
        What the host link takes; nothing without a board.
    """

    plan: Plan
    config: AcceleratorConfig
    link: Cost

    @property
    def fabric(self) -> str:
        """What it is made of."""
        return self.plan.fabric

    @property
    def interval(self) -> int:
        """Cycles from frame to frame, exact."""
        return self.config.interval

    @cached_property
    def cost(self) -> Cost:
        """What it takes, predicted."""
        return predict(self.config, self.fabric) + self.link

    def stages(self) -> list[tuple[str, Cost]]:
        """Return what each stage takes."""
        return list(predict_stages(self.config, self.fabric))


class Planner:
    """Plans for one network on one fabric.

    Parameters
    ----------
    network : Network
        What to plan for.
    fabric : str
        "ecp5", "ice40" or "xilinx".
    lanes : int, optional
        Input codes of a beat; chosen by default.
    hosted : bool
        Count the host link of a board.
    clock_mhz : float, optional
        Clock that popcounts are pipelined for.
    on_layer : callable, optional
        Called with the number of each layer before its arrays are considered, and with None when all are.

    Raises
    ------
    PlanError
        If the network cannot be planned, or there is no cost model of the fabric.
    """

    def __init__(
        self,
        network: Network,
        fabric: str,
        *,
        lanes: int | None = None,
        hosted: bool = False,
        clock_mhz: float | None = None,
        on_layer: Callable[[int | None], object] | None = None,
    ):
        if fabric not in FABRICS:
            raise PlanError(f"fabric must be one of {', '.join(FABRICS)} for a plan by cost, not {fabric!r}")
        self.network, self.fabric = network, fabric
        self.chain = Chain(network, cost_model(fabric), clock_mhz)
        allowed = self.chain.input_lanes()
        if lanes is not None:
            check_integer("lanes", lanes, minimum=1)
            if lanes not in allowed and not (self.chain.config.pixels.positions == 1 and lanes <= allowed[-1]):
                nearest = min(allowed, key=lambda n: (abs(n - lanes), n))
                raise PlanError(f"lanes must divide the codes of an input position; next to {lanes} is {nearest}")
            allowed = [lanes]
        self.link = Cost()
        if hosted:
            self.link = self._link_cost(allowed[0])
        self.search = Search(self.chain, allowed, self.link, on_layer)
        if on_layer:
            on_layer(None)

    def _link_cost(self, lanes: int) -> Cost:
        config = self.chain.config
        config = replace(config, pixels=replace(config.pixels, lanes=1))
        try:
            link = HostedAcceleratorParameters(config, bytes(16), _DIVISOR).link
        except ValueError as error:
            raise PlanError(f"the serial link cannot carry this network: {error}") from None
        return predict(link, self.fabric)

    def limits(self, logic: float | None = None, brams: float | None = None) -> Limits:
        """Return limits; None: as much as it takes."""
        have = {name: value for name, value in (("logic", logic), ("brams", brams)) if value is not None}
        return Limits(**have, exchange=_EXCHANGE[self.fabric])

    def smallest(self, cycles: int, limits: Limits | None = None) -> Planned:
        """Return the smallest plan that takes at most so many cycles a frame.

        Raises
        ------
        PlanError
            If there is none; the message names the layer that is too slow, or what it needs and how many cycles the
            fastest that fits takes.
        """
        check_integer("target cycles", cycles, minimum=1)
        limits = limits or self.limits()
        free = self.limits()
        if self.search.best(cycles, free) is None:
            raise PlanError(self._too_slow(cycles))
        return self._lowered(
            lambda within: self.search.best(cycles, within), limits, lambda: self._too_large(cycles, limits)
        )

    def fastest(self, limits: Limits) -> Planned:
        """Return the plan with the fewest cycles within limits, the smallest among such.

        Raises
        ------
        PlanError
            If nothing fits; the message names the resource.
        """
        start = [0]

        def best(within: Limits) -> Solution | None:
            found, start[0] = self._fewest(within, start[0])
            return found

        return self._lowered(best, limits, lambda: self._nothing_fits(limits))

    def pareto(self, limits: Limits | None = None, points: int = 12) -> Iterator[Solution]:
        """Yield the smallest plans for numbers of cycles from the fewest on, each some octave apart."""
        limits = limits or self.limits()
        last = None
        intervals = self.search.intervals()
        wanted = [intervals[round(k * (len(intervals) - 1) / (points - 1))] for k in range(points)]
        low, high = intervals[0], intervals[-1]
        wanted += [round(low * (high / low) ** (k / (points - 1))) for k in range(points)]
        for cycles in sorted(set(wanted)):
            found = self.search.best(cycles, limits)
            if found is not None and (last is None or limits.weigh(found.cost) < limits.weigh(last.cost)):
                last = found
                yield found

    def _fewest(self, limits: Limits, start: int = 0) -> tuple[Solution | None, int]:
        """Return the smallest plan of the fewest cycles within limits, and the place of those among all intervals."""
        intervals = self.search.intervals()
        # No plan is faster than the layer that is slowest at its best.
        start = max(start, bisect_left(intervals, self.search.slowest_layer()[1]))
        low, high = start, len(intervals) - 1
        if self.search.best(intervals[high], limits) is None:
            return None, high
        while low < high:
            middle = (low + high) // 2
            if self.search.ends(intervals[middle], limits):
                high = middle
            else:
                low = middle + 1
        return self.search.best(intervals[low], limits), low

    def _lowered(
        self, best: Callable[[Limits], Solution | None], limits: Limits, refusal: Callable[[], str]
    ) -> Planned:
        """Return what `best` finds, as an accelerator, with limits that leave room for the slack of its windows."""
        within = limits
        for _ in range(12):
            solution = best(within)
            if solution is None:
                raise PlanError(refusal())
            planned = Planned(solution.plan, lower(self.network, solution.plan), self.link)
            if limits.allow(planned.cost):
                return planned
            within = replace(
                within,
                logic=within.logic - max(0.0, area(planned.cost) - limits.logic),
                brams=within.brams - max(0, planned.cost.brams - limits.brams),
            )
        raise PlanError(refusal())

    def _too_slow(self, cycles: int) -> str:
        index, fastest = self.search.slowest_layer()
        found, _ = self._fewest(self.limits())
        fewest = found.interval if found else fastest
        if fastest > max(cycles, self.search.floor):
            stage = self.chain.groups[index].stage
            return (
                f"layer {index}: {cycles:,} cycles a frame are too few for its {stage.positions:,} positions of "
                f"{stage.channels:,} channels; no array takes fewer than {fastest:,}, no plan fewer than {fewest:,}"
            )
        return f"input: {cycles:,} cycles a frame are too few for its streams; no plan takes fewer than {fewest:,}"

    def _too_large(self, cycles: int, limits: Limits) -> str:
        needed = self.search.best(cycles, self.limits())
        found, _ = self._fewest(limits)
        what = []
        if area(needed.cost) > limits.logic:
            what.append(f"{area(needed.cost):,.0f} {logic_name(self.fabric)}, {limits.logic:,.0f} allowed")
        if needed.cost.brams > limits.brams:
            what.append(f"{needed.cost.brams:,} block RAMs, {limits.brams:,.0f} allowed")
        text = f"{cycles:,} cycles need {' and '.join(what) or 'more than is allowed once windows have their slack'}"
        if found is None:
            return f"{text}: {self._nothing_fits(limits)}"
        return f"{text}: the fastest that fits takes {found.interval:,}"

    def _nothing_fits(self, limits: Limits) -> str:
        slowest = self.search.intervals()[-1]
        fewest = []
        for name, weight, have in (
            (logic_name(self.fabric), replace(limits, logic=float("inf"), exchange=0.0), limits.logic),
            ("block RAMs", replace(limits, brams=float("inf"), exchange=1e9), limits.brams),
        ):
            found = self.search.best(slowest, weight)
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
