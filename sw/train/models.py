"""A layer list made into a network that torch can train."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from signfold.sw.train.activations import BatchNormQuant, BatchNormSign
from signfold.sw.train.build import Builder
from signfold.sw.train.layers import Scale
from signfold.sw.train.method import Method
from signfold.sw.train.real_layers import Rectifier
from signfold.sw.train.several_bits import BatchNormBases
from signfold.sw.train.weights import LatentWeights

__all__ = ["BinaryNet"]

#: Values that are evaluated at once: bounds the memory of layers with many positions.
BLOCK_VALUES = 1 << 20

#: Layers whose results dropout takes from.
_ACTIVATIONS = (BatchNormBases, BatchNormSign, BatchNormQuant, Rectifier)


class BinaryNet(nn.Module):
    """A chain or graph of layers, built from the description that its checkpoint stores.

    Parameters
    ----------
    layers : sequence of mapping
        Layer list, see `describe.describe`. An entry reads the one before it, or the one that its `input` names, or
        those that its `inputs` name; the last one gives the scores.
    generator : torch.Generator
        Source of the initial weights, of dropout and of every other draw.
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
    method : Method, optional
        Choices that only training sees.

    Raises
    ------
    ValueError
        A layer is of an unknown kind, reads what is not there, or pads with a code that has no one value.
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
        method: Method | None = None,
    ) -> None:
        super().__init__()
        self._generator = generator
        self._dropout = dropout
        self._precision = precision
        self._shape = tuple(shape) if shape is not None else (-1,)
        channels = self._shape[0] if shape is not None else 0
        builder = Builder(generator, method or Method(), channels=channels, bits=bits, momentum=momentum)
        steps = [builder.add(layer) for layer in layers]
        self._steps = [(step.name, step.inputs) for step in steps]
        readers = {name: place for place, step in enumerate(steps) for name in step.inputs}
        #: By place: names that no later layer reads.
        self._done = [[name for name, last in readers.items() if last == place] for place in range(len(steps))]
        for step in steps:
            self.add_module(step.name, step.module)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Class scores, float32 [n, classes], of pixel codes, uint8 [n, ...] of the network's shape or flat."""
        if len(self._shape) > 1:
            if tuple(codes.shape[1:]) != self._shape:
                codes = codes.reshape(-1, *self._shape)
            codes = codes.contiguous(memory_format=torch.channels_last)
        else:
            codes = codes.flatten(1)
        values, x = {"": codes}, codes
        for place, (name, inputs) in enumerate(self._steps):
            module = self.get_submodule(name)
            read = [values[each] for each in inputs]
            if isinstance(module, Scale) or place == len(self._steps) - 1:
                read = [each.float() for each in read]
            x = module(*read)
            if place == 0 and self.training:
                x = x.to(self._precision)
            if self.training and self._dropout and isinstance(module, _ACTIVATIONS):
                x = x * self._kept(x) / (1 - self._dropout)
            values[name] = x
            for each in self._done[place]:
                del values[each]
        return x.flatten(1)

    def _kept(self, x: torch.Tensor) -> torch.Tensor:
        """Draw which values dropout keeps, where the generator lives."""
        kept = torch.empty_like(x, device=self._generator.device)
        return kept.bernoulli_(1 - self._dropout, generator=self._generator).to(x.device)

    def enter(self, method: Method, progress: float) -> None:
        """Go on by a stage's choices, and follow schedules.

        Parameters
        ----------
        method : Method
            Choices that only training sees. Those of first weights and of the latents' range stay as they were.
        progress : float
            Share of the run that is done, 0 to 1.
        """
        for name, module in self.named_children():
            if hasattr(module, "enter"):
                module.enter(method.of(name), progress)

    def clip(self) -> None:
        """Bring all latent weights back into their range."""
        for module in self.children():
            if isinstance(module, LatentWeights):
                module.clip()

    def refresh(self) -> None:
        """Make stored codes, scales and offsets those of the present parameters; evaluation uses the stored ones."""
        for module in self.children():
            if isinstance(module, (LatentWeights, BatchNormSign)):
                module.refresh()

    @torch.no_grad()
    def measure(self, codes: torch.Tensor, labels: torch.Tensor) -> tuple[int, float]:
        """Count right answers of the network as it would be deployed (running statistics, no draws, float32).

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
        best = torch.from_numpy(scores.cpu().numpy().argmax(axis=1)).to(labels.device)
        return int((best == labels).sum()), float(functional.cross_entropy(scores, labels))
