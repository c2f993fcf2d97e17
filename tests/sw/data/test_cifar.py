"""CIFAR-10: records, the two parts of the training files, test files of any whole number of records."""

import os
from pathlib import Path

import numpy as np
import pytest

from signfold.sw.data import load
from signfold.sw.data.cifar import CLASSES, RECORD, parse_records
from signfold.sw.errors import DataError

FOLDER = "cifar-10-batches-bin"


def records(count: int, seed: int = 1) -> bytes:
    """Make up a batch."""
    values = np.random.default_rng(seed).integers(0, 256, (count, RECORD), dtype=np.uint8)
    values[:, 0] %= 10
    return values.tobytes()


def test_a_record_is_a_label_and_three_planes_of_rows() -> None:
    contents = bytearray(records(3))
    contents[RECORD] = 9
    contents[RECORD + 1 + 2 * 1024 + 5 * 32 + 7] = 201
    pictures, labels = parse_records(bytes(contents), "batch")
    assert pictures.shape == (3, 3, 32, 32) and pictures.dtype == np.uint8
    assert labels.dtype == np.int64 and CLASSES[labels[1]] == "truck"
    assert pictures[1, 2, 5, 7] == 201


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "0 bytes long"),
        (records(2)[:-1], "6145 bytes long"),
        (records(2) + b"\0", "6147 bytes long"),
        (records(1)[1:], "3072 bytes long"),
        (records(1) + b"\x0a" + bytes(3072), "record 1 is 10"),
    ],
)
def test_other_contents_are_refused(contents: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_records(contents, "batch")


def test_short_test_files_are_read_as_they_are(tmp_path) -> None:
    (tmp_path / FOLDER).mkdir()
    file = tmp_path / FOLDER / "test_batch.bin"
    file.write_bytes(records(7))
    dataset = load("cifar10", tmp_path)
    pictures, labels = dataset.split("test")
    assert len(pictures) == len(labels) == dataset.sizes["test"] == 7
    assert dataset.note("test") == "first 7 of 10,000 test pictures"
    assert dataset.note("train") is None
    for count, what in ((1200, "first 1000 records"), (10_000, "SHA-256 is")):
        file.write_bytes(records(count))
        with pytest.raises(DataError, match=f"test_batch.bin: corrupt, .*{what}"):
            dataset.split("test")
    file.write_bytes(records(10_000) + records(1))
    with pytest.raises(DataError, match="allowed: 1 to 10000 records"):
        dataset.split("test")


def test_training_batches_are_checked(tmp_path) -> None:
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(records(2))
    with pytest.raises(DataError, match="data_batch_5.bin: corrupt"):
        load("cifar10", tmp_path).split("validation")
    with pytest.raises(DataError, match="data_batch_1.bin: corrupt"):
        load("cifar10", tmp_path).split("train")


def test_absent_files_are_named(tmp_path) -> None:
    dataset = load("cifar10", tmp_path)
    assert dataset.sizes == {"train": 45_000, "validation": 5_000, "test": 10_000}
    with pytest.raises(DataError, match="data_batch_1.bin.*data download cifar10"):
        dataset.split("train")
    with pytest.raises(DataError, match="test_batch.bin"):
        dataset.split("test")


def test_real_files_split_as_documented() -> None:
    folder = Path(os.environ.get("SIGNFOLD_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (folder / FOLDER).is_dir():
        pytest.skip("no CIFAR-10 files: set SIGNFOLD_DATA to a folder made by `signfold data download cifar10`")
    dataset = load("cifar10", folder)
    assert (dataset.bits, dataset.shape, dataset.classes, dataset.elements) == (8, (3, 32, 32), 10, 3072)
    assert dataset.class_names[3] == "cat"
    batch = [parse_records((folder / FOLDER / f"data_batch_{n}.bin").read_bytes(), "batch") for n in (1, 5)]
    for part, size in {"train": 45_000, "validation": 5_000}.items():
        pictures, labels = dataset.split(part)
        assert pictures.shape == (size, 3, 32, 32) and labels.shape == (size,)
        assert set(np.unique(labels)) == set(range(10))
        if part == "train":
            assert np.array_equal(pictures[:10_000], batch[0][0]) and np.array_equal(labels[:10_000], batch[0][1])
            assert np.array_equal(pictures[-5_000:], batch[1][0][:5_000])
        else:
            assert np.array_equal(pictures, batch[1][0][5_000:]) and np.array_equal(labels, batch[1][1][5_000:])
    pictures, labels = dataset.split("test")
    assert len(pictures) == len(labels) == dataset.sizes["test"]
    assert labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
