"""Gradient mismatch: how far the gradient that training follows is from that of the loss it has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from signfold.sw.train.choices import refuse
from signfold.sw.train.models import BinaryNet
from signfold.sw.train.weights import LatentWeights

__all__ = ["ESTIMATORS", "LayerMismatch", "MismatchEstimator"]

#: Ways to estimate the gradient of the loss itself.
ESTIMATORS = ("coordinate", "smoothed")

#: Seed of the random bits of stochastic networks: every evaluation of the loss draws the same ones.
DRAWS = 1


@dataclass(frozen=True)
class LayerMismatch:
    """One layer's comparison.

    Attributes
    ----------
    layer : str
        Its name.
    weights : int
        Weights of the layer.
    coordinates : int
        Weights that were compared.
    cosine : float
        Cosine of the angle between the two gradients over these, in [-1, 1]; 0 where one of them is 0 everywhere.
    straight, discrete : float
        Length of the gradient that training follows, and of the estimate.
    """

    layer: str
    weights: int
    coordinates: int
    cosine: float
    straight: float
    discrete: float


@dataclass(frozen=True)
class MismatchEstimator:
    """Compare the gradient of back-propagation, which estimators of derivatives make, with differences of the loss.

    The weights are those that the products use, taken as real numbers, one layer at a time: what is compared is what
    binary activations do to a gradient, not the rounding of the weights themselves. Both are taken at the same weights
    and pictures, normalized by the batch, as in training. With e_i the unit vector of weight i, w the layer's weights
    and h the step times their mean magnitude:

    * "coordinate": the coordinate discrete gradient, (L(w + h e_i) - L(w - h e_i)) / 2h for each compared weight i: the
      derivative along i of the loss smoothed over an interval of 2h, named by Kim et al. (BinaryDuo, arXiv:2002.06517);
    * "smoothed": the mean over normal z of (L(w + h z) - L(w - h z)) z / 2h, z being 0 but at the compared weights: the
      gradient of the loss smoothed by a normal distribution of deviation h. It needs many more samples than weights
      are compared, and its noise alone lowers the cosine.

    Parameters
    ----------
    coordinates : int
        Weights a layer that are compared, drawn at random; all where a layer has fewer.
    step : float
        h as a share of the layer's mean magnitude. Sums of signs are integers, so that far smaller steps find few
        pictures whose bits change, and differences that are mostly chance.
    estimator : str
        One of `ESTIMATORS`.
    samples : int
        Draws of z for "smoothed".
    seed : int
        Seed of the choice of weights, and of z.

    Raises
    ------
    ValueError
        A value is not allowed.
    """

    coordinates: int = 100
    step: float = 1.0
    estimator: str = "coordinate"
    samples: int = 1000
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values that are not allowed."""
        rules = {
            "coordinates": (self.coordinates >= 2, "2 or more"),
            "step": (self.step > 0, "above 0"),
            "estimator": (self.estimator in ESTIMATORS, ", ".join(ESTIMATORS)),
            "samples": (self.samples >= 1, "1 or more"),
        }
        refuse("", self, rules)

    def compute(
        self,
        model: BinaryNet,
        draws: torch.Generator,
        loss: Callable[[torch.Tensor], torch.Tensor],
        frames: torch.Tensor,
        on_layer: Callable[[str], None] | None = None,
    ) -> list[LayerMismatch]:
        """Compare all layers of a network, first to last.

        Parameters
        ----------
        model : BinaryNet
            The network; its running statistics change, so that it is of no further use.
        draws : torch.Generator
            The generator that it was built with.
        loss : callable
            Loss of its scores on the pictures.
        frames : torch.Tensor
            Pixel codes of the pictures, uint8 [n, ...]; more of them give smoother losses.
        on_layer : callable, optional
            Told the name of each layer before its turn.

        Returns
        -------
        list of LayerMismatch
            One a layer with weights.
        """

        def evaluate() -> torch.Tensor:
            draws.manual_seed(DRAWS)
            return loss(model(frames))

        model.train()
        generator = torch.Generator().manual_seed(self.seed)
        found = []
        for name, module in model.named_modules():
            if isinstance(module, LatentWeights):
                if on_layer is not None:
                    on_layer(name)
                found.append(self._compare(name, module, evaluate, generator))
        return found

    def _compare(
        self, name: str, module: LatentWeights, evaluate: Callable[[], torch.Tensor], generator: torch.Generator
    ) -> LayerMismatch:
        """Compare one layer."""
        weights = module.values(torch.float32).detach().clone().requires_grad_()
        with _replaced(module, weights):
            (gradient,) = torch.autograd.grad(evaluate(), weights)
        count = weights.numel()
        chosen = torch.randperm(count, generator=generator)[: self.coordinates]
        straight = gradient.flatten()[chosen].double()
        height = self.step * float(weights.detach().abs().mean())
        values = weights.detach().clone()
        with torch.no_grad(), _replaced(module, values):
            if self.estimator == "coordinate":
                discrete = self._coordinate(values, chosen, height, evaluate)
            else:
                discrete = self._smoothed(values, chosen, height, evaluate, generator)
        lengths = float(straight.norm()), float(discrete.norm())
        cosine = float(straight @ discrete) / (lengths[0] * lengths[1]) if all(lengths) else 0.0
        return LayerMismatch(name, count, len(chosen), cosine, *lengths)

    def _coordinate(
        self, values: torch.Tensor, chosen: torch.Tensor, height: float, evaluate: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return the difference quotient along each chosen weight."""
        flat, found = values.view(-1), torch.zeros(len(chosen), dtype=torch.float64)
        for place, index in enumerate(chosen.tolist()):
            kept = float(flat[index])
            losses = []
            for sign in (1, -1):
                flat[index] = kept + sign * height
                losses.append(float(evaluate()))
            flat[index] = kept
            found[place] = (losses[0] - losses[1]) / (2 * height)
        return found

    def _smoothed(
        self,
        values: torch.Tensor,
        chosen: torch.Tensor,
        height: float,
        evaluate: Callable[[], torch.Tensor],
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return the mean of difference quotients along random directions."""
        flat, found = values.view(-1), torch.zeros(len(chosen), dtype=torch.float64)
        kept = flat[chosen].clone()
        for _ in range(self.samples):
            direction = torch.randn(len(chosen), generator=generator)
            losses = []
            for sign in (1, -1):
                flat[chosen] = kept + sign * height * direction
                losses.append(float(evaluate()))
            found += (losses[0] - losses[1]) / (2 * height) * direction.double()
        flat[chosen] = kept
        return found / self.samples


@contextmanager
def _replaced(module: LatentWeights, weights: torch.Tensor) -> Iterator[None]:
    """Let a layer multiply by other weights."""
    module.values = lambda dtype: weights.to(dtype)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del module.values
