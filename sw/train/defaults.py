"""What the command line takes where an option is not given, by data set. Free of torch."""

from typing import Any

from signfold.sw.train.architectures import begins_with_convolution

__all__ = ["DEFAULTS", "defaults"]

#: Options by data set; "conv" after the name: for networks that begin
#: with a convolution, where dense ones are trained otherwise.
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"topology": "128,96", "epochs": 300, "batch": 64, "lr": 0.02, "noise": 3},
    "mnist": {"topology": "sfc", "epochs": 400, "batch": 128, "lr": 0.02, "threshold": 128, "shift": 1},
    "mnist conv": {"topology": "conv-s", "epochs": 25, "batch": 50, "lr": 0.02, "shift": 1},
    "fashion-mnist": {"topology": "sfc", "epochs": 400, "batch": 128, "lr": 0.02},
    "fashion-mnist conv": {"topology": "conv-s", "epochs": 20, "batch": 50, "lr": 0.02, "shift": 1, "flip": True},
    "cifar10": {"topology": "cnv", "epochs": 60, "batch": 50, "lr": 0.02, "shift": 2, "flip": True},
}


def defaults(dataset: str, topology: str | None = None) -> dict[str, Any]:
    """Look up the options that a data set's networks are trained with.

    Parameters
    ----------
    dataset : str
        Name of the data set.
    topology : str, optional
        Topology, where one is chosen.

    Returns
    -------
    dict
        Options by name, those of `TrainingOptions`.

    Raises
    ------
    ValueError
        The topology cannot be read.
    """
    chosen = DEFAULTS[dataset]
    if topology is not None and begins_with_convolution(topology):
        chosen = DEFAULTS.get(f"{dataset} conv", chosen)
    return {"dataset": dataset} | chosen | ({} if topology is None else {"topology": topology})
