"""Entries of a layer list made into modules, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from signfold.sw.train.activations import BatchNormQuant, BatchNormSign
from signfold.sw.train.k_map import KMapConv, KMapDense
from signfold.sw.train.layers import AvgPool, InputCodes, InputThreshold, MaxPool, Scale
from signfold.sw.train.method import Method
from signfold.sw.train.norms import BatchNorm
from signfold.sw.train.real_layers import Add, Concat, HardTanh, PReLU, Rectifier, Subsample
from signfold.sw.train.several_bits import BatchNormBases
from signfold.sw.train.weights import BinaryConv, BinaryDense

__all__ = ["Builder", "Step"]

#: Kinds, with or without a normalization before them, whose results have no codes.
_REAL = ("batchnorm", "bases", "relu", "hardtanh", "prelu", "add", "subsample")

#: What codes stand for.
Meaning = Callable[[int], float]


@dataclass(frozen=True)
class Step:
    """One layer of a network.

    Attributes
    ----------
    name : str
        Its name.
    inputs : tuple of str
        Layers whose values it reads; "" is the pixels.
    module : torch.nn.Module
        The layer.
    """

    name: str
    inputs: tuple[str, ...]
    module: nn.Module


class Builder:
    """Makes layers, each of which may read any earlier one.

    Parameters
    ----------
    generator : torch.Generator
        Source of first weights, and of draws in training.
    method : Method
        Choices of training.
    channels : int
        Channels of a picture, or elements of a flat one.
    bits : int
        Width of a pixel's code.
    momentum : float
        Weight of the newest batch in running statistics.
    """

    def __init__(
        self, generator: torch.Generator, method: Method, *, channels: int, bits: int, momentum: float
    ) -> None:
        self._generator, self._method, self._bits, self._momentum = generator, method, bits, momentum
        self._fan_in, self._last = 0, ""
        self._channels: dict[str, int] = {"": channels}
        self._meanings: dict[str, Meaning] = {"": float}

    def add(self, layer: Mapping[str, Any]) -> Step:
        """Make the next layer.

        Parameters
        ----------
        layer : mapping
            Its entry in the list.

        Returns
        -------
        Step
            The layer.

        Raises
        ------
        ValueError
            It is of an unknown kind, reads a layer that is not there, has the name of another, or pads with a code
            that has no one value.
        """
        name = layer.get("name", layer["kind"])
        inputs = tuple(layer["inputs"]) if "inputs" in layer else (layer.get("input", self._last),)
        unknown = [each for each in inputs if each not in self._channels]
        if unknown or not inputs:
            raise ValueError(f"layer {name!r} reads {unknown}, allowed: layers before it, {list(self._channels)[1:]}")
        if name in self._channels:
            raise ValueError(f"layer name is {name!r}, allowed: a name that no other layer has")
        module = self._module(layer, name, inputs)
        self._channels[name] = self._channels_of(layer, inputs)
        self._meanings[name] = _meaning(layer, self._bits) or self._meanings[inputs[0]]
        if "in" in layer:
            self._fan_in = module.weight[0].numel()
        self._last = name
        return Step(name, inputs, module)

    def _module(self, layer: Mapping[str, Any], name: str, inputs: Sequence[str]) -> nn.Module:
        generator, method, channels = self._generator, self._method.of(name), self._channels[inputs[0]]
        match layer["kind"]:
            case "input_threshold":
                return InputThreshold(layer["thresholds"])
            case "input_codes":
                return InputCodes(self._bits, **{key: layer[key] for key in ("mean", "std", "divisor") if key in layer})
            case "dense":
                kind = KMapDense if layer.get("k_map", False) else BinaryDense
                return kind(layer["in"], layer["out"], generator, layer.get("weights"), method, layer.get("bias"))
            case "conv":
                signs = layer.get("k_map", False)
                pad = _pad(layer, _sign if signs else self._meanings[inputs[0]])
                return (KMapConv if signs else BinaryConv)(layer, pad, generator, method)
            case "maxpool":
                return MaxPool(layer["kernel"], layer["stride"], layer["padding"])
            case "avgpool":
                return AvgPool(layer["kernel"], layer["stride"], layer["padding"])
            case "batchnorm_sign" | "sign":
                return BatchNormSign(channels, *self._norm(layer), generator, layer, method)
            case "batchnorm_quant" | "quant":
                eps, momentum, norm = self._norm(layer)
                signed, levels = layer.get("signed", False), layer.get("levels")
                bits = layer["bits"] if levels is None else 2
                return BatchNormQuant(channels, eps, momentum, bits, signed, norm=norm, levels=levels, method=method)
            case "batchnorm_bases" | "bases":
                return BatchNormBases(channels, *self._norm(layer), generator, bases=layer["bases"], method=method)
            case "batchnorm_relu" | "relu":
                return Rectifier(channels, *self._norm(layer))
            case "batchnorm":
                return BatchNorm(channels, *self._norm(layer), fraction=layer.get("fraction"))
            case "hardtanh":
                return HardTanh()
            case "prelu":
                return PReLU(channels)
            case "subsample":
                return Subsample(layer["stride"], layer["out"])
            case "add":
                return Add()
            case "concat":
                return Concat()
            case "scale":
                return Scale(self._fan_in)
        raise ValueError(f"layer kind is {layer['kind']!r}, which this version does not know")

    def _norm(self, layer: Mapping[str, Any]) -> tuple[float, float, str | None]:
        """Return eps, momentum and kind of a normalization; those of activations alone are not looked at."""
        normalizes = layer["kind"].startswith("batchnorm")
        return (
            (layer["eps"] if normalizes else 0.0),
            self._momentum,
            (layer.get("norm", "batch") if normalizes else None),
        )

    def _channels_of(self, layer: Mapping[str, Any], inputs: Sequence[str]) -> int:
        if "out" in layer:
            return layer["out"]
        if layer["kind"] == "concat":
            return sum(self._channels[each] for each in inputs)
        return self._channels[inputs[0]]


def _pad(layer: Mapping[str, Any], meaning: Meaning) -> float:
    """Return what stands in the padded places of a convolution."""
    return 0.0 if layer["pad"] == "zero" else meaning(layer["pad"]["code"])


def _sign(code: int) -> float:
    return 2.0 * code - 1.0


def _meaning(layer: Mapping[str, Any], bits: int) -> Meaning | None:
    """Return what the codes of a layer stand for, or None where its output is no code or that of its input."""
    kind = layer["kind"]
    if kind == "input_codes":

        def pixel(code: int) -> float:
            if "divisor" in layer:
                return (2 * code - ((1 << bits) - 1)) / layer["divisor"]
            if len(set(layer["mean"])) > 1 or len(set(layer["std"])) > 1:
                raise ValueError("pad is a code of pixels, allowed: 'zero' where channels are normalized differently")
            scaled = torch.tensor(float(code)) / float((1 << bits) - 1)
            return float((scaled - layer["mean"][0]) / layer["std"][0])

        return pixel
    if kind.removeprefix("batchnorm_") in _REAL or layer.get("scale"):

        def nothing(code: int) -> float:
            raise ValueError(f"pad is code {code} of {layer.get('name', kind)!r}, allowed: 'zero', as it has no codes")

        return nothing
    if kind in ("input_threshold", "batchnorm_sign", "sign"):
        return _sign
    if kind in ("batchnorm_quant", "quant"):
        top = 2 if layer.get("levels") == 3 else (1 << layer["bits"]) - 1
        return (lambda code: (2 * code - top) / top) if layer.get("signed", False) else (lambda code: code / top)
    return None
