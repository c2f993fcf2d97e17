"""A fault planted in any kind of node of a convolutional network is named, and none is found where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from signfold.sw.compile import compile_network, driver
from signfold.sw.compile.checkpoint import read_model
from signfold.sw.compile.frontend import import_model
from signfold.sw.errors import CompileError
from signfold.sw.network import Affine


@pytest.fixture
def trained(make_image_run, tmp_path):
    """Return a float network whose channel 0 has a negative gamma, whose channel 1 is constant, in every norm."""
    run = make_image_run(np.random.default_rng(4))
    for name in ("norm0", "norm1", "norm2"):
        gamma = run.tensors[f"model.{name}.weight"]
        gamma[:3] = [-abs(gamma[0]), 0, abs(gamma[2])]
    return import_model(read_model(run.write(tmp_path / "run")))


def changed(nodes, name, **values):
    """Return nodes with some parameters of one of them made anew from the old."""
    return tuple(
        replace(node, **{what: make(getattr(node, what)) for what, make in values.items()})
        if node.name == name
        else node
        for node in nodes
    )


def at(place, make):
    def change(array):
        array = array.copy()
        array[place] = make(array[place])
        return array

    return change


def swapped(array):
    """Exchange the first two channels."""
    return array[[1, 0, *range(2, len(array))]]


FAULTS = [
    # Weights: one, one channel's flip, and channels exchanged; of one bit, two bits and three levels.
    ("conv0", {"weights": at((2, 0, 1, 1), lambda w: 1 - w)}, "'conv0' channel 2: weight [0, 1, 1]"),
    ("conv0", {"weights": at(0, lambda w: 1 - w)}, "'conv0' channel 0"),
    ("conv1", {"weights": at(0, lambda w: 1 - w)}, "'conv1' channel 0"),
    ("conv1", {"weights": swapped}, "'conv1' channel 0"),
    ("conv2", {"weights": at((3, 0, 0, 0), lambda w: (w + 1) % 4)}, "'conv2' channel 3"),
    ("conv2", {"weights": at(0, lambda w: 3 - w)}, "'conv2' channel 0"),
    ("dense0", {"weights": at((9, 7), lambda w: (w + 1) % 3)}, "'dense0' channel 9: weight 7"),
    ("conv2", {"levels": lambda levels: 8}, "'conv2': weights"),
    # Geometry.
    ("conv2", {"padding": lambda p: (1, 1, 1, 0), "stride": lambda s: (1, 1)}, "'conv2': padding"),
    ("pool0", {"kernel": lambda k: (2, 1)}, "'pool0': kernel"),
    ("pool1", {"stride": lambda s: (2, 1)}, "'pool1': stride"),
    ("pool1", {"padding": lambda p: (1, 0, 0, 0)}, "'pool1': padding"),
    # Pads: real zero is v = 0 of pixels and bits, code 0 of unsigned codes.
    ("conv0", {"pad": lambda pad: 16}, "'conv0': pad 16"),
    ("conv1", {"pad": lambda pad: 0}, "'conv1': pad 0"),
    ("conv2", {"pad": lambda pad: None}, "'conv2': pad None"),
    ("conv2", {"pad": lambda pad: 1}, "'conv2': pad 1"),
    # Inverted channels: channel 0 of the pooled sums, no other.
    ("norm0", {"inverted": lambda i: None}, "'norm0' channel 0: inverted is False"),
    ("norm0", {"inverted": at(2, lambda i: True)}, "'norm0' channel 2: inverted is True"),
    ("norm1", {"inverted": lambda i: np.eye(6, dtype=bool)[0]}, "'norm1' channel 0: inverted is True"),
    # Codes of means.
    ("pool2.codes", {"thresholds": at((0, 3), lambda t: t + 2)}, "'pool2.codes' must number"),
    ("pool2.codes", {"thresholds": lambda t: t[:, 1:]}, "'pool2.codes' must number"),
    ("pool2.codes", {"inverted": lambda i: np.array([True])}, "'pool2.codes'"),
    # The chain.
    ("norm2", {"input": lambda i: "norm1"}, "'norm2' reads 'norm1'"),
]

#: Every threshold of channels of all kinds, a step up and down.
STEPS = [
    (name, (channel, level), step)
    for name, levels in (("norm0", 1), ("norm1", 3), ("norm2", 3))
    for channel in range(6)
    for level in range(levels)
    for step in (-2, -1, 1, 2)
]


def refused(monkeypatch, trained, damage, words) -> None:
    fold = driver.fold_body

    def damaged(network):
        folded = fold(network)
        return replace(folded, nodes=damage(folded.nodes))

    monkeypatch.setattr(driver, "fold_body", damaged)
    with pytest.raises(CompileError) as caught:
        compile_network(trained)
    assert str(caught.value).startswith("verify: ") and words in str(caught.value), str(caught.value)


@pytest.mark.parametrize(("name", "values", "words"), FAULTS)
def test_a_fault_is_named(name, values, words, trained, monkeypatch) -> None:
    refused(monkeypatch, trained, lambda nodes: changed(nodes, name, **values), words)


@pytest.mark.parametrize(("name", "place", "step"), STEPS)
def test_a_threshold_a_step_off_is_named(name, place, step, trained, monkeypatch) -> None:
    """Where the neighbour is beyond an equal threshold, the fault makes them fall: sort, and it is still a fault."""

    def damage(thresholds):
        thresholds = at(place, lambda t: t + step)(thresholds)
        return np.sort(thresholds, axis=1)

    refused(
        monkeypatch,
        trained,
        lambda nodes: changed(nodes, name, thresholds=damage),
        f"'{name}' channel {place[0]}: threshold",
    )


def test_missing_and_extra_nodes_are_named(trained, monkeypatch) -> None:
    names = [node.name for node in driver.fold_body(trained).nodes]
    for name in names:
        with monkeypatch.context() as patch:
            refused(patch, trained, lambda nodes, name=name: tuple(n for n in nodes if n.name != name), "")
        with monkeypatch.context() as patch:
            again = lambda nodes, name=name: tuple(  # noqa: E731
                part
                for node in nodes
                for part in ((node, replace(node, name="again", input=name)) if node.name == name else (node,))
            )
            refused(patch, trained, again, "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scale": at(3, lambda s: s + 1)}, "scale"),
        ({"offset": at(3, lambda o: o + 1)}, "offset"),
        ({"offset": at(3, lambda o: o - 1)}, "offset"),
    ],
)
def test_a_fault_in_the_constants_of_classes_is_named(values, words, make_image_run, tmp_path, monkeypatch) -> None:
    """Unsigned codes before the last layer give each class a constant."""
    run = make_image_run(np.random.default_rng(4))
    run.layer("norm2")["signed"] = False
    network = import_model(read_model(run.write(tmp_path / "run")))
    node = compile_network(network).nodes[-1]
    assert isinstance(node, Affine) and node.fraction == 0 and set(node.scale.tolist()) == {1}
    head = driver.add_head
    monkeypatch.setattr(driver, "add_head", lambda *arguments: changed(head(*arguments), "scale", **values))
    with pytest.raises(CompileError, match=f"verify: node 'scale': {words}"):
        compile_network(network)
    monkeypatch.setattr(driver, "add_head", lambda *arguments: head(*arguments)[:-1])
    with pytest.raises(CompileError, match="must become one affine"):
        compile_network(network)
