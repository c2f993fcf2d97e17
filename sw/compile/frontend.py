"""Pass: a checkpoint's layer list and tensors become the float network; whatever is not understood is refused.

The list may be a graph, each entry saying what it reads; what compiles is a chain, with the one exception of sums that
are joined with themselves (`copies`). A `batchnorm`, perhaps a `hardtanh`, and a `sign` or `quant` after it are one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from signfold.sw.compile.activation import SIGN, Activation, rounding, scaled_sign
from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.copies import copy_sums
from signfold.sw.compile.float_layers import (
    AveragePooling,
    CommonScale,
    FloatLayer,
    MaxPooling,
    PixelCodes,
    PixelThresholds,
)
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.linear_layers import FloatConv, FloatDense, LinearLayer
from signfold.sw.compile.refusals import KINDS, refuse, refuse_choices
from signfold.sw.compile.weight_entries import WeightReader
from signfold.sw.errors import CheckpointError, CompileError, NetworkError
from signfold.sw.network import InputType
from signfold.sw.network.types import is_int, shown

__all__ = ["LayerReader", "import_model", "read_input"]

#: Parameters of batch normalization by the names of their tensors.
_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
#: The same of shift-based batch normalization.
_SHIFT_NORM = {"weight": "weight", "beta": "bias", "mean": "running_mean", "deviation": "running_istd"}


def import_model(model: StoredModel) -> FloatNetwork:
    """Build the float network of a stored model.

    Raises
    ------
    CheckpointError
        A layer is unknown or its entry impossible, or a tensor missing, of the wrong type or shape, or not used: named.
    CompileError
        A parameter is not finite, a variance is impossible, layers do not fit together, or one does not compile.
    """
    entries = model.description.get("layers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"model: layers must be a list of objects, not {shown(entries)}")
    reader = LayerReader(model.tensors)
    for position, entry in enumerate(entries):
        reader.read(position, entry, entries[position + 1 :])
    reader.finish()
    return FloatNetwork(read_input(model.description.get("input")), tuple(reader.layers))


def read_input(entry: object) -> InputType:
    """Read a model's ``input`` entry.

    Raises
    ------
    CheckpointError
        It says nothing possible.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
        raise CheckpointError(f"model: input must be an object with shape and bits, not {shown(entry)}")
    try:
        return InputType(tuple(entry["shape"]), entry.get("bits"))
    except NetworkError as cause:
        raise CheckpointError(f"model: {cause}") from None


class LayerReader(WeightReader):
    """Turns layer entries into layers, taking each tensor once."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        super().__init__(tensors)
        self._names: set[str] = set()
        self._last = "input"
        self._norm_before: BatchNorm | None = None  # waits for the activation after it
        self._clipped = False  # by a hardtanh since then
        self.layers: list[FloatLayer] = []

    def begin(self, position: int, entry: Mapping[str, object]) -> tuple[str, str]:
        """Return an entry's name, refused unless it is a new one, and that of the entry before."""
        name = entry.get("name", entry.get("kind"))
        if not isinstance(name, str) or not name or name == "input" or name in self._names:
            raise CheckpointError(f"layer {position}: name {shown(name)} must be text, unique, and not 'input'")
        self._names.add(name)
        before, self._last = self._last, name
        return name, before

    def read(self, position: int, entry: Mapping[str, object], later: Sequence[Mapping[str, object]]) -> None:
        """Read one entry; `later` are those after it."""
        kind = entry.get("kind")
        name, reads = self.begin(position, entry)
        if kind == "concat":
            self._concat(name, entry, reads)
            return
        if entry.get("input", reads) != reads:
            if kind in KINDS:
                raise refuse(name, kind)
            raise CompileError(
                f"layer {shown(name)}: it reads {shown(entry['input'])}, not {shown(reads)} before it, so the network "
                f"is no chain; branches do not compile: {KINDS['add']}"
            )
        if self._norm_before is not None and kind == "hardtanh":
            self._clipped = True
            return
        if kind == "batchnorm" and _is_activated(later):
            self._norm_before = self._norm(name, None, entry)
            return
        if kind in KINDS:
            raise refuse(name, kind)
        refuse_choices(name, entry)
        self.layers.append(self.layer(name, kind, entry))

    def _concat(self, name: str, entry: Mapping[str, object], reads: str) -> None:
        inputs = entry.get("inputs")
        if not isinstance(inputs, list) or len(inputs) < 1:
            raise CheckpointError(f"layer {shown(name)}: inputs must be a list of names, not {shown(inputs)}")
        if any(source != reads for source in inputs):
            raise refuse(name, "concat")
        self.layers = copy_sums(self.layers, len(inputs), name)

    def layer(self, name: str, kind: object, entry: Mapping[str, object]) -> FloatLayer:
        """Read the layer of an entry that joins nothing."""
        match kind:
            case "input_threshold":
                return PixelThresholds(name, self.thresholds(name, entry.get("thresholds")))
            case "input_codes":
                return self._pixels(name, entry)
            case "dense":
                shape = self.sizes(name, entry, "out", "in")
                return FloatDense(name, **self.weights(name, shape, entry.get("weights")), bias=self.bias(name, entry))
            case "conv":
                return self._conv(name, entry)
            case "maxpool" | "avgpool":
                kinds = {"maxpool": MaxPooling, "avgpool": AveragePooling}
                return kinds[kind](name, self.window(name, entry))
            case "batchnorm_sign" | "batchnorm_quant" | "batchnorm":
                return self._norm(name, self._activation(name, kind.removeprefix("batchnorm"), entry), entry)
            case "sign" | "quant":
                return self._activate(name, self._activation(name, f"_{kind}", entry), entry)
            case "scale":
                return CommonScale(name, self.take(name, "log_scale", ()))
        raise CheckpointError(f"layer {shown(name)}: kind {shown(kind)} is not known to this compiler")

    def _pixels(self, name: str, entry: Mapping[str, object]) -> PixelCodes:
        if "divisor" not in entry:
            return PixelCodes(name, *(self.numbers(name, what, entry.get(what)) for what in ("mean", "std")))
        divisor = entry["divisor"]
        if not is_int(divisor) or not 0 < divisor < 1 << 24:
            raise CheckpointError(f"layer {shown(name)}: divisor must be from 1 to 2**24 - 1, not {shown(divisor)}")
        half = np.array([0.5], np.float32)
        return PixelCodes(name, half, half, divisor)

    def _conv(self, name: str, entry: Mapping[str, object]) -> FloatConv:
        window, groups, pad = self.window(name, entry), entry.get("groups"), entry.get("pad")
        channels, inputs = self.sizes(name, entry, "out", "in")
        if not is_int(groups) or groups < 1 or inputs % groups:
            raise CheckpointError(
                f"layer {shown(name)}: groups must divide the {inputs} channels in, not {shown(groups)}"
            )
        code = pad.get("code") if isinstance(pad, dict) and len(pad) == 1 else None
        if pad != "zero" and not is_int(code):
            raise CheckpointError(f"layer {shown(name)}: pad must be 'zero' or an object with a code, not {shown(pad)}")
        shape = (channels, inputs // groups, *window.kernel)
        weights = self.weights(name, shape, entry.get("weights"))
        return FloatConv(name, **weights, bias=self.bias(name, entry), window=window, pad=code, groups=groups)

    def _norm(self, name: str, activation: Activation | None, entry: Mapping[str, object]) -> BatchNorm:
        shift = self._offset(name, entry)
        match entry.get("norm", "batch"):
            case "batch":
                eps = entry.get("eps")
                if not isinstance(eps, (int, float)) or isinstance(eps, bool) or abs(eps) > 1e38:
                    raise CheckpointError(f"layer {shown(name)}: eps must be a number, not {shown(eps)}")
                arrays = {ours: self.take(name, theirs, None) for ours, theirs in _NORM.items()}
                return BatchNorm(name, **arrays, eps=float(eps), activation=activation, shift=shift)
            case "shift":
                arrays = {ours: self.take(name, theirs, None) for ours, theirs in _SHIFT_NORM.items()}
                fraction = entry.get("fraction")
                if fraction is not None and (not is_int(fraction) or not 0 <= fraction <= 24):
                    raise CheckpointError(f"layer {shown(name)}: fraction must be from 0 to 24, not {shown(fraction)}")
                return BatchNorm.by_shift(name, **arrays, activation=activation, shift=shift, fraction=fraction)
        raise CheckpointError(f"layer {shown(name)}: norm must be 'batch' or 'shift', not {shown(entry['norm'])}")

    def _activate(self, name: str, activation: Activation, entry: Mapping[str, object]) -> BatchNorm:
        """Return the activation of sums as they are, or of the batch normalization that waits for it."""
        before, self._norm_before = self._norm_before, None
        clipped, self._clipped = self._clipped, False
        if before is not None:
            offset = self._offset(name, entry)
            if clipped and offset is not None and (np.abs(offset) >= 1).any():
                place = int(np.flatnonzero(np.abs(offset) >= 1)[0])
                raise CompileError(
                    f"layer {shown(name)}: offset[{place}] is {float(offset[place])!r}, allowed behind a 'hardtanh': "
                    f"between -1 and 1, as a larger one makes all signs the same"
                )
            return replace(before, name=name, activation=activation, shift=offset, reads=before.name)
        channels = self.channels()
        ones, zeros = np.ones(channels), np.zeros(channels)
        return BatchNorm(name, ones, zeros, zeros, ones, 0.0, activation, shift=self._offset(name, entry))

    def channels(self) -> int:
        """Return the channels that the entry being read comes after."""
        return next((layer.channels for layer in self.layers[::-1] if isinstance(layer, LinearLayer)), 1)

    def _activation(self, name: str, kind: str, entry: Mapping[str, object]) -> Activation | None:
        if kind == "_quant":
            return rounding(name, entry.get("bits"), entry.get("signed", False), entry.get("levels"))
        if kind != "_sign":
            return None
        match entry.get("scale"):
            case None:
                return SIGN
            case "trained":
                return scaled_sign(name, float(self.take(name, "scale", (1,))[0]))
        raise CheckpointError(f"layer {shown(name)}: scale must be 'trained', not {shown(entry['scale'])}")

    def _offset(self, name: str, entry: Mapping[str, object]) -> np.ndarray | None:
        """Return the static shift of a sign."""
        match entry.get("shift"):
            case None:
                return None
            case "static":
                # What training made the offset of.
                self.drop(name, "shift")
                return self.take(name, "offset", None)
        raise CheckpointError(f"layer {shown(name)}: shift must be 'static' or 'se', not {shown(entry['shift'])}")


def _is_activated(later: Sequence[Mapping[str, object]]) -> bool:
    """Say whether a batch normalization is followed by an activation alone, perhaps after a `hardtanh`."""
    kinds = [entry.get("kind") for entry in later[:2]]
    if kinds[:1] == ["hardtanh"]:
        del kinds[0]
    return kinds[:1] in (["sign"], ["quant"])
