"""Losses over class scores."""

import torch
from torch.nn import functional

__all__ = ["cross_entropy", "squared_hinge"]


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of the softmax.

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
    return functional.cross_entropy(scores, labels)


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
    target = functional.one_hot(labels, scores.shape[1]).to(scores.dtype) * 2 - 1
    return functional.relu(1 - target * scores).square().mean()
