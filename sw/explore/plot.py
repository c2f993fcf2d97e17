"""The plot of a study: accuracy and speed against logic, a row of panels a device, with their Pareto fronts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from signfold.sw.errors import ToolError
from signfold.sw.explore.pareto import front
from signfold.sw.explore.rows import Row
from signfold.sw.explore.study import Study
from signfold.sw.planner.refusals import logic_name

__all__ = ["draw"]

_COLOURS = ("#1f5fa8", "#c8501e", "#2f8a4c", "#8a4fa3", "#b58a00", "#c43d6b", "#3a9ea5", "#6b6b6b")
_MARKERS = "osD^vP*Xp<>hd"
#: Where a label may stand, in points from its point, the first that is free.
_PLACES = [(-7, 5), (7, 4), (7, -11), (-7, -12), (0, 10), (0, -17), (14, 14), (14, -22), (-14, 16), (-14, -24)]
#: Where logic is on a logarithmic scale: so many times as much for the largest as for the smallest; and its ticks.
_WIDE, _STEPS = 3, (1, 1.5, 2, 3, 5, 7)
#: More labels in a panel than this hide it.
_MOST_LABELS = 10


def draw(study: Study, rows: Sequence[Row], path: Path) -> None:
    """Draw the rows that are complete, as PNG and SVG.

    Colours are recipes, markers topologies. On the left the front is that of validation accuracy and logic, and crosses
    are the test accuracy of its points; on the right it is that of frames a second and logic. A device without a
    complete row has empty panels.

    Parameters
    ----------
    study : Study
        What the rows are of.
    rows : sequence of Row
        Its rows.
    path : pathlib.Path
        File to write, `.png`; the `.svg` lies beside it.

    Raises
    ------
    ToolError
        If matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise ToolError("plots need matplotlib: install signfold[plot]") from None
    height = 4.4 * len(study.devices) + 0.8
    figure = Figure(figsize=(13, height), layout="constrained")
    panels = figure.subplots(len(study.devices), 2, squeeze=False)
    looks = _Looks([recipe.name for recipe in study.recipes], list(study.topologies))
    for device, (left, right) in zip(study.devices, panels, strict=True):
        mine = [row for row in rows if row.device == device.name and row.complete]
        logic = f"{logic_name(device.fabric)} of {device.name}"
        if study.effort == "model":
            logic += ", predicted"
        _panel(left, mine, looks, lambda row: 100 * row.validation_integer, logic)
        left.set_ylabel("validation accuracy of the integer network, %")
        _panel(right, mine, looks, lambda row: row.frames_per_second, logic)
        right.set_ylabel("frames a second")
        right.set_yscale("log")
        right.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        right.yaxis.set_minor_formatter(lambda value, _: "")
    handles = looks.handles()
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), fontsize=9, frameon=False)
    figure.suptitle(study.title or f"{study.data}: {sum(row.complete for row in rows)} designs")
    # Drawn once, so that labels know their sizes.
    FigureCanvasAgg(figure).draw()
    for panel in panels.flat:
        _label(panel, getattr(panel, "signfold_labels", ()))
    figure.savefig(path, format="png", dpi=110)
    with matplotlib.rc_context({"svg.hashsalt": "signfold"}):
        figure.savefig(path.with_suffix(".svg"), format="svg", metadata={"Date": None})


class _Looks:
    """Colours of recipes and markers of topologies."""

    def __init__(self, recipes: list[str], topologies: list[str]) -> None:
        self._colours = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(recipes)}
        self._markers = {name: _MARKERS[k % len(_MARKERS)] for k, name in enumerate(topologies)}

    def of(self, row: Row) -> dict[str, Any]:
        return {"color": self._colours[row.recipe], "marker": self._markers[row.topology]}

    def handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        def entry(label: str, **look: Any) -> Line2D:
            return Line2D([], [], linestyle="", label=label, markersize=7, **look)

        found = [entry(name, color=colour, marker="s") for name, colour in self._colours.items()]
        found += [entry(name, color="#444444", marker=marker) for name, marker in self._markers.items()]
        found.append(Line2D([], [], color="#444444", linewidth=1, label="Pareto front"))
        return [*found, entry("test accuracy", color="#444444", marker="x")]


def _panel(panel: Any, rows: Sequence[Row], looks: _Looks, value: Callable[[Row], float], logic: str) -> None:
    """Draw points and their front; what the labels of the front are is left at the panel."""
    best = set(front([(value(row), -row.luts) for row in rows]))
    for k, row in enumerate(rows):
        panel.plot(row.luts, value(row), linestyle="", **looks.of(row), markersize=7, alpha=1 if k in best else 0.3)
    chosen = sorted((rows[k] for k in best), key=lambda row: (row.luts, value(row)))
    if chosen:
        places = sorted({(row.luts, value(row)) for row in chosen})
        panel.plot(*zip(*places, strict=True), color="#444444", linewidth=1, zorder=0, drawstyle="steps-post")
    labels: dict[tuple[float, float], str] = {}
    accuracy = value(rows[0]) == 100 * rows[0].validation_integer if rows else False
    for row in chosen:
        # Of equal points the first has its name told.
        labels.setdefault((row.luts, value(row)), row.plan if accuracy is False else f"{row.topology}, {row.plan}")
        if accuracy:
            panel.plot(row.luts, 100 * row.test_integer, linestyle="", marker="x", color=looks.of(row)["color"])
    panel.signfold_labels = list(labels.items())
    panel.set_xlabel(logic)
    if rows and max(row.luts for row in rows) > _WIDE * min(row.luts for row in rows) > 0:
        panel.set_xscale("log", subs=_STEPS[1:])
        panel.xaxis.get_major_locator().set_params(subs=_STEPS)
        panel.xaxis.set_minor_formatter(lambda value, _: "")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.margins(x=0.16, y=0.12)
    panel.grid(alpha=0.3)


def _label(panel: Any, labels: Sequence[tuple[tuple[float, float], str]]) -> None:
    """Write labels beside their points, where no other label and no point is; without room there is none."""
    if len(labels) > _MOST_LABELS:
        step = (len(labels) - 1) / (_MOST_LABELS - 1)
        labels = [labels[round(k * step)] for k in range(_MOST_LABELS)]
    renderer = panel.figure.canvas.get_renderer()
    points = [panel.transData.transform(line.get_xydata()) for line in panel.lines if line.get_marker() != "None"]
    taken: list[Any] = []
    inside = panel.get_window_extent(renderer)
    for place, text in labels:
        for dx, dy in _PLACES:
            side = "left" if dx > 0 else "right" if dx < 0 else "center"
            note = panel.annotate(text, place, (dx, dy), textcoords="offset points", ha=side, fontsize=8)
            box = note.get_window_extent(renderer)
            free = not any(box.overlaps(other) for other in taken)
            free = free and not any(box.contains(*point) for group in points for point in group)
            if free and inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1):
                taken.append(box)
                break
            note.remove()
