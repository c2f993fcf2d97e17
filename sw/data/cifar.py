"""CIFAR-10, read from the binary batches of a data folder."""

import hashlib
from pathlib import Path

import numpy as np

from signfold.sw.data.catalogue import ARCHIVES
from signfold.sw.data.dataset import Dataset
from signfold.sw.errors import DataError

__all__ = ["CLASSES", "RECORD", "Cifar10", "parse_records"]

#: One record: a label and the red, green and blue planes of a picture.
SHAPE, RECORD = (3, 32, 32), 1 + 3 * 32 * 32

#: The published archive; its training batches in the order that numbers the pictures, and the test batch.
SOURCE = ARCHIVES["cifar10"]
*BATCHES, TEST = SOURCE.files

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

#: The last pictures of the training files are the validation part: numbers 45,000 to 49,999.
VALIDATION = 5_000

#: Records of a training batch, and of the published test batch.
BATCH_RECORDS = 10_000

#: SHA-256 of the first records of the test batch, for copies that hold no more than these.
FIRST_TESTS, FIRST_TESTS_SHA256 = 1_000, "8314c96d7cd65618193bab23acdd5d4c4af15bf6dd00a1781d55beedf3be1ef5"


class Cifar10(Dataset):
    """45,000 + 5,000 pictures of 3x32x32 8-bit pixels in 10 classes, and as many test pictures as the file holds.

    The published test file has 10,000 records; one that ends early, after any whole number of them, is read as it is,
    and `sizes` and `note` say how many there are. Whole files are checked against their published checksums, and so
    are the first 1,000 records of a test file that is not whole.

    Parameters
    ----------
    folder : pathlib.Path
        Data folder; the batches lie in its folder `cifar-10-batches-bin` or `cifar10`, or in `folder` itself.
    """

    name = "cifar10"
    bits = 8
    shape = SHAPE
    classes = len(CLASSES)
    class_names = CLASSES

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def sizes(self) -> dict[str, int]:  # type: ignore[override]
        """Number of pictures in each part; of the test part, what its file holds, or 10,000 where there is none."""
        try:
            tests = self.find(TEST).stat().st_size // RECORD
        except DataError:
            tests = BATCH_RECORDS
        # Free of checks: `split` finds out what a file of another length is worth.
        return {"train": len(BATCHES) * BATCH_RECORDS - VALIDATION, "validation": VALIDATION, "test": tests}

    def note(self, part: str) -> str | None:
        """See `Dataset.note`: how many of the 10,000 test pictures there are."""
        tests = self.sizes["test"]
        if part != "test" or tests == BATCH_RECORDS:
            return None
        exact = "exact first " if tests >= FIRST_TESTS else "first "
        return f"{exact}{tests:,} of {BATCH_RECORDS:,} test pictures"

    def find(self, file: str) -> Path:
        """Path of one of the batches.

        Parameters
        ----------
        file : str
            Name of the file.

        Returns
        -------
        pathlib.Path
            Where it lies.

        Raises
        ------
        DataError
            It is in none of the places; the message names the command that fetches it.
        """
        for folder in (self._folder / SOURCE.folder, self._folder / self.name, self._folder):
            if (folder / file).is_file():
                return folder / file
        raise DataError(
            f"{self.name}: {file} is neither in {self._folder / SOURCE.folder} nor in {self._folder}; "
            f"run `signfold data download {self.name}`, or name the folder with --data-dir or SIGNFOLD_DATA"
        )

    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        if part == "test":
            return self._test()
        # Validation is the last half of the last batch: the others need not be read for it.
        files = BATCHES if part == "train" else BATCHES[-1:]
        parts = [self._batch(file) for file in files]
        pictures, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        rows = slice(None, -VALIDATION) if part == "train" else slice(-VALIDATION, None)
        return pictures[rows], labels[rows]

    def _batch(self, file: str) -> tuple[np.ndarray, np.ndarray]:
        path = self.find(file)
        contents = _contents(path)
        _check(path, contents, "", SOURCE.files[file])
        return parse_records(contents, str(path))

    def _test(self) -> tuple[np.ndarray, np.ndarray]:
        path = self.find(TEST)
        contents = _contents(path)
        arrays = parse_records(contents, str(path))
        if len(contents) == BATCH_RECORDS * RECORD:
            _check(path, contents, "", SOURCE.files[TEST])
        elif len(contents) >= FIRST_TESTS * RECORD:
            first = contents[: FIRST_TESTS * RECORD]
            _check(path, first, f" of its first {FIRST_TESTS} records", FIRST_TESTS_SHA256)
        return arrays


def _check(path: Path, contents: bytes, what: str, expected: str) -> None:
    found = hashlib.sha256(contents).hexdigest()
    if found != expected:
        raise DataError(f"{path}: corrupt, SHA-256{what} is {found}, expected {expected}; fetch it again")


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(BATCH_RECORDS * RECORD + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_records(contents: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode a batch.

    Parameters
    ----------
    contents : bytes
        Any whole number of records, at least 1 and at most 10,000.
    name : str
        What error messages call it.

    Returns
    -------
    tuple of numpy.ndarray
        Pictures, read-only uint8 [n, 3, 32, 32], and labels, int64 [n].

    Raises
    ------
    DataError
        The length is not that of whole records, or a label is above 9.
    """
    count, rest = divmod(len(contents), RECORD)
    if rest or not 1 <= count <= BATCH_RECORDS:
        raise DataError(
            f"{name}: {len(contents)} bytes long, allowed: 1 to {BATCH_RECORDS} records of {RECORD} bytes each"
        )
    records = np.frombuffer(contents, dtype=np.uint8).reshape(count, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        record = int(np.flatnonzero(labels >= len(CLASSES))[0])
        raise DataError(f"{name}: the label of record {record} is {labels[record]}, allowed: 0..{len(CLASSES) - 1}")
    return records[:, 1:].reshape(count, *SHAPE), labels
