"""The shipped networks reach the accuracies that the documentation states, picture by picture."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from signfold.sw import zoo
from signfold.sw.compile.accuracy import frames_for, measure
from signfold.sw.data import load
from signfold.sw.network import Network

#: Pictures of the test set that are classified rightly, and of how many; docs/training.md states the same.
CORRECT = {
    "lfc-mnist": (9922, 10_000),
    "sfc-mnist": (9859, 10_000),
    "sfc-mnist-bits": (9822, 10_000),
    "tfc-mnist": (9564, 10_000),
    "digits": (333, 355),
    "conv-mnist": (9921, 10_000),
    "conv-fashion-mnist": (8790, 10_000),
    "cnv-cifar10": (824, 1_000),
    "resnet20-cifar10": (804, 1_000),
}

#: Networks whose validation part is left to the sweep.
LARGE = ("conv-mnist", "conv-fashion-mnist", "cnv-cifar10", "resnet20-cifar10")

#: Folder of a data set's files, where it is not called like the data set; None: embedded.
FOLDERS = {"digits": None, "cifar10": "cifar-10-batches-bin"}


@cache
def unpacked(unpacker: Path) -> Path:
    """Return a data folder with what a script lays out for its argument `cifar10`, or one that is empty."""
    folder = Path(tempfile.mkdtemp(prefix="signfold-cifar10-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if unpacker.is_file():
        subprocess.run([sys.executable, unpacker, folder, "cifar10"], check=True, capture_output=True)
    return folder


def frames(network: Network, split: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read a part of the network's data set, or skip where there is none."""
    data = network.metadata["dataset"]
    folder = Path(os.environ.get("SIGNFOLD_DATA") or Path(__file__).parents[4] / "shared" / "data")
    files = FOLDERS.get(data, data)
    if data == "cifar10" and not (folder / files).is_dir():
        folder = unpacked(folder / "unpack.py")
    if files is not None and not (folder / files).is_dir():
        pytest.skip(f"no {data} files: set SIGNFOLD_DATA to a folder made by `signfold data download {data}`")
    return frames_for(network, load(data, folder), split, limit)


def test_every_shipped_network_states_an_accuracy() -> None:
    assert set(CORRECT) == set(zoo.names())


@pytest.mark.parametrize("name", CORRECT)
def test_reaches_its_stated_accuracy(name: str) -> None:
    network, (correct, count) = zoo.load(name), CORRECT[name]
    pictures, labels = frames(network, "test", count)
    if len(labels) < count:
        pytest.skip(f"{len(labels)} test pictures, the accuracy is stated for {count}")
    assert measure(network, pictures, labels).correct == correct


# Thousands of pictures through millions of products each: the larger networks take their time.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.sweep] if name in LARGE else []) for name in CORRECT]
)
def test_reaches_the_validation_accuracy_that_it_carries(name: str) -> None:
    network = zoo.load(name)
    accuracy = network.metadata["accuracy"]
    assert accuracy["split"] == "validation"
    result = measure(network, *frames(network, "validation"))
    assert (result.correct, result.frames) == (round(accuracy["integer"] * accuracy["frames"]), accuracy["frames"])
