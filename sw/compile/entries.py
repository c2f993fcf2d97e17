"""What entries of a layer list and tensors of a checkpoint must be, checked, each tensor taken once."""

from collections.abc import Mapping

import numpy as np

from signfold.sw.compile.window import Window
from signfold.sw.errors import CheckpointError
from signfold.sw.network.types import is_int, shown

__all__ = ["EntryReader"]


class EntryReader:
    """Takes tensors and numbers for layers, refused by the layer's name.

    Parameters
    ----------
    tensors : mapping of str to numpy.ndarray
        Those of the model, named ``model.LAYER.PARAMETER``.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = dict(tensors)

    def take(self, layer: str, parameter: str, shape: tuple[int, ...] | None, dtype: type = np.float32) -> np.ndarray:
        """Return a layer's tensor; `shape` None allows any vector."""
        name = f"model.{layer}.{parameter}"
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            raise CheckpointError(f"layer {shown(layer)}: tensor {shown(name)} is missing")
        fits = tensor.ndim == 1 and tensor.size > 0 if shape is None else tensor.shape == shape
        if tensor.dtype != dtype or not fits:
            wanted = "[channels]" if shape is None else list(shape)
            raise CheckpointError(
                f"layer {shown(layer)}: tensor {shown(name)} must be {np.dtype(dtype)} {wanted}, not {tensor.dtype} "
                f"{list(tensor.shape)}"
            )
        return tensor

    def drop(self, layer: str, parameter: str) -> None:
        """Leave out a tensor that only training reads, where there is one."""
        self._tensors.pop(f"model.{layer}.{parameter}", None)

    def finish(self) -> None:
        """Refuse tensors that no layer took."""
        if self._tensors:
            raise CheckpointError(f"tensor {shown(min(self._tensors))} belongs to no layer")

    @staticmethod
    def sizes(name: str, entry: Mapping[str, object], *keys: str) -> tuple[int, ...]:
        """Return positive sizes by their names in the entry."""
        sizes = tuple(entry.get(key) for key in keys)
        if not all(is_int(size) and size > 0 for size in sizes):
            raise CheckpointError(
                f"layer {shown(name)}: {' and '.join(reversed(keys))} must be positive, not {shown(sizes[::-1])}"
            )
        return sizes

    @staticmethod
    def window(name: str, entry: Mapping[str, object]) -> Window:
        """Return the window of an entry."""
        return Window.checked(name, entry.get("kernel"), entry.get("stride"), entry.get("padding"))

    @staticmethod
    def numbers(layer: str, what: str, values: object) -> np.ndarray:
        """Return a list of numbers as float32."""
        good = isinstance(values, list) and values
        if not good or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e38 for v in values
        ):
            raise CheckpointError(f"layer {shown(layer)}: {what} must be a list of numbers, not {shown(values)}")
        return np.array(values, np.float32)

    @staticmethod
    def thresholds(layer: str, values: object) -> np.ndarray:
        """Return a list of integers as int64."""
        good = isinstance(values, list) and values and all(is_int(value) and abs(value) < 1 << 31 for value in values)
        if not good:
            raise CheckpointError(f"layer {shown(layer)}: thresholds must be a list of integers, not {shown(values)}")
        return np.array(values, np.int64)
