"""Names of data sets to data sets."""

import os
from pathlib import Path

from signfold.sw.data.catalogue import CATALOGUE
from signfold.sw.data.cifar import Cifar10
from signfold.sw.data.dataset import Dataset
from signfold.sw.data.digits import Digits
from signfold.sw.data.mnist import Mnist
from signfold.sw.errors import DataError

__all__ = ["data_folder", "load", "names"]


def names() -> tuple[str, ...]:
    """Names that `load` knows: the embedded set first."""
    return (Digits.name, *CATALOGUE, Cifar10.name)


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Folder that holds downloaded data sets.

    Parameters
    ----------
    data_dir : path-like, optional
        The folder; without it the environment variable SIGNFOLD_DATA, and without that `./data`.

    Returns
    -------
    pathlib.Path
        The folder, which need not exist.
    """
    return Path(data_dir if data_dir is not None else os.environ.get("SIGNFOLD_DATA") or "data")


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Open a data set; files are read when a part is asked for.

    Parameters
    ----------
    name : str
        One of `names()`.
    data_dir : path-like, optional
        Data folder, see `data_folder`; the embedded set needs none.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    DataError
        No data set has this name.
    """
    if name == Digits.name:
        return Digits()
    if name == Cifar10.name:
        return Cifar10(data_folder(data_dir))
    if name not in CATALOGUE:
        raise DataError(f"no data set is named {name!r}, allowed: {', '.join(names())}")
    return Mnist(CATALOGUE[name], data_folder(data_dir))
