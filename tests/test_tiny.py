"""Is anything broken? Every stage of the way once, on the smallest network that has all of its parts."""

import numpy as np
import pytest
from typer.testing import CliRunner

from signfold.hw.accelerator import AcceleratorConfig
from signfold.sim.streams import run_stream
from signfold.sw import zoo
from signfold.sw.cli.app import COMMANDS, app
from signfold.sw.data import load
from signfold.sw.default_plan import default_plan
from signfold.sw.generate import generate
from signfold.sw.lower import lower
from signfold.sw.network import Affine, Dense, InputType, Network, Threshold


@pytest.fixture(scope="module")
def network():
    """6 pixels of 3 bits, 5 hidden channels of which one is always 1 and one never, 3 classes of their own scales."""
    rng = np.random.default_rng(7)
    return Network(
        input=InputType(shape=(6,), bits=3),
        nodes=(
            Threshold("pixels", "input", np.array([[4]])),
            Dense("dense0", "pixels", rng.integers(0, 2, (5, 6)).astype(np.uint8)),
            Threshold("sign0", "dense0", np.array([[0], [2], [-6], [8], [-2]])),
            Dense("dense1", "sign0", rng.integers(0, 2, (3, 5)).astype(np.uint8)),
            Affine("scores", "dense1", np.array([3, -2, 1]), np.array([0, 4, -1]), 2),
        ),
        output="scores",
    )


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(8).integers(0, 8, (12, 6)).astype(np.uint8)


def plain_evaluation(network, frames):
    """The network in five lines of integer arithmetic, as its docstring defines it."""
    _, dense0, sign0, dense1, scores = network.nodes
    bits = 2 * (frames >= 4).astype(np.int64) - 1
    hidden = 2 * (bits @ (2 * dense0.weights.astype(np.int64) - 1).T >= sign0.thresholds[:, 0]) - 1
    result = hidden @ (2 * dense1.weights.astype(np.int64) - 1).T * scores.scale + scores.offset
    return result, result.argmax(axis=1)


def test_golden_model(network, frames):
    expected, classes = plain_evaluation(network, frames)
    evaluation = network.evaluate(frames)
    assert (evaluation.scores == expected).all() and (evaluation.classes == classes).all()


def test_file_round_trip(network, frames, tmp_path):
    network.save(tmp_path / "tiny.safetensors")
    again = Network.load(tmp_path / "tiny.safetensors")
    assert again.content_hash == network.content_hash
    assert (again.evaluate(frames).scores == network.evaluate(frames).scores).all()


def test_gateware(network, frames):
    """Scores, classes, latency and interval of the simulated accelerator, exactly."""
    config = lower(network, default_plan(network))
    assert isinstance(config, AcceleratorConfig)
    expected = network.evaluate(frames)
    scores, classes = config.compute(frames)
    assert (scores == expected.scores).all() and (classes == expected.classes).all()
    beats = [{"codes": [int(code)], "last": int(k == 5)} for frame in frames for k, code in enumerate(frame)]
    run = run_stream(config.create(), beats, count=3 * len(frames))
    assert [beat["score"] for beat in run.outputs] == expected.scores.ravel().tolist()
    assert [beat["best"] for beat in run.outputs[2::3]] == expected.classes.tolist()
    assert run.output_cycles[2] - run.input_cycles[0] == config.latency
    assert run.output_cycles[-1] - run.output_cycles[-4] == config.interval


def test_generate(network, tmp_path):
    """Same input, same bytes."""
    first, second = (generate(network, default_plan(network), tmp_path / name) for name in ("a", "b"))
    names = sorted(path.name for path in first.folder.iterdir())
    assert "accelerator.v" in names and "module accelerator" in first.verilog.read_text()
    assert names == sorted(path.name for path in second.folder.iterdir())
    assert all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in names)


def test_embedded_data():
    images, labels = load("digits").split("test")
    assert len(images) == len(labels) > 0
    assert set(labels.tolist()) == set(range(10))


def test_shipped_networks_load():
    for name in zoo.names():
        assert zoo.load(name).classes > 1


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
