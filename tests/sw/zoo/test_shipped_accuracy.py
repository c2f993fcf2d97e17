"""The shipped networks reach the accuracies that the documentation states, picture by picture."""

import os
from pathlib import Path

import pytest

from signfold.sw import zoo
from signfold.sw.compile.accuracy import frames_for, measure
from signfold.sw.data import load

#: Pictures of the test set that are classified rightly; docs/training.md states the same.
CORRECT = {"sfc-mnist": 9822, "digits": 333}


def test_every_shipped_network_states_an_accuracy() -> None:
    assert set(CORRECT) == set(zoo.names())


@pytest.mark.parametrize("name", CORRECT)
def test_reaches_its_stated_accuracy(name: str) -> None:
    network = zoo.load(name)
    data = network.metadata["dataset"]
    folder = Path(os.environ.get("SIGNFOLD_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if data != "digits" and not (folder / data).is_dir():
        pytest.skip(f"no {data} files: set SIGNFOLD_DATA to a folder made by `signfold data download {data}`")
    for split, correct in (
        ("test", CORRECT[name]),
        ("validation", round(network.metadata["accuracy"]["integer"] * network.metadata["accuracy"]["frames"])),
    ):
        frames, labels = frames_for(network, load(data, folder), split)
        assert measure(network, frames, labels).correct == correct
