"""A labelled set of pictures in three parts, whatever file it comes from."""

from abc import ABC, abstractmethod

import numpy as np

__all__ = ["SPLITS", "Dataset"]

#: Parts of every data set: fit on the first, choose on the second, report on the third.
SPLITS = ("train", "validation", "test")


class Dataset(ABC):
    """Pictures of unsigned integer codes with a class each.

    Attributes
    ----------
    name : str
        Name that `load` knows it by.
    bits : int
        Width of a pixel's code: values are 0..2**bits - 1.
    shape : tuple of int
        Height and width of a picture, channels before them where there are several.
    classes : int
        Number of classes; labels are 0..classes - 1.
    class_names : tuple of str
        What the classes are called; the numbers where they have no other name.
    sizes : dict
        Number of pictures in each part.
    """

    name: str
    bits: int
    shape: tuple[int, ...]
    classes: int
    sizes: dict[str, int]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(map(str, range(self.classes)))

    def note(self, part: str) -> str | None:  # noqa: ARG002 (for those that have one)
        """Say what a reader of results on a part has to know of it.

        Parameters
        ----------
        part : str
            One of `SPLITS`.

        Returns
        -------
        str or None
            None where the part is what was published.
        """
        return None

    @property
    def elements(self) -> int:
        """Pixels of a picture."""
        return int(np.prod(self.shape))

    def split(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Read one part; the files of the other parts are not touched.

        Parameters
        ----------
        part : str
            One of `SPLITS`.

        Returns
        -------
        tuple of numpy.ndarray
            Pictures, uint8 [n, *shape], and labels, int64 [n].

        Raises
        ------
        ValueError
            `part` is none of `SPLITS`.
        DataError
            A file is absent, truncated or corrupt.
        """
        if part not in SPLITS:
            raise ValueError(f"part is {part!r}, allowed: {', '.join(SPLITS)}")
        return self._read(part)

    @abstractmethod
    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Read one part whose name is known to be valid."""
