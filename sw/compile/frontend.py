"""Pass: a checkpoint's layer list and tensors become the float network; whatever is not understood is refused."""

from collections.abc import Mapping

import numpy as np

from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.float_network import (
    BatchNorm,
    CommonScale,
    FloatDense,
    FloatLayer,
    FloatNetwork,
    PixelThresholds,
)
from signfold.sw.errors import CheckpointError, NetworkError
from signfold.sw.network import InputType
from signfold.sw.network.types import is_int, shown

__all__ = ["import_model"]

#: Parameters of batch normalization by the names of their tensors.
_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


def import_model(model: StoredModel) -> FloatNetwork:
    """Build the float network of a stored model.

    Raises
    ------
    CheckpointError
        A layer is unknown or out of place, or a tensor missing, of the wrong type or shape, or not used: named.
    CompileError
        A parameter is not finite, a variance is impossible, or layers do not fit together.
    """
    entries = model.description.get("layers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"model: layers must be a list of objects, not {shown(entries)}")
    reader = _LayerReader(model.tensors)
    layers = [reader.layer(position, entry) for position, entry in enumerate(entries)]
    reader.finish()
    if not layers or not isinstance(layers[0], PixelThresholds):
        raise CheckpointError("model: the first layer must be an 'input_threshold'")
    pixels, *rest = layers
    head = None
    if rest and (isinstance(rest[-1], CommonScale) or (isinstance(rest[-1], BatchNorm) and not rest[-1].sign)):
        head = rest.pop()
    if not rest or not isinstance(rest[-1], FloatDense):
        raise CheckpointError("model: a 'dense' layer must come last, or last before a 'scale' or 'batchnorm'")
    last = rest.pop()
    hidden = []
    for position in range(0, len(rest), 2):
        pair = rest[position : position + 2]
        fits = len(pair) == 2 and isinstance(pair[0], FloatDense) and isinstance(pair[1], BatchNorm) and pair[1].sign
        if not fits:
            raise CheckpointError(
                f"layer {shown(pair[0].name)}: hidden layers must be a 'dense' and a 'batchnorm_sign' in turn"
            )
        hidden.append((pair[0], pair[1]))
    return FloatNetwork(_input(model.description.get("input")), pixels, tuple(hidden), last, head)


def _input(entry: object) -> InputType:
    if not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
        raise CheckpointError(f"model: input must be an object with shape and bits, not {shown(entry)}")
    try:
        return InputType(tuple(entry["shape"]), entry.get("bits"))
    except NetworkError as cause:
        raise CheckpointError(f"model: {cause}") from None


class _LayerReader:
    """Turns layer entries into layers, taking each tensor once."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = dict(tensors)
        self._names: set[str] = set()

    def layer(self, position: int, entry: Mapping[str, object]) -> FloatLayer:
        """Read one entry."""
        kind = entry.get("kind")
        name = entry.get("name", kind)
        if not isinstance(name, str) or not name or name == "input" or name in self._names:
            raise CheckpointError(f"layer {position}: name {shown(name)} must be text, unique, and not 'input'")
        self._names.add(name)
        match kind:
            case "input_threshold":
                return PixelThresholds(name, self._thresholds(name, entry.get("thresholds")))
            case "dense":
                shape = (entry.get("out"), entry.get("in"))
                if not all(is_int(size) and size > 0 for size in shape):
                    raise CheckpointError(f"layer {shown(name)}: in and out must be positive, not {shown(shape[::-1])}")
                return FloatDense(name, self._take(name, "weight", shape))
            case "batchnorm_sign" | "batchnorm":
                eps = entry.get("eps")
                if not isinstance(eps, (int, float)) or isinstance(eps, bool) or abs(eps) > 1e38:
                    raise CheckpointError(f"layer {shown(name)}: eps must be a number, not {shown(eps)}")
                arrays = {ours: self._take(name, theirs, None) for ours, theirs in _NORM.items()}
                return BatchNorm(name, **arrays, eps=float(eps), sign=kind == "batchnorm_sign")
            case "scale":
                return CommonScale(name, self._take(name, "log_scale", ()))
        raise CheckpointError(f"layer {shown(name)}: kind {shown(kind)} is not known to this compiler")

    def finish(self) -> None:
        """Refuse tensors that no layer took."""
        if self._tensors:
            raise CheckpointError(f"tensor {shown(min(self._tensors))} belongs to no layer")

    def _take(self, layer: str, parameter: str, shape: tuple[int, ...] | None) -> np.ndarray:
        """Return a layer's tensor; `shape` None allows any vector."""
        name = f"model.{layer}.{parameter}"
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            raise CheckpointError(f"layer {shown(layer)}: tensor {shown(name)} is missing")
        fits = tensor.ndim == 1 and tensor.size > 0 if shape is None else tensor.shape == shape
        if tensor.dtype != np.float32 or not fits:
            wanted = "[channels]" if shape is None else list(shape)
            raise CheckpointError(
                f"layer {shown(layer)}: tensor {shown(name)} must be float32 {wanted}, not {tensor.dtype} "
                f"{list(tensor.shape)}"
            )
        return tensor

    @staticmethod
    def _thresholds(layer: str, values: object) -> np.ndarray:
        good = isinstance(values, list) and values and all(is_int(value) and abs(value) < 1 << 31 for value in values)
        if not good:
            raise CheckpointError(f"layer {shown(layer)}: thresholds must be a list of integers, not {shown(values)}")
        return np.array(values, np.int64)
