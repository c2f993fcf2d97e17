"""Pass: a checkpoint's layer list and tensors become the float network; whatever is not understood is refused."""

from collections.abc import Mapping

import numpy as np

from signfold.sw.compile.activation import SIGN, rounding
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.float_layers import (
    AveragePooling,
    BatchNorm,
    CommonScale,
    FloatLayer,
    MaxPooling,
    PixelCodes,
    PixelThresholds,
)
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import FloatConv, FloatDense
from signfold.sw.compile.window import Window
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
        A layer is unknown or its entry impossible, or a tensor missing, of the wrong type or shape, or not used: named.
    CompileError
        A parameter is not finite, a variance is impossible, or layers do not fit together.
    """
    entries = model.description.get("layers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"model: layers must be a list of objects, not {shown(entries)}")
    reader = _LayerReader(model.tensors)
    layers = [reader.layer(position, entry) for position, entry in enumerate(entries)]
    reader.finish()
    return FloatNetwork(_input(model.description.get("input")), tuple(layers))


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
            case "input_codes":
                return PixelCodes(name, *(self._numbers(name, what, entry.get(what)) for what in ("mean", "std")))
            case "dense":
                shape = self._sizes(name, entry, "out", "in")
                return FloatDense(name, *self._weights(name, shape, entry.get("weights")))
            case "conv":
                return self._conv(name, entry)
            case "maxpool" | "avgpool":
                kinds = {"maxpool": MaxPooling, "avgpool": AveragePooling}
                return kinds[kind](name, self._window(name, entry))
            case "batchnorm_sign" | "batchnorm_quant" | "batchnorm":
                return self._norm(name, kind, entry)
            case "scale":
                return CommonScale(name, self._take(name, "log_scale", ()))
        raise CheckpointError(f"layer {shown(name)}: kind {shown(kind)} is not known to this compiler")

    def _conv(self, name: str, entry: Mapping[str, object]) -> FloatConv:
        window, groups, pad = self._window(name, entry), entry.get("groups"), entry.get("pad")
        channels, inputs = self._sizes(name, entry, "out", "in")
        if not is_int(groups) or groups < 1 or inputs % groups:
            raise CheckpointError(
                f"layer {shown(name)}: groups must divide the {inputs} channels in, not {shown(groups)}"
            )
        code = pad.get("code") if isinstance(pad, dict) and len(pad) == 1 else None
        if pad != "zero" and not is_int(code):
            raise CheckpointError(f"layer {shown(name)}: pad must be 'zero' or an object with a code, not {shown(pad)}")
        shape = (channels, inputs // groups, *window.kernel)
        return FloatConv(name, *self._weights(name, shape, entry.get("weights")), window, code, groups)

    def _norm(self, name: str, kind: str, entry: Mapping[str, object]) -> BatchNorm:
        eps = entry.get("eps")
        if not isinstance(eps, (int, float)) or isinstance(eps, bool) or abs(eps) > 1e38:
            raise CheckpointError(f"layer {shown(name)}: eps must be a number, not {shown(eps)}")
        activation = None
        if kind == "batchnorm_sign":
            activation = SIGN
        elif kind == "batchnorm_quant":
            activation = rounding(name, entry.get("bits"), entry.get("signed", False))
        arrays = {ours: self._take(name, theirs, None) for ours, theirs in _NORM.items()}
        return BatchNorm(name, **arrays, eps=float(eps), activation=activation)

    def finish(self) -> None:
        """Refuse tensors that no layer took."""
        if self._tensors:
            raise CheckpointError(f"tensor {shown(min(self._tensors))} belongs to no layer")

    @staticmethod
    def _sizes(name: str, entry: Mapping[str, object], *keys: str) -> tuple[int, ...]:
        sizes = tuple(entry.get(key) for key in keys)
        if not all(is_int(size) and size > 0 for size in sizes):
            raise CheckpointError(
                f"layer {shown(name)}: {' and '.join(reversed(keys))} must be positive, not {shown(sizes[::-1])}"
            )
        return sizes

    @staticmethod
    def _window(name: str, entry: Mapping[str, object]) -> Window:
        return Window.checked(name, entry.get("kernel"), entry.get("stride"), entry.get("padding"))

    def _weights(self, layer: str, shape: tuple[int, ...], entry: object) -> tuple[np.ndarray, int, np.ndarray | None]:
        """Return latent weights, their levels, and their codes where there are more than two."""
        entry = {"levels": 2} if entry is None else entry
        levels = entry.get("levels") if isinstance(entry, dict) else None
        method = "sign" if levels == 2 else "ternary" if levels == 3 else "dorefa"
        good = is_int(levels) and (levels == 3 or levels in [1 << bits for bits in range(1, 9)])
        if not good or entry.get("method", method) != method:
            raise CheckpointError(
                f"layer {shown(layer)}: weights must be levels 2, levels 3 of method 'ternary', or levels 4, 8, ..., "
                f"256 of method 'dorefa', not {shown(entry)}"
            )
        codes = None if levels == 2 else self._take(layer, "codes", shape, np.uint8)
        return self._take(layer, "weight", shape), levels, codes

    def _take(self, layer: str, parameter: str, shape: tuple[int, ...] | None, dtype: type = np.float32) -> np.ndarray:
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

    @staticmethod
    def _numbers(layer: str, what: str, values: object) -> np.ndarray:
        good = isinstance(values, list) and values
        if not good or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e38 for v in values
        ):
            raise CheckpointError(f"layer {shown(layer)}: {what} must be a list of numbers, not {shown(values)}")
        return np.array(values, np.float32)

    @staticmethod
    def _thresholds(layer: str, values: object) -> np.ndarray:
        good = isinstance(values, list) and values and all(is_int(value) and abs(value) < 1 << 31 for value in values)
        if not good:
            raise CheckpointError(f"layer {shown(layer)}: thresholds must be a list of integers, not {shown(values)}")
        return np.array(values, np.int64)
