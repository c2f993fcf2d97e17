"""MNIST and its drop-in relatives, read from the IDX files of a data folder."""

from pathlib import Path

import numpy as np

from signfold.sw.data.catalogue import IdxFile, IdxSource
from signfold.sw.data.dataset import Dataset
from signfold.sw.data.idx import find_idx, read_idx
from signfold.sw.errors import DataError

__all__ = ["Mnist"]

#: The last pictures of the training files are the validation part.
VALIDATION = 5_000


class Mnist(Dataset):
    """One data set of MNIST's shape: 55,000 + 5,000 + 10,000 pictures of 28x28 8-bit pixels in 10 classes.

    Parameters
    ----------
    source : IdxSource
        File names and checksums.
    folder : pathlib.Path
        Data folder; the files lie in `<folder>/<name>/` or in `<folder>` itself, compressed or not.
    """

    bits = 8
    shape = (28, 28)
    classes = 10

    def __init__(self, source: IdxSource, folder: Path) -> None:
        self.name = source.name
        self.sizes = {"train": 60_000 - VALIDATION, "validation": VALIDATION, "test": 10_000}
        self._source = source
        self._folder = folder

    def find(self, file: IdxFile) -> Path:
        """Path of one of the source's files.

        Parameters
        ----------
        file : IdxFile
            The file to look for.

        Returns
        -------
        pathlib.Path
            Where it lies.

        Raises
        ------
        DataError
            It is in none of the places; the message names them and the command that fetches it.
        """
        for folder in (self._folder / self.name, self._folder):
            path = find_idx(folder, file.name)
            if path is not None:
                return path
        raise DataError(
            f"{self.name}: {file.name}[.gz] is neither in {self._folder / self.name} nor in {self._folder}; "
            f"run `signfold data download {self.name}`, or name the folder with --data-dir or SIGNFOLD_DATA"
        )

    def read(self, file: IdxFile) -> np.ndarray:
        """Read one of the source's files and check it against its published checksum.

        Parameters
        ----------
        file : IdxFile
            The file to read.

        Returns
        -------
        numpy.ndarray
            Read-only uint8 array of `file.shape`.

        Raises
        ------
        DataError
            The file is absent, truncated or corrupt.
        """
        return read_idx(self.find(file), shape=file.shape, sha256=file.sha256)

    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        source = self._source
        if part == "test":
            return self.read(source.test_images), self.read(source.test_labels).astype(np.int64)
        pictures, labels = self.read(source.train_images), self.read(source.train_labels).astype(np.int64)
        rows = slice(None, -VALIDATION) if part == "train" else slice(-VALIDATION, None)
        return pictures[rows], labels[rows]
