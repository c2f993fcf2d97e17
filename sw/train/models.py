"""A layer list made into a module that torch can train."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.layers import BatchNorm, BatchNormSign, BinaryDense, InputThreshold, Scale

__all__ = ["BinaryNet"]


class BinaryNet(nn.Module):
    """A chain of layers, built from the description that its checkpoint stores.

    Parameters
    ----------
    layers : sequence of mapping
        Layer list, see `topologies.dense_layers`.
    generator : torch.Generator
        Source of the initial weights and of dropout.
    momentum : float, default: 0.1
        Weight of the newest batch in running statistics.
    dropout : float, default: 0.0
        Share of activations (never of pixels) set to 0 in training, the others scaled up to keep the mean.
    """

    def __init__(
        self,
        layers: Sequence[Mapping[str, Any]],
        generator: torch.Generator,
        *,
        momentum: float = 0.1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._generator = generator
        self._dropout = dropout
        self._order: list[str] = []
        fan_in = channels = 0
        for layer in layers:
            kind, name = layer["kind"], layer.get("name", layer["kind"])
            match kind:
                case "input_threshold":
                    module: nn.Module = InputThreshold(layer["thresholds"])
                case "dense":
                    module = BinaryDense(layer["in"], layer["out"], generator)
                case "batchnorm_sign":
                    module = BatchNormSign(channels, layer["eps"], momentum)
                case "batchnorm":
                    module = BatchNorm(channels, layer["eps"], momentum)
                case "scale":
                    module = Scale(fan_in)
                case _:
                    raise ValueError(f"layer kind is {kind!r}, which this version does not know")
            if kind == "dense":
                fan_in, channels = layer["in"], layer["out"]
            self.add_module(name, module)
            self._order.append(name)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Class scores, float32 [n, classes], of pixel codes, uint8 [n, elements]."""
        x = codes
        for name in self._order:
            module = self.get_submodule(name)
            x = module(x)
            if self.training and self._dropout and isinstance(module, BatchNormSign):
                kept = torch.empty_like(x).bernoulli_(1 - self._dropout, generator=self._generator)
                x = x * kept / (1 - self._dropout)
        return x

    def clip(self) -> None:
        """Bring all latent weights back to [-1, 1]."""
        for module in self.children():
            if isinstance(module, BinaryDense):
                module.clip()

    @torch.no_grad()
    def measure(self, codes: torch.Tensor, labels: torch.Tensor) -> tuple[int, float]:
        """Count right answers of the network as it would be deployed (running statistics, no dropout).

        Parameters
        ----------
        codes : torch.Tensor
            Pixel codes, uint8 [n, elements].
        labels : torch.Tensor
            Classes, int64 [n].

        Returns
        -------
        tuple of int and float
            Pictures whose highest score (lowest class among equals) is at their label, and the mean cross-entropy.
        """
        training = self.training
        self.eval()
        scores = torch.cat([self(block) for block in codes.split(5000)])
        self.train(training)
        # numpy's argmax promises the first of equal scores, which is the contract's tie rule; torch's does not.
        best = torch.from_numpy(scores.numpy().argmax(axis=1))
        return int((best == labels).sum()), float(functional.cross_entropy(scores, labels))
