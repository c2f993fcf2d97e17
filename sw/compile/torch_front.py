"""The compiler's only contact with PyTorch: the trained model run by the framework that trained it, for comparison."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from signfold.sw.compile.agreement import BLOCK
from signfold.sw.compile.batch_norm import BatchNorm
from signfold.sw.compile.checkpoint import StoredModel
from signfold.sw.compile.float32 import add_shift, evaluate_formula
from signfold.sw.compile.frontend import import_model, read_input
from signfold.sw.compile.rounding import FloatTrace
from signfold.sw.errors import CheckpointError, CompileError

__all__ = ["NAME", "TorchModel", "evaluate_batch_norm"]

#: Name of this evaluation in reports.
NAME = f"torch {torch.__version__}"


@torch.no_grad()
def evaluate_batch_norm(norm: BatchNorm, sums: np.ndarray) -> np.ndarray:
    """Evaluate a batch normalization with PyTorch's inference kernel on the processor.

    Parameters
    ----------
    norm : BatchNorm
        The layer.
    sums : numpy.ndarray
        float32 ``[n, channels]``.

    Returns
    -------
    numpy.ndarray
        float32 ``[n, channels]``.
    """
    if norm.powers is not None:
        return evaluate_formula(norm, sums)  # products by powers of two and two additions: the same in any framework
    mean, variance, gamma, beta = (
        torch.from_numpy(values.copy()) for values in (norm.mean, norm.variance, norm.gamma, norm.beta)
    )
    frames = torch.from_numpy(sums.copy())
    return add_shift(norm, functional.batch_norm(frames, mean, variance, gamma, beta, False, 0.0, norm.eps).numpy())


class TorchModel:
    """The trained model, run by PyTorch.

    Parameters
    ----------
    stored : StoredModel
        The model as its run folder holds it, also one that does not compile: it has classes, but no codes to trace.

    Raises
    ------
    CheckpointError
        It is damaged.
    """

    def __init__(self, stored: StoredModel) -> None:
        from signfold.sw.train.models import BinaryNet

        self._stored = stored
        self._input = pixels = read_input(stored.description.get("input"))
        layers = stored.description.get("layers")
        tensors = {
            name.removeprefix("model."): torch.from_numpy(value.copy()) for name, value in stored.tensors.items()
        }
        try:
            import_model(stored)
        except CompileError:
            pass  # it may be one for training alone
        try:
            self._model = BinaryNet(layers, torch.Generator().manual_seed(0), shape=pixels.shape, bits=pixels.bits)
            self._model.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as cause:
            raise CheckpointError(f"the model does not fit its description: {cause}") from None
        self._model.eval()

    def _codes(self, frames: np.ndarray) -> torch.Tensor:
        wanted = self._input
        if frames[:1].size not in (0, wanted.elements):
            raise CheckpointError(f"the model takes {wanted.elements} pixels, but the frames have {frames[:1].size}")
        return torch.from_numpy(frames.reshape(len(frames), *wanted.shape).copy())

    @torch.no_grad()
    def classes(self, frames: np.ndarray) -> np.ndarray:
        """Classify frames, uint8 ``[n, ...]``: int64 ``[n]``, the lowest class among those of the highest score."""
        classes = [_rows(self._model(block)).argmax(axis=1) for block in self._codes(frames).split(BLOCK)]
        return np.concatenate(classes).astype(np.int64) if classes else np.empty(0, np.int64)

    @torch.no_grad()
    def outputs(self, frames: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return what some layers give for frames, uint8 ``[n, ...]``: float32 by the layer's name."""
        found: dict[str, np.ndarray] = {}

        def listen(name: str) -> Callable[..., None]:
            def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
                found[name] = output.numpy().copy()

            return hook

        hooks = [self._model.get_submodule(name).register_forward_hook(listen(name)) for name in names]
        try:
            self._model(self._codes(frames))
        finally:
            for hook in hooks:
                hook.remove()
        return found

    @torch.no_grad()
    def trace(self, frames: np.ndarray, forced: Mapping[str, np.ndarray] | None = None) -> FloatTrace:
        """See `agreement.FloatModel.trace`."""
        sums: dict[str, np.ndarray] = {}
        codes: dict[str, np.ndarray] = {}
        hooks = []

        def listen(norm: BatchNorm) -> Callable[..., torch.Tensor | None]:
            activation, divisor = norm.activation, float(norm.activation.divisor)

            def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
                # Of the integer network's codes, also where these are the complement of the trained ones.
                integers = torch.round(output * divisor - activation.offset)
                codes[norm.name] = ((integers + activation.top) / 2).numpy().astype(np.int64)
                if forced is None:
                    return output
                golden = 2 * torch.from_numpy(forced[norm.name]) - activation.top + activation.offset
                return (golden.double() / divisor).to(output.dtype).reshape(output.shape)

            return hook

        def watch(norm: BatchNorm) -> Callable[..., None]:
            def hook(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
                sums[norm.name] = inputs[0].numpy().copy()

            return hook

        for _, norm in import_model(self._stored).hidden:
            hooks.append(self._model.get_submodule(norm.reads or norm.name).register_forward_pre_hook(watch(norm)))
            hooks.append(self._model.get_submodule(norm.name).register_forward_hook(listen(norm)))
        try:
            scores = _rows(self._model(self._codes(frames)))
        finally:
            for hook in hooks:
                hook.remove()
        return FloatTrace(scores, sums, codes)


def _rows(scores: torch.Tensor) -> np.ndarray:
    return scores.reshape(len(scores), -1).numpy()
