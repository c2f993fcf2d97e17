"""A picture of the gradient mismatch of layers. Free of torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from signfold.sw.errors import ToolError

__all__ = ["plot_mismatch"]


def plot_mismatch(path: Path, title: str, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Plot the cosine similarity of each layer, a line a run.

    Parameters
    ----------
    path : pathlib.Path
        File; its suffix says what kind.
    title : str
        Title of the plot.
    runs : mapping
        By the run's name, its layers: `layer` and `cosine`.

    Raises
    ------
    ToolError
        matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ToolError("plots need matplotlib: install signfold[plot]") from None
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    longest: list[str] = []
    for name, layers in runs.items():
        names = [layer["layer"] for layer in layers]
        longest = max(longest, names, key=len)
        axes.plot(range(len(names)), [layer["cosine"] for layer in layers], marker="o", label=name)
    axes.set_xticks(range(len(longest)), longest, rotation=45 if len(longest) > 6 else 0)
    axes.set_ylim(-0.1, 1.05)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_ylabel("cosine similarity")
    axes.set_title(title)
    axes.legend()
    figure.savefig(path)
