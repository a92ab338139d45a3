"""Figures of the runs' curves, one panel for each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ... import plot
from .row import Row
from .runs import Result

SEED, STREAM, BOOK = plot.TRAINING, plot.VALIDATION, plot.INK


def draw(rows: Sequence[Row], results: Sequence[Result], name: str) -> Any:
    """A matplotlib Figure of the curves `name`, "loss" or "accuracy", over the epochs, one panel for each row.

    Runs from seeds are thin lines, the run in the book's stream is an orange line, and the book's last figure a point.
    Raises ImportError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'curves are drawn by matplotlib ({error}): pip install "arraynn[plot]"') from error
    drawn_rows = [row for row in rows if any(result.row == row.name and result.curve for result in results)]
    columns = min(4, max(len(drawn_rows), 1))
    lines = max(-(-len(drawn_rows) // columns), 1)
    figure = Figure(figsize=(3.4 * columns, 2.5 * lines + 0.3), dpi=110, layout="constrained", facecolor="white")
    panels = [axes for line in figure.subplots(lines, columns, squeeze=False) for axes in line]
    for axes in panels[len(drawn_rows) :]:
        axes.set_visible(False)
    for axes, row in zip(panels, drawn_rows, strict=False):
        _panel(axes, row, [result for result in results if result.row == row.name and result.curve], name)
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def _panel(axes: Any, row: Row, results: Sequence[Result], name: str) -> None:
    axes.set_title(row.name, loc="left", fontsize=10, color=BOOK, fontweight="bold")
    for result in sorted(results, key=lambda result: result.stream == "book"):  # the book's stream last, on top
        style = {"color": SEED, "linewidth": 0.8, "alpha": 0.55, "label": f"arraynn, {name}, one line per seed"}
        if result.stream == "book":
            style = {"color": STREAM, "linewidth": 1.4, "label": "arraynn in the book's stream"}
        values = [getattr(point, name) for point in result.curve]
        axes.plot([point.epoch for point in result.curve], values, **style)
    numbers = [getattr(point, name) for result in results for point in result.curve]
    numbers = [number for number in numbers if math.isfinite(number)]
    # at a learning rate of 1, some losses are huge in the first steps; scaled to them, the rest would look flat
    first_losses = [result.curve[0].loss for result in results]
    later_losses = [point.loss for result in results for point in result.curve[len(result.curve) // 20 :]]
    top = max([value for value in (*first_losses, *later_losses) if math.isfinite(value)], default=1.0)
    if name == "loss" and numbers and 0 < 100 * min(numbers) < top:
        axes.set_yscale("log")
        axes.set_ylim(top=1.3 * top)
    elif name == "loss":
        axes.set_ylim(top=1.05 * top)
    value = getattr(row.book, name)  # a value of 0 cannot be drawn on a logarithmic axis
    last = row.epochs - 1 if row.batch_size else row.epochs
    if (
        value is not None
        and (value > 0 or axes.get_yscale() == "linear")
        and any(result.curve[-1].epoch >= last for result in results)
    ):
        axes.plot([last], [value], "o", color=BOOK, markersize=4.5, label="the book", clip_on=False, zorder=3)
    axes.tick_params(which="both", colors=plot.FAINT, labelsize=7, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cccccc")
    axes.grid(True, color="#ececec", linewidth=0.8)
    axes.margins(x=0.02)
