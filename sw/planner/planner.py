"""The planner: a network, a target and a budget become a plan, or a refusal that says what would do."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from signfold.hw.check import check_integer
from signfold.sw.cost.model import FABRICS, Cost, cost_model
from signfold.sw.errors import PlanError
from signfold.sw.lower import lower
from signfold.sw.network import Network
from signfold.sw.planner.candidates import area
from signfold.sw.planner.chain import Chain
from signfold.sw.planner.ends import Limits
from signfold.sw.planner.fixed import LOADED_CHUNK, link_cost
from signfold.sw.planner.hardwired import LARGEST
from signfold.sw.planner.planned import Planned
from signfold.sw.planner.refusals import no_style, nothing_fits, too_large, too_slow
from signfold.sw.planner.search import STYLES, Search, Solution

__all__ = ["Planned", "Planner"]

#: Logic that a block RAM is worth: what comes with one in a device of the family.
_EXCHANGE = {"ice40": 176.0, "ecp5": 400.0, "xilinx": 190.0}


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
    styles : collection of str
        What layers may be: "array", "multiplier", "hardwired", "shared".
    load : bool
        Shared engines may have weights that the host loads before the first frame; only with `hosted`.
    largest : int
        Weights of the largest layer that may be hardwired.

    Raises
    ------
    PlanError
        If the network cannot be planned, there is no cost model of the fabric, or no style of those allowed has a
        place for a layer; the message names it.
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
        styles: Collection[str] = ("array",),
        load: bool = True,
        largest: int = LARGEST,
    ):
        strange = [style for style in styles if style not in STYLES]
        if strange or not styles:
            raise PlanError(f"styles must be some of {', '.join(STYLES)}, not {strange[0] if strange else 'none'!r}")
        if fabric not in FABRICS:
            raise PlanError(f"fabric must be one of {', '.join(FABRICS)} for a plan by cost, not {fabric!r}")
        self.network, self.fabric = network, fabric
        self.chain = Chain(network, cost_model(fabric), clock_mhz, largest=largest)
        allowed = self.chain.input_lanes()
        if lanes is not None:
            check_integer("lanes", lanes, minimum=1)
            if lanes not in allowed and not (self.chain.config.pixels.positions == 1 and lanes <= allowed[-1]):
                nearest = min(allowed, key=lambda n: (abs(n - lanes), n))
                raise PlanError(f"lanes must divide the codes of an input position; next to {lanes} is {nearest}")
            allowed = [lanes]
        self.styles = tuple(style for style in STYLES if style in styles)
        self.link, self._loading = Cost(), None
        if hosted:
            self.link = link_cost(self.chain.config, fabric)
            self._loading = link_cost(self.chain.config, fabric, LOADED_CHUNK) if load else None
        more = None if self._loading is None else self._loading - self.link
        self.search = Search(self.chain, allowed, self.link, on_layer, styles=self.styles, loading=more)
        if on_layer:
            on_layer(None)
        shared = {k + n for k, found in enumerate(self.search.shared) for one in found for n in range(one.span)}
        for index, found in enumerate(self.search.layers):
            if not found and index not in shared:
                raise PlanError(no_style(self, index))

    def limits(
        self,
        logic: float | None = None,
        brams: float | None = None,
        sprams: float | None = None,
        dsps: float | None = None,
    ) -> Limits:
        """Return limits; None: as much as it takes. Those of blocks that costs of the fabric never have do nothing."""
        named = ("logic", logic), ("brams", brams), ("sprams", sprams) if self.fabric == "ice40" else ("dsps", dsps)
        have = {name: value for name, value in named if value is not None}
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
            raise PlanError(too_slow(self, cycles))
        return self._lowered(self.search.best, limits, lambda: too_large(self, cycles, limits), cycles)

    def fastest(self, limits: Limits) -> Planned:
        """Return the plan with the fewest cycles within limits, the smallest among such.

        Raises
        ------
        PlanError
            If nothing fits; the message names the resource.
        """
        start = [0]

        def best(_: int, within: Limits) -> Solution | None:
            found = self.fewest(within, start[0])
            start[0] = found.interval if found else 0
            return found

        return self._lowered(best, limits, lambda: nothing_fits(self, limits))

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

    def fewest(self, limits: Limits, start: int = 0) -> Solution | None:
        """Return the smallest plan of the fewest cycles, at least `start`, within limits; None if nothing fits."""
        search = self.search
        intervals = [cycles for cycles in search.intervals() if cycles >= start] or [start]
        if search.slowest > intervals[-1]:
            intervals.append(search.slowest)
        # No plan is faster than the layer that is slowest at its best.
        slowest = None if any(search.shared) else search.slowest_layer()
        low, high = 0 if slowest is None else bisect_left(intervals, slowest[1]), len(intervals) - 1
        if not search.reaches(intervals[high], limits):
            return None
        while low < high:
            middle = (low + high) // 2
            if search.reaches(intervals[middle], limits):
                high = middle
            else:
                low = middle + 1
        cycles = intervals[low]
        if any(search.shared):
            # Their cycles are no list: sums of what several stages take.
            below = intervals[low - 1] + 1 if low else max(start, search.floor)
            while below < cycles:
                middle = (below + cycles) // 2
                if search.reaches(middle, limits):
                    cycles = middle
                else:
                    below = middle + 1
        return search.best(cycles, limits)

    def _lowered(
        self,
        best: Callable[[int, Limits], Solution | None],
        limits: Limits,
        refusal: Callable[[], str],
        cycles: int | None = None,
    ) -> Planned:
        """Return what `best` finds, as an accelerator, with limits that leave room for the slack of its windows.

        With `cycles` it takes no more: the search may be a little off where a shared engine waits for its input.
        """
        within, wanted = limits, cycles or 0
        for _ in range(12):
            solution = best(wanted, within)
            if solution is None:
                raise PlanError(refusal())
            config = lower(self.network, solution.plan)
            planned = Planned(solution.plan, config, self._loading if config.loads else self.link)
            late = 0 if cycles is None else max(0, planned.interval - cycles)
            if limits.allow(planned.cost) and not late:
                return planned
            wanted -= late
            within = replace(
                within,
                logic=within.logic - max(0.0, area(planned.cost) - limits.logic),
                brams=within.brams - max(0, planned.cost.brams - limits.brams),
            )
        raise PlanError(refusal())
