"""A layer list made into a module that torch can train."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.layers import (
    AvgPool,
    BatchNorm,
    BatchNormQuant,
    BatchNormSign,
    InputCodes,
    InputThreshold,
    MaxPool,
    Scale,
)
from signfold.sw.train.weights import BinaryConv, BinaryDense, LatentWeights

__all__ = ["BinaryNet"]

#: Values that are evaluated at once: bounds the memory of layers with many positions.
BLOCK_VALUES = 1 << 20


class BinaryNet(nn.Module):
    """A chain of layers, built from the description that its checkpoint stores.

    Parameters
    ----------
    layers : sequence of mapping
        Layer list, see `topologies.describe`.
    generator : torch.Generator
        Source of the initial weights and of dropout.
    shape : sequence of int, optional
        Shape of a picture, channels first; networks that begin with a convolution need it.
    bits : int, default: 8
        Width of a pixel's code.
    momentum : float, default: 0.1
        Weight of the newest batch in running statistics.
    dropout : float, default: 0.0
        Share of activations (never of pixels) set to 0 in training, the others scaled up to keep the mean.
    precision : torch.dtype, default: torch.float32
        Type of activations and of products in training; latents, statistics, loss and evaluation are float32.

    Raises
    ------
    ValueError
        A layer is of an unknown kind, or pads with a code that has no one value.
    """

    def __init__(
        self,
        layers: Sequence[Mapping[str, Any]],
        generator: torch.Generator,
        *,
        shape: Sequence[int] | None = None,
        bits: int = 8,
        momentum: float = 0.1,
        dropout: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._generator = generator
        self._dropout = dropout
        self._precision = precision
        self._shape = tuple(shape) if shape is not None else (-1,)
        self._order: list[str] = []
        fan_in = channels = 0
        value_of: Callable[[int], float] = float
        for layer in layers:
            kind, name = layer["kind"], layer.get("name", layer["kind"])
            match kind:
                case "input_threshold":
                    module: nn.Module = InputThreshold(layer["thresholds"])
                case "input_codes":
                    module = InputCodes(bits, layer["mean"], layer["std"])
                case "dense":
                    module = BinaryDense(layer["in"], layer["out"], generator, layer.get("weights"))
                case "conv":
                    module = BinaryConv(layer, _pad(layer, value_of), generator)
                case "maxpool":
                    module = MaxPool(layer["kernel"], layer["stride"], layer["padding"])
                case "avgpool":
                    module = AvgPool(layer["kernel"], layer["stride"], layer["padding"])
                case "batchnorm_sign":
                    module = BatchNormSign(channels, layer["eps"], momentum)
                case "batchnorm_quant":
                    signed = layer.get("signed", False)
                    module = BatchNormQuant(channels, layer["eps"], momentum, layer["bits"], signed)
                case "batchnorm":
                    module = BatchNorm(channels, layer["eps"], momentum)
                case "scale":
                    module = Scale(fan_in)
                case _:
                    raise ValueError(f"layer kind is {kind!r}, which this version does not know")
            if isinstance(module, LatentWeights):
                fan_in, channels = module.weight[0].numel(), layer["out"]
            value_of = _values(layer, bits) or value_of
            self.add_module(name, module)
            self._order.append(name)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Class scores, float32 [n, classes], of pixel codes, uint8 [n, ...] of the network's shape or flat."""
        if len(self._shape) > 1:
            if tuple(codes.shape[1:]) != self._shape:
                codes = codes.reshape(-1, *self._shape)
            codes = codes.contiguous(memory_format=torch.channels_last)
        else:
            codes = codes.flatten(1)
        x = codes
        for index, name in enumerate(self._order):
            module = self.get_submodule(name)
            if isinstance(module, Scale) or index == len(self._order) - 1:
                x = x.float()
            x = module(x)
            if index == 0 and self.training:
                x = x.to(self._precision)
            if self.training and self._dropout and isinstance(module, (BatchNormSign, BatchNormQuant)):
                kept = torch.empty_like(x).bernoulli_(1 - self._dropout, generator=self._generator)
                x = x * kept / (1 - self._dropout)
        return x.flatten(1)

    def clip(self) -> None:
        """Bring all latent weights back to [-1, 1]."""
        for module in self.children():
            if isinstance(module, LatentWeights):
                module.clip()

    def refresh(self) -> None:
        """Make all stored weight codes those of the present latents; evaluation uses the stored ones."""
        for module in self.children():
            if isinstance(module, LatentWeights):
                module.refresh()

    @torch.no_grad()
    def measure(self, codes: torch.Tensor, labels: torch.Tensor) -> tuple[int, float]:
        """Count right answers of the network as it would be deployed (running statistics, no dropout, float32).

        Parameters
        ----------
        codes : torch.Tensor
            Pixel codes, uint8 [n, ...].
        labels : torch.Tensor
            Classes, int64 [n].

        Returns
        -------
        tuple of int and float
            Pictures whose highest score (lowest class among equals) is at their label, and the mean cross-entropy.
        """
        training = self.training
        self.eval()
        block = 5000 if len(self._shape) == 1 else max(1, BLOCK_VALUES // codes[0].numel())
        scores = torch.cat([self(part) for part in codes.split(block)])
        self.train(training)
        # numpy's argmax promises the first of equal scores, which is the contract's tie rule; torch's does not.
        best = torch.from_numpy(scores.numpy().argmax(axis=1))
        return int((best == labels).sum()), float(functional.cross_entropy(scores, labels))


def _pad(layer: Mapping[str, Any], value_of: Callable[[int], float]) -> float:
    """Return what stands in the padded places of a convolution."""
    return 0.0 if layer["pad"] == "zero" else value_of(layer["pad"]["code"])


def _values(layer: Mapping[str, Any], bits: int) -> Callable[[int], float] | None:
    """Return what the codes of a layer stand for, or None where its output is no code or that of its input."""
    kind = layer["kind"]
    if kind == "input_codes":

        def pixel(code: int) -> float:
            if len(set(layer["mean"])) > 1 or len(set(layer["std"])) > 1:
                raise ValueError("pad is a code of pixels, allowed: 'zero' where channels are normalized differently")
            scaled = torch.tensor(float(code)) / float((1 << bits) - 1)
            return float((scaled - layer["mean"][0]) / layer["std"][0])

        return pixel
    if kind in ("input_threshold", "batchnorm_sign"):
        return lambda code: 2.0 * code - 1.0
    if kind == "batchnorm_quant":
        top = (1 << layer["bits"]) - 1
        return (lambda code: (2 * code - top) / top) if layer.get("signed", False) else (lambda code: code / top)
    return None
