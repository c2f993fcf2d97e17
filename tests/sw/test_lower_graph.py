"""Networks that branch through plans and lowering: results of golden model, configuration and gateware, exactly."""

from dataclasses import replace

import numpy as np
import pytest

from signfold.hw.graph import GraphConfig
from signfold.hw.lane_engine import LaneEngineParameters
from signfold.hw.scale_stage import ScaleStageParameters
from signfold.hw.threshold_stage import ThresholdStageParameters
from signfold.sim.random_branches import random_branch_network
from signfold.sim.random_network import random_frames, random_plan
from signfold.sim.stalled_graph import StalledGraph
from signfold.sim.streams import run_stream
from signfold.sw.cost.accelerator import predict, predict_stages
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import PlanError
from signfold.sw.generate import generate
from signfold.sw.graph_lanes import Feed, choose_lanes, concat_lanes, padding_lanes
from signfold.sw.image_page import image_page
from signfold.sw.images import describe, read_images, rebuild
from signfold.sw.layers import network_layers
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import (
    Add,
    Affine,
    Concat,
    Conv,
    Dense,
    InputType,
    MaxPool,
    Network,
    PadChannels,
    Quantize,
    Scale,
    SumPool,
    Threshold,
)
from signfold.sw.plan import LayerPlan, Plan
from signfold.sw.planner.planner import Planner


def branches(seed: int, **sizes) -> tuple[np.random.Generator, Network]:
    """Return a random network whose sizes are random too, where they are not given."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    drawn = {"side": int(rng.integers(2, 10)), "widest": int(rng.integers(1, 20)), "blocks": int(rng.integers(1, 5))}
    return rng, random_branch_network(rng, **drawn | sizes)


def check(network: Network, config, rng, count: int = 3) -> None:
    """Compare scores, and what every layer gives, with the network's own values."""
    frames = random_frames(rng, network, count)
    codes, expected = stream_order(network, frames), network.evaluate(frames)
    scores, classes = config.compute(codes)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    trace, sums = network.trace(frames), 0
    given = zip(config.layers, network_layers(network).layers, config.trace(codes)[1:], strict=True)
    for stage, layer, value in given:
        if not layer.result:
            continue
        want = trace[layer.result]
        want = want.transpose(0, 2, 3, 1) if want.ndim == 4 else want
        if network.types[layer.result].kind == "sum":
            value, sums = stage.output_step * value - stage.origin, sums + 1
            assert value.max() <= stage.output_step * stage.largest_output - stage.origin
        assert (value.reshape(count, -1) == want.reshape(count, -1)).all()
    assert sums


@pytest.mark.parametrize("seeds", [range(30), range(30, 60)])
def test_random_networks_and_plans(seeds):
    kinds = set()
    for seed in seeds:
        rng, network = branches(seed)
        config = lower(network, random_plan(rng, network), slack=False)
        assert isinstance(config, GraphConfig) == bool(network_layers(network).branches)
        check(network, config, rng)
        images = {rom.name: rom.words for rom in config.roms}
        assert rebuild(describe(network, config), images).content_hash == network.content_hash
        kinds |= {layer.kind for layer in config.layers}
    assert kinds >= {"engine", "scale", "thresholds", "add", "concat", "padding"}


@pytest.mark.parametrize("seed", range(12))
def test_default_plans_reach_their_target(seed):
    rng, network = branches(seed)
    plan = default_plan(network)
    config = lower(network, plan, slack=False)
    check(network, config, rng, 1)
    target = 2 * config.bound
    assert lower(network, default_plan(network, target_cycles=target), slack=False).bound <= target


def beats(config, codes):
    """Return the input beats of frames in stream order."""
    lanes = config.pixels.lanes
    result = []
    for frame in codes.tolist():
        frame += [0] * (-len(frame) % lanes)
        groups = [frame[i : i + lanes] for i in range(0, len(frame), lanes)]
        result += [{"codes": group, "last": int(k == len(groups) - 1)} for k, group in enumerate(groups)]
    return result


def check_gateware(seed: int, side: int, blocks: int) -> None:
    """Compare gateware with the golden model: cycles without stalls, then with stalls on every stream."""
    rng, network = branches(seed, side=side, widest=4, blocks=blocks)
    config = lower(network, random_plan(rng, network, widest=8))
    frames = random_frames(rng, network, 3)
    expected, codes = network.evaluate(frames), stream_order(network, frames)
    classes = config.scores.classes
    idle = "1" * config.settling + "0" * 1_000_000
    limit = config.settling + 30 * (config.latency + 3 * config.interval)
    free = run_stream(config.create(), beats(config, codes), count=3 * classes, limit=limit, stall_in=idle)
    stalled = {"seed": seed, "stall_in": 0.3, "stall_out": 0.5}
    held = StalledGraph(config, seed, int(rng.integers(1, 12)))
    slow = run_stream(held, beats(config, codes[:2]), count=2 * classes, limit=30 * limit, **stalled)
    for run, count in ((free, 3), (slow, 2)):
        scores = np.array([beat["score"] for beat in run.outputs]).reshape(count, classes)
        best = np.array([beat["best"] for beat in run.outputs]).reshape(count, classes)[:, -1]
        assert (scores == expected.scores[:count]).all() and (best == expected.classes[:count]).all()
    ends = free.output_cycles[classes - 1 :: classes]
    assert ends[0] - free.input_cycles[0] == config.latency and ends[-1] - ends[-2] == config.interval == config.bound


@pytest.mark.parametrize("seed", [3])
def test_gateware_under_stalls(seed):
    check_gateware(seed, 3, 2)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 300))
def test_sweep_of_gateware(seed):
    check_gateware(seed, 3 + seed % 2, 1 + seed % 3)


def rows(rng, name: str, source: str, types: dict, levels: int, *, inverted: bool = False) -> Threshold:
    """Return thresholds anywhere among the values of a source, each channel's own."""
    value = types[source]
    steps = rng.integers(0, (value.high - value.low) // value.step + 2, (value.shape[0], levels))
    flags = rng.integers(0, 2, value.shape[0]).astype(bool) if inverted else None
    return Threshold(name, source, np.sort(steps, axis=1) * value.step + value.low, flags)


class Built:
    """A network under construction by hand."""

    def __init__(self, shape: tuple[int, ...], bits: int, seed: int):
        self.rng, self.input, self.nodes = np.random.default_rng(seed), InputType(shape, bits), []
        self.types = {"input": self.input.value}

    def add(self, node) -> str:
        self.types[node.name] = node.infer(*(self.types[name] for name in node.inputs))
        self.nodes.append(node)
        return node.name

    def thresholds(self, name: str, source: str, levels: int, *, inverted: bool = False) -> str:
        return self.add(rows(self.rng, name, source, self.types, levels, inverted=inverted))

    def conv(self, name: str, source: str, channels: int, kernel: int = 3, *, depthwise: bool = False) -> str:
        inputs = 1 if depthwise else self.types[source].shape[0]
        weights = self.rng.integers(0, 2, (channels, inputs, kernel, kernel)).astype(np.uint8)
        return self.add(Conv(name, source, weights, (1, 1), (kernel // 2,) * 4, None, channels if depthwise else 1))

    def dense(self, name: str, source: str, channels: int) -> str:
        shape = channels, self.types[source].elements
        return self.add(Dense(name, source, self.rng.integers(0, 2, shape).astype(np.uint8)))

    def network(self) -> Network:
        return Network(self.input, tuple(self.nodes), self.nodes[-1].name)


def everything() -> Network:
    """Return a network with what random ones lack: inverted channels, joins of codes and of a value with itself."""
    net = Built((2, 4, 4), 3, 5)
    first = net.conv("first", "input", 3)
    bits = net.thresholds("bits", first, 1, inverted=True)
    second = net.conv("second", bits, 3, depthwise=True)
    pooled = net.thresholds("pooled", net.add(MaxPool("max", second, (3, 3), (1, 1), (1, 1, 1, 1))), 1, inverted=True)
    third = net.conv("third", pooled, 3)
    factors = np.array([5, -8, 0]), np.array([70, -3, 9])
    scaled = net.add(Scale("scaled", first, *factors, 3, -40, 90, 2))
    total = net.add(Add("total", (third, scaled, third)))
    both = net.conv("both", net.add(Concat("codes", (bits, pooled, bits))), 2, 1)
    padded = net.add(PadChannels("padded", both, 2, 3))
    wide = net.add(Concat("wide", (total, padded, first)))
    small = net.add(SumPool("small", wide, (2, 2), (2, 2)))
    # All alike, and no power of two.
    codes = net.add(Quantize("quantized", small, np.array([3]), np.array([50]), 4, 4))
    net.dense("scores", net.thresholds("final", codes, 7, inverted=True), 3)
    return net.network()


def flat() -> Network:
    """Return a network of dense layers that read an image as a vector."""
    net = Built((2, 3, 3), 4, 6)
    codes = net.thresholds("codes", "input", 3, inverted=True)
    one, two = net.dense("one", codes, 5), net.dense("two", "input", 5)
    signs = net.thresholds("signs", net.add(Add("sum", (one, two))), 1, inverted=True)
    last = net.dense("last", signs, 4)
    net.add(Affine("affine", last, np.array([1, -2, 3, 4]), np.array([0, 5, -6, 7]), 2))
    return net.network()


@pytest.mark.parametrize("make", [everything, flat])
def test_what_random_networks_lack(make):
    network, rng = make(), np.random.default_rng(7)
    layers = network_layers(network)
    for plan in [random_plan(rng, network) for _ in range(5)]:
        config = lower(network, plan, slack=False)
        check(network, config, rng, 20)
        images = {rom.name: rom.words for rom in config.roms}
        assert rebuild(describe(network, config), images).content_hash == network.content_hash
    if make is flat:
        assert layers.flat and config.pixels.positions == 1
        return
    stages = dict(zip([layer.result for layer in layers.layers], config.layers, strict=True))
    # Shared sums are compared beside the layer; those that nobody else reads at it, before the pooling.
    assert isinstance(stages["bits"], ThresholdStageParameters) and stages["bits"].inverted is not None
    assert isinstance(stages["pooled"], LaneEngineParameters) and stages["pooled"].inverted is not None
    assert stages["first"].thresholds is None and stages["quantized"].unit.code_bits == 4
    assert isinstance(stages["scaled"], ScaleStageParameters)


def test_gateware_of_what_random_networks_lack():
    network, rng = everything(), np.random.default_rng(8)
    config = lower(network, default_plan(network))
    frames = random_frames(rng, network, 2)
    classes = config.scores.classes
    codes = beats(config, stream_order(network, frames))
    run = run_stream(StalledGraph(config, 3, 5), codes, count=2 * classes, limit=40 * config.latency)
    scores = np.array([beat["score"] for beat in run.outputs]).reshape(2, classes)
    assert (scores == network.evaluate(frames).scores).all()


def test_lanes():
    # As many as the source has, unless more are needed; then full beats of both sides.
    assert choose_lanes(range(1, 9), lambda lanes: -(-8 // lanes), [Feed(1, 8, (2,))], [], 4) == 2
    assert choose_lanes(range(1, 9), lambda lanes: -(-8 // lanes), [Feed(1, 8, (4,))], [Feed(1, 8, (2,))], 4) == 2
    assert choose_lanes([1, 2, 4], lambda lanes: 10 * 12 // lanes, [Feed(10, 12, (6,))], [], 60) == 2
    assert (
        concat_lanes((4, 6, 5)) == [1, 2]
        and padding_lanes(4, 6, 2) == [1, 2]
        and padding_lanes(6, 5, 0) == [1, 2, 3, 6]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": True, "cols": 1, "simd": 1}, r"^layer 1: shares must be false, because the network branches"),
        (
            {"style": "hardwired"},
            r"^layer 1: style must not be 'hardwired', because the network branches \(node 'scaled'",
        ),
        ({"memory": "loaded"}, r"^layer 1: memory must not be 'loaded', because the network branches"),
        ({"simd": 2}, r"^layer 1: simd must be 1 for a depthwise convolution, not 2$"),
    ],
)
def test_plans_that_do_not_fit(change, message):
    network = everything()
    plan = [LayerPlan(1, 1)] * len(network_layers(network).planned)
    plan[1] = replace(plan[1], **change)
    with pytest.raises(PlanError, match=message):
        lower(network, Plan(tuple(plan)))
    with pytest.raises(PlanError, match=r"^plan must hold \d layers"):
        lower(network, Plan(tuple(plan[:2])))


def test_networks_without_a_place():
    net = Built((4,), 2, 1)
    scores = net.dense("scores", "input", 3)
    factors = np.array([1, 2, 3]), np.array([0, 0, 0])
    net.add(Affine("affine", scores, *factors, 0))
    net.add(Add("sum", ("affine", scores)))
    with pytest.raises(PlanError, match=r"^node 'affine': affine has no place inside a network$"):
        network_layers(net.network())
    with pytest.raises(PlanError, match=r"^target cycles must be at least"):
        default_plan(everything(), target_cycles=1)


@pytest.mark.parametrize("fabric", ["xilinx", "ecp5", "ice40"])
def test_every_component_has_a_cost(fabric):
    network = everything()
    config = lower(network, default_plan(network, fabric=fabric))
    costs = dict(predict_stages(config, fabric))
    assert list(costs) == [name for name, _ in config.stages]
    kinds = {name.split("_")[0] for name in costs}
    assert kinds >= {"fork", "queue", "add", "concat", "padding", "scale", "thresholds"}
    assert all(cost.luts > 0 and cost.ffs > 0 for cost in costs.values())
    whole = predict(config, fabric)
    assert sum(cost.luts for cost in costs.values()) == pytest.approx(whole.luts)
    # A multiplier that channels differ in takes blocks where there are any.
    scaled = next(cost for name, cost in costs.items() if name.startswith("scale"))
    assert (scaled.dsps > 0) == (fabric != "ice40")


def test_what_serves_chains_alone(tmp_path):
    network = everything()
    plan = default_plan(network)
    for option in ("patchable", "reloadable"):
        with pytest.raises(PlanError, match=rf"^--{option} serves chains of layers alone: node 'scaled' joins"):
            generate(network, plan, tmp_path / option, **{option: True})
    with pytest.raises(PlanError, match=r"^the planner serves chains of layers alone"):
        Planner(network, "ecp5")


def test_a_generated_folder(tmp_path):
    network = everything()
    artefacts = generate(network, default_plan(network), tmp_path / "one")
    sidecar, verilog = artefacts.sidecar, artefacts.verilog.read_text()
    layers = network_layers(network).layers
    assert sidecar["graph"]["inputs"] == [list(layer.inputs) for layer in layers]
    assert len(sidecar["graph"]["queues"]) == len(layers)
    # Every value of the network passes a stream that monitors can watch.
    taps = {tap["node"]: tap for tap in sidecar["taps"]}
    assert set(taps) == {"input", *(layer.result for layer in layers if layer.result)} >= {"bits", "total", "codes"}
    for name, tap in taps.items():
        shape = network.types[name].shape
        positions = tap["height"] * tap["width"]
        assert (tap["channels"], positions) == (shape[0], shape[1] * shape[2] if len(shape) == 3 else 1)
        assert f"{tap['instance']} " in verilog or f"{tap['instance']}(" in verilog
    assert "sum of 3 streams" in verilog and "1 thresholds on sums of" in verilog and "reads layer 0" in verilog
    words = read_images(artefacts.image_map, artefacts.folder)
    assert rebuild(artefacts.image_map, words).content_hash == network.content_hash
    page = image_page(artefacts.image_map, ["mem"])
    assert "| scales |" in page and "]: factor of channel" in page and "]: offset of channel" in page


@pytest.mark.sweep
@pytest.mark.parametrize("harness", ["native", "cocotb"])
def test_simulated_as_generated(harness, tmp_path, signfold):
    everything().save(tmp_path / "net.safetensors")
    code, _, text = signfold("simulate", tmp_path / "net.safetensors", "--harness", harness, "--frames", 20)
    assert code == 0, text
