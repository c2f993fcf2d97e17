"""Study files: TOML, read strictly. Free of torch."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from signfold.sw.data import load
from signfold.sw.errors import PlanError, SignfoldError, StudyError
from signfold.sw.explore.device import find_target
from signfold.sw.explore.study import DEFAULT_RECIPE, EFFORTS, STYLES, PlanChoice, RecipeChoice, Study
from signfold.sw.plan import Plan
from signfold.sw.train.defaults import defaults

__all__ = ["EXAMPLE", "make_study", "read_study"]

#: A study to begin with.
EXAMPLE = (files("signfold.sw.explore") / "example.toml").read_text(encoding="utf-8")

_KEYS = ("title", "data", "topologies", "recipes", "seeds", "epochs", "options", "plans", "devices", "clock_mhz",
         "routing_seeds", "effort")  # fmt: skip

_NUMBERS = {"cycles": int, "fps": (int, float)}


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises
    ------
    StudyError
        If it cannot be read, or asks for what there is not; the message names the place.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"study {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise StudyError(f"study {str(path)!r} is not TOML: {error}") from None
    try:
        return make_study(content, path.parent)
    except StudyError as error:
        raise StudyError(f"study {str(path)!r}: {error}") from None


def make_study(content: Mapping[str, Any], folder: Path = Path()) -> Study:
    """Return the study that a file's content, or the command line, asks for.

    Parameters
    ----------
    content : mapping
        Keys of a study file; docs/explore.md describes them.
    folder : pathlib.Path
        What names of recipe and plan files are relative to.

    Raises
    ------
    StudyError
        If it asks for what there is not.
    """
    _known(content, _KEYS, "study")
    data = content.get("data", "mnist")
    if not isinstance(data, str):
        raise StudyError(f"data must be the name of a data set, not {data!r}")
    try:
        load(data)
        base = defaults(data)
    except SignfoldError as error:
        raise StudyError(str(error)) from None
    clock = content.get("clock_mhz")
    if clock is not None and (not isinstance(clock, int | float) or isinstance(clock, bool) or not clock > 0):
        raise StudyError(f"clock_mhz must be a positive number, not {clock!r}")
    options = content.get("options", {})
    if not isinstance(options, dict):
        raise StudyError(f"options must be a table of training options, not {options!r}")
    if "epochs" in content:
        options = {**options, "epochs": content["epochs"]}
    effort = content.get("effort", EFFORTS[0])
    if effort not in EFFORTS:
        raise StudyError(f"effort must be one of {', '.join(EFFORTS)}, not {effort!r}")
    study = Study(
        data,
        _texts(content, "topologies", [base["topology"]]),
        tuple(_recipe(entry, folder) for entry in _list(content, "recipes", [DEFAULT_RECIPE])),
        tuple(_plan(entry, folder) for entry in _list(content, "plans", ["fastest"])),
        tuple(find_target(name, clock) for name in _texts(content, "devices", ["icebreaker"])),
        _seeds(content, "seeds"),
        _seeds(content, "routing_seeds"),
        effort,
        options,
        str(content.get("title", "")),
    )
    _check(study)
    return study


def _check(study: Study) -> None:
    """Refuse names that stand for two things, and recipes that no topology can be trained with."""
    for what in ("topologies", "recipes", "plans", "devices", "seeds", "routing_seeds"):
        names = [getattr(entry, "name", entry) for entry in getattr(study, what)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise StudyError(f"{what} must have names of their own, but {twice[0]!r} is there twice")
    for recipe in study.recipes:
        refusals = [_refusal(study, recipe, topology) for topology in study.topologies]
        if all(refusals):
            raise StudyError(f"recipe {recipe.name!r}: {refusals[0]}")


def _refusal(study: Study, recipe: RecipeChoice, topology: str) -> str | None:
    try:
        study.training(recipe, topology, study.seeds[0])
    except ValueError as error:
        return str(error)
    return None


def _known(table: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    if strange := sorted(set(table) - set(allowed)):
        raise StudyError(f"{where}: unknown key {strange[0]!r}, allowed are {', '.join(allowed)}")


def _list(content: Mapping[str, Any], name: str, default: list[Any]) -> list[Any]:
    entries = content.get(name, default)
    if not isinstance(entries, list) or not entries:
        raise StudyError(f"{name} must be a list with something in it, not {entries!r}")
    return entries


def _texts(content: Mapping[str, Any], name: str, default: list[str]) -> tuple[str, ...]:
    entries = tuple(_list(content, name, default))
    if strange := [entry for entry in entries if not isinstance(entry, str)]:
        raise StudyError(f"{name} must be texts, not {strange[0]!r}")
    return entries


def _seeds(content: Mapping[str, Any], name: str) -> tuple[int, ...]:
    entries = tuple(_list(content, name, [1]))
    for entry in entries:
        if not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry < 1 << 31:
            raise StudyError(f"{name} must be integers from 0 to {(1 << 31) - 1}, not {entry!r}")
    return entries


def _recipe(entry: Any, folder: Path) -> RecipeChoice:
    if isinstance(entry, str):
        return RecipeChoice(entry, entry)
    if not isinstance(entry, dict):
        raise StudyError(f"a recipe must be a name or a table, not {entry!r}")
    _known(entry, ("name", "recipe", "file", "options", "real_weights"), "recipes")
    if "recipe" in entry and "file" in entry:
        raise StudyError("recipes: give one of 'recipe' and 'file'")
    file, bits = entry.get("file"), entry.get("real_weights")
    if bits is not None and (not isinstance(bits, int) or not 2 <= bits <= 16):
        raise StudyError(f"real_weights must be an integer from 2 to 16, not {bits!r}")
    if not isinstance(entry.get("options", {}), dict):
        raise StudyError(f"recipes: options must be a table, not {entry['options']!r}")
    recipe = str(entry.get("recipe", DEFAULT_RECIPE))
    name = str(entry.get("name", recipe if file is None else Path(str(file)).stem))
    return RecipeChoice(name, recipe, None if file is None else folder / str(file), entry.get("options", {}), bits)


def _plan(entry: Any, folder: Path) -> PlanChoice:
    if entry == "fastest":
        return PlanChoice("fastest", fastest=True)
    if not isinstance(entry, dict):
        raise StudyError(f"a plan must be 'fastest' or a table, not {entry!r}")
    _known(entry, ("name", "cycles", "fps", "fastest", "file", "styles"), "plans")
    given = [key for key in ("cycles", "fps", "fastest", "file") if entry.get(key) not in (None, False)]
    if len(given) != 1:
        raise StudyError("plans: give one of 'cycles', 'fps', 'fastest = true' and 'file'")
    key, value = given[0], entry[given[0]]
    if key in _NUMBERS and (not isinstance(value, _NUMBERS[key]) or isinstance(value, bool) or value <= 0):
        raise StudyError(f"plans: {key} must be a positive number, not {value!r}")
    styles = entry.get("styles", list(STYLES))
    if not isinstance(styles, list) or not styles or any(style not in STYLES for style in styles):
        raise StudyError(f"plans: styles must be some of {', '.join(STYLES)}, not {styles!r}")
    found: dict[str, Any] = {key: value}
    if key in _NUMBERS:
        found["name"] = f"{value:,} {key}"
    elif key == "fastest":
        found = {"name": "fastest", "fastest": True}
    else:
        try:
            found = {"name": Path(str(value)).stem, "text": Plan.load(folder / str(value)).to_toml()}
        except PlanError as error:
            raise StudyError(str(error)) from None
    if "styles" in entry:
        found["name"] += f" {'+'.join(styles)}"
    return PlanChoice(**{**found, "name": str(entry.get("name", found["name"])), "styles": tuple(styles)})
