"""Networks that branch become fixed-point integers: layer by layer as the trained ones, and what is wrong is found."""

import json
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from signfold.sim.simulate import simulate
from signfold.sw.compile import compile_run
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.float_graph import import_graph
from signfold.sw.compile.graph_driver import compile_graph, graph_agreement
from signfold.sw.compile.graph_fold import fold_graph
from signfold.sw.compile.real_weights import round_real_weights
from signfold.sw.compile.verify_graph import verify_graph
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import CheckpointError, CompileError, NetworkError
from signfold.sw.generate import generate
from signfold.sw.lower import lower, stream_order
from signfold.sw.network import Network
from signfold.sw.network.reference import reference_trace
from signfold.sw.train.architectures import lay_out
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.recipes import read_recipe

torch = pytest.importorskip("torch", reason="training needs signfold[train]")

#: Recipe, topology, and pictures' size: those of 64 begin as on ImageNet.
GRAPHS = [
    ("irnet", "resnet-20", 12),
    ("resnete", "resnete-18", 8),
    *(
        pytest.param(*graph, marks=pytest.mark.sweep)
        for graph in (
            ("irnet", "resnet-18", 8),
            ("birealnet", "bi-real-18", 16),
            ("resnete", "resnete-18", 64),
            ("binarydensenet", "binary-densenet-28", 64),
        )
    ),
]


def pictures(count: int, size: int) -> np.ndarray:
    """Return smooth pictures, uint8 [count, 3, size, size]."""
    generator = torch.Generator().manual_seed(4)
    rough = torch.rand(count, 3, 4, 4, generator=generator) * 255
    return torch.nn.functional.interpolate(rough, size=(size, size), mode="bilinear").to(torch.uint8).numpy()


def stored(recipe: str, topology: str, size: int, **changes: object) -> StoredModel:
    """Return a network of random weights, free to be changed."""
    return deepcopy(_stored(recipe, topology, size, tuple(changes.items())))


@cache
def _stored(recipe: str, topology: str, size: int, changes: tuple[tuple[str, object], ...]) -> StoredModel:
    """Make a network whose normalizations have seen a few pictures."""
    from signfold.sw.train.models import BinaryNet

    chosen = read_recipe(recipe).choose("cifar10", topology) | {"initial": None, "teacher": None} | dict(changes)
    options = TrainingOptions.from_json(chosen)
    shape, layers = lay_out(topology, (3, size, size), 8, 10, options.style(None))
    generator = torch.Generator().manual_seed(2)
    model = BinaryNet(layers, generator, shape=shape, bits=8, method=options.method, momentum=0.5)
    model.train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "sign" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        for _ in range(4):
            model(torch.from_numpy(pictures(8, size)))
    model.refresh()
    tensors = {f"model.{name}": value.numpy() for name, value in model.state_dict().items()}
    return StoredModel(
        "cifar10", {"input": {"shape": list(shape), "bits": 8}, "layers": layers}, tensors, "last", None, {}
    )


@pytest.mark.parametrize(("recipe", "topology", "size"), GRAPHS)
def test_layers_are_those_of_the_trained_network(recipe, topology, size) -> None:
    model, frames = stored(recipe, topology, size), pictures(6, size)
    compiled = compile_graph(model, frames)
    network, graph = compiled.network, compiled.graph
    # The verifier has compared every layer. Here is another evaluation of the integers, and the framework's codes.
    if topology == "resnet-20":
        trace, expected = network.trace(frames[:1]), reference_trace(network, frames[:1])
        assert all((trace[name] == values).all() for name, values in expected.items())
    from signfold.sw.compile.torch_front import TorchModel

    rounded, layers = round_real_weights(model, 8)
    assert [entry["layer"] for entry in layers] == [entry["layer"] for entry in compiled.rounded] != []
    fine = compile_graph(rounded, frames, fraction=16)
    name = fine.folded.activations[0]
    theirs, ours = TorchModel(rounded).outputs(frames, [name])[name], fine.network.trace(frames)[name]
    assert np.count_nonzero((theirs > 0) != ours) <= ours.size // 500
    assert set(compiled.folded.folds) == {step.layer.name for step in graph.steps}
    # Again the same bytes.
    assert compile_graph(model, frames).network.content_hash == network.content_hash
    # Its accelerator computes the same.
    config, expected = lower(network, default_plan(network), slack=False), network.evaluate(frames[:2])
    scores, classes = config.compute(stream_order(network, frames[:2]))
    assert (scores == expected.scores).all() and (classes == expected.classes).all()


# Compiling the simulator alone takes minutes, more beside other work.
@pytest.mark.sweep
@pytest.mark.timeout(2_400)
@pytest.mark.parametrize(("recipe", "topology"), [("resnete", "resnete-18"), ("binarydensenet", "binary-densenet-28")])
def test_one_picture_in_the_native_harness(recipe, topology, tmp_path) -> None:
    """The verilated accelerator gives the golden model's scores, in the cycle that was predicted."""
    frames = pictures(6, 64)
    network = compile_graph(stored(recipe, topology, 64), frames).network
    artefacts = generate(network, default_plan(network), tmp_path / "design")
    report = simulate(artefacts, frames[:1])
    assert (report.scores == network.evaluate(frames[:1]).scores).all()
    assert report.latency == artefacts.sidecar["latency"]


def test_what_is_exact_stays_so() -> None:
    """Joined channels keep their sums: their thresholds are exact, whatever the fraction bits."""
    model, frames = stored("binarydensenet", "binary-densenet-28", 8), pictures(2, 8)
    coarse, fine = (compile_graph(model, frames, fraction=fraction) for fraction in (0, 12))
    first = [name for name in coarse.folded.activations if name.startswith("block0")]
    assert len(first) == 6
    for name in first:
        assert coarse.folded.folds[name] == "exact thresholds"
        assert (coarse.network.node(name).thresholds == fine.network.node(name).thresholds).all()


#: What makes all values of a network multiples of 2**-6: powers of two, rounded offsets, signs on exact pixels.
DYADIC = {"norm": "shift", "norm_fraction": 6, "first_weights": "1", "weight_scale": None}


@pytest.mark.parametrize(
    ("recipe", "topology", "size", "fraction"),
    [
        ("resnete", "resnet-20", 12, 6),
        # Without a normalization after the stem its sums of pixels, in 256ths, go on as they are.
        pytest.param("birealnet", "bi-real-18", 16, 8, marks=pytest.mark.sweep),
    ],
)
def test_shift_based_normalization_makes_all_codes_equal(recipe, topology, size, fraction) -> None:
    chosen = DYADIC | {"norm_fraction": fraction}
    model, frames = stored(recipe, topology, size, **chosen), pictures(20, size)
    compiled = compile_graph(model, frames)
    classes = compiled.network.evaluate(frames).classes
    agreement = graph_agreement(model, compiled, frames, classes, len(frames))
    assert compiled.folded.fraction == fraction and len(agreement["codes"]) >= 16
    if topology == "resnet-20":
        # Shortcuts have no weights: nothing but the classifier is rounded.
        assert [entry["differing"] for entry in agreement["codes"]] == [0] * 18
    first = [entry["differing"] for entry in agreement["codes"] if entry["layer"].startswith("group0")]
    assert not any(first)
    # Without the rounding in training, some codes differ.
    plain = stored(recipe, topology, size, **DYADIC | {"norm_fraction": None})
    compiled = compile_graph(plain, frames, fraction=fraction)
    classes = compiled.network.evaluate(frames).classes
    assert any(entry["differing"] for entry in graph_agreement(plain, compiled, frames, classes, 20)["codes"])


@pytest.mark.parametrize("fraction", [0, 6])
def test_signs_that_go_straight_into_a_sum_are_numbers(fraction) -> None:
    model = stored("irnet", "resnet-20", 8)
    layers = model.description["layers"]
    place = next(k for k, entry in enumerate(layers) if entry["name"] == "group0_0_sum")
    layers[place]["inputs"] = ["group0_0_norm", "signs"]
    layers.insert(place, {"kind": "sign", "name": "signs", "input": "stem_clip"})
    # The verifier compares every sum with the layers'.
    assert compile_graph(model, pictures(4, 8), fraction=fraction).network.node("group0_0_sum").op == "add"


def test_a_chain_has_no_such_rounding() -> None:
    options = TrainingOptions("digits", "4", epochs=1, batch=2, lr=0.1, norm="shift", norm_fraction=6)
    with pytest.raises(ValueError, match="norm_fraction is 6, allowed with a chain: none"):
        lay_out("4", (8, 8), 4, 10, options.style(None))
    with pytest.raises(ValueError, match="norm_fraction is 6, allowed: none, or with norm 'shift'"):
        replace(options, norm="batch")


@pytest.fixture(scope="module")
def folded():
    model, frames = stored("irnet", "resnet-20", 12), pictures(4, 12)
    graph = import_graph(round_real_weights(model, 8)[0])
    return graph, fold_graph(graph, frames, 9, 24), frames


def damage(folded, name, **changes):
    """Return the fold and its network with a node of changed parameters."""
    graph, fold, frames = folded
    nodes = tuple(
        replace(node, **{key: change(getattr(node, key)) for key, change in changes.items()})
        if node.name == name
        else node
        for node in fold.nodes
    )
    return graph, replace(fold, nodes=nodes), Network(graph.input, nodes, nodes[-1].name), frames


def one(position, amount):
    def change(values):
        values = values.copy()
        values.flat[position] += amount
        return values

    return change


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("group0_1_sign", {"thresholds": one(3, 40)}, "'group0_1_sign' gives"),
        ("group0_1_sign", {"inverted": lambda _: np.arange(16) == 2}, "'group0_1_sign' gives"),
        ("group0_2_conv", {"weights": lambda w: 1 - w}, "'group0_2_conv' gives"),
        ("group0_2_norm.fixed", {"multiplier": one(5, 60)}, "'group0_2_norm' is carried as"),
        ("group0_2_norm.fixed", {"offset": one(5, 1 << 12)}, "'group0_2_norm' is carried as"),
        ("group0_2_norm.fixed", {"shift": lambda shift: shift + 1}, "'group0_2_norm' is carried as"),
        ("stem_clip.fixed", {"high": lambda high: high // 2}, "'stem_clip' is carried as"),
        ("group1_0_shortcut", {"before": lambda _: 16, "after": lambda _: 0}, "'group1_0_shortcut' gives"),
        ("group1_3_sum", {"sources": lambda s: (s[0], s[1], s[1])}, "'group1_3_sum' gives"),
        ("mean", {"kernel": lambda _: (2, 2)}, "'mean' gives"),
        ("mean_norm.codes", {"multiplier": lambda m: 2 * m}, "'mean_norm' is carried as"),
    ],
)
def test_verifier_finds(name, changes, words, folded) -> None:
    graph, fold, frames = folded
    verify_graph(graph, fold, Network(graph.input, fold.nodes, fold.nodes[-1].name), frames)
    with pytest.raises((CompileError, NetworkError)) as error:
        verify_graph(*damage(folded, name, **changes))
    assert words in str(error.value)


def test_fraction_bits_follow_the_scales() -> None:
    """Normalizations of a quarter of the scale need two bits more."""
    model = stored("resnete", "resnet-20", 12)
    frames = pictures(3, 12)
    before = compile_graph(model, frames).folded.fraction
    for name in model.tensors:
        if name.endswith("_norm.weight"):
            model.tensors[name] = model.tensors[name] / 4
    assert compile_graph(model, frames).folded.fraction == before + 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda layers: layers[3].update(kind="prelu"), CompileError, "'prelu' does not compile"),
        (
            lambda layers: layers[-3].update(input="nowhere"),
            CompileError,
            "reads 'nowhere', which does not come before",
        ),
        (lambda layers: layers[7].update(inputs=["stem"]), CheckpointError, "'add' cannot read 1 layers"),
        (lambda layers: layers[7].update(inputs=["stem", 7]), CheckpointError, "inputs must be names of layers"),
        (lambda layers: layers[5].update(name="stem"), CheckpointError, "unique"),
        (lambda layers: layers[5].update(kind="magic"), CheckpointError, "'magic' is not known"),
        (lambda layers: layers.pop(0), CompileError, "the first layer must be"),
    ],
)
def test_refuses(change, error, words) -> None:
    model = stored("irnet", "resnet-20", 12)
    change(model.description["layers"])
    with pytest.raises(error) as caught:
        compile_graph(model, pictures(2, 12))
    assert words in str(caught.value)


@pytest.mark.parametrize("fraction", [-1, 25])
def test_refuses_fractions(fraction) -> None:
    with pytest.raises(ValueError, match=f"not {fraction}"):
        compile_graph(stored("irnet", "resnet-20", 12), pictures(1, 12), fraction=fraction)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run of a few steps on digits."""
    pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")
    from signfold.sw.data import load
    from signfold.sw.train.loop import train

    folder = tmp_path_factory.mktemp("graph") / "run"
    few = {"epochs": 1, "batch": 256, "lr": 0.01, "warmup": 0, "shift": 0, "flip": False}
    options = read_recipe("resnete").choose("digits", "resnet-20") | few
    train(TrainingOptions.from_json(options), load("digits"), folder)
    return folder


def test_a_run_from_the_command_line(run, signfold, tmp_path) -> None:
    out, report = tmp_path / "net.safetensors", tmp_path / "report.json"
    code, text, _ = signfold("compile", run, "-o", out, "--report", report, "--fraction", 11, "--sample", 20)
    assert code == 0 and "11 fraction bits" in text and "reads 'group0_0_norm', 'stem_clip'" in text
    network, found = Network.load(out), json.loads(report.read_text())
    assert network.metadata["fraction"] == found["fraction"] == 11 and network.metadata["real_weights"] == 8
    assert found["float_model"]["classes"]["frames"] == 176 and len(found["float_model"]["codes"]) == 18
    code, _, text = signfold("generate", out, "--out", tmp_path / "design", "--reloadable")
    assert code == 2 and "--reloadable serves chains of layers alone" in text


def test_a_chain_has_no_fraction_bits(tmp_path) -> None:
    from signfold.sw.data import load
    from signfold.sw.train.loop import train

    train(TrainingOptions("digits", "4", epochs=1, batch=256, lr=0.01), load("digits"), tmp_path / "run")
    with pytest.raises(CompileError, match="this one is a chain"):
        compile_run(tmp_path / "run", fraction=4)
