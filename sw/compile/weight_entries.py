"""Entries of layers with weights, checked: latents, codes, scales and biases as training stored them."""

from collections.abc import Mapping

import numpy as np

from signfold.sw.compile.entries import EntryReader
from signfold.sw.compile.refusals import refuse_weights
from signfold.sw.errors import CheckpointError
from signfold.sw.network.nodes.levels import LEVELS, code_type
from signfold.sw.network.types import is_int, shown

__all__ = ["WeightReader"]

#: Methods that make weights, by the number of their values; those in `refusals` are not among them.
_METHODS = {2: ("sign", "stochastic", "bitwise", "libra", "wsd"), 3: ("ternary", "bitwise", "ternary-connect")}
#: What may multiply weights.
_SCALES = ("channel", "layer", "shift", "trained", "range")


class WeightReader(EntryReader):
    """Takes the tensors of dense layers and convolutions, refused by the layer's name."""

    def weights(self, layer: str, shape: tuple[int, ...], entry: object) -> dict[str, object]:
        """Return latent weights, their levels, their codes where training stored them, and their scale."""
        entry = {"levels": 2} if entry is None else entry
        if isinstance(entry, dict):
            refuse_weights(layer, entry)
        levels = entry.get("levels", 2) if isinstance(entry, dict) else None
        good = is_int(levels) and levels in LEVELS
        methods = _METHODS.get(levels, ("dorefa",)) if good else ()
        if not good or entry.get("method", methods[0]) not in methods:
            raise CheckpointError(
                f"layer {shown(layer)}: weights must be levels 2 of method {', '.join(map(repr, _METHODS[2]))}, levels "
                f"3 of {', '.join(map(repr, _METHODS[3]))}, or levels 4, 8, ..., 65536 of 'dorefa', not {shown(entry)}"
            )
        scale = entry.get("scale")
        if scale not in (None, *_SCALES):
            raise CheckpointError(
                f"layer {shown(layer)}: the scale of weights must be one of {', '.join(map(repr, _SCALES))}, not "
                f"{shown(scale)}"
            )
        if entry.get("method") == "wsd":
            # What training moves the latents by before it takes their signs.
            self.drop(layer, "shift")
        signs = levels == 2 and entry.get("method", "sign") == "sign"
        return {
            "levels": levels,
            "codes": None if signs else self.take(layer, "codes", shape, code_type(levels)),
            "scale": None if scale is None else self.take(layer, "scale", None),
            "weights": self.take(layer, "weight", shape),
        }

    def bias(self, name: str, entry: Mapping[str, object]) -> np.ndarray | None:
        """Return the latents of biases."""
        if entry.get("bias") is None:
            return None
        if entry["bias"] != "bits":
            raise CheckpointError(f"layer {shown(name)}: bias must be 'bits', not {shown(entry['bias'])}")
        return self.take(name, "bias", None)
