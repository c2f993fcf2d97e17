"""A study: what is combined with what. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from signfold.sw.explore.device import Target
from signfold.sw.train.defaults import defaults
from signfold.sw.train.options import TrainingOptions
from signfold.sw.train.recipes import merge, read_recipe, read_recipe_file

__all__ = ["DEFAULT_RECIPE", "EFFORTS", "STYLES", "PlanChoice", "RecipeChoice", "Study"]

#: How far each combination goes: the cost model, synthesis, place and route.
EFFORTS = ("model", "synthesis", "route")
#: What layers may be: all that the planner knows but multipliers, whose blocks devices in studies do not count.
STYLES = ("array", "hardwired", "shared")
#: Stands for the options that `signfold train` has for a data set.
DEFAULT_RECIPE = "default"


@dataclass(frozen=True)
class RecipeChoice:
    """A way of training.

    Parameters
    ----------
    name : str
        Name in the tables.
    recipe : str
        Recipe that the options come from; "default": those of the data set.
    file : pathlib.Path or None
        A recipe of one's own instead.
    options : mapping
        What goes over it.
    real_weights : int or None
        Bits that real weights are rounded to; None refuses them.
    """

    name: str
    recipe: str = DEFAULT_RECIPE
    file: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    real_weights: int | None = None

    def choose(self, data: str, topology: str) -> dict[str, Any]:
        """Return the options for a data set and a topology.

        Raises
        ------
        ValueError
            If there is no such recipe, or it cannot be read.
        """
        if self.file is not None:
            below = read_recipe_file(self.file).choose(data, topology)
        elif self.recipe == DEFAULT_RECIPE:
            below = defaults(data, topology)
        else:
            below = read_recipe(self.recipe).choose(data, topology)
        return merge(below, self.options)


@dataclass(frozen=True)
class PlanChoice:
    """How a network is put on a device.

    Parameters
    ----------
    name : str
        Name in the tables.
    cycles : int or None
        Cycles a frame to reach with the smallest plan.
    fps : float or None
        Frames a second to reach, at the device's clock.
    fastest : bool
        The fastest plan that fits.
    text : str or None
        A plan, as TOML.
    styles : tuple of str
        What layers may be.
    """

    name: str
    cycles: int | None = None
    fps: float | None = None
    fastest: bool = False
    text: str | None = None
    styles: tuple[str, ...] = STYLES

    def arguments(self) -> dict[str, Any]:
        """Return what a plan depends on: not the name."""
        how = {"cycles": self.cycles, "fps": self.fps, "fastest": self.fastest, "text": self.text}
        return {**how, "styles": list(self.styles) if self.text is None else []}


@dataclass(frozen=True)
class Study:
    """What is combined with what: every recipe, topology, seed, plan, device and routing seed with each other.

    Parameters
    ----------
    data : str
        Data set.
    topologies : tuple of str
        Names or steps.
    recipes : tuple of RecipeChoice
        Ways of training.
    plans : tuple of PlanChoice
        Ways to put a network on a device.
    devices : tuple of Target
        Boards, FPGAs or fabrics.
    seeds, routing_seeds : tuple of int
        Seeds of training, and of place and route.
    effort : str
        One of `EFFORTS`.
    options : mapping
        Options of training that all recipes get; those of a recipe's own choice win.
    title : str
        For the plot.
    """

    data: str
    topologies: tuple[str, ...]
    recipes: tuple[RecipeChoice, ...]
    plans: tuple[PlanChoice, ...]
    devices: tuple[Target, ...]
    seeds: tuple[int, ...] = (1,)
    routing_seeds: tuple[int, ...] = (1,)
    effort: str = "model"
    options: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""

    def training(self, recipe: RecipeChoice, topology: str, seed: int) -> TrainingOptions:
        """Return the options of a run.

        Raises
        ------
        ValueError
            If an option is not allowed, or names another run: runs of a study stand alone.
        """
        chosen = replace(recipe, options=merge(self.options, recipe.options)).choose(self.data, topology)
        chosen |= {"dataset": self.data, "topology": topology, "seed": seed}
        options = TrainingOptions.from_json(chosen)
        if options.initial is not None or (options.teacher is not None and options.teacher.run != "twin"):
            raise ValueError("initial and teacher cannot name runs in a study, only the teacher 'twin'")
        return options
