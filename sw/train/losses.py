"""Losses over class scores."""

import torch
from torch.nn import functional

__all__ = ["bit_error", "cross_entropy", "distillation", "squared_hinge"]


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Mean negative log-likelihood of the softmax.

    Parameters
    ----------
    scores : torch.Tensor
        float [n, classes].
    labels : torch.Tensor
        int64 [n].
    smoothing : float, default: 0.0
        Share of each label that all classes have alike (Szegedy et al., arXiv:1512.00567).

    Returns
    -------
    torch.Tensor
        A scalar.
    """
    return functional.cross_entropy(scores, labels, label_smoothing=smoothing)


def squared_hinge(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean of max(0, 1 - t*y)**2 over pictures and classes, t = +1 at the label and -1 elsewhere (arXiv:1511.00363).

    Parameters
    ----------
    scores : torch.Tensor
        float [n, classes].
    labels : torch.Tensor
        int64 [n].

    Returns
    -------
    torch.Tensor
        A scalar.
    """
    return functional.relu(1 - _targets(scores, labels) * scores).square().mean()


def bit_error(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over pictures of the sum over classes of (1 - t*tanh(y))/2, t = +1 at the label and -1 elsewhere.

    Counts wrong bits where the tanh is a sign: the loss of Bitwise Neural Networks (Kim and Smaragdis,
    arXiv:1601.06071), with the tanh of their first stage kept, so that the scores have a gradient.

    Parameters
    ----------
    scores : torch.Tensor
        float [n, classes].
    labels : torch.Tensor
        int64 [n].

    Returns
    -------
    torch.Tensor
        A scalar.
    """
    return ((1 - _targets(scores, labels) * scores.tanh()) / 2).sum(1).mean()


def distillation(scores: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Divergence of a student's softmax from its teacher's (Hinton et al., arXiv:1503.02531).

    T**2 times the mean over pictures of the Kullback-Leibler divergence between the softmaxes of scores / T; the square
    keeps gradients as large as those of labels.

    Parameters
    ----------
    scores, teacher : torch.Tensor
        float [n, classes]; no gradient goes to the teacher.
    temperature : float
        T, above 0.

    Returns
    -------
    torch.Tensor
        A scalar.
    """
    wanted = functional.log_softmax(teacher.detach() / temperature, dim=1)
    given = functional.log_softmax(scores / temperature, dim=1)
    return functional.kl_div(given, wanted, reduction="batchmean", log_target=True) * temperature**2


def _targets(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return +1 at the labels and -1 elsewhere."""
    return functional.one_hot(labels, scores.shape[1]).to(scores.dtype) * 2 - 1
