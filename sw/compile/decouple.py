"""Pass on checkpoints: BinaryDuo's coupled activations become pairs of bits that compute the same (arXiv:2002.06517).

A coupled activation is 1/2 for y > 1/4 and 1/2 more for y > 3/4. The pair has a batch normalization of its own for each
half, biases 1/4 up and 1/4 down, and bits of y > 1/2; the layer that reads them has every weight twice, half as large.
Biases are float32: where the sum of bias and quarter, rounded, would give another bit at an attainable sum, the bias
moves on in units in its last place until none differs; that is proven channel by channel in exact arithmetic.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.driver import compile_network
from signfold.sw.compile.float_network import FloatNetwork
from signfold.sw.compile.fold import fold_body, fold_norm
from signfold.sw.compile.frontend import import_model
from signfold.sw.compile.verify_norm import reaches
from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = ["Decoupled", "decouple"]

#: Units in the last place that a bias may move.
_STEPS = 64
#: Weight scales that are means of the latents or a parameter: half as large weights have half of it.
_HALVED = ("channel", "layer", "trained")


@dataclass(frozen=True, eq=False)
class Decoupled:
    """What decoupling gives.

    Parameters
    ----------
    model : StoredModel
        The model with pairs of bits.
    layers : tuple of str
        Activations that were decoupled.
    moved : int
        Biases that are not the rounded sum.
    unproven : str or None
        Why the model does not compile, so that its biases are the rounded sums and nothing was proven; None: proven.
    """

    model: StoredModel
    layers: tuple[str, ...]
    moved: int
    unproven: str | None


def decouple(model: StoredModel) -> Decoupled:
    """Decouple the activations of a trained model.

    Parameters
    ----------
    model : StoredModel
        A chain with coupled activations, `batchnorm_quant` of 3 levels.

    Raises
    ------
    CompileError
        Nothing in it is coupled, or what reads a coupled activation cannot read a pair: the layer is named.
    """
    rewriter = _Rewriter(model)
    for entry in model.description["layers"]:
        rewriter.step(entry)
    if not rewriter.pairs:
        raise CompileError("decouple: no activation is coupled; allowed: 'batchnorm_quant' of 3 levels")
    description = {**model.description, "layers": rewriter.entries}
    made = replace(model, description=description, tensors=rewriter.tensors)
    try:
        before = import_model(model)
    except CompileError as cause:
        return Decoupled(made, tuple(rewriter.pairs), 0, str(cause))
    moved = _prove(before, import_model(made), rewriter)
    return Decoupled(made, tuple(rewriter.pairs), moved, None)


class _Rewriter:
    """The new list and tensors so far."""

    def __init__(self, model: StoredModel) -> None:
        self.tensors = {name: tensor.copy() for name, tensor in model.tensors.items()}
        self.entries: list[dict[str, Any]] = []
        #: Decoupled activations, with what the sums that they read were multiplied by.
        self.pairs: dict[str, int] = {}
        self._last = "input"
        self._coupled = False
        self._factor = 1

    def step(self, entry: Mapping[str, Any]) -> None:
        """Append what an entry becomes."""
        entry, kind = deepcopy(dict(entry)), entry["kind"]
        name = entry.get("name", kind)
        if "inputs" in entry or entry.pop("input", self._last) != self._last:
            raise CompileError(f"decouple: layer {shown(name)}: branches cannot be decoupled; allowed: a chain")
        if kind in ("dense", "conv"):
            self._factor = 1
            if self._coupled:
                self._read_pair(name, entry)
            self._coupled = False
        elif kind.startswith("batchnorm"):
            self._normalize(name, entry)
        elif kind == "scale" and self._factor != 1:
            self._set(name, "log_scale", self._get(name, "log_scale") - np.float32(np.log(self._factor)))
        elif kind not in ("maxpool", "avgpool") and (self._coupled or self._factor != 1):
            raise CompileError(f"decouple: layer {shown(name)}: {shown(kind)} cannot read a decoupled activation")
        self.entries.append(entry)
        self._last = name

    def _read_pair(self, name: str, entry: dict[str, Any]) -> None:
        """Give a layer every weight twice; half as large, or the sums twice as large."""
        pad = entry.get("pad", "zero")
        if entry.get("groups", 1) != 1 or (pad != "zero" and pad["code"] == 1):
            raise CompileError(
                f"decouple: layer {shown(name)}: it is depthwise or pads with 1/2, which no pair of bits can stand for"
            )
        if pad != "zero":
            entry["pad"] = {"code": pad["code"] // 2}
        entry["in"] *= 2
        if entry.get("bias") is not None:
            raise CompileError(
                f"decouple: layer {shown(name)}: its biases are of one bit, which twice as large sums would need twice"
            )
        weights = entry.get("weights", {})
        halved = weights.get("scale") in _HALVED or weights.get("levels", 2) == 0
        self._factor = 1 if halved else 2
        for parameter in ("weight", "codes"):
            if f"model.{name}.{parameter}" in self.tensors:
                tensor = self._get(name, parameter)
                half = np.float32(0.5) if halved and parameter == "weight" else tensor.dtype.type(1)
                self._set(name, parameter, np.concatenate([tensor * half] * 2, axis=1))
        if halved and f"model.{name}.scale" in self.tensors:
            self._set(name, "scale", self._get(name, "scale") * np.float32(0.5))

    def _normalize(self, name: str, entry: dict[str, Any]) -> None:
        """Absorb what the sums were multiplied by, and split a coupled activation."""
        if self._coupled:
            raise CompileError(
                f"decouple: layer {shown(name)}: a batch normalization of coupled values cannot be decoupled; allowed: "
                f"a dense layer or convolution between"
            )
        factor, self._factor = self._factor, 1
        if factor != 1:
            self._set(name, "running_mean", self._get(name, "running_mean") * np.float32(factor))
            if entry.get("norm", "batch") == "shift":
                self._set(name, "running_istd", self._get(name, "running_istd") / np.float32(factor))
            else:
                self._set(name, "running_var", self._get(name, "running_var") * np.float32(factor**2))
                # Of the float32 number nearest to eps, which is what is added.
                entry["eps"] = float(np.float32(entry["eps"])) * factor**2
        if entry.get("levels") != 3:
            return
        pair = name.replace("norm", "pair") if "norm" in name else f"{name}_pair"
        self.entries.append({"kind": "concat", "name": pair, "inputs": [self._last, self._last]})
        del entry["levels"]
        entry |= {"bits": 1, "signed": False}
        for parameter in ("weight", "running_mean", "running_var", "running_istd"):
            if f"model.{name}.{parameter}" in self.tensors:
                self._set(name, parameter, np.tile(self._get(name, parameter), 2))
        bias, quarter = self._get(name, "bias"), np.float32(0.25)
        self._set(name, "bias", np.concatenate([bias + quarter, bias - quarter]))
        self._coupled = True
        self.pairs[name] = factor

    def _get(self, layer: str, parameter: str) -> np.ndarray:
        return self.tensors[f"model.{layer}.{parameter}"]

    def _set(self, layer: str, parameter: str, values: np.ndarray) -> None:
        self.tensors[f"model.{layer}.{parameter}"] = np.array(values, order="C")


def _prove(before: FloatNetwork, after: FloatNetwork, rewriter: _Rewriter) -> int:
    """Move biases until each pair is its coupled activation at every attainable sum; return how many moved."""
    network, meanings = compile_network(before), fold_body(before).sums
    pairs = {norm.name: norm for _, norm in after.hidden}
    moved = 0
    for _, norm in before.hidden:
        if norm.name not in rewriter.pairs:
            continue
        meaning, factor = meanings[norm.name], rewriter.pairs[norm.name]
        value = network.types[network.node(norm.name).input]
        # Of sums before any flip: of a negative gamma they are the opposite.
        negative, thresholds = fold_norm(norm, meaning, value)
        bias = pairs[norm.name].beta.copy()
        for half in range(2):
            for channel in range(norm.channels):
                sign, threshold = (-1 if negative[channel] else 1), int(thresholds[channel, half])
                sums = [total for total in (threshold - value.step, threshold) if value.low <= total <= value.high]
                reals = [
                    (sign * total + meaning.offset(channel)) * meaning.scale(channel) / meaning.divisor
                    for total in sums
                ]
                wanted = [total >= threshold for total in sums]
                at = half * norm.channels + channel
                found = _bias(pairs[norm.name], at, bias[at], [factor * real for real in reals], wanted)
                moved += bool(found != bias[at])
                bias[at] = found
        rewriter.tensors[f"model.{norm.name}.bias"] = bias
    return moved


def _bias(norm: BatchNorm, channel: int, bias: np.float32, reals: list[Fraction], wanted: list[bool]) -> np.float32:
    """Return the bias nearest to `bias` with which the bits at some sums are those wanted."""
    for _ in range(_STEPS):
        beta = norm.beta.copy()
        beta[channel] = bias
        tried = replace(norm, beta=beta)
        bits = [reaches(tried, channel, 1, real) for real in reals]
        if bits == wanted:
            return bias
        # The bit is 1 from some bias on: one that is 0 where it should be 1 needs a larger one.
        larger = any(want and not bit for want, bit in zip(wanted, bits, strict=True))
        bias = np.nextafter(bias, np.float32(np.inf if larger else -np.inf))
    raise CompileError(
        f"decouple: layer {shown(norm.name)} channel {channel}: no bias near {float(bias)!r} tells its sums apart"
    )
