"""Shipped networks, found by name; anything else is a path."""

import os
from pathlib import Path

from signfold.sw.errors import NetworkError
from signfold.sw.network import Network
from signfold.sw.network.types import shown

__all__ = ["load", "names", "path"]

_FOLDER = Path(__file__).parent
_SUFFIX = ".safetensors"


def names() -> tuple[str, ...]:
    """Return the names of the shipped networks, sorted."""
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in _FOLDER.glob(f"*{_SUFFIX}")))


def path(network: str | os.PathLike[str]) -> Path:
    """Find a network's file.

    Parameters
    ----------
    network : str or path
        Name of a shipped network, or path of a network file. A shipped name wins; write ``./name`` for a file that is
        called the same.

    Raises
    ------
    NetworkError
        It is neither; the message lists the shipped names.
    """
    if isinstance(network, str) and network in names():
        return _FOLDER / f"{network}{_SUFFIX}"
    try:
        if os.path.lexists(network):
            return Path(network)
    except ValueError:
        pass  # a NUL in the path: no such file either
    shipped = ", ".join(names()) or "none"
    raise NetworkError(f"{shown(os.fspath(network))} is neither a file nor a shipped network (shipped: {shipped})")


def load(network: str | os.PathLike[str]) -> Network:
    """Read a network by the name it ships under, or by path; the arguments and errors are those of `path`.

    Raises
    ------
    NetworkError
        There is no such network, or its file is damaged.
    """
    return Network.load(path(network))
