"""Where the options of `signfold train` come from: a recipe or defaults, the command line, a stored run."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from signfold.sw.cli.output import emit, print_lines
from signfold.sw.data import load
from signfold.sw.errors import CheckpointError
from signfold.sw.train.checkpoint import read_checkpoint
from signfold.sw.train.defaults import defaults
from signfold.sw.train.method import Method
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.recipes import merge, read_recipe, recipe_names

__all__ = ["chosen", "gather", "is_first_process", "list_recipes", "resumed"]

#: Parameters of the command that are no options of a run.
_COMMAND = ("data", "data_dir", "out", "resume", "as_json", "recipe", "set_", "weight_decay")

#: Options that the command line gives by one field of their table.
_TABLES = {"optimizer": "name", "binary_optimizer": "name", "teacher": "run"}


def gather(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what the command line gives.

    Parameters
    ----------
    arguments : mapping
        The command's parameters by name; None where one is not given.

    Returns
    -------
    dict
        Options by name, tables as mappings.

    Raises
    ------
    typer.BadParameter
        A threshold is no number, or `--set` cannot be read.
    """
    given = {name: value for name, value in arguments.items() if value is not None and name not in _COMMAND}
    if arguments["data"] is not None:
        given["dataset"] = arguments["data"]
    threshold = given.get("threshold")
    try:
        if threshold is not None:
            given["threshold"] = None if threshold == "mean" else int(threshold)
    except ValueError as error:
        raise typer.BadParameter(f"threshold is {threshold!r}, allowed: an integer or 'mean'") from error
    for name, key in _TABLES.items():
        if name in given:
            given[name] = {key: given[name]}
    if arguments["weight_decay"] is not None:
        given = merge(given, {"optimizer": {"weight_decay": arguments["weight_decay"]}})
    for text in arguments["set_"] or ():
        given = merge(given, _setting(text))
    return given


def _setting(text: str) -> dict[str, Any]:
    """Read NAME=VALUE, the value as in TOML or else as text."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise typer.BadParameter(f"--set is {text!r}, allowed: NAME=VALUE, such as optimizer.momentum=0.9")
    try:
        read = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        read = None if value.strip() == "none" else value.strip()
    for part in reversed(name.strip().split(".")):
        read = {part: read}
    return read


def chosen(given: Mapping[str, Any], recipe: str | None, out: Path | None) -> tuple[TrainingOptions, Path]:
    """Choose the options and the folder of a new run.

    Parameters
    ----------
    given : mapping
        What the command line gives; it wins.
    recipe : str or None
        Name of a recipe; None takes the data set's defaults.
    out : pathlib.Path or None
        The run folder that the command line gives.

    Returns
    -------
    tuple of TrainingOptions and pathlib.Path
        Options and run folder.

    Raises
    ------
    ValueError
        An option is not allowed.
    """
    if recipe is None:
        name = given.get("dataset", "mnist")
        load(name)  # an unknown name is refused before its missing defaults
        below = defaults(name, given.get("topology"))
    else:
        published = read_recipe(recipe)
        name = given.get("dataset", published.data)
        load(name)
        below = published.choose(name, given.get("topology"))
    values = merge(_without_others(below, given), given)
    values.setdefault("processes", int(os.environ.get("WORLD_SIZE", "1")))
    options = TrainingOptions.from_json(values)
    return options, out or Path("runs") / f"{recipe or name}-{options.topology.replace(',', '-')}"


def is_first_process() -> bool:
    """Whether this process is alone, or the one of several that reports (`torchrun` counts them)."""
    return int(os.environ.get("RANK", "0")) == 0


def _without_others(below: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the optimizers that the command line replaces: the numbers of one are not for another."""
    kept = dict(below)
    for table in ("optimizer", "binary_optimizer"):
        new, old = given.get(table), below.get(table)
        if isinstance(new, Mapping) and isinstance(old, Mapping) and new.get("name", old["name"]) != old["name"]:
            del kept[table]
    return kept


def resumed(given: Mapping[str, Any], out: Path | None) -> tuple[TrainingOptions, Path, list[dict[str, Any]]]:
    """Read the options of a run that is to go on.

    Parameters
    ----------
    given : mapping
        What the command line gives: nothing but `device` may differ from the run's options.
    out : pathlib.Path or None
        The run folder.

    Returns
    -------
    tuple of TrainingOptions, pathlib.Path and list of dict
        Options, run folder and history.

    Raises
    ------
    typer.BadParameter
        No folder is given.
    CheckpointError
        The folder holds no run, or one with other options.
    """
    if out is None:
        raise typer.BadParameter("--resume needs --out, the folder of the run to continue")
    checkpoint = read_checkpoint(out)
    stored = TrainingOptions.from_json(checkpoint.training)
    for name, value in given.items():
        if not hasattr(stored, name):
            raise ValueError(f"unknown training options {[name]}")
        own = getattr(stored, name)
        own = own.to_json() if isinstance(own, Method) else asdict(own) if is_dataclass(own) else own
        same = {**(own or {}), **value} == own if isinstance(value, Mapping) else value == own
        if name != "device" and not same:
            raise CheckpointError(f"{out}: was begun with {name} {own!r}, and cannot continue with {value!r}")
    return replace(stored, device=given.get("device", stored.device)), out, checkpoint.history


def list_recipes(as_json: bool) -> None:
    """Print the recipes.

    Parameters
    ----------
    as_json : bool
        Print them as JSON.
    """
    recipes = [read_recipe(name) for name in recipe_names()]
    result = {
        each.name: {"title": each.title, "paper": each.paper, "source": each.source, "data": sorted(each.data_sets)}
        for each in recipes
    }

    def render(output: Console) -> None:
        width = max(len(each.name) for each in recipes)
        print_lines(output, (f"{each.name:{width}}  {each.title} ({each.paper})" for each in recipes))

    emit({"recipes": result}, as_json=as_json, render=render)
