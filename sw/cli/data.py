"""`signfold data`: which data sets there are, whether their files are right, and fetching them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from signfold.sw.cli.output import console, emit
from signfold.sw.data import SPLITS, data_folder, load, names
from signfold.sw.data.archive import download_archive
from signfold.sw.data.catalogue import ARCHIVES, CATALOGUE
from signfold.sw.data.download import download as fetch
from signfold.sw.errors import DataError

__all__ = ["data"]

data = typer.Typer(name="data", help="List, check and download data sets.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option(help="folder of downloaded data sets", show_default="SIGNFOLD_DATA, else ./data")
]
AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


def _chosen(wanted: list[str] | None) -> list[str]:
    for name in wanted or ():
        load(name)  # refuses a name that is unknown
    return list(wanted or names())


@data.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the data sets and the sizes of their parts."""
    sets: dict[str, Any] = {}
    for name in names():
        dataset = load(name)
        sets[name] = {
            "shape": list(dataset.shape),
            "bits": dataset.bits,
            "classes": dataset.classes,
            "sizes": dataset.sizes,
            "source": "data folder" if name in CATALOGUE or name in ARCHIVES else "embedded",
        }

    def render(output: Console) -> None:
        table = Table("data set", "picture", "bits", "classes", *SPLITS, "source")
        for name, entry in sets.items():
            shape = "x".join(map(str, entry["shape"]))
            sizes = (str(entry["sizes"][part]) for part in SPLITS)
            table.add_row(name, shape, str(entry["bits"]), str(entry["classes"]), *sizes, entry["source"])
        output.print(table)

    emit({"data_sets": sets}, as_json=as_json, render=render)


@data.command()
def check(
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[DATASET]...", help="data sets to check", show_default="all")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read every file and compare its contents with the published checksums; exit 2 unless all are right."""
    result: dict[str, str] = {}
    notes: dict[str, str] = {}
    for name in _chosen(wanted):
        dataset = load(name, data_dir)
        try:
            for part in SPLITS:
                dataset.split(part)
                if (note := dataset.note(part)) is not None:
                    notes[name] = note
            result[name] = "ok"
        except DataError as error:
            result[name] = str(error)

    def render(output: Console) -> None:
        for name, state in result.items():
            note = f" ({notes[name]})" if name in notes else ""
            output.print(f"{name}: {state}{note}", markup=False, highlight=False, soft_wrap=True)

    emit({"folder": str(data_folder(data_dir)), "data_sets": result, "notes": notes}, as_json=as_json, render=render)
    if any(state != "ok" for state in result.values()):
        raise typer.Exit(DataError.exit_code)


@data.command()
def download(
    wanted: Annotated[list[str], typer.Argument(metavar="DATASET...", help="data sets to fetch")],
    data_dir: DataDir = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            help="address of a folder that holds the published files; repeatable", show_default="the published"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch data sets into the data folder; files that are there and right are kept."""
    folder = data_folder(data_dir)
    files: list[str] = []
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console
    )
    with progress:
        tasks: dict[str, Any] = {}

        def on_bytes(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total)
            progress.update(tasks[file], completed=done, total=total)

        for name in _chosen(wanted):
            tasks.clear()
            if name in CATALOGUE:
                files += map(str, fetch(CATALOGUE[name], folder, mirrors=mirror, on_bytes=on_bytes))
            elif name in ARCHIVES:
                files += map(str, download_archive(ARCHIVES[name], folder, mirrors=mirror, on_bytes=on_bytes))

    def render(output: Console) -> None:
        for file in files:
            output.print(file, markup=False, highlight=False, soft_wrap=True)

    emit({"folder": str(folder), "files": files}, as_json=as_json, render=render)
