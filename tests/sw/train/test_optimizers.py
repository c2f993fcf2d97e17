"""Steps of the house's own optimizers by hand, rates and weight decay by role, and memory that survives."""

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training tests need signfold[train]")

from signfold.sw.train.describe import describe  # noqa: E402
from signfold.sw.train.method import Method  # noqa: E402
from signfold.sw.train.models import BinaryNet  # noqa: E402
from signfold.sw.train.optimizer_choice import OPTIMIZERS, OptimizerChoice  # noqa: E402
from signfold.sw.train.optimizers.assign import Optimizers, fans, roles  # noqa: E402
from signfold.sw.train.optimizers.bop import Bop  # noqa: E402
from signfold.sw.train.optimizers.shift_adamax import FLOOR, ShiftAdaMax  # noqa: E402
from signfold.sw.train.options import TrainingOptions  # noqa: E402
from signfold.sw.train.style import Style  # noqa: E402
from signfold.sw.train.topologies import parse_topology  # noqa: E402


def parameter(*values: float) -> "torch.nn.Parameter":
    return torch.nn.Parameter(torch.tensor(values))


def step(optimizer, weight, *gradient: float) -> list[float]:
    weight.grad = torch.tensor(gradient)
    optimizer.step()
    return weight.tolist()


def test_bop_flips_where_the_average_agrees_with_the_weight() -> None:
    weight = parameter(0.25, -0.5, 0.0, -0.0, 1.0)
    optimizer = Bop([weight], lr=0.5, threshold=0.25)
    # Averages 0.5, -0.5, -0.5, 0.25, 0: the first two agree and are above the threshold; 0.25 is not above it.
    assert step(optimizer, weight, 1.0, -1.0, -1.0, 0.5, 0.0) == [-1.0, 1.0, 1.0, 1.0, 1.0]
    # Averages 0.25 + 0.5*g: 0.75, -0.25, -0.75, 0.625, 0.5
    assert step(optimizer, weight, 1.0, 0.0, -1.0, 1.0, 1.0) == [-1.0, 1.0, 1.0, -1.0, -1.0]
    assert optimizer.state[weight]["exp_avg"].tolist() == [0.75, -0.25, -0.75, 0.625, 0.5]


def test_shift_adamax_multiplies_by_powers_of_two_alone() -> None:
    weight = parameter(1.0, -1.0)
    optimizer = ShiftAdaMax([weight], lr=2**-6, betas=(0.5, 0.75), scale=3.0)
    # m = g/2, v = |g|; 2**-6 / (1 - 0.5) = 2**-5; the scale 3 counts as 4; |0.375| as 2**-1, 6 as 2**3.
    first = step(optimizer, weight, 0.375, -6.0)
    wanted = [1.0 - 2**-5 * 4 * 0.1875 / (0.5 + FLOOR), -1.0 + 2**-5 * 4 * 3.0 / (8.0 + FLOOR)]
    assert first == pytest.approx(wanted, rel=1e-6)
    # m = 0.09375 + 0.5; v = max(0.75 * 0.375, 1); 2**-6 / (1 - 0.25) rounds to 2**-6.
    second = step(optimizer, weight, 1.0, 0.0)
    assert second[0] == pytest.approx(wanted[0] - 2**-6 * 4 * 0.59375 / (1.0 + FLOOR), rel=1e-6)
    assert second[1] == pytest.approx(wanted[1] + 2**-6 * 4 * 1.5 / (4.0 + FLOOR), rel=1e-6)


def options(**changes: object) -> TrainingOptions:
    return TrainingOptions("digits", "6c3,p2,5", 4, 8, 0.5, **changes)


def network(**style: object) -> BinaryNet:
    _, layers = describe((8, 8), 4, parse_topology("6c3,p2,5"), 10, Style(**style))
    return BinaryNet(layers, torch.Generator().manual_seed(1), shape=(1, 8, 8), bits=4)


def groups_of(optimizers: Optimizers, model) -> dict[str, dict]:
    names = {id(value): name for name, value in model.named_parameters()}
    return {
        names[id(value)]: group
        for _, _, optimizer in optimizers._parts
        for group in optimizer.param_groups
        for value in group["params"]
    }


def test_rates_scales_and_weight_decay_by_role() -> None:
    model = network()
    assert roles(model) == {
        name: "binary" if name in ("conv0.weight", "dense1.weight", "dense2.weight") else "other"
        for name, _ in model.named_parameters()
    }
    assert fans(model.get_submodule("conv0").weight) == (9, 54) and fans(torch.empty(5, 54)) == (54, 5)
    chosen = OptimizerChoice(
        "sgd", momentum=0.9, weight_decay=0.125, decays=("other",), decay_until=0.5, scale="glorot"
    )
    optimizers = Optimizers(model, options(optimizer=chosen))
    optimizers.set_rate(0.5, 0.25)
    groups = groups_of(optimizers, model)
    assert groups["conv0.weight"]["lr"] == 0.25 * math.sqrt(63 / 1.5)
    assert groups["dense1.weight"]["lr"] == 0.25 * math.sqrt((54 + 5) / 1.5)
    assert groups["norm0.weight"]["lr"] == groups["scale.log_scale"]["lr"] == 0.25
    assert groups["conv0.weight"]["weight_decay"] == 0.0 and groups["norm0.bias"]["weight_decay"] == 0.125
    optimizers.set_rate(0.5, 0.5)
    assert groups_of(optimizers, model)["norm0.bias"]["weight_decay"] == 0.0


def test_another_optimizer_for_few_level_weights() -> None:
    model = network()
    binary = OptimizerChoice("bop", lr=2**-10, threshold=1e-6)
    optimizers = Optimizers(model, options(binary_optimizer=binary))
    optimizers.set_rate(0.5, 0.0)
    groups = groups_of(optimizers, model)
    assert groups["dense2.weight"]["lr"] == 2**-11 and groups["dense2.weight"]["threshold"] == 1e-6
    assert groups["norm0.weight"]["lr"] == 0.25 and "betas" in groups["norm0.weight"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_memory_comes_back_whole(name: str) -> None:
    numbers = {"momentum": 0.9} if name == "sgd" else {}
    chosen = OptimizerChoice(name, **numbers)
    changes = {"binary_optimizer": chosen} if name == "bop" else {"optimizer": chosen}
    inputs, labels = torch.arange(4 * 64, dtype=torch.uint8).reshape(4, 1, 8, 8), torch.tensor([1, 2, 3, 4])

    def train(model, optimizers, steps: int) -> None:
        optimizers.set_rate(0.01, 0.0)
        for _ in range(steps):
            optimizers.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizers.step()

    straight = network()
    train(straight, optimizers := Optimizers(straight, options(**changes)), 2)
    memory = {key: value.clone() for key, value in optimizers.tensors().items()}
    other = network()
    other.load_state_dict({key: value.clone() for key, value in straight.state_dict().items()})
    resumed = Optimizers(other, options(**changes))
    resumed.restore(memory)
    assert resumed.tensors().keys() == memory.keys()
    train(straight, optimizers, 2)
    train(other, resumed, 2)
    for key, value in straight.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    lost = dict(memory)
    del lost[next(key for key in memory if key.startswith("dense1.weight"))]
    if sum(key.startswith("dense1.weight") for key in memory) > 1:
        with pytest.raises(KeyError, match="dense1.weight"):
            Optimizers(other, options(**changes)).restore(lost)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "lion"}, "optimizer.name is 'lion'"),
        ({"momentum": 0.9}, "optimizer.momentum is 0.9, but adam has none"),
        ({"name": "sgd", "beta1": 0.5}, "beta1 is 0.5, but sgd has none"),
        ({"name": "sgd", "nesterov": True}, "nesterov is True"),
        ({"name": "bop", "weight_decay": 0.1}, "weight_decay is 0.1"),
        ({"lr": 0.0}, "optimizer.lr is 0.0"),
        ({"decays": ("all",)}, "decays is"),
        ({"scale": "he"}, "scale is 'he'"),
    ],
)
def test_choices_name_what_is_not_allowed(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizerChoice(**values)


def test_bop_is_for_signs_inside_the_clip() -> None:
    bop = OptimizerChoice("bop", lr=1e-4)
    with pytest.raises(ValueError, match="optimizer is .*bop"):
        options(optimizer=bop)
    with pytest.raises(ValueError, match="binary_optimizer is .*bop"):
        options(binary_optimizer=bop, weights="2")
    with pytest.raises(ValueError, match="binary_optimizer is .*bop"):
        options(binary_optimizer=bop, method=replace(options().method, clip=0.5))
    # Weights are -1 and +1, where these let no gradient pass, or one of the wrong sign.
    for estimator in (
        {"name": "approx"},
        {"name": "swish"},
        {"name": "clipped", "t_clip": 0.9},
        {"name": "clipped", "inclusive": False},
    ):
        with pytest.raises(ValueError, match="whose gradient at -1 and \\+1 is above 0"):
            options(binary_optimizer=bop, method=Method(weight_estimator=estimator))
    for estimator in ({"name": "identity"}, {"name": "clipped", "t_clip": 1.3, "inclusive": False}, {"name": "tight"}):
        options(binary_optimizer=bop, method=Method(weight_estimator=estimator))
