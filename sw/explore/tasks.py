"""The steps that a study takes, each known by a hash of all that decides it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from signfold.sw.data.catalogue import ARCHIVES, CATALOGUE
from signfold.sw.data.digits import CONTENTS_SHA256, SEED
from signfold.sw.explore.device import Target
from signfold.sw.explore.study import EFFORTS, PlanChoice, RecipeChoice, Study

__all__ = ["KINDS", "Combination", "Task", "data_identity", "lay_out_study"]

#: The steps in order.
KINDS = ("train", "compile", "plan", "synthesis", "route")
#: Raised where a step gives something else for the same arguments.
_VERSIONS = {"train": 1, "compile": 1, "plan": 1, "synthesis": 1, "route": 1}


@dataclass(frozen=True)
class Task:
    """A step to take.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    key : str
        Hash of all that decides its outcome.
    arguments : dict
        For the step; part of the key.
    needs : tuple of Task
        Steps whose files it reads.
    title : str
        For people; no part of the key.
    """

    kind: str
    key: str
    arguments: dict[str, Any] = field(compare=False)
    needs: tuple["Task", ...] = field(compare=False)
    title: str = field(compare=False)


@dataclass(frozen=True)
class Combination:
    """One row of a study.

    Parameters
    ----------
    recipe, topology, plan : str
        Names.
    seed : int
        Seed of training.
    device : Target
        Device.
    routing_seed : int or None
        Seed of place and route, where the study goes so far.
    tasks : tuple of Task
        Its steps, in order.
    refused : str or None
        Why there are none.
    """

    recipe: str
    topology: str
    seed: int
    plan: str
    device: Target
    routing_seed: int | None
    tasks: tuple[Task, ...] = ()
    refused: str | None = None


def data_identity(name: str) -> list[str]:
    """Return checksums by which the contents of a data set are known; `load` accepts no others."""
    if name in CATALOGUE:
        return [file.sha256 for file in CATALOGUE[name].files]
    if name in ARCHIVES:
        return list(ARCHIVES[name].files.values())
    return [CONTENTS_SHA256, SEED]


def lay_out_study(
    study: Study, tools: Callable[[str, str | None], Mapping[str, Mapping[str, str]]] | None = None
) -> list[Combination]:
    """Return every combination of a study; steps that several share are the same.

    Parameters
    ----------
    study : Study
        What is combined with what.
    tools : callable, optional
        Called with fabric and board, gives names and versions of the tools of the steps `synthesis` and `route`; needed
        where the study goes so far.
    """
    found = []
    effort = EFFORTS.index(study.effort)
    for recipe in study.recipes:
        for topology in study.topologies:
            for seed in study.seeds:
                made, refused = _network(study, recipe, topology, seed)
                for plan in study.plans:
                    for device in study.devices:
                        row = recipe.name, topology, seed, plan.name, device
                        routes = effort == 2 and device.board is not None
                        for routing_seed in study.routing_seeds if routes else (None,):
                            if refused is not None:
                                found.append(Combination(*row, routing_seed, refused=refused))
                                continue
                            used = tools(device.fabric, device.board) if effort and tools else {}
                            more = _hardware(made, plan, device, effort, routing_seed, used)
                            found.append(Combination(*row, routing_seed, (*made, *more)))
    return found


def _network(study: Study, recipe: RecipeChoice, topology: str, seed: int) -> tuple[tuple[Task, ...], str | None]:
    try:
        options = study.training(recipe, topology, seed).to_json()
    except ValueError as error:
        return (), str(error)
    title = f"{recipe.name}, {topology}, seed {seed}"
    # A run may go on on another device; which, decides nothing that is asked for.
    decides = {name: value for name, value in options.items() if name != "device"}
    train = _task("train", {"options": options}, (), title, data=data_identity(study.data), decides=decides)
    return (train, _task("compile", {"real_weights": recipe.real_weights}, (train,), title)), None


def _hardware(
    made: tuple[Task, ...],
    choice: PlanChoice,
    device: Target,
    effort: int,
    routing_seed: int | None,
    tools: Mapping[str, Mapping[str, str]],
) -> list[Task]:
    compiled = made[-1]
    title = f"{compiled.title}, {choice.name} on {device.name}"
    planned = _task("plan", {"plan": choice.arguments(), "device": device.arguments()}, (compiled,), title)
    steps = [planned]
    if effort:
        arguments = {
            "fabric": device.fabric,
            "board": device.board,
            "clock_mhz": device.clock_mhz,
            "tools": dict(tools.get("synthesis", {})),
        }
        steps.append(_task("synthesis", arguments, (compiled, planned), title))
    if routing_seed is not None:
        arguments = {"board": device.board, "seed": routing_seed, "tools": dict(tools.get("route", {}))}
        steps.append(_task("route", arguments, (steps[-1],), f"{title}, routing seed {routing_seed}"))
    return steps


def _task(
    kind: str,
    arguments: dict[str, Any],
    needs: tuple[Task, ...],
    title: str,
    *,
    decides: Mapping[str, Any] | None = None,
    data: Any = None,
) -> Task:
    content = {
        "kind": kind,
        "version": _VERSIONS[kind],
        "signfold": version("signfold"),
        "arguments": decides if decides is not None else arguments,
        "needs": [need.key for need in needs],
        "data": data,
    }
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
    return Task(kind, key, arguments, needs, title)
