"""Published ways of training, one TOML file each. Free of torch."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from signfold.sw.train.defaults import defaults

__all__ = ["Recipe", "merge", "read_recipe", "read_recipe_file", "recipe_names"]


@dataclass(frozen=True)
class Recipe:
    """One published way of training.

    Attributes
    ----------
    name : str
        Name of its file.
    title : str
        What it is, in a line.
    paper : str
        Where it was published.
    source : str
        Where its numbers are from, and what differs from there.
    data : str
        Data set where none is chosen.
    options : dict
        What makes the method: options of `TrainingOptions`, for every data set; in `method`, "none" is None.
    data_sets : dict of dict
        What was published for one data set: topology, epochs, batch, rates.
    """

    name: str
    title: str
    paper: str
    source: str
    data: str
    options: dict[str, Any] = field(default_factory=dict)
    data_sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def choose(self, dataset: str | None = None, topology: str | None = None) -> dict[str, Any]:
        """Return the options for a data set and a topology.

        Parameters
        ----------
        dataset : str, optional
            Name of the data set.
        topology : str, optional
            Topology, where one is chosen.

        Returns
        -------
        dict
            Options by name; where nothing was published for the data set, this house's topology, epochs, batch and rate
            stand in.

        Raises
        ------
        ValueError
            The topology cannot be read.
        """
        dataset = dataset or self.data
        base = defaults(dataset, topology)
        if dataset in self.data_sets:
            base = {"dataset": dataset}
        chosen = merge(merge(base, self.options), self.data_sets.get(dataset, {}))
        return chosen | ({} if topology is None else {"topology": topology})


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay options over others; tables are merged name by name.

    Parameters
    ----------
    below, above : mapping
        Options by name.

    Returns
    -------
    dict
        Those of `above` where both have one.
    """
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def recipe_names() -> list[str]:
    """List the recipes.

    Returns
    -------
    list of str
        Names, sorted.
    """
    return sorted(file.name.removesuffix(".toml") for file in files(__name__).iterdir() if file.name.endswith(".toml"))


def read_recipe(name: str) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name : str
        One of `recipe_names`.

    Returns
    -------
    Recipe
        What its file says.

    Raises
    ------
    ValueError
        There is no such recipe.
    """
    if name not in recipe_names():
        raise ValueError(f"recipe is {name!r}, allowed: {', '.join(recipe_names())}")
    return _recipe(name, (files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def read_recipe_file(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe of one's own, a file like those of this folder.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Recipe
        What it says; its name is the file's.

    Raises
    ------
    ValueError
        The file cannot be read or is no recipe.
    """
    path = Path(path)
    try:
        return _recipe(path.stem, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"recipe {str(path)!r}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"recipe {str(path)!r}: {error}") from None


def _recipe(name: str, text: str) -> Recipe:
    values = tomllib.loads(text)
    for options in (values.get("options", {}), *values.get("data_sets", {}).values()):
        # TOML has no word for nothing.
        method = options.get("method", {})
        method |= {key: None for key, value in method.items() if value == "none"}
    return Recipe(name=name, **values)
