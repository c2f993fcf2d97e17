"""Data sets by name: parts, sizes, where files are looked for, what is said where they are not."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from signfold.sw.data import SPLITS, load, names
from signfold.sw.data.catalogue import CATALOGUE
from signfold.sw.errors import DataError


def shared_folder() -> Path:
    """Folder of the real files, or a skip that says how to get them."""
    folder = Path(os.environ.get("SIGNFOLD_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (folder / "mnist").is_dir():
        pytest.skip("no MNIST files: set SIGNFOLD_DATA to a folder made by `signfold data download mnist`")
    return folder


def test_digits_parts_are_disjoint_stratified_and_fixed() -> None:
    digits = load("digits")
    assert (digits.bits, digits.shape, digits.classes, digits.elements) == (5, (8, 8), 10, 64)
    count = 0
    for part in SPLITS:
        pictures, labels = digits.split(part)
        assert pictures.dtype == np.uint8 and pictures.shape == (digits.sizes[part], 8, 8)
        assert labels.dtype == np.int64 and labels.shape == (digits.sizes[part],)
        assert pictures.max() == 16
        shares = np.bincount(labels, minlength=10) / len(labels)
        assert shares.min() > 0.09 and shares.max() < 0.11
        count += len(labels)
    assert count == 1797
    # A change of the split changes every published accuracy, so it has to be deliberate.
    assert hashlib.sha256(digits.split("test")[0].tobytes()).hexdigest() == (
        "f006ba660db0eb5984e997a875e988ec89dbf969be84ae2556a3917c88c415b5"
    )


def test_unknown_names_are_refused() -> None:
    with pytest.raises(DataError, match="'cifar'.*digits, mnist, fashion-mnist, cifar10"):
        load("cifar")
    with pytest.raises(ValueError, match="'training'.*train, validation, test"):
        load("digits").split("training")


def test_names_lists_what_load_knows() -> None:
    assert names() == ("digits", "mnist", "fashion-mnist", "cifar10")
    for name in names():
        assert load(name).name == name


@pytest.mark.parametrize("name", CATALOGUE)
def test_absent_files_are_named(tmp_path, name: str) -> None:
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte.*data download {name}"):
        load(name, tmp_path).split("train")
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        load(name, tmp_path).split("test")


def test_folder_comes_from_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SIGNFOLD_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="elsewhere"):
        load("mnist").split("test")
    monkeypatch.delenv("SIGNFOLD_DATA")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="neither in data/mnist nor in data"):
        load("mnist").split("test")


@pytest.mark.parametrize("name", CATALOGUE)
def test_real_files_split_as_documented(name: str) -> None:
    dataset = load(name, shared_folder())
    for part, size in {"train": 55_000, "validation": 5_000, "test": 10_000}.items():
        pictures, labels = dataset.split(part)
        assert pictures.shape == (size, 28, 28) and pictures.dtype == np.uint8
        assert labels.shape == (size,) and labels.dtype == np.int64
        assert set(np.unique(labels)) == set(range(10))
        assert dataset.sizes[part] == size


def test_flat_and_uncompressed_files_are_found_and_checked(tmp_path) -> None:
    real = shared_folder() / "mnist"
    images = tmp_path / "t10k-images-idx3-ubyte"
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    images.write_bytes(gzip.decompress((real / f"{images.name}.gz").read_bytes()))
    shutil.copyfile(real / labels.name, labels)
    pictures, classes = load("mnist", tmp_path).split("test")
    assert len(pictures) == len(classes) == 10_000
    # The same names under another data set are not taken for its own.
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: corrupt"):
        load("fashion-mnist", tmp_path).split("test")
    contents = bytearray(images.read_bytes())
    contents[-1] ^= 1
    images.write_bytes(contents)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: corrupt"):
        load("mnist", tmp_path).split("test")
    images.write_bytes(contents[:-1])
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: truncated"):
        load("mnist", tmp_path).split("test")
