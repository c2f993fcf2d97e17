"""What `signfold explore` shows: how far it is, the best so far, and the fronts at the end."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from signfold.sw.cli.output import console, print_lines
from signfold.sw.explore.progress import Progress
from signfold.sw.explore.rows import Row, make_rows
from signfold.sw.explore.store import Store
from signfold.sw.explore.study import Study
from signfold.sw.explore.tasks import Combination
from signfold.sw.planner.refusals import logic_name

__all__ = ["View", "render_result"]

#: Rows of the front that are shown while a study runs, and seconds between two looks at the table.
_SHOWN, _LOOK = 8, 2.0


class View(AbstractContextManager):
    """Live progress at a terminal, silent elsewhere.

    Parameters
    ----------
    combinations : sequence of Combination
        The study.
    store : Store
        Its folder.
    """

    def __init__(self, combinations: Sequence[Combination], store: Store) -> None:
        self._combinations, self._store = combinations, store
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._rows: list[Row] = []
        self._looked = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> "View":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show how far a study is."""
        if self._live is None:
            return
        now = time.monotonic()
        if now - self._looked >= _LOOK:
            self._looked = now
            self._rows = make_rows(self._combinations, progress.ends, self._store)
        rest = progress.rest()
        spent = timedelta(seconds=int(now - self._began))
        left = "not known yet" if rest is None else f"about {timedelta(seconds=int(rest))}"
        lines = [stages_table(progress), Text(f"{progress.slots} at a time, {spent} so far, rest {left}", style="dim")]
        best = [row for row in self._rows if row.front]
        if best:
            best.sort(key=lambda row: -row.validation_integer)
            lines.append(Text(f"best so far, {len(best)} on the fronts:"))
            lines += [Text(line, no_wrap=True, overflow="crop") for line in front_lines(best[:_SHOWN])]
        self._live.update(Group(*lines))


def stages_table(progress: Progress) -> Table:
    """Return a line a kind of step."""
    table = Table(box=None, pad_edge=False)
    for name in ("step", "", "done", "of", "kept", "running", "refused", "failed", "skipped"):
        table.add_column(name, justify="left" if name in ("step", "") else "right")
    for kind, stage in progress.stages.items():
        bar = ProgressBar(stage.total, stage.ended + sum(stage.shares.values()), width=24)
        numbers = stage.done, stage.total, stage.reused, stage.running, stage.refused, stage.failed, stage.skipped
        table.add_row(kind, bar, *(str(number) for number in numbers))
    return table


def front_lines(rows: Sequence[Row]) -> list[str]:
    """Return rows as a table of text, which keeps its columns however narrow the terminal is."""
    table = [["validation", "test", "logic", "BRAM", "cycles", "MHz", "frames/s", "design"]]
    for row in rows:
        cells = [f"{100 * row.validation_integer:.2f} %", f"{100 * row.test_integer:.2f} %", f"{row.luts:,}"]
        cells += [f"{row.brams:,}", f"{row.interval_cycles:,}", f"{row.fmax_mhz or row.clock_mhz:.1f}"]
        table.append([*cells, f"{row.frames_per_second:,.0f}", row.label])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join([*map(str.rjust, line[:-1], widths[:-1]), line[-1]]) for line in table]


def render_result(output: Console, study: Study, rows: Sequence[Row], progress: Progress, folder: Path) -> None:
    """Print the front of each device, what said no, and where the files are."""
    lines: list[str] = []
    for device in study.devices:
        best = [row for row in rows if row.device == device.name and row.front]
        best.sort(key=lambda row: (-row.validation_integer, -row.frames_per_second, row.luts))
        if best:
            logic = logic_name(device.fabric)
            lines += [f"Pareto front on {device.name} (logic: {logic}):", *front_lines(best), ""]
    without: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.status in ("refused", "failed"):
            without.setdefault((f"{row.status} ({row.stage})", row.reason), []).append(row)
    lines += [
        f"{what}: {found[0].label} on {found[0].device}{_more(len(found) - 1)}: {_first_line(reason)}"
        for (what, reason), found in without.items()
    ]
    done = sum(row.status == "ok" for row in rows)
    left = sum(row.status == "open" for row in rows)
    lines.append(f"{done} of {len(rows)} combinations are done" + (f", {left} are open" if left else ""))
    for kind, stage in progress.stages.items():
        lines.append(
            f"  {kind:<10} {stage.total} steps: {stage.reused} kept, {stage.done} computed, {stage.refused} of them "
            f"refused, {stage.failed} failed, {stage.skipped} skipped, {stage.total - stage.ended} open"
        )
    if (folder / "results.csv").exists():
        lines.append(f"table, plot  {folder / 'results.csv'}, {folder / 'pareto.png'}")
    print_lines(output, lines)


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
