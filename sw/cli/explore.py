"""`signfold explore`: recipes x plans x devices x routing seeds, on all cores or on a cluster."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from signfold.sw.cli.explore_view import View, render_result
from signfold.sw.cli.output import console, emit, print_lines
from signfold.sw.data import names
from signfold.sw.errors import StudyError, ToolError
from signfold.sw.explore.cluster import DaskPool
from signfold.sw.explore.driver import drive
from signfold.sw.explore.outcome import StepFunction
from signfold.sw.explore.planning import plan_step
from signfold.sw.explore.plot import draw
from signfold.sw.explore.progress import Progress, all_tasks, survey
from signfold.sw.explore.rows import make_rows, write_rows
from signfold.sw.explore.store import Store
from signfold.sw.explore.study import EFFORTS, Study
from signfold.sw.explore.study_file import EXAMPLE, make_study, read_study
from signfold.sw.explore.tasks import Combination, lay_out_study
from signfold.sw.explore.training import compile_step, train_step
from signfold.sw.files import write_whole

__all__ = ["explore"]

#: Names in the output folder.
STUDY, TABLE, PLOT = "study.json", "results.csv", "pareto.png"


def explore(
    study: Annotated[
        Path | None, typer.Argument(help="study file; without one the options say what to combine")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the study", show_default="studies/STUDY")] = None,
    data: Annotated[str | None, typer.Option(help=f"data set: {', '.join(names())}", show_default="mnist")] = None,
    topology: Annotated[
        list[str] | None, typer.Option(help="as of `signfold train`; repeatable", show_default="by data set")
    ] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="as of `signfold train`; repeatable", show_default="default")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="of training; repeatable", show_default="1")] = None,
    epochs: Annotated[int | None, typer.Option(help="of all recipes", show_default="by recipe", min=1)] = None,
    cycles: Annotated[
        list[int] | None, typer.Option(help="smallest plan of so many cycles a frame; repeatable")
    ] = None,
    fps: Annotated[
        list[float] | None, typer.Option(help="smallest plan of so many frames a second; repeatable")
    ] = None,
    fastest: Annotated[
        bool, typer.Option("--fastest", help="the fastest plan that fits", show_default="without --cycles and --fps")
    ] = False,
    device: Annotated[
        list[str] | None, typer.Option(help="board, FPGA or fabric; repeatable", show_default="icebreaker")
    ] = None,
    clock: Annotated[
        float | None, typer.Option(help="clock in MHz", min=0.001, show_default="the board's oscillator, else 100")
    ] = None,
    routing_seed: Annotated[
        list[int] | None, typer.Option(help="of place and route; repeatable", show_default="1")
    ] = None,
    effort: Annotated[
        str | None, typer.Option(help=f"how far to go: {', '.join(EFFORTS)}", show_default="the study's, else model")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="processes on this machine; 0: a thread of this one", min=0, show_default="cores")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="address of a dask scheduler, tcp://HOST:PORT, instead of processes here")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="folder of downloaded data sets, on every worker", show_default="SIGNFOLD_DATA, else ./data"),
    ] = None,
    slice_: Annotated[
        float, typer.Option("--slice", help="seconds of training between two checkpoints that are kept", min=0)
    ] = 30.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what there is and what is missing, do nothing")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="print a study file to begin with")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the table as JSON")] = False,
) -> None:
    """Combine recipes, topologies, plans, devices and seeds, and keep what nothing else beats.

    Every step's result is kept in the study's folder: the same command goes on where it was stopped, and a changed
    study computes only what is new. The folder gets results.csv, pareto.png and pareto.svg.
    """
    if example:
        print(EXAMPLE, end="")
        return
    lists = {"topologies": topology, "recipes": recipe, "seeds": seed, "devices": device, "routing_seeds": routing_seed}
    plans = [
        *({"cycles": n} for n in cycles or ()),
        *({"fps": n} for n in fps or ()),
        *(["fastest"] if fastest else ()),
    ]
    given = {"data": data, "epochs": epochs, "clock_mhz": clock, "plans": plans, **lists}
    content = {name: value for name, value in given.items() if value not in (None, [])}
    wanted = _study(study, content, effort)
    if workers is not None and scheduler is not None:
        raise typer.BadParameter("give one of --workers and --scheduler")
    folder = out or Path("studies") / (study.stem if study is not None else wanted.data)
    store = Store(folder)
    steps, tools = _steps(wanted)
    combinations = lay_out_study(wanted, tools)
    progress = survey(all_tasks(combinations), store)
    told = len(store.damaged)
    print_lines(console, (f"damaged, computed again: {place}" for place in store.damaged))
    stopped = False
    if not dry_run:
        store.claim(STUDY)
        write_whole(folder / STUDY, (json.dumps(_described(study, content, wanted), indent=1) + "\n").encode())
        if progress.open:
            setting = {"seconds": slice_, "data_dir": None if data_dir is None else str(data_dir.absolute())}
            stopped = _work(combinations, store, progress, workers, scheduler, steps, setting)
        print_lines(console, (f"damaged, computed again: {place}" for place in store.damaged[told:]))
    rows = make_rows(combinations, progress.ends, store)
    if not dry_run:
        write_rows(folder / TABLE, rows)
        try:
            draw(wanted, rows, folder / PLOT)
        except ToolError as error:
            console.print(f"no plot: {error}", markup=False, highlight=False)
    result = {"folder": str(folder), "stages": progress.counts(), "rows": [asdict(row) for row in rows]}
    emit(result, as_json=as_json, render=lambda output: render_result(output, wanted, rows, progress, folder))
    if stopped:
        console.print("stopped; the same command goes on from here", highlight=False)
        raise typer.Exit(130)


def _study(path: Path | None, content: Mapping[str, Any], effort: str | None) -> Study:
    if path is None and not content:
        raise StudyError("give a study file, of which --example prints one, or say what to combine, at least --data")
    if path is None:
        return make_study({**content, **({"effort": effort} if effort else {})})
    if content:
        raise StudyError("a study file holds what is combined: give it alone, or with --effort")
    study = read_study(path)
    if effort is not None and effort not in EFFORTS:
        raise StudyError(f"effort must be one of {', '.join(EFFORTS)}, not {effort!r}")
    return study if effort is None else replace(study, effort=effort)


def _described(path: Path | None, content: Mapping[str, Any], study: Study) -> dict[str, Any]:
    """Return what the folder keeps of a study, by which it is known too."""
    content = content if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
    return {"format": "signfold-study", "version": 1, "study": {**content, "effort": study.effort}}


def _steps(study: Study) -> tuple[dict[str, StepFunction], Callable[..., Any] | None]:
    """Return the function of each step, and what asks for the versions of tools."""
    steps: dict[str, StepFunction] = {"train": train_step, "compile": compile_step, "plan": plan_step}
    if study.effort == "model":
        return steps, None
    try:
        from signfold.boards.explored import route_step, synthesis_step, tools
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("amaranth_boards"):
            raise
        raise ToolError("synthesis needs more packages: install signfold[boards]") from None
    return {**steps, "synthesis": synthesis_step, "route": route_step}, tools


def _work(
    combinations: Sequence[Combination],
    store: Store,
    progress: Progress,
    workers: int | None,
    scheduler: str | None,
    steps: Mapping[str, StepFunction],
    setting: Mapping[str, Any],
) -> bool:
    """Compute what is missing; return whether it was stopped from the keyboard."""
    try:
        with console.status("starting workers" if scheduler is None else f"connecting to {scheduler}"):
            pool = DaskPool(workers, scheduler)
        with pool, View(combinations, store) as view:
            drive(all_tasks(combinations), store, progress, pool, steps, setting, watch=view.show)
    except KeyboardInterrupt:
        return True
    return False
