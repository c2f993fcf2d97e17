"""The default plan: small arrays that keep up with a given interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from signfold.hw.array import ArrayParameters
from signfold.hw.check import check_integer
from signfold.hw.fabric import Fabric, find_fabric
from signfold.hw.gearbox import gearboxes
from signfold.hw.planes import PlaneParameters
from signfold.sw.cost.multiplier import FEWEST_BLOCKS, blocks
from signfold.sw.errors import PlanError
from signfold.sw.graph_lanes import streamed_cycles
from signfold.sw.layers import Layers, network_layers
from signfold.sw.lower_graph import check_pace
from signfold.sw.network import Conv, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["default_plan"]

#: Rough tables (LUT4) that the plan weighs: one bit of XNOR and popcount, one column's accumulator and sums.
_TABLES_A_BIT, _TABLES_A_COLUMN = 2.6, 45

#: Binary products a cycle that a network on images gets unless a target is given.
_PRODUCTS = 1024


@dataclass(frozen=True)
class _Work:
    """What a layer with weights has to do for a frame."""

    channels: int
    taps: int
    inputs: int
    positions: int
    width: int
    packets: int
    planes: PlaneParameters
    depthwise: bool
    #: Input words a channel, and output words times taps, of each pooling that follows.
    pools: tuple[tuple[int, int], ...]

    @property
    def products(self) -> int:
        """Binary products of a frame."""
        channels = self.inputs if self.depthwise else self.channels * self.inputs
        return self.positions * self.taps * channels * len(self.planes.pairs)

    def words(self, plan: LayerPlan) -> int:
        """Return the words of a play."""
        return self.taps * -(-self.inputs // plan.simd)

    @property
    def fan_in(self) -> int:
        """Products of a sum."""
        return self.taps * self.inputs


def default_plan(
    network: Network,
    *,
    lanes: int = 1,
    target_cycles: int | None = None,
    fabric: str = "plain",
    clock_mhz: float | None = None,
) -> Plan:
    """Choose small arrays that keep up.

    Parameters
    ----------
    network : Network
        What to plan for.
    lanes : int
        Input codes of a beat.
    target_cycles : int, optional
        Cycles from frame to frame to reach. By default the input's own, ceil(elements / lanes), at least one a class;
        for networks on images no fewer than a frame's binary products / 1,024, and for networks that branch no fewer
        than the numbers of a frame between any two layers.
    fabric : str
        What the arrays are made of.
    clock_mhz : float, optional
        Clock for which popcounts are pipelined; by default they have one register, two in words of more than 64 bits.

    Returns
    -------
    Plan
        Of the arrays considered (words of up to 1,024 bits), those with the least estimated logic whose initiation
        interval is at most the target. Words of more than 64 bits, whose popcounts are slow, are taken only where they
        save more than a fifth of a layer's logic; rows only where columns do not suffice. Where weights and codes both
        have several bits and the fabric has multiplier blocks, arrays of multipliers are among them, while all of them
        together take no more blocks than the smallest device of the family has.

    Raises
    ------
    PlanError
        If the network cannot be planned, or the target cannot be reached; the message names the layer or the number of
        cycles that can be reached.
    """
    check_integer("lanes", lanes, minimum=1)
    layers = network_layers(network)
    works = _works(layers)
    elements, classes = network.input.elements, network.classes
    floor = max(-(-elements // lanes), classes)
    target = floor
    if any(work.positions > 1 or work.depthwise for work in works):
        target = max(floor, -(-sum(work.products for work in works) // _PRODUCTS))
    if layers.branches:
        # A channel a cycle suffices between layers, and a word a tap in them.
        target = max(target, streamed_cycles(layers), *(work.positions * work.taps for work in works))
    if target_cycles is not None:
        target = target_cycles
    check_integer("target cycles", target, minimum=1)
    if target < floor:
        raise PlanError(
            f"target cycles must be at least {floor}, not {target!r}: a frame takes {-(-elements // lanes)} input "
            f"beats of {lanes} codes and {classes} result beats"
        )
    plans = []
    made_of = find_fabric(fabric)
    left = FEWEST_BLOCKS.get(fabric, 0)
    upstream = lanes
    for k, work in enumerate(works):
        if layers.branches:
            upstream = _upstream(layers, plans, lanes)
        fitting = [plan for plan in _candidates(work, upstream, target, made_of) if _keeps_up(work, plan, target)]
        if layers.branches:
            fitting = [_whole_beats(work, plan) for plan in fitting]
        if k == len(works) - 1:
            fitting = [plan for plan in fitting if _gear_interval(work.channels, plan.hop, 1) <= target]
        fitting = [plan for plan in fitting if _blocks(work, plan, made_of) <= left]
        if not fitting:
            raise PlanError(f"layer {k}: no array of words up to 1024 bits reaches {target} cycles a frame")
        best = min(fitting, key=lambda plan: (_tables(work, plan, made_of) * (1.2 if plan.simd > 64 else 1), plan.hop))
        if clock_mhz is not None and not work.depthwise:
            best = replace(best, stages=_stages(work, best, made_of, clock_mhz))
        left -= _blocks(work, best, made_of)
        best = replace(best, pool=_pool_lanes(work, best, target))
        plans.append(best)
        upstream = best.pool or (best.cols if work.depthwise else best.hop)
        if not work.pools:
            upstream = best.cols if work.depthwise else best.hop
    plan = Plan(tuple(plans), lanes, fabric)
    if layers.branches:
        check_pace(layers, plan, target)
    return plan


def _whole_beats(work: _Work, plan: LayerPlan) -> LayerPlan:
    """Return an array whose beats are all full, so that joins need not take them apart."""
    if work.depthwise:
        return plan
    hop = next(n for n in range(min(plan.hop, work.channels), work.channels + 1) if work.channels % n == 0)
    return replace(plan, hop=hop, cols=-(-plan.cols // hop) * hop)


def _upstream(layers: Layers, plans: Sequence[LayerPlan], lanes: int) -> int:
    """Return the codes of a beat that the next layer to plan reads, in a network that branches; 0: any.

    What stands between layers with weights takes lanes that suit its readers: see `signfold.sw.lower_graph`.
    """
    numbers = [number for number, layer in enumerate(layers.layers) if layer.planned]
    (source,) = layers.layers[numbers[len(plans)]].inputs
    if source < 0:
        return lanes
    if source not in numbers:
        return 0
    plan = plans[numbers.index(source)]
    node = layers.layers[source].node
    return plan.cols if isinstance(node, Conv) and node.depthwise else plan.hop


def _works(layers: Layers) -> list[_Work]:
    types = layers.network.types
    works = []
    for k, layer in enumerate(layers.layers):
        if not layer.planned:
            continue
        node = layer.node
        shape, result = types[node.input].shape, types[node.name].shape
        positions, width = (result[1] * result[2], result[2]) if len(result) == 3 else (1, 1)
        packets, inputs = 1, types[node.input].elements
        if len(shape) == 3 and not layers.reads_vector(layer):
            packets, inputs = shape[1] * shape[2], shape[0]
        conv = isinstance(node, Conv)
        taps = node.kernel[0] * node.kernel[1] if conv else packets
        planes = PlaneParameters(types[node.input].bits, node.levels)
        depthwise = conv and node.depthwise
        works.append(
            _Work(
                node.channels, taps, inputs, positions, width, packets, planes, depthwise, _pools(layers, k + 1, types)
            )
        )
    return works


def _pools(layers: Layers, start: int, types) -> tuple[tuple[int, int], ...]:
    """Return input positions, and output positions times taps, of the poolings from layer `start` to the next array.

    None in a network that branches, whose poolings keep up by themselves.
    """
    pools = []
    if layers.branches:
        return ()
    for layer in layers.layers[start:]:
        if layer.planned:
            break
        if not isinstance(layer.node, Threshold):
            before, after = types[layer.node.input].shape, types[layer.node.name].shape
            if layer.inverted is not None and layer.node.name == layer.result and layer.node.kernel == (1, 1):
                before = after
            sizes = [shape[1] * shape[2] if len(shape) == 3 else 1 for shape in (before, after)]
            pools.append((sizes[0], sizes[1] * layer.node.kernel[0] * layer.node.kernel[1]))
    return tuple(pools)


def _candidates(work: _Work, upstream: int, target: int, fabric: Fabric) -> Iterator[LayerPlan]:
    """Yield arrays that take at most `target` cycles a frame, fed by beats of `upstream` codes."""
    if work.depthwise:
        for cols in range(1, work.channels + 1):
            cycles = work.positions * work.taps * len(work.planes.plays) * -(-work.channels // cols)
            if cycles <= target:
                yield LayerPlan(cols, 1, stages=1)
                return
        return
    divisors = {d for d in range(1, min(work.inputs, 1024) + 1) if work.inputs % d == 0}
    powers = {1 << i for i in range(11) if 1 << i < 2 * work.inputs}
    # Multiples of the incoming beats need no detour through narrower ones.
    multiples = {upstream << i for i in range(10) if 0 < upstream << i < 2 * work.inputs}
    rows = [n for n in range(1, work.width + 1) if work.width % n == 0]
    for simd in sorted(divisors | powers | multiples):
        words = work.taps * -(-work.inputs // simd)
        gears = _gear_interval(work.inputs, upstream or simd, simd) * work.packets
        if gears > target:
            continue
        forms = [("array", False), ("array", True)] if len(work.planes.plays) > 1 else [("array", False)]
        if min(work.planes.activation_bits, work.planes.weight_planes) > 1 and blocks(work.planes, fabric):
            forms.append(("multiplier", False))
        for style, space in forms:
            cycles = words * (1 if space or style == "multiplier" else len(work.planes.plays))
            for count in rows:
                passes = target // (cycles * (work.positions // count))
                if passes:
                    cols = -(-work.channels // min(passes, work.channels))
                    hop = -(-cols // cycles)
                    # As many codes a beat as the positions leave time for.
                    hop = max(hop, -(-work.channels // max(1, target // work.positions)))
                    cols = -(-cols // hop) * hop
                    yield LayerPlan(cols, simd, hop, 1 if simd <= 64 else 2, count, space, style=style)
                    break


def _keeps_up(work: _Work, plan: LayerPlan, target: int) -> bool:
    """Return whether the codes leave in time."""
    hop = plan.cols if work.depthwise else plan.hop
    return work.positions * -(-work.channels // hop) <= target


def _pool_lanes(work: _Work, plan: LayerPlan, target: int) -> int:
    """Return how many channels the poolings that follow must work on at once; 0 where those of a beat do."""
    lanes = plan.cols if work.depthwise else plan.hop
    positions = max((max(pool) for pool in work.pools), default=0)
    if not positions or positions * -(-work.channels // lanes) <= target:
        return 0
    return -(-work.channels // max(1, target // positions))


def _stages(work: _Work, plan: LayerPlan, fabric: Fabric, clock_mhz: float) -> int:
    planes = plan.planes(work.planes.activation_bits, work.planes.weight_levels)
    array = ArrayParameters(plan.rows, plan.cols, plan.simd, work.words(plan), plan.hop, 0, planes, fabric)
    return max(plan.stages, array.cell.stages_for(clock_mhz))


def _gear_interval(elements: int, lanes_in: int, lanes_out: int) -> int:
    return max((gear.interval for gear in gearboxes(elements, 1, lanes_in, lanes_out)), default=0)


def _blocks(work: _Work, plan: LayerPlan, fabric: Fabric) -> int:
    """Return the multiplier blocks of a layer."""
    products = plan.rows * plan.cols * plan.simd
    return products * blocks(work.planes, fabric) if plan.style == "multiplier" else 0


def _tables(work: _Work, plan: LayerPlan, fabric: Fabric) -> float:
    lanes = len(work.planes.pairs) if plan.space else 1
    bit = lanes * _TABLES_A_BIT
    if plan.style == "multiplier":
        # An addition of a bit more than a product has.
        bit = 2 * (work.planes.activation_bits + work.planes.weight_planes + 2)
    width = (-(-work.inputs // plan.simd) * plan.simd * work.taps * work.planes.top).bit_length()
    return plan.rows * plan.cols * (plan.simd * bit + _TABLES_A_COLUMN * width / 10)
