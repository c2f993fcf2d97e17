"""Which optimizer has which parameter, and their steps, rates and state as one."""

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from signfold.sw.train.optimizer_choice import OptimizerChoice
from signfold.sw.train.optimizers.bop import Bop
from signfold.sw.train.optimizers.shift_adamax import ShiftAdaMax
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.weights import LatentWeights

__all__ = ["Optimizers", "fans", "roles"]

#: What an optimizer remembers of each parameter once that has had a step.
_MEMORY = {
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "radam": ("step", "exp_avg", "exp_avg_sq"),
    "adamax": ("step", "exp_avg", "exp_inf"),
    "shift-adamax": ("step", "exp_avg", "exp_inf"),
    "sgd": ("momentum_buffer",),
    "bop": ("exp_avg",),
}


def roles(model: nn.Module) -> dict[str, str]:
    """Tell what each parameter is to an optimizer.

    Parameters
    ----------
    model : torch.nn.Module
        A network of `LatentWeights` and other layers.

    Returns
    -------
    dict of str
        One of `optimizer_choice.ROLES` by the parameter's name, in the order of the network.
    """
    found = {name: "other" for name, _ in model.named_parameters()}
    for name, module in model.named_modules():
        if isinstance(module, LatentWeights):
            found[f"{name}.weight"] = "real" if module.quantizer is None else "binary"
            if f"{name}.bias" in found:
                found[f"{name}.bias"] = "binary"
    return found


def fans(weight: torch.Tensor) -> tuple[int, int]:
    """Count the inputs and outputs of a layer of weights as BinaryConnect's scale does.

    Parameters
    ----------
    weight : torch.Tensor
        Output channels first; then input channels, then the kernel of a convolution.

    Returns
    -------
    tuple of int
        Inputs and outputs, both times the area of the kernel.
    """
    area = weight[0, 0].numel() if weight.dim() > 2 else 1
    return weight.shape[1] * area, weight.shape[0] * area


class Optimizers:
    """The optimizers of a run, each with its groups of parameters.

    Parameters
    ----------
    model : torch.nn.Module
        The network.
    options : TrainingOptions
        `optimizer`, `binary_optimizer` and `lr` are read.
    """

    def __init__(self, model: nn.Module, options: TrainingOptions) -> None:
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        parameters = dict(model.named_parameters())
        by_choice: dict[int, tuple[OptimizerChoice, dict[str, str]]] = {}
        for name, role in roles(model).items():
            choice = options.binary_optimizer if role == "binary" else None
            choice = choice or options.optimizer
            by_choice.setdefault(id(choice), (choice, {}))[1][name] = role
        self._parts = []
        for choice, named in by_choice.values():
            groups: dict[tuple[float, float], list[nn.Parameter]] = {}
            for name, role in named.items():
                decay = choice.weight_decay if role in choice.decays else 0.0
                groups.setdefault((_scale(choice, role, parameters[name]), decay), []).append(parameters[name])
            lr = options.lr if choice.lr is None else choice.lr
            listed = [{"params": members, "scale": key[0], "decay": key[1]} for key, members in groups.items()]
            self._parts.append((choice, lr, _build(choice, lr, listed)))

    def set_rate(self, factor: float, progress: float) -> None:
        """Set all learning rates and weight decays for the next step.

        Parameters
        ----------
        factor : float
            Share of the highest rates.
        progress : float
            Share of the run that is done.
        """
        for choice, lr, optimizer in self._parts:
            for group in optimizer.param_groups:
                # Shift-based AdaMax multiplies by its scale itself, once that is a power of two.
                group["lr"] = lr * factor * (1.0 if choice.name == "shift-adamax" else group["scale"])
                if "weight_decay" in group:
                    group["weight_decay"] = group["decay"] if progress < choice.decay_until else 0.0

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for _, _, optimizer in self._parts:
            optimizer.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Change all parameters by their gradients."""
        for _, _, optimizer in self._parts:
            optimizer.step()

    def _members(self) -> Iterator[tuple[OptimizerChoice, torch.optim.Optimizer, nn.Parameter]]:
        for choice, _, optimizer in self._parts:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield choice, optimizer, parameter

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that the optimizers remember: by the parameter's name, a point, and what it is."""
        found = {}
        for _, optimizer, parameter in self._members():
            for key, value in optimizer.state[parameter].items():
                if isinstance(value, torch.Tensor):
                    found[f"{self._names[id(parameter)]}.{key}"] = value
        return found

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take back what `tensors` gave.

        Parameters
        ----------
        tensors : mapping
            By the same names. A parameter of which nothing is there has had no step.

        Raises
        ------
        KeyError
            Something of a parameter is there, but not all.
        """
        states: dict[int, dict[int, dict[str, torch.Tensor]]] = {}
        for choice, optimizer, parameter in self._members():
            state = states.setdefault(id(optimizer), {})
            # Numbers count parameters through all groups of an optimizer: the numbering of torch's own state.
            index, name = len(state), self._names[id(parameter)]
            wanted = _MEMORY[choice.name] if choice.name != "sgd" or choice.momentum else ()
            known = any(f"{name}.{key}" in tensors for key in wanted)
            state[index] = {key: tensors[f"{name}.{key}"] for key in wanted} if known else {}
        for _, _, optimizer in self._parts:
            whole = optimizer.state_dict()
            whole["state"] = {index: state for index, state in states[id(optimizer)].items() if state}
            optimizer.load_state_dict(whole)


def _scale(choice: OptimizerChoice, role: str, parameter: nn.Parameter) -> float:
    """Return the factor on a parameter's learning rate."""
    if choice.scale == "none" or role != "binary" or parameter.dim() < 2:
        return 1.0
    return (sum(fans(parameter)) / 1.5) ** 0.5


def _build(choice: OptimizerChoice, lr: float, groups: list[dict]) -> torch.optim.Optimizer:
    """Make the optimizer of a choice."""
    betas = (choice.beta1, choice.beta2)
    match choice.name:
        case "adam":
            return torch.optim.Adam(groups, lr=lr, betas=betas, eps=choice.eps, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=choice.eps, fused=True)
        case "radam":
            return torch.optim.RAdam(groups, lr=lr, betas=betas, eps=choice.eps)
        case "adamax":
            return torch.optim.Adamax(groups, lr=lr, betas=betas, eps=choice.eps)
        case "sgd":
            return torch.optim.SGD(groups, lr=lr, momentum=choice.momentum, nesterov=choice.nesterov)
        case "shift-adamax":
            return ShiftAdaMax(groups, lr=lr, betas=betas)
        case "bop":
            return Bop(groups, lr=lr, threshold=choice.threshold)
        case _:
            raise ValueError(f"optimizer is {choice.name!r}, which is not known")
