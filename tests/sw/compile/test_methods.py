"""What the layer lists of all training methods say: read, folded and proven, or refused by name with what compiles."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from signfold.sw.compile import compile_network, driver
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.how import describe_folds
from signfold.sw.compile.power_of_two import power_of_two
from signfold.sw.compile.verify import verify_body
from signfold.sw.errors import CheckpointError, CompileError
from signfold.sw.network import Affine

F = np.float32


def methods(make_image_run, seed=2):
    """Return a run with a scale a channel, a trained one of the layer, a shift, powers of two and three levels."""
    rng = np.random.default_rng(seed)
    run = make_image_run(rng)
    tensors = run.tensors
    run.layer("conv0")["weights"] = {"levels": 2, "method": "libra", "scale": "channel"}
    tensors["model.conv0.codes"] = rng.integers(0, 2, (6, 1, 3, 3)).astype(np.uint8)
    tensors["model.conv0.scale"] = np.array([0.5, -0.25, 0.0, 1.0, -2.0, 0.75], F)
    run.layer("norm0").update({"shift": "static", "scale": "trained", "stochastic": True})
    tensors["model.norm0.offset"] = rng.uniform(0, 1, 6).astype(F)
    tensors["model.norm0.shift"] = rng.normal(size=6).astype(F)
    tensors["model.norm0.scale"] = np.array([-0.75], F)
    run.layer("conv1")["weights"] = {"levels": 2, "scale": "trained"}
    tensors["model.conv1.scale"] = np.array([-0.3], F)
    run.layer("norm1").update({"levels": 3, "bits": None})
    run.layer("norm2")["norm"] = "shift"
    tensors["model.norm2.running_istd"] = 1 / np.sqrt(tensors.pop("model.norm2.running_var"))
    for name in ("norm0", "norm1", "norm2"):
        gamma = tensors[f"model.{name}.weight"]
        gamma[:2] = -abs(gamma[:2])
    run.layer("dense0")["weights"] = {"levels": 3, "method": "bitwise", "scale": "channel"}
    tensors["model.dense0.scale"] = rng.normal(size=10).astype(F)
    return run


def test_all_of_it_folds_and_the_trained_model_agrees(make_image_run, tmp_path) -> None:
    model = read_model(methods(make_image_run).write(tmp_path / "run"))
    trained = import_model(model)
    network = compile_network(trained)
    folds = dict(zip((layer.name for layer in trained.layers), describe_folds(trained, network), strict=True))
    assert folds["conv0"] == (
        "weights are stored codes; scale a channel goes into the thresholds of 'norm0'; 2 of 6 channels negative, "
        "weights flipped; 1 of 6 channels 0, constant"
    )
    assert folds["norm0"] == (
        "thresholds; static shift added to the bias; scale -0.75 goes into what reads it; negative: the bits are the "
        "opposite ones"
    )
    assert folds["conv1"].endswith("scale of the layer goes into the thresholds of 'norm1'; 6 of 6 channels negative, "
                                   "weights flipped")  # fmt: skip
    assert folds["norm1"].startswith("thresholds; codes of 2 bits, above 2 never; codes are odd integers")
    assert folds["norm2"] == "powers of two and bias become thresholds"
    assert "scale a channel goes into the scores, rounded to" in folds["dense0"]
    assert folds["scale"] == "dropped: it changes no comparison of classes"
    constant = network.node("norm0").thresholds[2]
    value = network.types["pool0"]
    assert constant[0] in (value.low, value.high + value.step)
    assert network.types["norm1"].bits == 2 and isinstance(network.node(network.output), Affine)

    pytest.importorskip("torch", reason="runs the trained model")
    from signfold.sw.compile.agreement import compare_classes, compare_codes
    from signfold.sw.compile.torch_front import TorchModel

    pictures = np.random.default_rng(1).integers(0, 17, (150, 1, 8, 8)).astype(np.uint8)
    torch_model = TorchModel(model)
    for entry in compare_codes(trained, network, torch_model, pictures):
        assert entry["explained"] == entry["differing"] <= 2 and entry["sum_error"] < 1, entry
    classes = network.evaluate(pictures).classes
    compared = compare_classes(trained, network, torch_model, pictures, classes)
    assert compared["explained"] == compared["differing"] <= 2


# Faults that a pass might make.


def at(place, make):
    def change(array):
        array = array.copy()
        array[place] = make(array[place])
        return array

    return change


FAULTS = [
    ("conv0", {"weights": at((3, 0, 1, 1), lambda w: 1 - w)}, "'conv0' channel 3: weight [0, 1, 1]"),
    # A negative scale: the flip is forgotten, or made where the scale is positive.
    ("conv0", {"weights": at(4, lambda w: 1 - w)}, "'conv0' channel 4: weight"),
    ("conv0", {"weights": at(0, lambda w: 1 - w)}, "'conv0' channel 0: weight"),
    # Negative gamma and negative scale: no flip.
    ("conv1", {"weights": at(1, lambda w: 1 - w)}, "'conv1' channel 1: weight"),
    # Opposite bits: of pooled sums, inverted unless gamma is negative too.
    ("norm0", {"inverted": lambda i: ~i}, "'norm0' channel 0: inverted is True"),
    ("norm0", {"inverted": lambda i: None}, "'norm0' channel 2: inverted is False"),
    ("conv1", {"pad": lambda pad: 1}, "'conv1': pad 1 is not"),
    # One step off, in each kind of threshold.
    ("norm0", {"thresholds": at((3, 0), lambda t: t + 2)}, "'norm0' channel 3: threshold"),
    ("norm0", {"thresholds": at((2, 0), lambda t: t + 2 if t < 0 else t - 2)}, "'norm0' channel 2: threshold"),
    ("norm1", {"thresholds": at((5, 1), lambda t: t - 2)}, "'norm1' channel 5: threshold"),
    ("norm1", {"thresholds": at((5, 2), lambda t: t - 2)}, "'norm1' channel 5: threshold"),
    ("norm1", {"thresholds": lambda t: t[:, :2]}, "'norm1' must become 6 x 3 thresholds"),
    ("norm2", {"thresholds": at((7, 1), lambda t: t + 2)}, "'norm2' channel 7: threshold"),
]


@pytest.mark.parametrize(("name", "values", "message"), FAULTS, ids=[f"{f[0]}: {f[2]}" for f in FAULTS])
def test_planted_faults_are_named(make_image_run, tmp_path, monkeypatch, name, values, message) -> None:
    run = methods(make_image_run)
    run.layer("conv1")["pad"] = {"code": 1}
    trained = import_model(read_model(run.write(tmp_path / "run")))
    folded = driver.fold_body(trained)
    changed = tuple(
        replace(node, **{what: make(getattr(node, what)) for what, make in values.items()})
        if node.name == name
        else node
        for node in folded.nodes
    )
    monkeypatch.setattr(driver, "fold_body", lambda network: replace(folded, nodes=changed))
    with pytest.raises(CompileError, match="verify") as error:
        compile_network(trained)
    assert message in str(error.value)


@pytest.mark.parametrize("what", ["scale", "offset"])
def test_a_score_that_is_off_is_named(make_image_run, tmp_path, monkeypatch, what) -> None:
    trained = import_model(read_model(methods(make_image_run).write(tmp_path / "run")))
    honest = driver.add_head

    def off(*arguments):
        *body, head = honest(*arguments)
        return (*body, replace(head, **{what: getattr(head, what) + np.eye(10, dtype=int)[4]}))

    monkeypatch.setattr(driver, "add_head", off)
    with pytest.raises(CompileError, match=f"verify: layer .*: {what} .* of class 4 is not the rounded value"):
        compile_network(trained)


def test_heads(make_run, tmp_path) -> None:
    """A positive scale common to all classes drops out, a negative one flips weights, one a class makes an affine."""
    rng = np.random.default_rng(5)
    run = make_run(rng, [16, 8, 5])
    run.layers[3]["weights"] = {"levels": 2, "scale": "trained"}
    plain = compile_network(import_model(read_model(make_run(rng, [16, 8, 5]).write(tmp_path / "plain"))))

    def compiled(number, scale):
        run.tensors["model.dense1.scale"] = np.array(scale, F)
        return compile_network(import_model(read_model(run.write(tmp_path / str(number)))))

    positive, negative = compiled(0, [0.3]), compiled(1, [-0.3])
    assert [type(node) for node in positive.nodes] == [type(node) for node in plain.nodes]
    assert (positive.nodes[-1].weights + negative.nodes[-1].weights == 1).all()
    mixed = compiled(2, [0.5, -0.5, 0.25, 0.0, 0.5])
    node = mixed.nodes[-1]
    assert isinstance(node, Affine) and (node.scale * 4 == 2**node.fraction * np.array([2, 2, 1, 0, 2])).all()
    assert not node.offset.any()
    pictures = rng.integers(0, 32, (50, 16)).astype(np.uint8)
    sums = positive.evaluate(pictures).scores * [0.5, -0.5, 0.25, 0.0, 0.5]
    assert (mixed.evaluate(pictures).classes == sums.argmax(axis=1)).all()
    with pytest.raises(CompileError, match="'scale': the weights of all classes are multiplied by 0"):
        compiled(3, [0.0])


def test_lone_activations_and_split_norms_are_those_of_one_layer(make_run, tmp_path) -> None:
    rng = np.random.default_rng(7)
    joined = make_run(rng, [16, 8, 6, 5])
    split = make_run(np.random.default_rng(7), [16, 8, 6, 5])
    norm = split.layers[2]
    split.layers[2:3] = [
        norm | {"kind": "batchnorm", "input": "dense0"},
        {"kind": "hardtanh", "name": "clip"},
        {"kind": "sign", "name": "sign0"},
    ]
    networks = []
    for run in (joined, split):
        networks.append(compile_network(import_model(read_model(run.write(tmp_path / str(len(networks)))))))
    assert (networks[0].node("norm0").thresholds == networks[1].node("sign0").thresholds).all()
    assert (networks[0].node("dense0").weights == networks[1].node("dense0").weights).all()
    # A shift after a hardtanh moves no step, unless it is as large as the clip.
    split.layers[4]["shift"] = "static"
    offset = np.full(8, np.nextafter(F(1), F(0)), F)
    for last in (offset[0], F(1.0)):
        offset[7] = last
        split.tensors["model.sign0.offset"] = offset
        model = read_model(split.write(tmp_path / f"shifted {last}"))
        if last < 1:
            compile_network(import_model(model))
            continue
        with pytest.raises(CompileError, match=r"layer 'sign0': offset\[7\] is 1.0, allowed behind a 'hardtanh': "):
            import_model(model)
    # Alone: the sign of the sums themselves.
    alone = make_run(rng, [16, 8, 5])
    alone.layers[2] = {"kind": "sign", "name": "sign"}
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        del alone.tensors[f"model.norm0.{tensor}"]
    network = compile_network(import_model(read_model(alone.write(tmp_path / "alone"))))
    assert (network.node("sign").thresholds == 0).all()


def biased(make_image_run, seed=4):
    """Return a run with biases in every layer with weights, before pools of both kinds and in the head."""
    run = make_image_run(np.random.default_rng(seed))
    for name, channels in (("conv0", 6), ("conv1", 6), ("conv2", 8), ("dense0", 10)):
        run.layer(name)["bias"] = "bits"
        latents = np.random.default_rng(seed).normal(size=channels).astype(F)
        latents[:4] = 0.0, -0.0, 1e-40, -1e-40
        run.tensors[f"model.{name}.bias"] = latents
    for name in ("norm0", "norm1", "norm2"):
        run.tensors[f"model.{name}.weight"][:3] *= -1
    return run


def test_biases_of_one_bit_fold(make_image_run, tmp_path) -> None:
    model = read_model(biased(make_image_run).write(tmp_path / "run"))
    trained = import_model(model)
    network = compile_network(trained)
    assert trained.body[1].biases[:4].tolist() == [1, 1, 1, -1]
    folds = dict(zip((layer.name for layer in trained.layers), describe_folds(trained, network), strict=True))
    assert folds["conv1"] == "weights are the signs of the latents; biases go into what reads the sums"
    # Those of the last layer are offsets of scores.
    head = network.node(network.output)
    assert isinstance(head, Affine) and len(set(head.offset.tolist())) > 1
    # A verifier that knows nothing of a bias refuses thresholds that do.
    ignorant = replace(trained.body[1], bias=-trained.body[1].bias - F(1e-3))
    with pytest.raises(CompileError, match="verify: layer 'norm0' channel"):
        verify_body(replace(trained, layers=(trained.layers[0], ignorant, *trained.layers[2:])), network.nodes)

    pytest.importorskip("torch", reason="runs the trained model")
    from signfold.sw.compile.agreement import compare_classes, compare_codes
    from signfold.sw.compile.torch_front import TorchModel

    pictures = np.random.default_rng(1).integers(0, 17, (60, 1, 8, 8)).astype(np.uint8)
    torch_model = TorchModel(model)
    for entry in compare_codes(trained, network, torch_model, pictures):
        assert entry["explained"] == entry["differing"] <= 2 and entry["sum_error"] < 1, entry
    compared = compare_classes(trained, network, torch_model, pictures, network.evaluate(pictures).classes)
    assert compared["explained"] == compared["differing"] <= 2


def test_a_bias_moves_the_threshold_by_itself(make_run, tmp_path) -> None:
    run = make_run(np.random.default_rng(7), [16, 8, 5])
    run.layers[2] = {"kind": "sign", "name": "sign"}
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        del run.tensors[f"model.norm0.{tensor}"]
    run.layers[1]["bias"] = "bits"
    run.tensors["model.dense0.bias"] = np.array([0.0, -0.0, 1e-40, -1e-40, 3.0, -3.0, 1.0, -1.0], F)
    network = compile_network(import_model(read_model(run.write(tmp_path / "run"))))
    # s + 1 >= 0 from -1 on, of even sums from 0; s - 1 >= 0 from 1 on, hence 2.
    assert network.node("sign").thresholds.ravel().tolist() == [0, 0, 0, 2, 0, 2, 0, 2]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"bias": "real"}, CheckpointError, "layer 'conv0': bias must be 'bits', not 'real'"),
        ({"weights": {"levels": 2, "scale": "channel"}}, CompileError, "'conv0': bias has shape .* without a scale"),
    ],
)
def test_biases_that_are_refused(make_image_run, tmp_path, change, error, message) -> None:
    run = biased(make_image_run)
    run.layer("conv0").update(change)
    run.tensors["model.conv0.scale"] = np.ones(6, F)
    with pytest.raises(error, match=message):
        import_model(read_model(run.write(tmp_path / "run")))


def test_powers_of_two_are_the_nearest_in_the_logarithm() -> None:
    rng = np.random.default_rng(3)
    edge = float(np.sqrt(F(2)))
    numbers = [0.0, -0.0, 1.0, -1.0, 3.0, 1e-45, -3e38, edge, float(np.nextafter(F(edge), F(2)))]
    numbers += [float(number) for number in (rng.normal(size=200) * 10.0 ** rng.integers(-30, 30, 200)).astype(F)]
    for number in numbers:
        power = power_of_two(number)
        if number == 0:
            assert power == 0
            continue
        assert (power > 0) == (number > 0) and abs(power) == Fraction(2) ** round(np.log2(float(abs(power))))
        # Between the halves, squared: 1/2 <= (x/power)**2 < 2.
        assert Fraction(1, 2) <= (Fraction(number) / power) ** 2 < 2


def layer(name, **values):
    return lambda run: run.layer(name).update(values)


def entry(name, **values):
    """Replace an entry by another of its name."""

    def change(run):
        run.layers[[one.get("name") for one in run.layers].index(name)] = {"name": name, **values}

    return change


def insert(after, **values):
    def change(run):
        place = [one.get("name") for one in run.layers].index(after) + 1
        run.layers.insert(place, values)

    return change


def tensor(name, values):
    return lambda run: run.tensors.update({f"model.{name}": values})


REAL = "the nearest that compiles: codes of up to 8 bits, 'batchnorm_quant' (--activations 2 to 8), or signs"
CHAIN = "the nearest that compiles: a chain of the same convolutions without shortcuts (vgg-small, cnv, bnn-cifar"

REFUSED = [
    # Known, and no integers: what would do is said.
    (layer("norm0", kind="batchnorm_bases", bases=3), "'norm0': 'batchnorm_bases' does not compile", "--activations 2"),
    (layer("conv1", k_map=True), "'conv1': 'k_map' does not compile", "without it (k_map false)"),
    (layer("norm0", shift="se", reduction=2), "'norm0': 'shift' of 'se' does not compile", "('shift': 'static')"),
    (entry("norm0", kind="batchnorm_relu", eps=1e-5), "'norm0': 'batchnorm_relu' does not compile", REAL),
    (insert("norm0", kind="relu", name="relu"), "'relu': 'relu' does not compile", REAL),
    (insert("norm0", kind="prelu", name="prelu"), "'prelu': 'prelu' does not compile", REAL),
    (insert("norm0", kind="hardtanh", name="clip"), "'clip': 'hardtanh' does not compile", REAL),
    (insert("norm1", kind="add", name="sum", inputs=["norm1", "pool1"]), "'sum': 'add' does not compile", CHAIN),
    (insert("norm1", kind="subsample", name="s", stride=2, out=9), "'s': 'subsample' does not compile", CHAIN),
    (
        insert("norm1", kind="concat", name="both", inputs=["norm1", "norm0"]),
        "'both': 'concat' does not compile: channels of different layers",
        "the nearest that compiles: a chain",
    ),
    (insert("norm1", kind="concat", name="twice", inputs=["norm1"] * 2), "'twice': only sums of a dense", "themselves"),
    (insert("conv1", kind="concat", name="twice", inputs=["conv1"] * 2), "'twice': only sums", "groups 1"),
    (layer("conv2", input="norm0"), "'conv2': it reads 'norm0', not 'norm1' before it", CHAIN),
    (
        layer("conv0", weights={"levels": 0, "method": "real"}),
        "'conv0': real weights (levels 0) do not compile exactly",
        "weights of up to 8 bits (--weights 8, --first-weights 8, --last-weights 8); or rounding them now (compile "
        "--real-weights 8)",
    ),
    (
        layer("conv0", weights={"levels": 0, "method": "stochastic"}),
        "'conv0': real weights (levels 0) do not compile exactly: BinaryConnect of random signs",
        "trained and evaluated with signs (--weights 1)",
    ),
    (
        layer("conv0", weights={"levels": 2, "method": "multibase", "bases": 3}),
        "'conv0': weights of method 'multibase' do not compile",
        "weights of 2 to 8 bits (--weights 2, method 'dorefa')",
    ),
    # Impossible.
    (layer("conv0", weights={"levels": 2, "scale": "row"}), "'conv0': the scale of weights must be one of", "'row'"),
    (layer("conv0", weights={"levels": 3, "method": "libra"}), "'conv0': weights must be levels 2", "'libra'"),
    (layer("norm0", norm="group"), "'norm0': norm must be 'batch' or 'shift'", "'group'"),
    (layer("norm0", shift="moving"), "'norm0': shift must be 'static' or 'se'", "'moving'"),
    (layer("norm0", scale="fixed"), "'norm0': scale must be 'trained'", "'fixed'"),
    (layer("norm1", levels=5), "'norm1': levels must be 3", "5"),
    (layer("norm1", levels=3, bits=2), "'norm1': levels must be 3 without bits", "bits 2"),
    (insert("conv1", kind="concat", name="twice", inputs="conv1"), "'twice': inputs must be a list", "'conv1'"),
    (tensor("conv0.scale", np.ones(5, F)), "'conv0': scale has shape (5,), must be 1 number", "6 channels"),
    (tensor("conv0.scale", np.full(6, np.nan, F)), "'conv0': scale[0] is nan", "finite"),
    (tensor("conv0.codes", np.ones((6, 1, 3, 3), F)), "'model.conv0.codes' must be uint8", "float32"),
    (tensor("norm0.scale", np.zeros(1, F)), "'norm0': scale is 0.0, must be finite and not 0", "another seed"),
    (tensor("norm0.offset", np.ones(5, F)), "'norm0': shift has shape (5,)", "6 channels"),
    (tensor("norm0.offset", np.full(6, np.inf, F)), "'norm0': offset[0] is inf", "finite"),
    (tensor("norm2.running_istd", np.full(8, -1, F)), "'norm2': running_istd[0] is -1.0", "not be negative"),
    (tensor("norm2.running_istd", np.full(8, 1e-44, F)), "'norm2': the powers of two of weight[", "beyond float32"),
    (tensor("norm1.shift", np.zeros(6, F)), "tensor 'model.norm1.shift' belongs to no layer", ""),
    (tensor("other.shift", np.zeros(6, F)), "tensor 'model.other.shift' belongs to no layer", ""),
]


@pytest.mark.parametrize(("change", "message", "remedy"), REFUSED, ids=[message for _, message, _ in REFUSED])
def test_refused_by_name(make_image_run, tmp_path, change, message, remedy) -> None:
    run = methods(make_image_run)
    run.tensors["model.norm2.weight"][:] *= F(1e-2)
    change(run)
    with pytest.raises((CheckpointError, CompileError)) as error:
        import_model(read_model(run.write(tmp_path / "run")))
    assert message in str(error.value) and remedy in str(error.value)
