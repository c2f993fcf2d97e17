"""What the cost model is fitted to and checked on: random components, random and shipped networks as accelerators."""

from dataclasses import replace
from functools import partial

import numpy as np

from signfold.hw.array import ArrayParameters
from signfold.hw.border import BorderClasses
from signfold.hw.collector import CollectorParameters
from signfold.hw.correction import CorrectionParameters
from signfold.hw.engine import EngineParameters
from signfold.hw.fabric import find_fabric
from signfold.hw.feeder import FeederParameters
from signfold.hw.gearbox import NarrowerParameters, WidenerParameters
from signfold.hw.host_link import HostLinkParameters
from signfold.hw.invert import InvertParameters
from signfold.hw.lane_array import LaneArrayParameters
from signfold.hw.packet import Geometry
from signfold.hw.pixels import PixelParameters
from signfold.hw.planes import PlaneParameters
from signfold.hw.replay import ReplayParameters
from signfold.hw.rom import RomParameters
from signfold.hw.score import ScoreParameters
from signfold.hw.shapes import beat_layout
from signfold.hw.stream import QueueParameters
from signfold.hw.threshold import ThresholdParameters
from signfold.hw.window_parameters import WindowParameters
from signfold.sim.random_conv import random_conv_network
from signfold.sim.random_network import random_frames, random_network, random_plan
from signfold.sw import zoo
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import PlanError
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower
from signfold.sw.network import Conv, Dense, Network, Threshold
from signfold.sw.plan import LayerPlan, Plan

__all__ = ["ACCELERATORS", "COMPONENTS", "USUAL", "sample"]


def _log(rng, low, high):
    """Return an integer, as likely in each octave."""
    return int(round(np.exp(rng.uniform(np.log(low), np.log(high)))))


def _planes(rng) -> PlaneParameters:
    if rng.integers(2):
        return PlaneParameters()
    return PlaneParameters(int(rng.integers(1, 4)), int(rng.choice([2, 2, 3, 4])), bool(rng.integers(3) == 0))


def _array(rng, fabric):
    planes = _planes(rng)
    simd = _log(rng, 1, 64)
    hop, groups = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    words = max(_log(rng, 1, 200), groups)
    rows = int(rng.choice([1, 1, 1, 2, 3]))
    stages = int(rng.integers(0, 3))
    return ArrayParameters(rows, hop * groups, simd, words, hop, stages, planes, find_fabric(fabric))


def _lanes(rng, fabric):
    operation = str(rng.choice(["multiply", "max", "max", "sum"]))
    lanes, words = _log(rng, 1, 12), int(rng.integers(1, 17))
    if operation == "multiply":
        return LaneArrayParameters(operation, lanes, words, _planes(rng))
    bits = int(rng.integers(1, 9))
    return LaneArrayParameters(operation, lanes, words, PlaneParameters(bits, 2, True), (1 << bits) - 1)


def _window(rng):
    bits = int(rng.choice([1, 1, 1, 2, 3, 8]))
    kernel = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    size = [int(rng.integers(kernel[0], 34)), int(rng.integers(kernel[1], 34))]
    padding = tuple(int(rng.integers(0, min(2, kernel[k // 2] - 1) + 1)) if rng.integers(2) else 0 for k in range(4))
    stride = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2]))
    simd = _log(rng, 1, 64)
    return WindowParameters(
        simd,
        _log(rng, max(1, simd // 2), 4 * simd),
        *size,
        kernel,
        stride,
        padding,
        bits,
        int(rng.integers(0, 1 << bits)),
        by_channel=bool(rng.integers(3) == 0),
        ahead=int(rng.choice([0, 0, rng.integers(0, 40)])),
    )


def _feeder(rng, fabric):
    planes = _planes(rng)
    passes = _log(rng, 1, 40)
    if rng.integers(3) == 0:
        return FeederParameters(
            ReplayParameters(_log(rng, 1, 80), _log(rng, 1, 400), 1, planes.activation_bits), passes, planes
        )
    window = replace(_window(rng), bits=planes.activation_bits, pad_code=0)
    if window.by_channel:
        return FeederParameters(window, window.words, planes)
    rows = [n for n in (1, 1, 1, 2) if window.output_size[1] % n == 0]
    return FeederParameters(window, passes, planes, int(rng.choice(rows)))


def _borders(rng):
    if rng.integers(3):
        return None

    def axis():
        size, edge = int(rng.integers(1, 30)), int(rng.integers(0, 3))
        return tuple(
            min(n, edge) if n < edge else edge + max(0, n - (size - 1 - edge)) if n >= size - edge else edge
            for n in range(size)
        )

    def dense(values):
        names = {value: k for k, value in enumerate(dict.fromkeys(values))}
        return tuple(names[value] for value in values)

    return BorderClasses(dense(axis()), dense(axis()))


def _threshold(rng, fabric):
    border = _borders(rng)
    bits = int(rng.choice([1, 1, 1, 2, 3]))
    width, lanes, channels = int(rng.integers(3, 14)), _log(rng, 1, 16), _log(rng, 1, 300)
    classes = border.count if border else 1
    middle = rng.normal((1 << width) / 2, (1 << width) ** 0.5 / 2, (classes, channels, (1 << bits) - 1))
    thresholds = np.sort(middle.round().astype(np.int64).clip(0, 1 << width), axis=-1)
    return ThresholdParameters("t", lanes, width, thresholds if border else thresholds[0], border)


def _correction(rng, fabric):
    border = _borders(rng)
    channels, lanes = _log(rng, 1, 100), _log(rng, 1, 8)
    corrections = rng.integers(0, 1 << int(rng.integers(1, 9)), (border.count if border else 1, channels))
    return CorrectionParameters("c", lanes, int(rng.integers(3, 14)), corrections, int(rng.integers(1, 3)), border)


def _invert(rng, fabric):
    return InvertParameters("i", _log(rng, 1, 16), int(rng.integers(1, 4)), rng.integers(0, 2, _log(rng, 1, 300)))


def _queue(rng, fabric):
    return QueueParameters(beat_layout(_log(rng, 1, 32), _log(rng, 1, 14)), _log(rng, 2, 120))


def _gearbox(rng, fabric):
    narrow, ratio = _log(rng, 1, 24), _log(rng, 2, 24)
    pair = narrow, narrow * ratio
    if rng.integers(2):
        return NarrowerParameters(_log(rng, 1, 800), int(rng.choice([1, 1, 2, 10])), *reversed(pair))
    return WidenerParameters(_log(rng, 1, 800), int(rng.choice([1, 1, 2, 10])), *pair)


def _collector(rng, fabric):
    groups, passes = _log(rng, 1, 64), _log(rng, 1, 64)
    return CollectorParameters(groups, passes, (passes - 1) * groups + int(rng.integers(1, groups + 1)))


def _pixels(rng, fabric):
    channels, positions, bits = _log(rng, 1, 64), _log(rng, 1, 800), int(rng.integers(1, 9))
    lanes = int(rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    kind = rng.integers(3)
    elements = channels * positions
    count = None if kind == 0 else 1 if kind == 1 or elements > 3000 else elements
    thresholds = None if count is None else rng.integers(0, (1 << bits) + 1, (count, 1))
    if positions == 1:
        lanes = _log(rng, 1, channels)
    return PixelParameters(elements, bits, thresholds, lanes, positions=positions)


def _scores(rng, fabric):
    classes, width = _log(rng, 1, 40), int(rng.integers(2, 14))
    top = (1 << width) - 1
    scale = offset = None
    if rng.integers(3) == 0:
        scale, offset = rng.integers(-40, 200, classes), rng.integers(-3000, 3000, classes)
    return ScoreParameters(classes, width, 2, top, -top, top, scale, offset)


def _rom(rng, fabric):
    width, depth = _log(rng, 1, 200), _log(rng, 1, 600)
    words = tuple(int.from_bytes(rng.bytes(-(-width // 8))) >> (-width % 8) for _ in range(depth))
    return RomParameters("r", width, words)


def _link(rng, fabric):
    bits, classes = int(rng.integers(1, 9)), _log(rng, 1, 20)
    geometry = Geometry(bytes(16), _log(rng, 8, 3500), bits, classes, int(rng.integers(4, 16)), 2)
    return HostLinkParameters(geometry, _log(rng, 1, 8), int(rng.choice([12, 25, 50, 104, 217])))


COMPONENTS = {
    "array": _array,
    "lanes": _lanes,
    "feeder": _feeder,
    "threshold": _threshold,
    "correction": _correction,
    "invert": _invert,
    "queue": _queue,
    "gearbox": _gearbox,
    "collector": _collector,
    "pixels": _pixels,
    "scores": _scores,
    "rom": _rom,
    "link": _link,
}


#: Bits of the arrays of shipped networks, so that synthesis takes seconds, and of those that may take a minute.
_USUAL, _LARGE = 800, 4000


def _lowered(network: Network, plan: Plan, fabric: str):
    return lower(network, replace(plan, fabric=fabric))


def _useful(network: Network, plan: Plan) -> Plan:
    """Return the plan without columns and bits of words that no channel can use: synthesis takes them out."""
    layers = []
    for layer, choice in zip(network_layers(network).planned, plan.layers, strict=True):
        node = layer.node
        hop = min(choice.hop, node.channels)
        groups = min(choice.cols // choice.hop, -(-node.channels // hop))
        if isinstance(node, Conv) and node.depthwise:
            layers.append(choice)
            continue
        layers.append(replace(choice, cols=hop * groups, hop=hop, simd=min(choice.simd, node.weights.shape[1])))
    return replace(plan, layers=tuple(layers))


def _alive(network: Network) -> Network:
    """Return the network, unless a layer's codes are constants: synthesis removes all that comes before."""
    frames = random_frames(np.random.default_rng(0), network, 64)
    for name, value in network.trace(frames).items():
        if network.types[name].kind == "code" and (value == value[:1]).all():
            raise ValueError(f"node {name!r} must not be constant")
    return network


def _random_dense(rng, fabric):
    network = _alive(random_network(rng, widest=int(rng.choice([24, 40]))))
    return _lowered(network, _useful(network, random_plan(rng, network, hardwired=0, shared=0)), fabric)


def _random_conv(rng, fabric):
    network = _alive(random_conv_network(rng))
    return _lowered(network, _useful(network, random_plan(rng, network, hardwired=0, shared=0)), fabric)


def scaled(network: Network, share: float, rng: np.random.Generator) -> Network:
    """Return a network with a share of the channels between its layers, on the same input."""
    nodes, kept = [], None
    types = network.types
    weighted = [node.name for node in network.nodes if isinstance(node, (Conv, Dense))]
    for node in network.nodes:
        changes = {}
        if isinstance(node, (Conv, Dense)):
            weights = node.weights
            if kept is not None:
                per_channel = weights.shape[1] // types[node.input].shape[0] if isinstance(node, Dense) else 1
                weights = weights.reshape(len(weights), -1, per_channel * int(np.prod(weights.shape[2:])))[:, kept]
                weights = weights.reshape(len(weights), -1, *node.weights.shape[2:])
            if node.name != weighted[-1]:
                kept = np.sort(rng.permutation(len(weights))[: max(2, round(share * len(weights)))])
                weights = weights[kept]
            else:
                kept = None
            changes["weights"] = np.ascontiguousarray(weights)
            if isinstance(node, Conv) and node.depthwise:
                raise ValueError("networks with depthwise convolutions cannot be scaled")
        elif kept is not None:
            for name in ("thresholds", "inverted"):
                value = getattr(node, name, None)
                if value is not None and len(value) > 1:
                    changes[name] = value[kept]
        nodes.append(replace(node, **changes))
    return _even(network, tuple(nodes))


def _even(network: Network, nodes) -> Network:
    """Return the network with thresholds moved to where the shorter sums lie."""
    moved, types = [], {"input": network.input.value}
    for node in nodes:
        if isinstance(node, Threshold) and types[node.input].kind != "code":
            value, before = types[node.input], network.types[node.input]
            ratio = (value.high - value.low) / (before.high - before.low)
            steps = (ratio * (node.thresholds - before.low) / value.step).round().astype(np.int64)
            most = (value.high - value.low) // value.step + 1
            node = replace(node, thresholds=value.low + value.step * np.sort(steps.clip(0, most), axis=-1))
        types[node.name] = node.infer(*(types[name] for name in node.inputs))
        moved.append(node)
    return Network(network.input, tuple(moved), network.output)


def _trained(rng, least: float) -> Network:
    """Return a shipped network with a share of the channels between its layers, or all of them."""
    network = zoo.load(str(rng.choice([name for name in zoo.names() if not name.endswith("cifar10")])))
    share = float(np.exp(rng.uniform(np.log(least), np.log(1.3))))
    return scaled(network, share, rng) if share < 1 else network


def _limited(plan: Plan, most: int) -> Plan:
    """Return the plan; refuse arrays whose synthesis takes minutes. A row has a window of its own."""
    if sum(layer.rows * (layer.cols * layer.simd + 100) for layer in plan.layers) > most:
        raise ValueError(f"arrays must have at most {most} bits, a row counting as 100")
    return plan


def _shipped(rng, fabric, most=_USUAL, least=0.06):
    network = _trained(rng, least)
    channels = network.input.shape[0]
    lanes = int(rng.choice([n for n in range(1, 9) if channels % n == 0]))
    target = int(lower(network, default_plan(network), slack=False).interval * np.exp(rng.uniform(-1.5, 1.5)))
    return _lowered(network, _limited(default_plan(network, lanes=lanes, target_cycles=target), most), fabric)


def _rough(plan: LayerPlan, stage) -> float:
    """Return about the LUTs of an array and its tables."""
    tables = stage.channels * stage.fan_in / 20 if plan.memory == "lut" else 0
    return plan.rows * (plan.cols * (2 * plan.simd + 30) + 150) + 5 * plan.simd + tables


def _any_array(rng, stage) -> LayerPlan:
    """Return some array for a layer, as `signfold plan` considers them."""
    inputs, channels = stage.inputs, stage.channels
    lengths = {n for n in range(1, min(inputs, 256) + 1) if inputs % n == 0} | {1 << k for k in range(9)}
    simd = int(rng.choice(sorted(n for n in lengths if n < 2 * inputs)))
    columns = sorted({-(-channels // passes) for passes in range(1, channels + 1)})
    wanted = columns[int(len(columns) * rng.uniform() ** 1.5)]
    words = stage.taps * -(-inputs // simd)
    least = -(-wanted // words)
    hop = int(rng.choice(sorted({least, wanted} | {1 << k for k in range(7) if least <= 1 << k < wanted})))
    rows = int(rng.choice([n for n in (1, 1, 1, 2, 4) if stage.output_size[1] % n == 0]))
    memory = "lut" if channels * stage.fan_in <= 1 << 15 and rng.integers(4) == 0 else "auto"
    return LayerPlan(-(-wanted // hop) * hop, simd, hop, int(rng.integers(1, 3)), rows, memory=memory)


def _engines(config) -> list[EngineParameters]:
    return [stage for stage in config.layers if isinstance(stage, EngineParameters)]


def _planned(rng, fabric, most=_USUAL, least=0.06):
    """Of arrays such as the planner considers, small ones of some that keep up with a random target."""
    network = _trained(rng, least)
    stages = _engines(lower(network, default_plan(network), slack=False))
    drawn = [[(_any_array(rng, stage), stage) for stage in stages] for _ in range(24)]
    found: list[list[tuple[LayerPlan, int]]] = [[] for _ in stages]
    for plans in drawn:
        config = lower(network, Plan(tuple(plan for plan, _ in plans), 1, fabric), slack=False)
        for k, ((plan, _), stage) in enumerate(zip(plans, _engines(config), strict=True)):
            found[k].append((plan, stage.interval))
    fastest, slowest = (max(pick(interval for _, interval in own) for own in found) for pick in (min, max))
    target = fastest * (slowest / fastest) ** rng.uniform(0, 0.8)
    layers = []
    for stage, own in zip(stages, found, strict=True):
        fitting = [plan for plan, interval in own if interval <= target]
        layers.append(min(fitting, key=lambda plan: _rough(plan, stage)))
    channels = network.input.shape[0]
    lanes = int(rng.choice([n for n in range(1, 9) if channels % n == 0]))
    return _lowered(network, _limited(Plan(tuple(layers), lanes, fabric), most), fabric)


#: Whole accelerators.
ACCELERATORS = {
    "dense": _random_dense,
    "conv": _random_conv,
    "shipped": _shipped,
    "planned": _planned,
    "large": partial(_shipped, most=_LARGE, least=0.1),
    "large planned": partial(_planned, most=_LARGE, least=0.1),
}
#: Those that are looked at unless told otherwise.
USUAL = ("dense", "conv", "shipped", "planned")


def sample(kind: str, number: int, fabric: str):
    """Return the parameters of sample `number` of a kind for a fabric; the same number, the same parameters.

    Parameters
    ----------
    kind : str
        Of `COMPONENTS` or `ACCELERATORS`.
    number : int
        Seed.
    fabric : str
        "ecp5", "ice40" or "xilinx".
    """
    make = COMPONENTS.get(kind) or ACCELERATORS[kind]
    # Accelerators of equal numbers are others on each fabric.
    more = () if kind in COMPONENTS else (1 + ("ecp5", "ice40", "xilinx").index(fabric),)
    for attempt in range(100):
        try:
            return make(np.random.default_rng([number, attempt, *more]), fabric)
        except (ValueError, PlanError):
            continue
    raise ValueError(f"sample {number} of {kind!r} cannot be made")
