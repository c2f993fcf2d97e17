"""The embedded data set: 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn."""

import hashlib

import numpy as np

from signfold.sw.data.dataset import Dataset
from signfold.sw.errors import DataError, ToolError

__all__ = ["Digits"]

#: SHA-256 of the pictures followed by the labels, both as bytes.
CONTENTS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"

#: The split's seed. Another value gives another split, and other published accuracies.
SEED = "signfold digits 1"

#: Of each class, one picture in five is for the test set and one in ten for validation.
TEST_SHARE, VALIDATION_SHARE = 5, 10


class Digits(Dataset):
    """Handwritten digits, 8x8 pixels of codes 0..16, split by class with a fixed seed.

    The order of pictures is drawn from SHA-256 instead of a random generator, whose streams may change from one
    release of a library to the next: everyone has the same test set, always. Writers are not kept apart.
    """

    name = "digits"
    bits = 5
    shape = (8, 8)
    classes = 10
    sizes = {"train": 1266, "validation": 176, "test": 355}

    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        pictures, labels = _embedded()
        chosen = _parts(labels)[part]
        return pictures[chosen], labels[chosen]


def _embedded() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ToolError("the digits data set ships inside scikit-learn: install signfold[train]") from error
    bunch = load_digits()
    pictures, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    found = hashlib.sha256(pictures.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    if found != CONTENTS_SHA256:
        raise DataError(f"digits: this scikit-learn holds other pictures, SHA-256 {found}, expected {CONTENTS_SHA256}")
    return pictures, labels


def _parts(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Row numbers of each part, ascending; the share of every class is the same in all parts, to one picture."""
    ranks = np.array([hashlib.sha256(f"{SEED} {row}".encode()).hexdigest() for row in range(len(labels))])
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for label in range(Digits.classes):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(ranks[rows], kind="stable")]
        test, validation = len(rows) // TEST_SHARE, len(rows) // VALIDATION_SHARE
        parts["test"].append(rows[:test])
        parts["validation"].append(rows[test : test + validation])
        parts["train"].append(rows[test + validation :])
    return {part: np.sort(np.concatenate(rows)) for part, rows in parts.items()}
