"""Shipped networks by name, others by path."""

import numpy as np
import pytest

from signfold.sw import zoo
from signfold.sw.data import names as datasets
from signfold.sw.errors import NetworkError
from signfold.sw.network import Dense, InputType, Network, Threshold


def tiny(threshold: int = 1) -> Network:
    nodes = (Threshold("p", "input", np.array([[threshold]])), Dense("d", "p", np.eye(2, dtype=np.uint8)))
    return Network(InputType((2,), 1), nodes, "d")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Put two networks on an otherwise empty shelf and stand in another folder."""
    (tmp_path / "shelf").mkdir()
    for name, threshold in (("tiny-b", 1), ("tiny-a", 2)):
        tiny(threshold).save(tmp_path / "shelf" / f"{name}.safetensors")
    monkeypatch.setattr(zoo, "_FOLDER", tmp_path / "shelf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_and_paths(shelf) -> None:
    assert zoo.names() == ("tiny-a", "tiny-b")
    assert zoo.load("tiny-a").content_hash == tiny(2).content_hash
    tiny(0).save("tiny-a")
    assert zoo.load("tiny-a").content_hash == tiny(2).content_hash
    assert zoo.load("./tiny-a").content_hash == zoo.load(shelf / "tiny-a").content_hash == tiny(0).content_hash


@pytest.mark.parametrize("name", ["tiny", "tiny-a.safetensors", "../shelf", "nul\0", "", "x" * 5000])
def test_unknown_names_list_the_known(name, shelf) -> None:
    with pytest.raises(NetworkError) as caught:
        zoo.load(name)
    assert "tiny-a, tiny-b" in str(caught.value) or "not a file" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", zoo.names())
def test_every_shipped_network_loads_and_says_what_it_is(name) -> None:
    network = zoo.load(name)
    assert network.metadata["dataset"] in datasets()
    assert set(network.metadata["accuracy"]) == {"split", "frames", "integer", "float"}
