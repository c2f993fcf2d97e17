"""The same network in real numbers: what a binary one is compared with, and what may teach it. Free of torch."""

from dataclasses import replace

from signfold.sw.train.choices import Penalty, Progressive
from signfold.sw.train.method import Method
from signfold.sw.train.options import TrainingOptions

__all__ = ["twin"]


def twin(options: TrainingOptions) -> TrainingOptions:
    """Return the options of a run's float twin.

    Parameters
    ----------
    options : TrainingOptions
        A run of few-level weights and activations.

    Returns
    -------
    TrainingOptions
        The same data, topology, epochs, rates and changes of pictures, with real weights and activations (ReLU), and
        without what belongs to a method of training few levels.
    """
    return replace(
        options,
        weights="real",
        first_weights="same",
        last_weights="same",
        activations=1,
        signed=False,
        pad="zero",
        activation="relu",
        weight_method=None,
        weight_scale=None,
        bias=None,
        activation_scale=None,
        activation_shift=None,
        stochastic=False,
        k_map=False,
        method=Method(clip=None, initial="he"),
        binary_optimizer=None,
        penalty=Penalty(),
        progressive=Progressive(),
        teacher=None,
        initial=None,
    )
