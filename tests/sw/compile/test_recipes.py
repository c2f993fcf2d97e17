"""Every recipe on a tiny network: trained briefly, compiled, and the gateware gives the golden scores; or refused.

Recipes of chains are trained on digits. Those of graphs are no chains, which takes no training to see: `test_graphs`
has them.
"""

import numpy as np
import pytest

from signfold.sim.streams import run_stream
from signfold.sw.compile import compile_run
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.frontend import import_model
from signfold.sw.default_plan import default_plan
from signfold.sw.errors import CompileError
from signfold.sw.lower import lower, stream_order
from signfold.sw.train.architectures import ARCHITECTURES, lay_out
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.recipes import merge, read_recipe, recipe_names
from signfold.sw.train.topologies import Conv, parse_topology

pytest.importorskip("torch", reason="training needs signfold[train]")
pytest.importorskip("sklearn", reason="the digits data set needs signfold[train]")

#: What the compiler says to recipes that it refuses, real weights being rounded to `BITS`. All others compile.
REFUSED = {
    "abc-net": "'batchnorm_bases' does not compile",
    "binaryconnect": "'batchnorm_relu' does not compile",
    "binaryconnect-stochastic": "'batchnorm_relu' does not compile",
    "binarydensenet": "'relu' does not compile|'concat' does not compile",
    "bwn": "'batchnorm_relu' does not compile",
    "birealnet": "'add' does not compile",
    "few-multiplications": "'batchnorm_relu' does not compile",
    "float": "'batchnorm_relu' does not compile",
    "irnet": "'hardtanh' does not compile|'add' does not compile",
    "resnete": "'add' does not compile",
    "sdbnn": "'shift' of 'se' does not compile",
    "xnor-net": "'k_map' does not compile",
}

#: Bits that real weights are rounded to.
BITS = 2

#: Topologies: of images, and of flat pictures, which are simulated in a fraction of the time.
IMAGES, FLAT = "3c3,p2,3c1,4", "4,3"


#: What compiles and no recipe has.
OTHERS = {
    "activations 0 and 1": {"activation": "zero-one"},
    "biases of ternary weights": {"weights": "ternary", "bias": "bits", "activations": 2},
    "decoupled": {"activation": "decoupled", "weight_scale": "layer"},
    "Bi-Real": {
        "weight_scale": "channel",
        "method": {"weight_gradient": "straight", "activation_estimator": {"name": "approx"}},
    },
    "weights of 3 bits, signed codes": {"weights": "3", "activations": 2, "signed": True},
    "neurons": {"stochastic": True, "method": {"activation_estimator": {"name": "sigmoid", "draw": "sigmoid"}}},
    "random signs": {"weight_method": "stochastic", "stochastic": True},
    "sparse bits": {"weights": "ternary", "weight_method": "bitwise", "method": {"sparsity": 0.4}},
    "ternary connect": {"weights": "ternary", "weight_method": "ternary-connect", "weight_scale": "range"},
}
OTHERS = {name: {"dataset": "digits", **options} for name, options in OTHERS.items()}


def topology_of(recipe) -> str:
    """Return the topology that was published."""
    return read_recipe(recipe).choose()["topology"]


def reads_images(recipe) -> bool:
    return isinstance(parse_topology(topology_of(recipe))[0], Conv)


def train_tiny(recipe, topology, run):
    """Train a recipe, or options in the place of one, for a few steps, and return the data."""
    from signfold.sw.data import load
    from signfold.sw.train.loop import train

    data = load("digits")
    few = {"epochs": 2, "batch": 128, "lr": 0.01, "warmup": 0, "reduction": 2, "initial": None}
    chosen = (
        OTHERS[recipe] | {"topology": topology} if recipe in OTHERS else read_recipe(recipe).choose("digits", topology)
    )
    train(TrainingOptions.from_json(merge(chosen, few)), data, run)
    return data


CHAINS = [name for name in recipe_names() if topology_of(name) not in ARCHITECTURES]
GRAPHS = [name for name in recipe_names() if topology_of(name) in ARCHITECTURES]


def check(recipe, topology, run, count) -> None:
    """Compile what a recipe trains, and compare the gateware's scores of some frames with the golden ones."""
    data = train_tiny(recipe, topology, run)
    compilation = compile_run(run, real_weights=BITS, sample=30)
    compared = compilation.report["float_model"]
    for entry in (compared["classes"], *compared["codes"]):
        assert entry["explained"] == entry["differing"], entry
    network = compilation.network
    config = lower(network, default_plan(network))
    frames = data.split("validation")[0][:count].reshape(count, *network.input.shape)
    expected = network.evaluate(frames)
    beats = []
    for frame in stream_order(network, frames).tolist():
        frame += [0] * (-len(frame) % config.pixels.lanes)
        groups = [frame[i : i + config.pixels.lanes] for i in range(0, len(frame), config.pixels.lanes)]
        beats += [{"codes": group, "last": int(group is groups[-1])} for group in groups]
    stream = run_stream(config.create(), beats, count=count * network.classes)
    assert [beat["score"] for beat in stream.outputs] == expected.scores.ravel().tolist()
    assert [
        beat["best"] for beat in stream.outputs[network.classes - 1 :: network.classes]
    ] == expected.classes.tolist()


@pytest.mark.parametrize("recipe", [*[name for name in CHAINS if name not in REFUSED], *OTHERS])
def test_compile(recipe, tmp_path) -> None:
    check(recipe, FLAT, tmp_path / "run", 1)


@pytest.mark.sweep
@pytest.mark.parametrize("recipe", [name for name in CHAINS if name not in REFUSED and reads_images(name)])
def test_compile_on_images(recipe, tmp_path) -> None:
    check(recipe, IMAGES, tmp_path / "run", 3)


@pytest.mark.parametrize("recipe", [name for name in CHAINS if name in REFUSED])
def test_are_refused(recipe, tmp_path) -> None:
    train_tiny(recipe, IMAGES if reads_images(recipe) else FLAT, tmp_path / "run")
    with pytest.raises(CompileError, match=REFUSED[recipe]) as error:
        compile_run(tmp_path / "run", real_weights=BITS)
    assert "the nearest that compiles" in str(error.value)


@pytest.mark.parametrize("recipe", GRAPHS)
def test_graphs_are_no_chains(recipe) -> None:
    options = TrainingOptions.from_json(read_recipe(recipe).choose())
    frame, layers = lay_out(options.topology, (3, 32, 32), 8, 10, options.style(None))
    tensors = {}
    for layer in layers:
        if layer["kind"] in ("add", "concat", "relu"):
            break
        shapes = {}
        if layer["kind"] == "conv":
            channels, layer["weights"] = layer["out"], {"levels": 2}
            shapes["weight"] = (channels, layer["in"], *layer["kernel"])
        elif layer["kind"].startswith("batchnorm"):
            shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
        for tensor, shape in shapes.items():
            tensors[f"model.{layer['name']}.{tensor}"] = np.ones(shape, np.float32)
    description = {"input": {"shape": list(frame), "bits": 8}, "layers": layers}
    with pytest.raises(CompileError, match=REFUSED[recipe]) as error:
        import_model(StoredModel("cifar10", description, tensors, "best", None, {}))
    assert "the nearest that compiles" in str(error.value)


def test_every_recipe_that_is_refused_is_there() -> None:
    assert set(REFUSED) <= set(recipe_names()) and set(GRAPHS) <= set(REFUSED)
